"""Optimal transport on the line: distributions as sorted numbers.

For a convex cost of the difference the optimal coupling of two samples on the line is the monotone one, so transport is
sorting (Santambrogio, Optimal Transport for Applied Mathematicians, 2015, theorem 2.9).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lleval_jax.types import Array, Bool, Float, Int


def wasserstein(a: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, ""]:
    """W1 distance of two samples of one size: the mean distance of their order statistics.  (n,), (n,) -> ()."""
    return jnp.mean(jnp.abs(jnp.sort(a) - jnp.sort(b)))


class Coupling(NamedTuple):
    """The monotone coupling of two weighted samples: which value meets which, and with how much mass.

    first   (n + m,) index into the first sample
    second  (n + m,) index into the second
    mass    (n + m,) adds up to 1; 0 where the two grids of quantile levels coincide
    """

    first: Int[Array, " cells"]
    second: Int[Array, " cells"]
    mass: Float[Array, " cells"]


def coupling(
    u: Float[Array, " n"],
    v: Float[Array, " m"],
    u_weight: Float[Array, " n"] | None = None,
    v_weight: Float[Array, " m"] | None = None,
) -> Coupling:
    """The monotone coupling of two samples, of any sizes and weights, by their merged quantile levels.

    The integral over t of h(Q_u(t) - Q_v(t)) is `sum(mass * h(u[first] - v[second]))`, exactly: both quantile functions
    are constant between two merged levels. Values of weight 0, such as the padding of a batch, do not count.

    Args:
        u: (n,) values of the first sample.
        v: (m,) values of the second.
        u_weight: (n,) at least 0, not all 0; None: all equal.
        v_weight: (m,) likewise.
    """
    u_order, u_level = _levels(u, u_weight)
    v_order, v_level = _levels(v, v_weight)
    level = jnp.sort(jnp.concatenate([u_level, v_level]))
    mass = jnp.diff(level, prepend=jnp.zeros((), level.dtype))
    middle = level - mass / 2
    first = jnp.searchsorted(u_level, middle).clip(0, len(u_level) - 1)
    second = jnp.searchsorted(v_level, middle).clip(0, len(v_level) - 1)
    return Coupling(u_order[first], v_order[second], mass)


def _levels(value: Array, weight: Array | None) -> tuple[Array, Array]:
    """The order of a sample, and the quantile level at which each of its sorted values ends; the last is 1."""
    order = jnp.argsort(value, stable=True)
    if weight is None:
        return order, jnp.arange(1, len(value) + 1, dtype=value.dtype) / len(value)
    sums = jnp.cumsum(weight[order].astype(value.dtype))
    return order, sums / sums[-1]


def soft_sort(
    value: Float[Array, " n"], softness: float = 0.1, seen: Bool[Array, " n"] | None = None
) -> Float[Array, " n"]:
    """The sample in ascending order, smoothed: the projection onto the permutahedron (Blondel et al. 2020, eq. 4).

    It keeps the sum, and is the sorted sample itself, gradient included, where no two neighbours lie further apart than
    1 / `softness`. Values of a wider gap are pooled: each gets the gradient of the mean of its block.

    Args:
        value: (n,).
        softness: strength of the quadratic regularisation, above 0; small is sharp.
        seen: (n,) which values count; None: all. The others come last in the result, and mean nothing.
    """
    seen = jnp.ones(len(value), bool) if seen is None else seen
    order = jnp.argsort(jnp.where(seen, value, jnp.inf), stable=True)
    ordered, kept = value[order], seen[order]
    rung = jnp.arange(1, len(value) + 1, dtype=value.dtype) / softness
    slack = jnp.where(kept, rung - ordered, rung + jnp.abs(value).max())  # what does not count is never pooled
    block = lax.stop_gradient(_pools(slack))
    size = jax.ops.segment_sum(jnp.ones_like(slack), block, len(value))
    mean = jax.ops.segment_sum(slack, block, len(value)) / jnp.maximum(size, 1)
    return ordered + (slack - mean[block])  # exactly `ordered` where a value is alone


def _pools(value: Float[Array, " n"]) -> Int[Array, " n"]:
    """(n,) the number of each value's block in the isotonic (non-decreasing) regression: pool adjacent violators."""
    n = len(value)

    def push(stack: tuple[Array, Array, Array], one: Array) -> tuple[tuple[Array, Array, Array], None]:
        sums, sizes, top = stack
        return lax.while_loop(
            lambda s: (s[2] > 0) & (s[0][s[2] - 1] * s[1][s[2]] > s[0][s[2]] * s[1][s[2] - 1]),
            lambda s: (
                s[0].at[s[2] - 1].add(s[0][s[2]]),
                s[1].at[s[2] - 1].add(s[1][s[2]]),
                s[2] - 1,
            ),
            (sums.at[top + 1].set(one), sizes.at[top + 1].set(1.0), top + 1),
        ), None

    empty = (jnp.zeros(n + 1, value.dtype), jnp.ones(n + 1, value.dtype), jnp.full((), -1))
    (_, sizes, top), _ = lax.scan(push, empty, value)
    ends = jnp.cumsum(jnp.where(jnp.arange(n + 1) <= top, sizes, 0.0))
    return jnp.searchsorted(ends, jnp.arange(n, dtype=value.dtype), side="right")
