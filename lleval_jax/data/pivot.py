"""The answers of many files as one response matrix."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lleval_jax.data.answers import Answers, short_rows
from lleval_jax.errors import BadInput, require
from lleval_jax.values import Responses, Source, SparseResponses
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.sparse import DENSE_FROM

SPARSE_FROM = 1_000_000  # cells; a smaller matrix is always dense
AGREE = 1e-6  # scores closer than this are the same


@dataclasses.dataclass(frozen=True, eq=False)
class _Cells:
    """All answers on the common axes; `part` is the file a cell came from, `at` its place there."""

    row: np.ndarray
    item: np.ndarray
    score: np.ndarray
    weight: np.ndarray
    part: np.ndarray
    at: np.ndarray

    def take(self, index: np.ndarray) -> "_Cells":
        return _Cells(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))


def pivot(parts: Sequence[Answers], source: Source) -> tuple[Responses | SparseResponses, list[str]]:
    """One matrix of all answers, and what was counted and set aside.

    Rows and items stand in the order in which they are first met. The same answer twice is kept once; answers
    of one cell that disagree are a `BadInput`. Rows without an answer are left out. Where few cells of a
    large matrix were seen, the result holds only those.
    """
    rows = list(dict.fromkeys(name for part in parts for name in part.rows.tolist()))
    items = list(dict.fromkeys(name for part in parts for name in part.items.tolist()))
    cells = _join(parts, rows, items)
    require(len(cells.row) > 0, f"there is no answer in {', '.join(part.file for part in parts[:5])}")
    cells, notes = _unique(parts, cells, len(items))
    used = np.bincount(cells.row, minlength=len(rows)) > 0
    if not used.all():
        empty = [rows[i] for i in np.flatnonzero(~used)]
        named = ", ".join(map(repr, short_rows(empty)[:5]))
        notes.append(f"{len(empty)} rows have no answer and were left out: {named}")
        cells = dataclasses.replace(cells, row=(np.cumsum(used) - 1)[cells.row])
        rows = [rows[i] for i in np.flatnonzero(used)]
    group = _groups(parts, items)
    return _matrix(cells, short_rows(rows), items, group, source), notes


def _join(parts: Sequence[Answers], rows: list[str], items: list[str]) -> _Cells:
    """The cells of all files, their codes moved to the common names."""
    at_row = {name: i for i, name in enumerate(rows)}
    at_item = {name: i for i, name in enumerate(items)}
    columns: dict[str, list[np.ndarray]] = {field.name: [] for field in dataclasses.fields(_Cells)}
    for number, part in enumerate(parts):
        n = len(part.row)
        columns["row"].append(np.array([at_row[name] for name in part.rows.tolist()], np.int64)[part.row])
        columns["item"].append(np.array([at_item[name] for name in part.items.tolist()], np.int64)[part.item])
        columns["score"].append(part.score.astype(np.float32))
        columns["weight"].append(np.ones(n, np.float32) if part.weight is None else part.weight)
        columns["part"].append(np.full(n, number, np.int32))
        columns["at"].append(np.arange(n))
    return _Cells(**{name: np.concatenate(column) for name, column in columns.items()})


def _unique(parts: Sequence[Answers], cells: _Cells, n_items: int) -> tuple[_Cells, list[str]]:
    """Each cell once: the first answer of each. `BadInput` for one that disagrees."""
    key = cells.row * n_items + cells.item
    _, kept, place = np.unique(key, return_index=True, return_inverse=True)
    if len(kept) == len(key):
        return cells, []
    first = kept[place]
    apart = np.abs(cells.score - cells.score[first]) > AGREE
    apart |= cells.weight != cells.weight[first]
    for cell in np.flatnonzero(apart)[:1]:
        raise BadInput(_disagreement(parts, cells, int(cell), int(first[cell]), int(apart.sum())))
    note = f"{len(key) - len(kept)} answers stand twice, with the same score; they were counted once"
    return cells.take(np.sort(kept)), [note]


def _disagreement(parts: Sequence[Answers], cells: _Cells, cell: int, other: int, count: int) -> str:
    """What to say of two different answers of one cell."""
    said = []
    for which in (other, cell):
        part, at = parts[cells.part[which]], int(cells.at[which])
        said.append(f"{cells.score[which]:g} ({part.place(at)}, weight {cells.weight[which]:g})")
    row, item = part.rows[part.row[at]], part.items[part.item[at]]
    return (
        f"model {short_rows([row])[0]!r} has two different answers on item {item!r}: "
        f"{said[0]} and {said[1]}; {count} such answers. Keep one; if they are repeats, give their mean as "
        "score and their number as weight; if they are different prompts, pass rows='prompt'."
    )


def _groups(parts: Sequence[Answers], items: list[str]) -> list[str]:
    """The group of each item, which all files must agree on where they name one."""
    found: dict[str, str] = {}
    for part in parts:
        for item, group in zip(part.items.tolist(), part.group.tolist(), strict=True):
            before = found.setdefault(item, group)
            if before != group and before and group:
                raise BadInput(f"{part.file}: item {item!r} is in group {group!r}; another file has it in {before!r}")
            found[item] = before or group
    return [found[item] or WHOLE for item in items]


def _matrix(
    cells: _Cells, rows: list[str], items: list[str], group: list[str], source: Source
) -> Responses | SparseResponses:
    """Dense with a mask, or the seen cells of a large matrix with few."""
    size, weighted = len(rows) * len(items), bool((cells.weight != 1).any())
    if size > SPARSE_FROM and len(cells.row) < DENSE_FROM * size:
        groups, code = np.unique(np.asarray(group, str), return_inverse=True)
        return SparseResponses(
            row=cells.row.astype(np.int32),
            item=cells.item.astype(np.int32),
            scores=cells.score,
            weight=cells.weight if weighted else np.broadcast_to(np.float32(1), cells.score.shape),
            rows=tuple(rows),
            items=tuple(items),
            group=code.astype(np.int32),
            groups=tuple(groups.tolist()),
            source=source,
        )
    at = cells.row, cells.item
    scores, seen = np.zeros((len(rows), len(items)), np.float32), np.zeros((len(rows), len(items)), bool)
    scores[at], seen[at] = cells.score, True
    weight = None
    if weighted:
        weight = np.ones(scores.shape, np.float32)
        weight[at] = cells.weight
    return Responses.build(scores, seen=seen, weight=weight, rows=rows, items=items, group=group, source=source)
