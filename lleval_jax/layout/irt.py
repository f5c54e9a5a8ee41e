"""Answers as they go to the device: padded to a short ladder of sizes, weighted, with the names left behind."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt.cells import Blocks, Cells, Dense, Sparse
from lleval_jax.core.shapes import few, few_columns, pad
from lleval_jax.errors import require
from lleval_jax.types import Array
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Source
from lleval_jax.values.sparse import SparseResponses, as_dense

ENOUGH_CELLS = 2_000_000  # for choosing the number of dimensions


class Layout(NamedTuple):
    """Device arrays of a set of answers, and the names that go back on afterwards.

    row_weight   (padded rows,)   1, or 0 for padding
    item_weight  (padded items,)
    """

    cells: Any
    row_weight: Array
    item_weight: Array
    rows: tuple[str, ...]
    items: tuple[str, ...]
    group: np.ndarray
    groups: tuple[str, ...]
    n_seen: np.ndarray
    source: Source
    blocked: bool = False


def arrange(responses: Responses | SparseResponses | Sequence[Responses], dtype: str = "float32") -> Layout:
    """One matrix, coordinates, or a list of blocks with rows in common -> `Layout`."""
    if isinstance(responses, Responses):
        _require_answers(responses.n_seen, responses.items)
        rows, items = few(len(responses.rows)), few_columns(len(responses.items))
        return _dense(responses, rows, items, dtype, _complete(responses))
    if isinstance(responses, SparseResponses):
        _require_answers(responses.n_seen, responses.items)
        return _sparse(responses, dtype)
    require(len(responses) > 0, "there are no answers: the list of blocks is empty")
    return arrange(responses[0], dtype) if len(responses) == 1 else _blocks(responses, dtype)


def arrange_alike(parts: Sequence[Responses], dtype: str = "float32") -> list[Layout]:
    """Several sets of answers on one padded shape, so that they can be lanes of one call."""
    rows = few(max(len(p.rows) for p in parts))
    items = few_columns(max(len(p.items) for p in parts))
    complete = all(map(_complete, parts))
    return [_dense(p, rows, items, dtype, complete) for p in parts]


def lanes(row_weight: np.ndarray | None, layout: Layout) -> Array:
    """(lanes, rows) -> (lanes, padded rows)."""
    weight = np.atleast_2d(np.asarray(row_weight))
    require(
        weight.shape[1] == len(layout.rows), f"row_weight has {weight.shape[1]} columns for {len(layout.rows)} rows"
    )
    dtype = layout.row_weight.dtype
    return jnp.asarray(pad(weight.astype(dtype), (len(weight), len(layout.row_weight))))


def moments(cells: Cells, row_weight: Array, item_weight: Array) -> tuple[Array, Array]:
    """Each item's mean, and its covariance with the rows' standing; (items,) twice. Where every fit starts."""
    right, asked = cells.over_rows(row_weight[:, None])
    right, asked = right[:, 0], asked[:, 0]
    mean = (right + 0.5) / (asked + 1)
    z = standing(cells, mean, row_weight, item_weight)
    right_z, asked_z = cells.over_rows((row_weight * z)[:, None])
    return mean, (right_z[:, 0] - mean * asked_z[:, 0]) / (asked + 1)


def standing(cells: Cells, mean: Array, row_weight: Array, item_weight: Array) -> Array:
    """(rows,) how far above the items' means a row scores, standardised over the rows."""
    here = item_weight[:, None] * jnp.ones(2, mean.dtype)[None, :]
    by_score = here.at[:, 1].set(0)
    by_weight = here.at[:, 0].multiply(-mean)
    above, count = cells.over_items(by_score, by_weight).T
    level = above / jnp.maximum(count, 1e-9)
    total = jnp.maximum(jnp.sum(row_weight), 1e-9)
    level = level - jnp.sum(row_weight * level) / total
    return level / jnp.sqrt(jnp.maximum(jnp.sum(row_weight * level**2) / total, 1e-12))


def orientation(right: Array, asked: Array) -> Array:
    """(dims,) +1 or -1: the sign by which a better model has a larger ability.

    right  (items, dims + 1)  sum over rows of the score times (ability, 1)
    asked  (items, dims + 1)  the same of the answers
    """
    mean = right[:, -1:] / jnp.maximum(asked[:, -1:], 1e-9)
    covariance = jnp.sum(right - mean * asked, 0)[:-1]
    return jnp.where(covariance < 0, -1, 1).astype(right.dtype)


def svd_start(
    cells: Dense | Sparse, row_weight: Array, item_weight: Array, key: Array, dims: int
) -> tuple[Array, Array]:
    """Leading singular vectors of the residuals, as starting abilities (rows, dims) and items (items, dims + 1)."""
    mean, _ = moments(cells, row_weight, item_weight)
    weights = cells.weights()
    level = cells.at_cells(jnp.ones_like(row_weight)[:, None], mean[:, None])
    residual = cells.scores - weights * level
    fill = jnp.sum(weights) / (jnp.sum(row_weight) * jnp.sum(item_weight))
    width = min(dims + 8, len(row_weight), len(mean))
    draw = jax.random.normal(key, (len(mean), width), mean.dtype) * item_weight[:, None]

    def sweep(z: Array, _) -> tuple[Array, None]:
        basis = jnp.linalg.qr(cells.sum_items(residual, z) * row_weight[:, None])[0]
        return cells.sum_rows(residual, basis) * item_weight[:, None], None

    z, _ = jax.lax.scan(sweep, draw, None, length=4)
    basis = jnp.linalg.qr(cells.sum_items(residual, z) * row_weight[:, None])[0]
    left, size, right = jnp.linalg.svd(cells.sum_rows(residual, basis).T, full_matrices=False)
    root = jnp.sqrt(jnp.sum(row_weight))
    spare = [(0, 0), (0, max(0, dims - width))]  # dimensions that so few rows or items cannot show start at nothing
    ability = jnp.pad((basis @ left[:, :dims]) * root, spare)
    slope = jnp.pad((size[:dims, None] * right[:dims]).T / root / fill * 4, spare)
    intercept = jnp.log(mean) - jnp.log1p(-mean)
    return ability, jnp.concatenate([jnp.clip(slope, -4, 4), intercept[:, None]], axis=1)


