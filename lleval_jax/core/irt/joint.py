"""The penalised joint likelihood for many dimensions and for sparse answers, abilities and items both integrated out.

Each logit is bounded by a parabola (Jaakkola & Jordan 2000; the Polya-gamma view of Polson, Scott & Windle 2013), so
that each row and each item has a normal posterior in closed form given the others: alternating MM steps, one small
ridge regression a row and an item. Because the posterior's covariance enters the next step, abilities and slopes are
integrated out rather than plugged in, and the spread of the item parameters is learned on the way (Bishop 2006, ch.
10). This is what keeps the fitted probabilities from chasing noise.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.irt.cells import Dense, Sparse
from lleval_jax.core.linalg import small
from lleval_jax.core.precision import full_precision
from lleval_jax.core.solvers.loop import Step
from lleval_jax.types import Array

ABSENT = 1e-8  # prior variance of the slopes of a dimension that is switched off


class Normals(NamedTuple):
    """Independent normals: mean (n, k) and covariance (n, k, k)."""

    mean: Array
    cov: Array

    def second(self) -> Array:
        """E[x x'] flattened, (n, k * k)."""
        n, k = self.mean.shape
        return (self.mean[:, :, None] * self.mean[:, None, :] + self.cov).reshape(n, k * k)


class Posterior(NamedTuple):
    """What a joint fit moves.

    rows      ability with a constant one at the end, (rows, dims + 1)
    items     slope and intercept, (items, dims + 1)
    mean      (dims + 1,)  of the item prior
    variance  (dims + 1,)
    """

    rows: Normals
    items: Normals
    mean: Array
    variance: Array


class Data(NamedTuple):
    """What it holds fixed.

    row_weight, item_weight  1, or 0 for padding
    active                   (dims,)  1, or 0 for a dimension that this lane does without
    """

    cells: Dense | Sparse
    row_weight: Array
    item_weight: Array
    active: Array


def start(data: Data, ability: Array, items: Array) -> Posterior:
    """Posterior around starting values (rows, dims) and (items, dims + 1), usually from an SVD."""
    one = jnp.ones_like(ability[:, :1])
    width = items.shape[1]
    eye = jnp.eye(width, dtype=items.dtype)
    items = items * jnp.append(data.active, 1)[None, :]
    held = eye.at[-1, -1].set(0)
    rows = Normals(jnp.concatenate([ability, one], 1), jnp.broadcast_to(0.1 * held, (len(ability), width, width)))
    spread = jnp.broadcast_to(0.05 * eye, (len(items), width, width))
    variance = jnp.append(jnp.where(data.active > 0, 1, ABSENT), 1).astype(items.dtype)
    return Posterior(rows, Normals(items, spread), jnp.zeros(width, items.dtype), variance)


def bend(data: Data, now: Posterior) -> tuple[Array, Array]:
    """Curvature of the parabola in each cell, and the mean logit; both in the cells' layout."""
    middle = data.cells.at_cells(now.rows.mean, now.items.mean)
    square = data.cells.at_cells(now.rows.second(), now.items.second())
    touch = jnp.sqrt(jnp.maximum(square, 1e-8))
    return data.cells.weights() * jnp.tanh(touch / 2) / (2 * touch), middle


@dataclasses.dataclass(frozen=True)
class Alternating:
    """Rows given items, items given rows, then the item prior: one step of the loop. Error is the largest move."""

    learn: bool = True

    def init(self, fn, x: Posterior) -> Step:
        """Nothing is known of the error yet."""
        big = jnp.asarray(jnp.finfo(x.mean.dtype).max, x.mean.dtype)
        return Step(x, jnp.asarray(0.0, x.mean.dtype), big, None)

    @full_precision
    def step(self, fn, now: Step) -> Step:
        """`fn` is the data."""
        data: Data = fn
        rows = _update_rows(data, now.x)
        middle = now.x._replace(rows=rows)
        items = _update_items(data, middle)
        mean, variance = _learn(data, items) if self.learn else (now.x.mean, now.x.variance)
        x = _whiten(data, Posterior(rows, items, mean, variance))
        shift = data.item_weight[:, None] * (x.items.mean - now.x.items.mean)
        error = jnp.sqrt(jnp.sum(shift**2) / jnp.sum(data.item_weight))
        return Step(x, now.value, error, None)


@full_precision
def bound(data: Data, now: Posterior) -> Array:
    """Expected log likelihood under the parabola bound: for the report; the loop stops on moves."""
    _, middle = bend(data, now)
    square = data.cells.at_cells(now.rows.second(), now.items.second())
    touch = jnp.sqrt(jnp.maximum(square, 1e-8))
    fit = (data.cells.scores - 0.5 * data.cells.weights()) * middle
    return jnp.sum(fit - data.cells.weights() * (jax.nn.softplus(touch) - 0.5 * touch))


def _update_rows(data: Data, now: Posterior) -> Normals:
    """Ridge regression of each row on the items, the prior N(0, I)."""
    dims = now.items.mean.shape[1] - 1
    curve, _ = bend(data, now)
    second = now.items.second()
    blocks = data.cells.sum_items(curve, second).reshape(-1, dims + 1, dims + 1)
    centred = data.cells.scores - 0.5 * data.cells.weights()
    pull = data.cells.sum_items(centred, now.items.mean)[:, :dims] - blocks[:, :dims, dims]
    precision = blocks[:, :dims, :dims] + jnp.eye(dims, dtype=pull.dtype)[None]
    cov = jax.vmap(small.inverse)(precision)
    value = jnp.einsum("rij,rj->ri", cov, pull)
    one = jnp.ones_like(value[:, :1])
    full = jnp.zeros_like(now.rows.cov).at[:, :dims, :dims].set(cov)
    return Normals(jnp.concatenate([value, one], 1), full)


def _update_items(data: Data, now: Posterior) -> Normals:
    """Ridge regression of each item on the rows, under the item prior."""
    width = now.items.mean.shape[1]
    curve, _ = bend(data, now)
    weighted = now.rows.second() * data.row_weight[:, None]
    blocks = data.cells.sum_rows(curve, weighted).reshape(-1, width, width)
    centred = data.cells.scores - 0.5 * data.cells.weights()
    pull = data.cells.sum_rows(centred, now.rows.mean * data.row_weight[:, None]) + (now.mean / now.variance)[None, :]
    cov = jax.vmap(small.inverse)(blocks + jnp.diag(1 / now.variance)[None])
    return Normals(jnp.einsum("rij,rj->ri", cov, pull), cov)


def _learn(data: Data, items: Normals) -> tuple[Array, Array]:
    """Mean of intercepts, spread of all: slopes are centred on zero, so that empty dimensions shrink away."""
    w = data.item_weight[:, None]
    count = jnp.sum(w)
    centre = jnp.sum(w * items.mean, 0) / count
    mean = jnp.where(jnp.arange(len(centre)) < len(centre) - 1, 0, centre)
    own = jnp.diagonal(items.cov, axis1=1, axis2=2)
    variance = jnp.sum(w * ((items.mean - mean[None, :]) ** 2 + own), 0) / count
    return mean, jnp.where(jnp.append(data.active, 1) > 0, variance, ABSENT)


def _whiten(data: Data, now: Posterior) -> Posterior:
    """Fold the abilities' mean into the intercepts: the prior says they are centred."""
    w = data.row_weight[:, None]
    centre = (jnp.sum(w * now.rows.mean, 0) / jnp.sum(w)).at[-1].set(0)
    rows = now.rows._replace(mean=now.rows.mean - centre[None, :])
    items = now.items._replace(mean=now.items.mean.at[:, -1].add(now.items.mean @ centre))
    return now._replace(rows=rows, items=items)
