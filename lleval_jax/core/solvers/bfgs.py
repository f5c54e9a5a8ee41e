"""BFGS in steps of one evaluation each: no loop inside the loop, so that many fits run side by side under `vmap`.

Nocedal & Wright (2006), ch. 6. A trial point that does not lower the value enough (Armijo) halves the step; one that
does updates the inverse Hessian, unless the gradient tells of no upward curvature there.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.solvers.loop import Step
from lleval_jax.types import Array

ENOUGH = 1e-4  # share of the foretold fall that a step must bring
FIRST = 0.1  # length of the first step, in the largest coordinate


class Memory(NamedTuple):
    """Gradient, inverse Hessian, the share of the full step to try next, and whether curvature has been seen."""

    slope: Array
    turn: Array
    share: Array
    known: Array


@dataclasses.dataclass(frozen=True)
class BFGS:
    """Makes `fn(x)` small, x a vector. Error: the largest gradient entry.

    `near(x)` is an inverse Hessian to begin with, such as that of the expected information: near the true one it saves
    most of the steps.
    """

    near: Callable[[Array], Array] | None = None

    def init(self, fn: Callable, x: Array) -> Step:
        """Value and gradient at x."""
        value, slope = jax.value_and_grad(fn)(x)
        largest = jnp.max(jnp.abs(slope))
        blind = jnp.eye(len(x), dtype=x.dtype) * FIRST / jnp.maximum(largest, FIRST)
        turn = blind if self.near is None else self.near(x)
        return Step(x, value, largest, Memory(slope, turn, jnp.ones_like(value), jnp.asarray(self.near is not None)))

    def step(self, fn: Callable, now: Step) -> Step:
        """One trial point: taken, or refused and the next try shorter."""
        slope, turn, share, known = now.memory
        way = -share * (turn @ slope)
        x = now.x + way
        value, after = jax.value_and_grad(fn)(x)
        taken = (value <= now.value + ENOUGH * (slope @ way)) & jnp.all(jnp.isfinite(after))
        grown, seen = _turned(turn, way, after - slope, known)

        def keep(new: Array, old: Array) -> Array:
            return jnp.where(taken, new, old)

        memory = Memory(
            keep(after, slope), keep(grown, turn), keep(jnp.ones_like(share), share / 2), keep(known | seen, known)
        )
        return Step(keep(x, now.x), keep(value, now.value), jnp.max(jnp.abs(memory.slope)), memory)


def _turned(turn: Array, way: Array, change: Array, known: Array) -> tuple[Array, Array]:
    """The inverse Hessian after a step `way` that changed the gradient by `change`, and whether it curved upward."""
    curve = change @ way
    upward = curve > 1e-10 * jnp.sqrt((change @ change) * (way @ way))
    safe = jnp.where(upward, curve, 1)
    scale = jnp.where(known, 1, safe / jnp.maximum(change @ change, jnp.finfo(change.dtype).tiny))
    start = jnp.where(known, turn, scale * jnp.eye(len(way), dtype=way.dtype))
    pulled = start @ change
    side = jnp.outer(way, pulled)
    grown = start - (side + side.T) / safe + (1 + change @ pulled / safe) * jnp.outer(way, way) / safe
    return jnp.where(upward, grown, turn), upward
