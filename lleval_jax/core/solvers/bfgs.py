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

SUFFICIENT_DECREASE = 1e-4  # share of the decrease by the gradient that a step must bring
FIRST_STEP = 0.1  # its length, in the largest coordinate


class Memory(NamedTuple):
    """What the next step needs.

    gradient         (k,)
    inverse_hessian  (k, k)
    fraction         ()      of the full step, to try next
    curvature_seen   ()      whether any has been
    """

    gradient: Array
    inverse_hessian: Array
    fraction: Array
    curvature_seen: Array


@dataclasses.dataclass(frozen=True)
class BFGS:
    """Makes `fn(x)` small, x a vector. Error: the largest gradient entry.

    `near(x)` is an inverse Hessian to begin with, such as that of the expected information: near the true one it saves
    most of the steps.
    """

    near: Callable[[Array], Array] | None = None

    def init(self, fn: Callable, x: Array) -> Step:
        """Value and gradient at x."""
        value, gradient = jax.value_and_grad(fn)(x)
        largest = jnp.max(jnp.abs(gradient))
        blind = jnp.eye(len(x), dtype=x.dtype) * FIRST_STEP / jnp.maximum(largest, FIRST_STEP)
        inverse_hessian = blind if self.near is None else self.near(x)
        curvature_seen = jnp.asarray(self.near is not None)
        return Step(x, value, largest, Memory(gradient, inverse_hessian, jnp.ones_like(value), curvature_seen))

    def resume(self, x: Array, inverse_hessian: Array) -> Step:
        """A search of another function from x, where value and gradient are not known yet: the first step finds them.

        So a program that searches again and again holds the function once, and compiles in half the time.
        """
        unknown = jnp.asarray(jnp.finfo(x.dtype).max, x.dtype)
        memory = Memory(jnp.zeros_like(x), inverse_hessian, jnp.ones_like(unknown), jnp.asarray(True))
        return Step(x, unknown, unknown, memory)

    def step(self, fn: Callable, now: Step) -> Step:
        """One trial point: taken, or refused and the next try shorter."""
        gradient, inverse_hessian, fraction, curvature_seen = now.memory
        step = -fraction * (inverse_hessian @ gradient)
        x = now.x + step
        value, after = jax.value_and_grad(fn)(x)
        taken = (value <= now.value + SUFFICIENT_DECREASE * (gradient @ step)) & jnp.all(jnp.isfinite(after))
        updated, upward = _updated(inverse_hessian, step, after - gradient, curvature_seen)

        def keep(new: Array, old: Array) -> Array:
            return jnp.where(taken, new, old)

        memory = Memory(
            keep(after, gradient),
            keep(updated, inverse_hessian),
            keep(jnp.ones_like(fraction), fraction / 2),
            keep(curvature_seen | upward, curvature_seen),
        )
        return Step(keep(x, now.x), keep(value, now.value), jnp.max(jnp.abs(memory.gradient)), memory)


def _updated(inverse_hessian: Array, step: Array, change: Array, curvature_seen: Array) -> tuple[Array, Array]:
    """The inverse Hessian after a step that changed the gradient by `change`, and whether it curved upward (6.17).

    The first curvature that is seen sets the scale (6.20).
    """
    curvature = change @ step
    upward = curvature > 1e-10 * jnp.sqrt((change @ change) * (step @ step))
    safe = jnp.where(upward, curvature, 1)
    scale = jnp.where(curvature_seen, 1, safe / jnp.maximum(change @ change, jnp.finfo(change.dtype).tiny))
    start = jnp.where(curvature_seen, inverse_hessian, scale * jnp.eye(len(step), dtype=step.dtype))
    product = start @ change
    side = jnp.outer(step, product)
    updated = start - (side + side.T) / safe + (1 + change @ product / safe) * jnp.outer(step, step) / safe
    return jnp.where(upward, updated, inverse_hessian), upward
