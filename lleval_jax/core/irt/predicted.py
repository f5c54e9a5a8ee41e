"""What items with answers of several kinds say at an ability: for one row, items in blocks of one kind.

`items` are (items, 2 + shapes) of each block: slope, intercept, shape. One ability, as an array (1,).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.irt import scoring
from lleval_jax.core.irt.irf import Curve
from lleval_jax.core.irt.kinds import Kind, log_density
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float


class Predicted(NamedTuple):
    """Of one item, or with leading axes of rows and items; arrays of the device, or of the host.

    mean      expected score
    by_z      its derivative by z = slope . ability + intercept
    variance  of one answer
    worth     Fisher information of one answer about z
    by_item   (k,) derivative of the expected score by slope, intercept and shape
    cross     (k,) Fisher information of one answer about z together with slope, intercept and shape
    """

    mean: Any
    by_z: Any
    variance: Any
    worth: Any
    by_item: Any
    cross: Any


def predict(kind: Kind, item: Float[Array, " k"], ability: Float[Array, "1"], width: int) -> Predicted:
    """Of one item; derivatives by shapes padded with zeros to `width` numbers an item."""
    z, shape, line = item[0] * ability[0] + item[1], item[2:], jnp.stack([ability[0], jnp.ones_like(ability[0])])
    (mean, variance), by = (
        kind.moments(z, shape),
        jax.grad(lambda x: kind.moments(x[0], x[1:])[0])(jnp.concatenate([z[None], shape])),
    )
    info = kind.information(z, shape)[0]
    spare = jnp.zeros(width - 2 - kind.shapes, item.dtype)
    by_item, cross = (jnp.concatenate([part[0] * line, part[1:], spare]) for part in (by, info))
    return Predicted(mean, by[0], variance, info[0], by_item, cross)


def predict_all(kinds: tuple[Kind, ...], items: tuple[Array, ...], ability: Float[Array, "1"]) -> Predicted:
    """Of all items, block after block."""
    width = max(part.shape[1] for part in items)
    found = [
        jax.vmap(predict, (None, 0, None, None))(kind, part, ability, width)
        for kind, part in zip(kinds, items, strict=True)
    ]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)


@full_precision
def score(
    kinds: tuple[Kind, ...],
    items: tuple[Array, ...],
    answers: tuple[scoring.Answers, ...],
    prior: scoring.Normal,
    *,
    by: str,
) -> scoring.Ability:
    """One row's ability: "map", "mle" (a prior of zero precision), "wle" or "eap", as in `core.irt.scoring`."""

    def value(x: Array) -> Array:
        total = jnp.zeros_like(x[0])
        for kind, part, (scores, weight) in zip(kinds, items, answers, strict=True):
            each = jax.vmap(log_density, (None, 0, 0, 0, 0))(
                kind, scores, weight, part[:, 0] * x[0] + part[:, 1], part[:, 2:]
            )
            total += jnp.sum(jnp.where(weight > 0, each, 0))
        return total

    def loglik(x: Array) -> tuple[Array, Array, Array]:
        worth = jnp.zeros_like(x[0])
        for kind, part, (_, weight) in zip(kinds, items, answers, strict=True):
            info = jax.vmap(kind.information)(part[:, 0] * x[0] + part[:, 1], part[:, 2:])[:, 0, 0]
            worth += jnp.sum(weight * info * part[:, 0] ** 2)
        found, gradient = jax.value_and_grad(value)(x)
        return found, gradient, worth[None, None]

    found = scoring.climb(loglik, prior, curve=Curve(), warm=by == "wle")
    return scoring.integrate(value, found, prior) if by == "eap" else found
