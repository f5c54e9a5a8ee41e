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

from lleval_jax.core.precision import full_precision
from lleval_jax.core.solvers.loop import Solution, Step, solve
from lleval_jax.types import Array, Float

STEPS_A_WEIGHT = 10  # of the active set, before it gives up; it needs about one for each weight that ends at zero
EVEN = 0.65  # power of the rounding error by which weights that nothing tells apart are held where they started
SHORTEST = 1e-6  # share of a Newton step, below which it is not taken


class Quadratic(NamedTuple):
    """x'Gx / 2 - c'x with G (k, k) positive semidefinite and c (k,)."""

    gram: Array
    linear: Array

    def value(self, x: Array) -> Array:
        """At x (k,)."""
        return 0.5 * x @ self.gram @ x - self.linear @ x

    def gradient(self, x: Array) -> Array:
        """(k,) at x (k,)."""
        return self.gram @ x - self.linear


def gap(x: Float[Array, " k"], gradient: Float[Array, " k"]) -> Float[Array, ""]:
    """How far the value of a convex function at x can lie above its minimum on the simplex, at most."""
    return x @ gradient - jnp.min(gradient)


@dataclasses.dataclass(frozen=True)
class ActiveSet:
    """Steps between faces of the simplex; `fn` is a `Quadratic`. The memory is which weights are free."""

    def init(self, fn: Quadratic, x: Array) -> Step:
        """At x, which lies on the simplex, all weights free."""
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
        """At x, which lies on the simplex."""
        return self._at(fn, x)

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


@full_precision
def minimise(fn: Quadratic | Smooth, start: Float[Array, " k"]) -> Solution:
    """The weights (k,) at which a convex function is lowest, and how far its value can be from there (`error`).

    With G = I and c a point this is the Euclidean projection. `start` (k,) lies on the simplex.
    """
    eps, k = float(jnp.finfo(start.dtype).eps), len(start)
    if not isinstance(fn, Quadratic):
        return solve(Newton(), fn, start, tol=1000 * eps, max_steps=50)  # type: ignore[arg-type]
    size = jnp.maximum(_mean_square(fn.gram), jnp.max(jnp.abs(fn.linear)))
    near = _mean_square(fn.gram) * eps**EVEN  # of several minima the one near the start
    unit = Quadratic((fn.gram + near * jnp.eye(k, dtype=start.dtype)) / size, (fn.linear + near * start) / size)
    found = solve(ActiveSet(), unit, start, tol=32 * eps, max_steps=STEPS_A_WEIGHT * (k + 2))  # type: ignore[arg-type]
    return found._replace(value=fn.value(found.x), error=gap(found.x, fn.gradient(found.x)))


def _lowest_on_face(fn: Quadratic, free: Array) -> Array:
    """The minimum over free weights that sum to one, of either sign; the others zero.

    A multiple m of 11' makes G regular and, as the sum is one, adds only a constant: (G + m 11') x = c + nu 1, so
    x = a + nu b with nu from the sum.
    """
    gram, dtype = fn.gram, fn.gram.dtype
    scale, both = _mean_square(gram), free[:, None] & free[None, :]
    one = free.astype(dtype)
    matrix = jnp.where(both, gram + scale, scale * jnp.eye(len(gram), dtype=dtype))
    right = jnp.stack([one * fn.linear, one], axis=1)
    inverse = _inverse(matrix)
    x = inverse @ right
    for _ in range(2):  # an inverse alone leaves a residual where columns are nearly equal
        x = x + inverse @ (right - matrix @ x)
    a, b = x[:, 0], x[:, 1]
    return a + (1 - jnp.sum(a)) / jnp.sum(b) * b


def _mean_square(gram: Array) -> Array:
    """Mean of the diagonal; one where it is zero."""
    size = jnp.trace(gram) / len(gram)
    return jnp.where(size > 0, size, 1)


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
