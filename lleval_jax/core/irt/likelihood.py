"""Log likelihoods of scores in [0, 1] with unseen cells masked out, and priors: the only definition in the package."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.irt import irf
from lleval_jax.core.irt.cells import Cells
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float


class Prior(NamedTuple):
    """Normal prior on the free coordinates of an item: mean and precision, each (width,). Precision 0 is no prior."""

    mean: Array
    precision: Array


class Params(NamedTuple):
    """All unknowns of an item response model.

    ability  (rows, dims)
    free     (items, width)  unconstrained item parameters; `irf.constrain` reads them
    """

    ability: Array
    free: Array


class Answers(NamedTuple):
    """What rows answered.

    scores  (rows, items)  in [0, 1]
    weight  (rows, items)  answers behind the score; 0 where not seen
    """

    scores: Array
    weight: Array


@full_precision
def log_joint(params: Params, data: Answers, prior: Prior, *, curve: irf.Curve) -> Float[Array, ""]:
    """Log joint density of answers, abilities and item parameters.

        y_ri | ability, free ~ Bernoulli(floor_i + (ceiling_i - floor_i) sigmoid(slope_i . ability_r + intercept_i))
        ability_r ~ N(0, I),   free_i ~ N(prior.mean, diag(1 / prior.precision))

    A score that is the mean of n answers, with weight n, counts as those answers in their order. A coordinate whose
    prior has precision 0 has a flat one, of density one. With `curve.shared_slope` the slopes are one unknown, given
    for every item: its prior counts once.
    """
    items = irf.constrain(curve, params.free)
    rows = jax.vmap(bernoulli, (None, None, 0, 0, 0))(curve, items, params.ability, data.scores, data.weight)
    each = jax.vmap(_log_normal, (None, 0))(prior, params.free)
    times = jnp.ones_like(each)
    if curve.shared_slope:
        times = times.at[:, : curve.dims].set(1 / len(each))
    ability = -0.5 * jnp.sum(params.ability**2) - 0.5 * params.ability.size * math.log(2 * math.pi)
    return jnp.sum(rows) + ability + jnp.sum(times * each)


def _log_normal(prior: Prior, free: Float[Array, " width"]) -> Float[Array, " width"]:
    """Log density of each of an item's free coordinates; 0 where the precision is."""
    known = prior.precision > 0
    size = jnp.log(jnp.where(known, prior.precision, 1)) - math.log(2 * math.pi)
    return jnp.where(known, 0.5 * size - 0.5 * prior.precision * (free - prior.mean) ** 2, 0)


def bernoulli(
    curve: irf.Curve,
    items: irf.Items,
    ability: Float[Array, " dims"],
    scores: Float[Array, " items"],
    weight: Float[Array, " items"],
) -> Float[Array, ""]:
    """Sum over items of  w [s log p + (1 - s) log(1 - p)]  for one row.

    (items,) scores and weights, (dims,) ability -> (). A score that is the mean of n answers, with weight n, gives
    the binomial likelihood; a fractional score with weight 1 the quasi-likelihood.
    """
    odds, wrong = irf.tails(curve, irf.logit(ability, items), items.floor, items.ceiling)
    return jnp.sum(weight * (scores * odds + wrong))


def at_nodes(
    curve: irf.Curve, cells: Cells, items: irf.Items, nodes: Float[Array, "nodes dims"]
) -> Float[Array, "rows nodes"]:
    """Log likelihood of each row at each node: two matrix products.  -> (rows, nodes)."""
    z = items.slope @ nodes.T + items.intercept[:, None]
    odds, wrong = irf.tails(curve, z, items.floor[:, None], items.ceiling[:, None])
    return cells.over_items(odds, wrong)


def log_prior(prior: Prior, free: Float[Array, " width"]) -> Float[Array, ""]:
    """Log density of one item's free coordinates, up to the constant of a zero precision."""
    known = prior.precision > 0
    density = 0.5 * jnp.log(jnp.where(known, prior.precision, 1)) - 0.5 * prior.precision * (free - prior.mean) ** 2
    return jnp.sum(jnp.where(known, density, 0))


def gaussian(
    x: Float[Array, " dims"], mean: Float[Array, " dims"], precision: Float[Array, "dims dims"]
) -> Float[Array, ""]:
    """Log density of N(mean, precision^-1) at x (dims,), up to a constant."""
    gap = x - mean
    return -0.5 * gap @ precision @ gap


def accurate_sum(x: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Sum of a vector with the rounding errors kept (Knuth's two-sum): float32 near float64."""

    def add(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
        total = a[0] + b[0]
        back = total - a[0]
        return total, a[1] + b[1] + ((a[0] - (total - back)) + (b[0] - back))

    zero = jnp.zeros((), x.dtype)
    total, lost = jax.lax.reduce((x, jnp.zeros_like(x)), (zero, zero), add, tuple(range(x.ndim)))
    return total + lost
