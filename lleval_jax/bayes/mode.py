"""Where a posterior is highest, and how it is curved there: damped Newton steps on its arrow."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.bayes.space import curvature
from lleval_jax.core.linalg import arrow
from lleval_jax.core.linalg.arrow import Arrow, Point
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.loop import Step
from lleval_jax.types import Array


class Normal(NamedTuple):
    """N(mean, root root'), an approximation of a posterior. `steps` and `status` (a `types.Status`) of its search."""

    mean: Point
    root: arrow.Root
    steps: Array
    status: Array

    def at(self, z: Point) -> Point:
        """The point that lies z standard deviations from the mean: standard normal z make draws."""
        return jax.tree.map(jnp.add, self.mean, arrow.times(self.root, z))

    def part(self, units: Array) -> "Normal":
        """Of what is shared and of these units alone."""
        root = self.root._replace(follow=self.root.follow[units], own=self.root.own[units])
        return self._replace(mean=self.mean._replace(own=self.mean.own[units]), root=root)


class Memory(NamedTuple):
    """The value and gradient at x, the curvature there, where to try next, and the damping."""

    gradient: Point
    bend: Arrow
    trial: Point
    damping: Array


@dataclasses.dataclass(frozen=True)
class Damped:
    """As `core.solvers.marquardt.Marquardt`, on arrows. `error` is the largest gradient entry, in standard errors."""

    damping: float = 0.1
    fall: float = 0.2
    rise: float = 5.0

    def init(self, fn: Callable[[Point], Array], x: Point) -> Step:
        """At x."""
        value, gradient = jax.value_and_grad(fn)(x)
        return self._aim(x, value, gradient, curvature(fn, x), jnp.asarray(self.damping, value.dtype))

    def step(self, fn: Callable[[Point], Array], now: Step) -> Step:
        """Go where it was aimed, unless the value rises; then aim again with less or more damping."""
        m: Memory = now.memory
        value, gradient = jax.value_and_grad(fn)(m.trial)
        rounding = 8 * jnp.finfo(value.dtype).eps * jnp.abs(now.value)
        good = value <= now.value + rounding  # NaN is not
        there = m.trial, value, gradient, curvature(fn, m.trial)
        here = now.x, now.value, m.gradient, m.bend
        x, value, gradient, bend = jax.tree.map(lambda a, b: jnp.where(good, a, b), there, here)
        factor = jnp.where(good, self.fall, self.rise)
        return self._aim(x, value, gradient, bend, jnp.clip(m.damping * factor, 1e-9, 1e9))

    def _aim(self, x: Point, value: Array, gradient: Point, bend: Arrow, damping: Array) -> Step:
        root = arrow.root(arrow.raised(bend, damping))
        move = arrow.times(root, arrow.transposed(root, gradient))
        trial = jax.tree.map(jnp.subtract, x, move)  # NaN where not positive definite: then refused
        tiny = jnp.finfo(value.dtype).tiny
        scaled = jax.tree.map(lambda g, d: jnp.abs(g) / jnp.sqrt(jnp.abs(d) + tiny), gradient, arrow.diagonal(bend))
        error = jnp.maximum(*(jnp.max(part, initial=0) for part in scaled))
        return Step(x, value, error, Memory(gradient, bend, trial, damping))


def laplace(fn: Callable[[Point], Array], start: Point, *, tol: float = 1e-4, max_steps: int = 60) -> Normal:
    """The normal of Laplace's method: the mode of exp(-fn), and the inverse of the curvature of fn there.

    Where the curvature is not positive definite its diagonal is raised, by no more than it takes.

    Args:
        fn: minus a log density, whose units meet only through what they share.
        start: where to begin.
        tol: largest gradient entry at the end, in standard errors.
        max_steps: give up after so many.
    """
    found = loop.advance(
        Damped(), fn, loop.begin(Damped(), fn, start), tol=tol, at_most=max_steps + 1, max_steps=max_steps
    )
    bend = found.now.memory.bend
    root = positive(lambda share: arrow.root(arrow.raised(bend, share)), found.now.value.dtype)
    return Normal(found.now.x, root, found.steps, found.status)


def positive(root: Callable[[Array], arrow.Root], dtype: Any) -> arrow.Root:
    """The root of a curvature whose diagonal is raised by a share of itself: the least that makes it finite."""
    share = jnp.asarray([0, 1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0], dtype)

    def bad(carry: tuple[Array, arrow.Root]) -> Array:
        i, root = carry
        return ~jnp.isfinite(arrow.log_det(root)) & (i < len(share) - 1)

    def more(carry: tuple[Array, arrow.Root]) -> tuple[Array, arrow.Root]:
        i = carry[0] + 1
        return i, root(share[i])

    return jax.lax.while_loop(bad, more, (jnp.asarray(0), root(share[0])))[1]