def thin(responses: Responses | SparseResponses | Sequence[Responses], seed: int) -> Responses:
    """At most `ENOUGH_CELLS` cells of a matrix, rows kept before items."""
    require(not isinstance(responses, Sequence), "dims='auto' takes one matrix; merge the blocks first")
    rng = np.random.default_rng(seed)
    rows, items = len(responses.rows), len(responses.items)  # type: ignore[union-attr]
    keep_rows = np.sort(rng.permutation(rows)[: max(200, ENOUGH_CELLS // items)])
    keep_items = np.sort(rng.permutation(items)[: max(200, ENOUGH_CELLS // len(keep_rows))])
    part = responses.take(keep_rows).select([responses.items[i] for i in keep_items])  # type: ignore[union-attr]
    return as_dense(part)


def hold_out(layout: Layout, share: float, seed: int) -> tuple[Dense, tuple[Array, Array, Array, Array]]:
    """Cells with a share of each row hidden, and what was hidden: row, item, score, weight."""
    cells: Dense = layout.cells
    weight = np.asarray(cells.weights()) * np.asarray(layout.row_weight)[:, None]
    hidden = (np.random.default_rng(seed).random(weight.shape) < share) & (weight > 0)
    scores = np.asarray(cells.scores)
    kept = Dense(jnp.asarray(np.where(hidden, 0, scores)), jnp.asarray(np.where(hidden, 0, weight)), cells.item_weight)
    row, item = np.nonzero(hidden)
    held = row, item, scores[hidden] / weight[hidden], weight[hidden]
    return kept, tuple(jnp.asarray(x) for x in held)  # type: ignore[return-value]


def _complete(responses: Responses) -> bool:
    """Each item answered exactly once by each row."""
    return bool(responses.seen.all()) and (responses.weight.strides == (0, 0) or bool((responses.weight == 1).all()))


def _dense(responses: Responses, rows: int, items: int, dtype: str, complete: bool) -> Layout:
    real = len(responses.rows), len(responses.items)
    row_weight = pad(np.ones(real[0], dtype), (rows,))
    item_weight = pad(np.ones(real[1], dtype), (items,))
    scores, weight = responses.scores, None
    if not complete:
        weight = responses.seen * responses.weight.astype(dtype)
        scores = scores.astype(dtype) * weight
        weight = jnp.asarray(pad(weight, (rows, items)))
    cells = Dense(jnp.asarray(pad(scores, (rows, items), dtype=dtype)), weight, jnp.asarray(item_weight))
    return _layout(responses, cells, row_weight, item_weight)


def _sparse(responses: SparseResponses, dtype: str) -> Layout:
    shape = len(responses.rows), len(responses.items)
    weight = responses.weight.astype(dtype)
    parts = responses.row, responses.item, responses.scores.astype(dtype) * weight, weight
    cells = Sparse(*(jnp.asarray(p) for p in parts), shape=shape)
    return _layout(responses, cells, np.ones(shape[0], dtype), np.ones(shape[1], dtype))


def _blocks(parts: Sequence[Responses], dtype: str) -> Layout:
    rows = tuple(dict.fromkeys(name for part in parts for name in part.rows))
    items = tuple(name for part in parts for name in part.items)
    require(len(set(items)) == len(items), "blocks must not share items; merge those that do")
    place = {name: i for i, name in enumerate(rows)}
    dense = [_dense(p, len(p.rows), len(p.items), dtype, _complete(p)).cells for p in parts]
    index = tuple(jnp.asarray([place[r] for r in p.rows]) for p in parts)
    seen = np.zeros(len(rows), int)
    for part, at in zip(parts, index, strict=True):
        seen[np.asarray(at)] += part.n_seen
    _require_answers(seen, items)
    names = [part.groups[g] for part in parts for g in part.group]
    groups, group = np.unique(np.asarray(names), return_inverse=True)
    source = parts[0].source
    for part in parts[1:]:
        source = source.merge(part.source)
    row_weight, item_weight = jnp.ones(len(rows), dtype), jnp.ones(len(items), dtype)
    cells, codes, words = Blocks(tuple(dense), index, len(rows)), group.astype(np.int32), tuple(groups.tolist())
    return Layout(cells, row_weight, item_weight, rows, items, codes, words, seen, source, True)


def _layout(responses: Responses | SparseResponses, cells, row_weight: np.ndarray, item_weight: np.ndarray) -> Layout:
    return Layout(
        cells,
        jnp.asarray(row_weight),
        jnp.asarray(item_weight),
        responses.rows,
        responses.items,
        responses.group,
        responses.groups,
        responses.n_seen,
        responses.source,
    )


def _require_answers(n_seen: np.ndarray, items: Sequence[str]) -> None:
    require(len(items) > 0 and len(n_seen) > 0 and int(n_seen.sum()) > 0, "there are no answers to fit")
