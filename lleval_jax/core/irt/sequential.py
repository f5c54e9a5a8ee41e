"""Which item to ask next, and what is known after its answer: the mathematics of adaptive testing.

The benchmark's score is  S = sum_i w_i y_i  over all its items, the unasked ones as the item curves predict. Near the
most probable ability, S and the answer y_j to an unasked item j are jointly normal:

    Var(S)       = g' C g + sum_i w_i^2 r_i        g = sum_i w_i d_i a_i   over unasked items
    Cov(S, y_j)  = d_j a_j' C g + w_j r_j
    Var(y_j)     = d_j^2 a_j' C a_j + r_j

with C the posterior covariance of ability, a_j the slope, d_j = dP/dz and r_j = phi P(1 - P) + d_j^2 x' V_j x, where
x = (ability, 1) and V_j is the error of the item's own parameters: an item that looks sharp because few models have
answered it is not asked for that. Asking j lowers the variance of S by Cov(S, y_j)^2 / Var(y_j): what it tells of
ability and that it is no longer a guess, in one number.

Written for a batch of rows, because each step is a few matrix products of rows with items.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import irf
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Bool, Float, Int

RULES = ("score", "information", "random")
FARTHEST = 8.0  # of an ability
TINY = 1e-9


class Pool(NamedTuple):
    """The items to choose from.

    items   parameters, (items, ...)
    weight  (items,)  share of each in the score; sums to 1
    price   (items,)  cost of asking; what is gained is divided by it; None: all cost the same
    phi     ()        dispersion of answers around their curves: 1 for right and wrong, less for fractions
    doubt   (items, dims + 1, dims + 1)  V: covariance of slope and intercept
    """

    items: irf.Items
    weight: Array
    price: Array | None
    phi: Array
    doubt: Array


class Normal(NamedTuple):
    """What is believed of the rows' abilities: mean (rows, dims), covariance (rows, dims, dims)."""

    mean: Array
    covariance: Array


class Outlook(NamedTuple):
    """What follows for the answers and the score; each (rows, items) but the last three.

    p      P(correct) at the mean
    by_z   dP / dz
    noise  r: of the answer, given ability
    value, variance  (rows,)       of the score
    pull   (rows, dims)            g: how the score moves with ability
    """

    p: Array
    by_z: Array
    noise: Array
    value: Array
    variance: Array
    pull: Array


@full_precision
def outlook(
    curve: irf.Curve, pool: Pool, posterior: Normal, asked: Bool[Array, "rows items"], right: Float[Array, " rows"]
) -> Outlook:
    """Predictions at the present posterior.

    asked  (rows, items)  True where answered
    right  (rows,)        sum of weight times answer over what was answered
    """
    items = pool.items
    z = posterior.mean @ items.slope.T + items.intercept[None, :]
    span = (items.ceiling - items.floor)[None, :]
    s = jax.nn.sigmoid(z)
    p, by_z = (s, s * (1 - s)) if curve.logistic else (items.floor[None, :] + span * s, span * s * (1 - s))
    noise = pool.phi * p * (1 - p) + by_z**2 * _doubt(posterior.mean, pool.doubt)
    left = jnp.where(asked, 0, pool.weight[None, :])
    pull = (left * by_z) @ items.slope
    reach = _quadratic(items.slope, posterior.covariance)
    shrunk = jax.nn.sigmoid(z / jnp.sqrt(1 + jnp.pi / 8 * reach))  # the posterior mean of the curve
    mean = shrunk if curve.logistic else items.floor[None, :] + span * shrunk
    value = right + jnp.sum(left * mean, 1)
    variance = jnp.einsum("rd,rde,re->r", pull, posterior.covariance, pull) + jnp.sum(left**2 * noise, 1)
    return Outlook(p, by_z, noise, value, variance, pull)


def gain(
    rule: str, pool: Pool, posterior: Normal, seen: Outlook, pull: Float[Array, "rows dims"], order: bool = False
) -> Float[Array, "rows items"]:
    """(rows, items) what asking each item is worth, for its price.

    "score": fall of the score's variance; "information": fall of the entropy of ability (D-optimality). With `order`
    only the order of a row's items means something, which at equal prices saves a logarithm of each.
    """
    slope = pool.items.slope
    reach = seen.by_z**2 * _quadratic(slope, posterior.covariance)
    price = 1.0 if pool.price is None else pool.price[None, :]
    if rule == "information":
        odds = reach / (seen.noise + TINY)
        return odds if order and pool.price is None else jnp.log1p(odds) / price
    toward = jnp.einsum("rde,re->rd", posterior.covariance, pull) @ slope.T
    covariance = seen.by_z * toward + pool.weight[None, :] * seen.noise
    return covariance**2 / (reach + seen.noise + TINY) / price


