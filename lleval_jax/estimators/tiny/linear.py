"""Estimators that are linear in the answers and the item curves, with their model-based variance.

    T = sum_seen c_i y_i + sum_all h_i p_i(theta)

The weighted mean of anchors has h = 0, p-IRT has c = w on the answered items and h = w on the rest (Maia Polo et al.
2024, eq. 5 to 7). One kernel gives value and variance for all of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import irf
from lleval_jax.core.irt.predicted import Predicted
from lleval_jax.core.precision import jit
from lleval_jax.core.shapes import pad
from lleval_jax.estimators.irt import ability, kind_items
from lleval_jax.types import Array
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.responses import Responses

BATCH = 16  # rows at once, always so many: one program a bank, and a row needs a few vectors of all items


class Value(NamedTuple):
    """Estimate and its nominal variance, each (rows, targets)."""

    value: np.ndarray
    variance: np.ndarray


def apply(here: Responses, bank: ItemBank, weight: np.ndarray, seen_share: np.ndarray, predicted: np.ndarray) -> Value:
    """T and its variance for each row and target.

    here       answers in the bank's order
    weight     (targets, items)  shares w of the items in the target
    seen_share (rows, targets, items)  c, zero where not seen
    predicted  (rows, targets, items)  h
    """
    theta, cov, _ = ability.score(here, bank, "map")
    inputs = theta, cov, here.scores, here.seen, here.weight, seen_share, predicted
    share = jnp.asarray(weight, jnp.float32)
    if bank.answers is None:
        items = ability.bank_items(bank, np.arange(len(bank.items)))
        known = items, jnp.asarray(bank.covariance, jnp.float32), share
    else:
        inputs = *inputs, *kind_items.expected(bank, theta[:, 0])
        known = jnp.asarray(bank.slope, jnp.float32), jnp.asarray(bank.answers.covariance, jnp.float32), share
    apply_ = _apply if bank.answers is None else _apply_kinds
    found = np.empty((2, len(here.rows), len(weight)))
    for first in range(0, len(here.rows), BATCH):
        rows = slice(first, first + BATCH)
        value, variance = apply_(tuple(_batch(x[rows]) for x in inputs), *known)
        count = found[0, rows].shape[0]
        found[:, rows] = np.asarray(value)[:count], np.asarray(variance)[:count]
    return Value(*found)


def _batch(rows: np.ndarray) -> Array:
    """A full batch: rows of zeros after the last."""
    dtype = "bool" if rows.dtype == bool else "float32"
    return jnp.asarray(pad(rows, (BATCH, *rows.shape[1:]), dtype=dtype))


@jit
def _apply(inputs: tuple[Array, ...], items: irf.Items, item_cov: Array, weight: Array) -> tuple[Array, Array]:
    def row(x: tuple[Array, ...]) -> tuple[Array, Array]:
        theta, *rest = x
        z = irf.logit(theta, items)
        p = irf.squash(z, items.floor, items.ceiling)
        by_z = (items.ceiling - items.floor) * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
        noise = p * (1 - p)
        line = jnp.concatenate([jnp.broadcast_to(theta, items.slope.shape), jnp.ones_like(z)[:, None]], axis=1)
        curve = Predicted(p, by_z, noise, noise, by_z[:, None] * line, noise[:, None] * line)
        return _targets(*rest, curve=curve, slope=items.slope, item_cov=item_cov, weight=weight)

    return jax.vmap(row)(inputs)


@jit
def _apply_kinds(inputs: tuple[Array, ...], slope: Array, item_cov: Array, weight: Array) -> tuple[Array, Array]:
    def row(x: tuple[Array, ...]) -> tuple[Array, Array]:
        _, *rest = x[:7]
        return _targets(*rest, curve=Predicted(*x[7:]), slope=slope, item_cov=item_cov, weight=weight)

    return jax.vmap(row)(inputs)


def _targets(
    cov: Array,
    scores: Array,
    seen: Array,
    repeats: Array,
    share: Array,
    predicted: Array,
    *,
    curve: Predicted,
    slope: Array,
    item_cov: Array,
    weight: Array,
) -> tuple[Array, Array]:
    """Value and variance of each target of one row, (targets,) each."""
    p, by_z, noise = curve.mean, curve.by_z, curve.variance
    per_answer = noise / jnp.where(seen, jnp.maximum(repeats, 1e-9), 1)

    def target(w: Array, c: Array, h: Array) -> tuple[Array, Array]:
        """The error of T is noise, an offset at the true ability, the ability's error, and the items' error."""
        value = jnp.sum(c * scores + h * p)
        missed = jnp.sum(jnp.where(seen, (c - w) ** 2 * per_answer, w**2 * noise))
        offset = jnp.sum((c + h - w) * p)
        tilt = (h * by_z) @ slope
        lever = jnp.where(seen, repeats, 0) * (slope @ (cov @ tilt))
        moved = (h[:, None] * curve.by_item - lever[:, None] * curve.cross)[:, :, None]
        of_items = jnp.sum(moved * jnp.swapaxes(moved, 1, 2) * item_cov)
        return value, missed + offset**2 + tilt @ cov @ tilt + of_items

    return jax.vmap(target)(weight, share, predicted)
