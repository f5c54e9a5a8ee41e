"""Item response functions: from ability and item parameters to the probability of a correct answer.

    P(correct | ability) = floor + (ceiling - floor) sigmoid(slope . ability + intercept)

Rasch, 2PL, 3PL, 4PL (Barton & Lord 1981) and the compensatory multidimensional 2PL (Reckase 2009, eq. 4.5)
are this one curve with some parameters held. Fits move in unconstrained coordinates; `constrain` and `release`
are the bijectors between the two.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.curves import CURVES as CURVES
from lleval_jax.curves import Curve as Curve
from lleval_jax.types import Array, Float

SAFE = 1e-6  # keeps p (1 - p) away from zero where it divides


class Items(NamedTuple):
    """Item parameters as people read them.

    slope      (items, dims)  how sharply an item separates models; negative if better models fail it
    intercept  (items,)       easiness: the log-odds at ability 0 (with floor 0 and ceiling 1)
    floor      (items,)       probability for a model that knows nothing
    ceiling    (items,)       probability for a model that knows all
    """

    slope: Array
    intercept: Array
    floor: Array
    ceiling: Array


def constrain(curve: Curve, free: Float[Array, "*batch width"]) -> Items:
    """Unconstrained coordinates (..., width) -> item parameters."""
    slope, intercept = free[..., : curve.dims], free[..., curve.dims]
    floor, ceiling = jnp.zeros_like(intercept), jnp.ones_like(intercept)
    if curve.floor:
        floor = jax.nn.sigmoid(free[..., curve.dims + 1])
    if curve.ceiling:
        ceiling = floor + (1 - floor) * jax.nn.sigmoid(free[..., -1])
    return Items(jnp.exp(slope) if curve.positive else slope, intercept, floor, ceiling)


def release(curve: Curve, items: Items) -> Float[Array, "*batch width"]:
    """Item parameters -> unconstrained coordinates (..., width)."""
    slope = jnp.log(items.slope) if curve.positive else items.slope
    parts = [slope, items.intercept[..., None]]
    if curve.floor:
        parts.append(_logit(items.floor)[..., None])
    if curve.ceiling:
        parts.append(_logit((items.ceiling - items.floor) / (1 - items.floor))[..., None])
    return jnp.concatenate(parts, axis=-1)


def logit(ability: Float[Array, " dims"], items: Items) -> Float[Array, " items"]:
    """Slope . ability + intercept.  (dims,) and Items -> (items,)."""
    return items.slope @ ability + items.intercept


def probability(ability: Float[Array, " dims"], items: Items) -> Float[Array, " items"]:
    """P(correct).  (dims,) and Items -> (items,)."""
    return squash(logit(ability, items), items.floor, items.ceiling)


def squash(z: Array, floor: Array, ceiling: Array) -> Array:
    """P(correct) at z = slope . ability + intercept, elementwise."""
    return floor + (ceiling - floor) * jax.nn.sigmoid(z)


def tails(curve: Curve, z: Array, floor: Array, ceiling: Array) -> tuple[Array, Array]:
    """(log P(correct) - log P(wrong), log P(wrong)) at z, elementwise and safe in both tails."""
    if curve.logistic:
        return z, -jax.nn.softplus(z)
    span = jnp.log(ceiling - floor)
    right = jnp.logaddexp(jnp.log(floor), span - jax.nn.softplus(-z))
    wrong = (
        jnp.logaddexp(jnp.log1p(-ceiling), span - jax.nn.softplus(z)) if curve.ceiling else (span - jax.nn.softplus(z))
    )
    return right - wrong, wrong


class Slant(NamedTuple):
    """First derivatives of one item's curve at many abilities; all (nodes,) but `extra`.

    p        P(correct)
    by_z     dP / dz
    inverse  1 / (p (1 - p)), kept finite
    pull     by_z inverse: what a residual says of z; one for a logistic curve
    worth    by_z^2 inverse: information about z
    extra    dP / d(free coordinate) for floor and ceiling, in that order
    """

    p: Array
    by_z: Array
    inverse: Array
    pull: Array
    worth: Array
    extra: tuple[Array, ...]


def slant(curve: Curve, free: Float[Array, " width"], nodes: Float[Array, "nodes dims"]) -> Slant:
    """Closed-form derivatives of one item (width,) at `nodes` (nodes, dims)."""
    item = constrain(curve, free)
    s = jax.nn.sigmoid(nodes @ item.slope + item.intercept)
    p = item.floor + (item.ceiling - item.floor) * s
    by_z = (item.ceiling - item.floor) * s * (1 - s)
    inverse = 1 / jnp.maximum(p * (1 - p), SAFE)
    if curve.logistic:
        return Slant(s, s * (1 - s), inverse, jnp.ones_like(s), s * (1 - s), ())
    extra = ()
    if curve.floor:
        share = (item.ceiling - item.floor) / (1 - item.floor)
        extra += (item.floor * (1 - item.floor) * (1 - share * s),)
    if curve.ceiling:
        share = (item.ceiling - item.floor) / (1 - item.floor)
        extra += ((1 - item.floor) * share * (1 - share) * s,)
    return Slant(p, by_z, inverse, by_z * inverse, by_z**2 * inverse, extra)


def stretch(curve: Curve, free: Float[Array, " width"]) -> Float[Array, " lines"]:
    """(dims + 1,) d(slope, intercept) / d(free): exp for positive slopes, else one."""
    one = jnp.ones(curve.dims + 1, free.dtype)
    return one.at[: curve.dims].set(jnp.exp(free[: curve.dims])) if curve.positive else one


def information(ability: Float[Array, " dims"], items: Items) -> Float[Array, "items dims dims"]:
    """Fisher information that each item gives about ability.  -> (items, dims, dims)."""
    z = logit(ability, items)
    p = squash(z, items.floor, items.ceiling)
    by_z = (items.ceiling - items.floor) * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
    worth = by_z**2 / jnp.maximum(p * (1 - p), SAFE)
    return worth[:, None, None] * items.slope[:, :, None] * items.slope[:, None, :]


def _logit(p: Array) -> Array:
    return jnp.log(p) - jnp.log1p(-p)