@full_precision
def choose(
    rule: str,
    pool: Pool,
    posterior: Normal,
    seen: Outlook,
    allowed: Bool[Array, "rows items"],
    size: int,
    key: Array,
    exposure: int = 1,
    together: int = 1,
) -> Int[Array, "rows size"]:
    """The next `size` items of each row, greedily, each counted as answered as expected.  -> (rows, size).

    allowed (rows, items); `exposure` > 1 draws each from the best so many (Kingsbury & Zara 1989), so that no item is
    asked of all rows; `together` consecutive rows are asked the same items, those best for the sum.
    """
    rows = jnp.arange(len(allowed))

    def pick(now: tuple[Array, Array, Array], key: Array) -> tuple[tuple[Array, Array, Array], Array]:
        covariance, pull, allowed = now
        if rule == "random":
            worth = jax.random.uniform(key, allowed.shape)
        else:
            worth = gain(rule, pool, Normal(posterior.mean, covariance), seen, pull, together == 1)
        worth = jnp.where(allowed, worth, -1)
        if together > 1:
            worth = worth.reshape(-1, together, worth.shape[1]).sum(1)
        if exposure > 1 and rule != "random":
            best, which = jax.lax.top_k(worth, exposure)
            lot = jnp.where(best < 0, -1, jax.random.uniform(key, best.shape))
            item = jnp.take_along_axis(which, jnp.argmax(lot, 1)[:, None], axis=1)[:, 0]
        else:
            item = jnp.argmax(worth, 1)
        item = jnp.repeat(item, together)
        slope, by_z, noise = pool.items.slope[item], seen.by_z[rows, item], seen.noise[rows, item]
        side = jnp.einsum("rde,re->rd", covariance, slope)
        share = by_z**2 / (noise + by_z**2 * jnp.sum(side * slope, 1) + TINY)
        covariance = covariance - share[:, None, None] * side[:, :, None] * side[:, None, :]
        pull = pull - (pool.weight[item] * by_z)[:, None] * slope
        return (covariance, pull, allowed.at[rows, item].set(False)), item

    begin, keys = (posterior.covariance, seen.pull, allowed), jax.random.split(key, size)
    if size == 1:  # outside of a loop, what the outlook has computed need not be computed again
        return pick(begin, keys[0])[1][:, None]
    return jax.lax.scan(pick, begin, keys)[1].T


def predict_variance(pool: Pool, posterior: Normal, seen: Outlook, picked: Array) -> Array:
    """The score's variance after each of the picked items (rows, size), each answered as expected.  -> (rows, size)."""
    rows = jnp.arange(len(picked))

    def ask(now: tuple[Array, Array, Array], item: Array) -> tuple[tuple[Array, Array, Array], Array]:
        covariance, pull, variance = now
        slope, by_z, noise = pool.items.slope[item], seen.by_z[rows, item], seen.noise[rows, item]
        side = jnp.einsum("rde,re->rd", covariance, slope)
        own = by_z**2 * jnp.sum(side * slope, 1) + noise + TINY
        shared = by_z * jnp.sum(side * pull, 1) + pool.weight[item] * noise
        covariance = covariance - (by_z**2 / own)[:, None, None] * side[:, :, None] * side[:, None, :]
        pull = pull - (pool.weight[item] * by_z)[:, None] * slope
        variance = variance - shared**2 / own
        return (covariance, pull, variance), variance

    return jax.lax.scan(ask, (posterior.covariance, seen.pull, seen.variance), picked.T)[1].T


def learn(
    curve: irf.Curve,
    items: irf.Items,
    prior: Normal,
    start: Float[Array, "rows dims"],
    scores: Float[Array, "rows k"],
    weight: Float[Array, "rows k"],
    phi: Float[Array, ""],
    doubt: Float[Array, "rows k lines lines"],
    steps: int,
) -> Normal:
    """Most probable ability and its covariance, by Fisher scoring from `start` (rows, dims).

    items   (rows, k, ...)  parameters of what each row answered
    scores  (rows, k);  weight (rows, k), 0 where there is no answer;  doubt (rows, k, dims + 1, dims + 1)
    prior   mean (dims,), covariance (dims, dims)
    """
    precision = jnp.linalg.inv(prior.covariance)

    def scoring(mean: Array, _) -> tuple[Array, Array]:
        z = jnp.einsum("rkd,rd->rk", items.slope, mean) + items.intercept
        s = jax.nn.sigmoid(z)
        span = items.ceiling - items.floor
        p = items.floor + span * s
        by_z = span * s * (1 - s)
        x = jnp.concatenate([mean, jnp.ones_like(mean[:, :1])], axis=1)
        noise = phi * p * (1 - p) + weight * by_z**2 * jnp.einsum("ra,rkab,rb->rk", x, doubt, x)
        inverse = weight / jnp.maximum(noise, irf.SAFE)
        pull, worth = (scores - p) * by_z * inverse, by_z**2 * inverse
        gradient = jnp.einsum("rk,rkd->rd", pull, items.slope) - (mean - prior.mean[None, :]) @ precision
        information = jnp.einsum("rk,rkd,rke->rde", worth, items.slope, items.slope) + precision[None]
        covariance = jnp.linalg.inv(information)
        move = jnp.einsum("rde,re->rd", covariance, gradient)
        return jnp.clip(mean + jnp.clip(move, -1.5, 1.5), -FARTHEST, FARTHEST), covariance

    mean, covariance = jax.lax.scan(scoring, start, None, length=steps)
    return Normal(mean, covariance[-1])


def _doubt(mean: Array, doubt: Array) -> Array:
    """The form x' V_i x with x = (ability, 1) for all rows and items.  -> (rows, items)."""
    i, j = np.triu_indices(doubt.shape[1])
    twice = np.where(i == j, 1, 2).astype(mean.dtype)
    x = jnp.concatenate([mean, jnp.ones_like(mean[:, :1])], axis=1)
    return jnp.maximum((x[:, i] * x[:, j] * twice[None, :]) @ doubt[:, i, j].T, 0)


def _quadratic(slope: Array, covariance: Array) -> Array:
    """a_i' C_r a_i for all rows and items: one matrix product over the pairs of dimensions.  -> (rows, items)."""
    i, j = np.triu_indices(slope.shape[1])
    twice = np.where(i == j, 1, 2).astype(covariance.dtype)
    return jnp.maximum((covariance[:, i, j] * twice[None, :]) @ (slope[:, i] * slope[:, j]).T, 0)
