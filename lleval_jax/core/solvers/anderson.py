"""Anderson acceleration of a fixed point map whose value must not fall: EM in a fraction of its steps."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from lleval_jax.core.solvers.loop import Step
from lleval_jax.types import Array

Map = Callable[[Any], tuple[Any, Array]]  # x -> (next x, value at x)


class Memory(NamedTuple):
    """Last image and the trail of moves.

    image  (size,)          map(x)
    trial  (size,)          where the map is evaluated next
    plain  ()               whether `trial` is the plain image (always accepted)
    moves  (memory, size)   differences of x, newest last
    falls  (memory, size)   differences of map(x) - x
    count  ()               how many of the rows are filled
    """

    image: Array
    trial: Array
    plain: Array
    moves: Array
    falls: Array
    count: Array


@dataclasses.dataclass(frozen=True)
class Anderson:
    """Type-II Anderson mixing (Walker & Ni 2011, eq. 2.3), restarted when the value falls (Henderson & Varadhan 2019).

    A step costs one evaluation of the map whether the extrapolation is accepted or not. `memory=0` is the plain
    iteration. `slack` is the relative fall that rounding may cause.
    """

    memory: int = 6
    slack: float = 1e-6
    ridge: float = 1e-8

    def init(self, fn: Map, x: Any) -> Step:
        """Before the first evaluation: the first step takes the map at x itself, whatever comes."""
        flat, _ = ravel_pytree(x)
        big = jnp.asarray(jnp.finfo(flat.dtype).max, flat.dtype)
        trail = jnp.zeros((self.memory, flat.size), flat.dtype)
        return Step(x, -big, big, Memory(flat, flat, jnp.asarray(True), trail, trail, jnp.asarray(-1)))

    def step(self, fn: Map, now: Step) -> Step:
        """Evaluate the map at the trial point; accept it, or fall back to the plain image."""
        x, unravel = ravel_pytree(now.x)
        m: Memory = now.memory
        image, value = fn(unravel(m.trial))
        image, _ = ravel_pytree(image)
        good = m.plain | (value >= now.value - self.slack * jnp.abs(now.value))
        good &= jnp.all(jnp.isfinite(image)) & jnp.isfinite(value)
        accepted = self._accept(x, image, m)
        refused = m._replace(trial=m.image, plain=jnp.asarray(True), count=jnp.asarray(0))
        memory = jax.tree.map(lambda a, b: jnp.where(good, a, b), accepted, refused)
        stuck = ~good & m.plain
        error = jnp.where(good, jnp.max(jnp.abs(image - m.trial)), jnp.where(stuck, jnp.nan, now.error))
        where = unravel(jnp.where(good, m.trial, x))
        return Step(where, jnp.where(good, value, now.value), error, memory)

    def _accept(self, x: Array, image: Array, m: Memory) -> Memory:
        if self.memory == 0:
            return m._replace(image=image, trial=image, plain=jnp.asarray(True))
        residual, before = image - m.trial, m.image - x
        moves = jnp.roll(m.moves, -1, axis=0).at[-1].set(m.trial - x)
        falls = jnp.roll(m.falls, -1, axis=0).at[-1].set(residual - before)
        count = jnp.minimum(m.count + 1, self.memory)
        filled = jnp.arange(self.memory) >= self.memory - count
        falls_now = jnp.where(filled[:, None], falls, 0)
        gram = falls_now @ falls_now.T
        scale = jnp.where(filled, jnp.sqrt(jnp.maximum(jnp.diagonal(gram), 1e-30)), 1)
        gram = gram / (scale[:, None] * scale[None, :])
        eye = jnp.eye(self.memory, dtype=gram.dtype)
        gram = gram * (1 - eye) + eye * (1 + jnp.maximum(self.ridge, 10 * jnp.finfo(gram.dtype).eps))
        share = jax.scipy.linalg.solve(gram, (falls_now @ residual) / scale, assume_a="pos") / scale
        share = jnp.where(filled, share, 0)
        trial = image - share @ (moves + falls)
        return Memory(image, trial, jnp.asarray(False), moves, falls, count)
