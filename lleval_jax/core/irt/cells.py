"""The answers as linear maps, so that no kernel needs to know how they are stored.

A fit touches the answers by four products only: with scores and with weights, over items and over rows. Dense
matrices do them as matrix products, coordinates as segment sums, blocks as sums over the blocks.
"""

import dataclasses
import functools
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from lleval_jax.types import Array

_pytree = functools.partial(jax.tree_util.register_dataclass)


@runtime_checkable
class Cells(Protocol):
    """What a marginal fit asks of answers; `Dense`, `Sparse` and `Blocks` here, `Spread` over many devices."""

    def over_items(self, by_score: Array, by_weight: Array) -> Array:
        """sum_i w_ri (s_ri by_score_ik + by_weight_ik).  (items, k) twice -> (rows, k)."""
        ...

    def over_rows(self, mass: Array) -> tuple[Array, Array]:
        """(sum_r w_ri s_ri mass_rk, sum_r w_ri mass_rk).  (rows, k) -> (items, k) twice."""
        ...

    def dense(self) -> "Dense":
        """The same cells as a matrix."""
        ...


@_pytree
@dataclasses.dataclass(frozen=True)
class Dense:
    """A matrix with a mask.

    scores       (rows, items)  weight times score
    weight       (rows, items)  0 where not seen; None if each item was answered once by all rows
    item_weight  (items,)       0 for items that are only padding; used when `weight` is None
    """

    scores: Array
    weight: Array | None
    item_weight: Array

    def over_items(self, by_score: Array, by_weight: Array) -> Array:
        """sum_i w_ri (s_ri by_score_ik + by_weight_ik).  (items, k) twice -> (rows, k)."""
        if self.weight is None:
            return self.scores @ by_score + jnp.sum(self.item_weight[:, None] * by_weight, 0)[None, :]
        return self.scores @ by_score + self.weight @ by_weight

    def over_rows(self, mass: Array) -> tuple[Array, Array]:
        """(sum_r w_ri s_ri mass_rk, sum_r w_ri mass_rk).  (rows, k) -> (items, k) twice."""
        if self.weight is None:
            asked = self.item_weight[:, None] * jnp.sum(mass, 0)[None, :]
        else:
            asked = self.weight.T @ mass
        return self.scores.T @ mass, asked

    def weights(self) -> Array:
        """(rows, items) of weights."""
        shape = self.scores.shape
        return jnp.broadcast_to(self.item_weight[None, :], shape) if self.weight is None else self.weight

    def dense(self) -> "Dense":
        """Itself."""
        return self

    def at_cells(self, rows: Array, items: Array) -> Array:
        """Rows . items in each cell.  (rows, k) and (items, k) -> (rows, items)."""
        return rows @ items.T

    def sum_items(self, cells: Array, items: Array) -> Array:
        """sum_i cells_ri items_ik -> (rows, k)."""
        return cells @ items

    def sum_rows(self, cells: Array, rows: Array) -> Array:
        """sum_r cells_ri rows_rk -> (items, k)."""
        return cells.T @ rows


@functools.partial(_pytree, data_fields=["row", "item", "scores", "weight"], meta_fields=["shape"])
@dataclasses.dataclass(frozen=True)
class Sparse:
    """The seen cells as coordinates: row, item, scores (weight times score), weight, each (cells,)."""

    row: Array
    item: Array
    scores: Array
    weight: Array
    shape: tuple[int, int]

    def over_items(self, by_score: Array, by_weight: Array) -> Array:
        """As `Dense.over_items`, one column at a time: memory is one vector of cells."""

        def column(pair: tuple[Array, Array]) -> Array:
            return self._to_rows(self.scores * pair[0][self.item] + self.weight * pair[1][self.item])

        return jax.lax.map(column, (by_score.T, by_weight.T)).T

    def over_rows(self, mass: Array) -> tuple[Array, Array]:
        """As `Dense.over_rows`."""

        def column(m: Array) -> tuple[Array, Array]:
            here = m[self.row]
            return self._to_items(self.scores * here), self._to_items(self.weight * here)

        right, asked = jax.lax.map(column, mass.T)
        return right.T, asked.T

    def weights(self) -> Array:
        """(cells,) of weights."""
        return self.weight

    def at_cells(self, rows: Array, items: Array) -> Array:
        """Rows . items in each seen cell -> (cells,)."""
        return jnp.sum(rows[self.row] * items[self.item], axis=-1)

    def sum_items(self, cells: Array, items: Array) -> Array:
        """Sum over each row's seen cells -> (rows, k)."""
        return jax.lax.map(lambda x: self._to_rows(cells * x[self.item]), items.T).T

    def sum_rows(self, cells: Array, rows: Array) -> Array:
        """Sum over each item's seen cells -> (items, k)."""
        return jax.lax.map(lambda x: self._to_items(cells * x[self.row]), rows.T).T

    def dense(self) -> Dense:
        """The same cells as a matrix."""
        zero = jnp.zeros(self.shape, self.scores.dtype)
        at = self.row, self.item
        return Dense(zero.at[at].add(self.scores), zero.at[at].add(self.weight), jnp.ones_like(zero[0]))

    def _to_rows(self, cells: Array) -> Array:
        return jax.ops.segment_sum(cells, self.row, self.shape[0])

    def _to_items(self, cells: Array) -> Array:
        return jax.ops.segment_sum(cells, self.item, self.shape[1])


@functools.partial(_pytree, data_fields=["parts", "rows"], meta_fields=["n_rows"])
@dataclasses.dataclass(frozen=True)
class Blocks:
    """Several benchmarks that share models: dense parts side by side, each with the rows that took it."""

    parts: tuple[Dense, ...]
    rows: tuple[Array, ...]
    n_rows: int

    def over_items(self, by_score: Array, by_weight: Array) -> Array:
        """As `Dense.over_items`, summed over the parts."""
        total = jnp.zeros((self.n_rows, by_score.shape[1]), by_score.dtype)
        for part, rows, here in self._each():
            total = total.at[rows].add(part.over_items(by_score[here], by_weight[here]))
        return total

    def over_rows(self, mass: Array) -> tuple[Array, Array]:
        """As `Dense.over_rows`, the parts' items one after another."""
        pairs = [part.over_rows(mass[rows]) for part, rows, _ in self._each()]
        return jnp.concatenate([r for r, _ in pairs]), jnp.concatenate([a for _, a in pairs])

    def dense(self) -> Dense:
        """The same cells as one matrix; rows that did not take a part are unseen there."""
        shape = self.n_rows, sum(part.scores.shape[1] for part in self.parts)
        scores = weight = jnp.zeros(shape, self.parts[0].scores.dtype)
        for part, rows, here in self._each():
            scores = scores.at[rows, here].add(part.scores)
            weight = weight.at[rows, here].add(part.weights())
        return Dense(scores, weight, jnp.ones_like(scores[0]))

    def _each(self):
        start = 0
        for part, rows in zip(self.parts, self.rows, strict=True):
            stop = start + part.scores.shape[1]
            yield part, rows, slice(start, stop)
            start = stop
