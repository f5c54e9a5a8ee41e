"""Newton steps damped after Levenberg (1944) and Marquardt (1963), for smooth functions of a few hundred unknowns.

A step costs one evaluation whether it is kept or not, so that lanes of a vmap never wait for a line search. Laws of
skills (100 unknowns) take 20 to 40 steps, where L-BFGS with its line search was not there after 300.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.solvers.loop import Step
from lleval_jax.types import Array


class Local(NamedTuple):
    """A function to be made small, near x (k,).

    value      ()
    gradient   (k,)
    curvature  (k, k)  the Hessian, or what stands for it; it need not be positive definite
    """

    value: Array
    gradient: Array
    curvature: Array


class Memory(NamedTuple):
    """The function near x, where to try next, and the share of the curvature's diagonal that is added to it.

    predicted  ()  fall of the value from x to `trial` by the quadratic
    """

    local: Local
    trial: Array
    predicted: Array
    damping: Array


@dataclasses.dataclass(frozen=True)
class Marquardt:
    """Settings: the first damping, its factor after half of the predicted decrease, and after a refused step.

    `error` is the largest gradient entry, each in units of the root of its own curvature: for minus a log likelihood,
    how many standard errors the slope at x asks a coordinate to move.
    """

    damping: float = 0.1
    fall: float = 0.2
    rise: float = 4.0

    def init(self, fn: Callable[[Array], Local], x: Array) -> Step:
        """Before the first evaluation: the first step takes the function at x itself."""
        big = jnp.asarray(jnp.finfo(x.dtype).max, x.dtype)
        local = Local(big, jnp.zeros_like(x), jnp.eye(len(x), dtype=x.dtype))
        damping = jnp.asarray(self.damping, x.dtype)
        return Step(x, big, big, Memory(local, x, jnp.zeros_like(big), damping))

    def step(self, fn: Callable[[Array], Local], now: Step) -> Step:
        """Evaluate at the trial point; keep it unless the value rises, and aim with less or more damping."""
        m: Memory = now.memory
        there = fn(m.trial)
        rounding = 8 * jnp.finfo(now.x.dtype).eps * jnp.abs(there.value)
        first = m.local.value == jnp.finfo(now.x.dtype).max
        good = first | (there.value <= m.local.value + rounding)
        kept = jnp.where(m.local.value - there.value > 0.5 * m.predicted, self.fall * m.damping, m.damping)
        damping = jnp.clip(jnp.where(good, kept, self.rise * m.damping), 1e-9, 1e9)
        x, local = jax.tree.map(lambda a, b: jnp.where(good, a, b), (m.trial, there), (now.x, m.local))
        diagonal = jnp.maximum(jnp.abs(jnp.diagonal(local.curvature)), jnp.finfo(x.dtype).tiny)
        damped = local.curvature + jnp.diag(damping * diagonal)
        move = -jax.scipy.linalg.solve(damped, local.gradient, assume_a="pos")  # NaN where not positive: then refused
        predicted = -(local.gradient @ move + 0.5 * move @ local.curvature @ move)
        error = jnp.max(jnp.abs(local.gradient) / jnp.sqrt(diagonal))
        return Step(x, local.value, error, Memory(local, x + move, predicted, damping))
