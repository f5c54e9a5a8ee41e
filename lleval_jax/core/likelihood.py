"""Log likelihoods of scores in [0, 1] with unseen cells masked out, and priors: the only definition in the package."""

from typing import NamedTuple

import jax.numpy as jnp

from lleval_jax.core import irf
from lleval_jax.core.cells import Cells
from lleval_jax.types import Array


class Prior(NamedTuple):
    """Normal prior on the free coordinates of an item: mean and precision, each (width,). Precision 0 is no prior."""

    mean: Array
    precision: Array


def bernoulli(curve: irf.Curve, items: irf.Items, ability: Array, scores: Array, weight: Array) -> Array:
    """Sum over items of  w [s log p + (1 - s) log(1 - p)]  for one row.

    (items,) scores and weights, (dims,) ability -> (). A score that is the mean of n answers, with weight n, gives
    the binomial likelihood; a fractional score with weight 1 the quasi-likelihood.
    """
    odds, wrong = irf.tails(curve, irf.logit(ability, items), items.floor, items.ceiling)
    return jnp.sum(weight * (scores * odds + wrong))


def at_nodes(curve: irf.Curve, cells: Cells, items: irf.Items, nodes: Array) -> Array:
    """Log likelihood of each row at each node: two matrix products.  -> (rows, nodes)."""
    z = items.slope @ nodes.T + items.intercept[:, None]
    odds, wrong = irf.tails(curve, z, items.floor[:, None], items.ceiling[:, None])
    return cells.over_items(odds, wrong)


def log_prior(prior: Prior, free: Array) -> Array:
    """Log density of one item's free coordinates, up to the constant of a zero precision."""
    known = prior.precision > 0
    density = 0.5 * jnp.log(jnp.where(known, prior.precision, 1)) - 0.5 * prior.precision * (free - prior.mean) ** 2
    return jnp.sum(jnp.where(known, density, 0))


def gaussian(x: Array, mean: Array, precision: Array) -> Array:
    """Log density of N(mean, precision^-1) at x (dims,), up to a constant."""
    gap = x - mean
    return -0.5 * gap @ precision @ gap


def accurate_sum(x: Array) -> Array:
    """Sum of a vector with the rounding errors kept (Knuth's two-sum, over a halving tree): float32 near float64."""
    size = 1 << max(0, (x.size - 1).bit_length())
    high = jnp.pad(x.ravel(), (0, size - x.size))
    low = jnp.zeros_like(high)
    while high.size > 1:
        a, b = high[::2], high[1::2]
        total = a + b
        back = total - a
        low = low[::2] + low[1::2] + ((a - (total - back)) + (b - back))
        high = total
    return high[0] + low[0]
