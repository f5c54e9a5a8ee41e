"""Answers as they go to many devices: in the order of names, by row and by item, each process building its own part."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from scipy import sparse

from lleval_jax.core.irt.spread import RIGHT, WRONG, Listed, Side, Spread, Tiles
from lleval_jax.errors import require
from lleval_jax.layout.irt import Layout
from lleval_jax.values.responses import Responses, positions
from lleval_jax.values.sparse import SparseResponses

TILED_FROM = 0.02  # share of the cells seen from which matrix products are cheaper than sums along a list
BLOCK = 1 << 24  # cells of a block: what a device turns into float numbers at once


class Cells(NamedTuple):
    """Seen cells in the order of names, in no order of their own: (cells,) each, and how many rows and items."""

    row: np.ndarray
    item: np.ndarray
    scores: np.ndarray
    weight: np.ndarray
    shape: tuple[int, int]


def arrange(responses: Responses | SparseResponses, dtype: str, mesh: Mesh) -> Layout:
    """Answers over a mesh, rows and items in the order of their names.

    Every process of the mesh calls this with the same answers and keeps the part of its own devices.

    Raises:
        BadInput: no answers, or a list of blocks.
    """
    one = isinstance(responses, Responses | SparseResponses)
    require(one, "a fit over a mesh takes one matrix or one table; merge the blocks", python="Or leave plan.mesh out.")
    rows, items = sorted(responses.rows), sorted(responses.items)
    cells = _cells(responses, rows, items)
    require(len(cells.row) > 0, "there are no answers to fit")
    put = NamedSharding(mesh, PartitionSpec())
    row_weight, item_weight = (_same(np.ones(len(names), dtype), put) for names in (rows, items))
    made = _tiles if _is_tiled(cells) else _listed
    spread = Spread(*made(cells, mesh, dtype), row_weight, item_weight, mesh)
    group = responses.group[positions(items, responses.items)]
    n_seen = np.bincount(cells.row, minlength=len(rows))
    names = tuple(rows), tuple(items)
    return Layout(spread, row_weight, item_weight, *names, group, responses.groups, n_seen, responses.source)


def _cells(responses: Responses | SparseResponses, rows: list[str], items: list[str]) -> Cells:
    """By place in the order of names."""
    if isinstance(responses, SparseResponses):
        row, item = responses.row, responses.item
        scores, weight = responses.scores, responses.weight
    else:
        row, item = np.nonzero(responses.seen)
        scores, weight = responses.scores[row, item], responses.weight[row, item]
    row = positions(responses.rows, rows).astype(np.int32)[row]
    item = positions(responses.items, items).astype(np.int32)[item]
    return Cells(row, item, scores, weight, (len(rows), len(items)))


def _is_tiled(cells: Cells) -> bool:
    """Whether a byte a cell of the matrix says all, and most of these bytes are not of unseen cells."""
    plain = bool(((cells.scores == 0) | (cells.scores == 1)).all()) and bool((cells.weight == 1).all())
    return plain and len(cells.row) >= TILED_FROM * cells.shape[0] * cells.shape[1]


def _tiles(cells: Cells, mesh: Mesh, dtype: str) -> tuple[Side, Side]:
    code = np.where(cells.scores == 1, np.int8(RIGHT), np.int8(WRONG))
    by_row = sparse.csr_matrix((code, (cells.row, cells.item)), cells.shape)
    return _blocks(by_row, mesh), _blocks(by_row.T.tocsr(), mesh)


def _blocks(lines: sparse.csr_matrix, mesh: Mesh) -> Tiles:
    """Blocks of lines; how many lines a block has does not depend on the mesh, so that its products do not."""
    count, others = lines.shape
    each = max(1, min(BLOCK // others, 512, -(-count // 8)))
    blocks = -(-count // each)
    blocks += -blocks % mesh.size

    def part(index: tuple[slice, ...]) -> np.ndarray:
        first, stop, _ = index[0].indices(blocks)
        out = np.zeros(((stop - first) * each, others), np.int8)
        own = lines[first * each : min(stop * each, count)]
        own.toarray(out=out[: own.shape[0]])
        return out.reshape(stop - first, each, others)

    return Tiles(_shared_out((blocks, each, others), mesh, part))


def _listed(cells: Cells, mesh: Mesh, dtype: str) -> tuple[Side, Side]:
    number = np.arange(len(cells.row), dtype=np.int64)
    by_row = sparse.csr_matrix((number, (cells.row, cells.item)), cells.shape)
    return _lists(by_row, cells, mesh, dtype), _lists(by_row.T.tocsr(), cells, mesh, dtype)


def _lists(lines: sparse.csr_matrix, cells: Cells, mesh: Mesh, dtype: str) -> Listed:
    """Runs of whole lines of nearly equal length, one for each device. `lines` holds the number of each cell."""
    lines.sort_indices()
    ends, devices = lines.indptr, mesh.size
    share = np.searchsorted(ends, np.arange(devices + 1) * (ends[-1] / devices)).clip(0, len(ends) - 1)
    share[0], share[-1] = 0, len(ends) - 1
    most = max(1, int(np.diff(share).max()))
    longest = max(1, int(np.diff(ends[share]).max()))
    where = np.repeat(np.arange(devices), np.diff(share))
    place = where * most + np.arange(len(ends) - 1) - share[where]

    def made(values: Callable[[slice], np.ndarray], fill: float, kind: str) -> jax.Array:
        def part(index: tuple[slice, ...]) -> np.ndarray:
            first, stop, _ = index[0].indices(devices)
            out = np.full((stop - first, longest), fill, kind)
            for at, device in enumerate(range(first, stop)):
                found = values(slice(*share[device : device + 2]))
                out[at, : len(found)] = found
            return out

        return _shared_out((devices, longest), mesh, part)

    def of_cells(values: np.ndarray) -> Callable[[slice], np.ndarray]:
        return lambda own: values[lines.data[ends[own.start] : ends[own.stop]]]

    def numbered(own: slice) -> np.ndarray:
        return np.repeat(np.arange(own.stop - own.start), np.diff(ends[own.start : own.stop + 1]))

    return Listed(
        line=made(numbered, most - 1, "int32"),
        other=made(lambda own: lines.indices[ends[own.start] : ends[own.stop]], 0, "int32"),
        scores=made(of_cells(cells.scores.astype(dtype) * cells.weight.astype(dtype)), 0, dtype),
        weight=made(of_cells(cells.weight.astype(dtype)), 0, dtype),
        first=_shared_out((devices, most), mesh, lambda index: np.zeros((len(range(devices)[index[0]]), most), "int8")),
        place=_same(place.astype("int32"), NamedSharding(mesh, PartitionSpec())),
    )


def _shared_out(shape: tuple[int, ...], mesh: Mesh, part: Callable[[Any], np.ndarray]) -> jax.Array:
    """An array along whose first axis devices have a part each; a process makes the parts of its own."""
    return jax.make_array_from_callback(shape, NamedSharding(mesh, PartitionSpec(mesh.axis_names)), part)


def _same(value: np.ndarray, everywhere: NamedSharding) -> jax.Array:
    """An array that every device has."""
    return jax.make_array_from_callback(value.shape, everywhere, lambda index: value[index])
