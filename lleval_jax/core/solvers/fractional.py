"""Ratios of two sums over the same members: the best subset by Dinkelbach (1967), intervals by Fieller (1954)."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.solvers.loop import Solution, Step, solve
from lleval_jax.types import Array, Float


class Ratio(NamedTuple):
    """sum of weight x value over `size` members, divided by the sum of their weights.

    weight  (k,)  not negative
    value   (k,)
    size    ()
    """

    weight: Array
    value: Array
    size: Array

    def of(self, members: Array) -> Array:
        """The ratio of members (k,) bool; minus infinity where they have no weight at all."""
        total = jnp.sum(jnp.where(members, self.weight, 0))
        above = jnp.sum(jnp.where(members, self.weight * self.value, 0))
        return jnp.where(total > 0, above / jnp.where(total > 0, total, 1), -jnp.inf)


@dataclasses.dataclass(frozen=True)
class Dinkelbach:
    """The members with the largest weight x (value - ratio so far), until the ratio stays; `fn` is a `Ratio`."""

    def init(self, fn: Ratio, x: Array) -> Step:
        """From members x (k,) bool, of which only the ratio matters."""
        return Step(x, fn.of(x), jnp.asarray(jnp.inf, fn.weight.dtype), None)

    def step(self, fn: Ratio, now: Step) -> Step:
        """The ratio never falls, and where it stays it is the largest there is."""
        worth = fn.weight * (fn.value - jnp.where(jnp.isfinite(now.value), now.value, jnp.min(fn.value)))
        x = _largest(worth, fn.size)
        value = fn.of(x)
        better = value > now.value
        return Step(jnp.where(better, x, now.x), jnp.maximum(value, now.value), jnp.where(better, jnp.inf, 0.0), None)


def best_subset(weight: Float[Array, " k"], value: Float[Array, " k"], size: Array) -> Solution:
    """The `size` members (k,) bool whose ratio is largest: exact, in a few steps, for any k.

    weight  (k,)  not negative, not all zero
    value   (k,)
    size    ()     between one and k
    """
    ratio = Ratio(weight, value, size)
    return solve(Dinkelbach(), ratio, _largest(weight, size), tol=0.0, max_steps=100)  # type: ignore[arg-type]


def _largest(worth: Array, size: Array) -> Array:
    """(k,) bool, the `size` largest; of equal ones the first. For few members counting is quicker than sorting."""
    place = jnp.arange(len(worth))
    before = (worth[None, :] > worth[:, None]) | (
        (worth[None, :] == worth[:, None]) & (place[None, :] < place[:, None])
    )
    return jnp.sum(before, 1) < size


class Spread(NamedTuple):
    """What is known of the weights whose ratios are wanted, on the host.

    weight      (k,)    estimates without constraint, about normal
    covariance  (k, k)  theirs
    """

    weight: np.ndarray
    covariance: np.ndarray


def ratio_interval(
    known: Spread, value: np.ndarray, members: np.ndarray, centre: np.ndarray, reach: float, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high (subsets,) of ratios by Fieller's theorem, within what a weighted mean can be.

    known    of the weights
    value    (k,)
    members  (subsets, k) bool
    centre   (subsets,) point estimates of the ratios; each lies in its interval
    reach    quantile of the standardised error, such as 1.96
    noise    (subsets,) standard deviation of what is observed about the ratio

    The ratio m solves sum w_k (v_k - m) = 0, which is linear in the weights. Its interval holds every m at which that
    sum is within `reach` standard deviations of zero: right also where the weights of the members may all be zero, the
    case in which a ratio has no standard error. A mean with weights that are not negative lies between the smallest
    and the largest of its values; the interval ends there.
    """
    inside = members.astype(float)
    away = np.where(members, value[None, :] - centre[:, None], 0.0)
    above, total = away @ known.weight, inside @ known.weight
    turned = away @ known.covariance
    spread, cross = (turned * away).sum(1), (turned * inside).sum(1)
    p = total**2 - reach**2 * ((inside @ known.covariance) * inside).sum(1)
    q = above * total - reach**2 * cross
    r = above**2 - reach**2 * (np.maximum(spread, 0) + total**2 * noise**2)
    root = np.sqrt(np.maximum(q**2 - p * r, 0))
    bounded = p > 1e-12
    p = np.where(bounded, p, 1)
    low, high = np.where(bounded, (q - root) / p, -np.inf), np.where(bounded, (q + root) / p, np.inf)
    least = np.where(members, away, np.inf).min(1) - reach * noise
    most = np.where(members, away, -np.inf).max(1) + reach * noise
    return centre + np.minimum(np.clip(low, least, most), 0), centre + np.maximum(np.clip(high, least, most), 0)
