"""Convex problems over weights that are not negative and sum to one: quadratics exactly, smooth functions by Newton.

A quadratic is minimised by an active set, the method of Wolfe's nearest point in a polytope (1976): the minimum on a
face of the simplex, then a smaller face while that minimum lies outside, then a larger one while a vertex lies
downhill. Any other smooth convex function is replaced by its quadratic at each step. All stop by the Frank-Wolfe gap,
x'g - min g, which bounds how far the value can still fall (Jaggi 2013).
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.solve import Solution, Step, solve
from lleval_jax.types import Array, Float

STEPS_A_WEIGHT = 10  # of the active set, before it gives up; it needs about one for each weight that ends at zero
SHORTEST = 1e-6  # share of a Newton step, below which it is not taken


class Quadratic(NamedTuple):
    """x'Gx / 2 - c'x with G (k, k) positive semidefinite, its entries of order one, and c (k,)."""

    gram: Array
    linear: Array

    def value(self, x: Array) -> Array:
        """At x (k,)."""
        return 0.5 * x @ self.gram @ x - self.linear @ x

    def gradient(self, x: Array) -> Array:
        """(k,) at x (k,)."""
        return self.gram @ x - self.linear


def project(point: Float[Array, " k"]) -> Float[Array, " k"]:
    """The nearest point of the simplex, by sorting (Held, Wolfe & Crowder 1974)."""
    down = -jnp.sort(-point)
    count = jnp.arange(1, len(point) + 1, dtype=point.dtype)
    level = (jnp.cumsum(down) - 1) / count  # what must be taken off if so many weights stay above zero
    kept = jnp.sum(down > level)
    return jnp.maximum(point - level[kept - 1], 0)


def gap(x: Float[Array, " k"], gradient: Float[Array, " k"]) -> Float[Array, ""]:
    """How far the value of a convex function at x can lie above its minimum on the simplex, at most."""
    return x @ gradient - jnp.min(gradient)


@dataclasses.dataclass(frozen=True)
class ActiveSet:
    """Steps between faces of the simplex; `fn` is a `Quadratic`. The memory is which weights are free."""

    def init(self, fn: Quadratic, x: Array) -> Step:
        """At the point of the simplex nearest to x, all weights free."""
        x = project(x)
        return Step(x, fn.value(x), gap(x, fn.gradient(x)), jnp.ones(len(x), bool))

    def step(self, fn: Quadratic, now: Step) -> Step:
        """To the minimum on the face and one more free weight, or to the first weight that becomes zero on the way."""
        x, free = now.x, now.memory
        target = _lowest_on_face(fn, free)
        falls = free & (target < 0)
        share = jnp.where(falls, x / jnp.where(falls, x - target, 1), jnp.inf)
        inside = ~jnp.any(falls)
        walked = x + jnp.minimum(1, jnp.min(share)) * (target - x)
        kept = free & (inside | (share > jnp.min(share)))
        x = jnp.where(kept, jnp.maximum(jnp.where(inside, target, walked), 0), 0)
        gradient = fn.gradient(x)
        downhill = jnp.arange(len(x)) == jnp.argmin(gradient)
        return Step(x, fn.value(x), gap(x, gradient), kept | (inside & downhill))


class Smooth(NamedTuple):
    """A convex function on the simplex by what Newton's method needs of it."""

    value: Callable[[Array], Array]
    quadratic: Callable[[Array], Quadratic]  # at x: its curvature there, and curvature @ x - gradient


@dataclasses.dataclass(frozen=True)
class Newton:
    """Each step goes to the minimum of the quadratic at x, or half the way and so on until the value does not rise.

    `fn` is a `Smooth`. The memory is the quadratic at x.
    """

    def init(self, fn: Smooth, x: Array) -> Step:
        """At the point of the simplex nearest to x."""
        return self._at(fn, project(x))

    def step(self, fn: Smooth, now: Step) -> Step:
        """No step at all where no length of it will do."""
        way = minimise(now.memory, now.x).x - now.x
        rounding = 8 * jnp.finfo(now.x.dtype).eps * jnp.maximum(1, jnp.abs(now.value))

        def rises(share: Array) -> Array:
            return (fn.value(now.x + share * way) > now.value + rounding) & (share > SHORTEST)

        share = jax.lax.while_loop(rises, lambda share: share / 2, jnp.ones((), now.x.dtype))
        return self._at(fn, now.x + jnp.where(share > SHORTEST, share, 0) * way)

    def _at(self, fn: Smooth, x: Array) -> Step:
        local = fn.quadratic(x)
        return Step(x, fn.value(x), gap(x, local.gradient(x)), local)


def minimise(fn: Quadratic | Smooth, start: Float[Array, " k"]) -> Solution:
    """The weights (k,) at which a convex function is lowest, and how far its value can be from there (`error`)."""
    eps = float(jnp.finfo(start.dtype).eps)
    if isinstance(fn, Quadratic):
        return solve(ActiveSet(), fn, start, tol=32 * eps, max_steps=STEPS_A_WEIGHT * (len(start) + 2))  # type: ignore[arg-type]
    return solve(Newton(), fn, start, tol=1000 * eps, max_steps=50)  # type: ignore[arg-type]


def _lowest_on_face(fn: Quadratic, free: Array) -> Array:
    """The minimum over free weights that sum to one, of either sign; the others zero.

    A multiple m of 11' makes G regular and, as the sum is one, adds only a constant: (G + m 11') x = c + nu 1, so
    x = a + nu b with nu from the sum.
    """
    gram, dtype = fn.gram, fn.gram.dtype
    size = jnp.trace(gram) / len(gram)
    scale = jnp.where(size > 0, size, 1)
    both = free[:, None] & free[None, :]
    one = free.astype(dtype)
    regular = scale * (1 + 8 * jnp.finfo(dtype).eps * jnp.eye(len(gram), dtype=dtype))
    matrix = jnp.where(both, gram + regular, scale * jnp.eye(len(gram), dtype=dtype))
    inverse = _inverse(matrix)
    a, b = inverse @ (one * fn.linear), inverse @ one
    return a + (1 - jnp.sum(a)) / jnp.sum(b) * b


def _inverse(matrix: Array) -> Array:
    """Of one symmetric positive definite matrix (k, k) by Gauss and Jordan: k cheap steps over a whole batch."""
    rows = jnp.arange(len(matrix))

    def sweep(i: Array, now: Array) -> Array:
        here = rows == i
        column, row = now[:, i], now[i] / now[i, i]
        out = now - column[:, None] * row[None, :]
        out = jnp.where(here[:, None], row[None, :], out)
        out = jnp.where(here[None, :], -column[:, None] / now[i, i], out)
        return jnp.where(here[:, None] & here[None, :], 1 / now[i, i], out)

    return jax.lax.fori_loop(0, len(matrix), sweep, matrix)
