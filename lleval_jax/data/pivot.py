"""The answers of many files as one response matrix."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lleval_jax.data import nearly
from lleval_jax.data.answers import Answers, Repeats, labels, parts_of
from lleval_jax.data.cells import Cells, axis, join
from lleval_jax.data.notes import Note
from lleval_jax.data.repeats import joined
from lleval_jax.data.sameness import compared
from lleval_jax.errors import BadInput, NothingScored
from lleval_jax.values import Responses, Source, SparseResponses
from lleval_jax.values.origin import Origin, code
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.sparse import DENSE_FROM

SPARSE_FROM = 1_000_000  # cells; a smaller matrix is always dense


def pivot(
    parts: Sequence[Answers], source: Source, *, files: Sequence[str] | None = None, repeats: Repeats = "count"
) -> tuple[Responses | SparseResponses, list[Note]]:
    """One matrix of all answers, and what was counted and set aside.

    Rows and items stand in the order in which they are first met. Of a cell with several answers, see `repeats.py`.
    Rows without an answer are left out. Where few cells of a large matrix were seen, the result holds only those.
    `files` are the names of the parts that `origin` gives.
    """
    rows, row_place = axis([part.rows for part in parts])
    items, item_place = axis([part.items for part in parts])
    _require_text("model", rows)
    _require_text("item", items)
    cells = join(parts, row_place, item_place)
    if not len(cells.row):
        raise NothingScored(f"there is no answer in {', '.join(part.file for part in parts[:5])}")
    cells, notes = joined(parts, cells, len(items), repeats)
    notes += compared(parts, item_place, len(items))
    notes += [*nearly.said("model", dict.fromkeys(parts_of(rows)["model"])), *nearly.said("item", items)]
    used = np.bincount(cells.row, minlength=len(rows)) > 0
    if not used.all():
        empty = [rows[i] for i in np.flatnonzero(~used)]
        named = ", ".join(map(repr, labels(empty)[:5]))
        notes.append(Note(f"{len(empty)} rows have no answer and were left out: {named}"))
        cells = dataclasses.replace(cells, row=(np.cumsum(used) - 1)[cells.row])
        rows = [rows[i] for i in np.flatnonzero(used)]
    group = _groups(parts, items, item_place)
    origin = _origins(parts, cells, [part.file for part in parts] if files is None else list(files))
    return _matrix(cells, rows, items, group, source, origin), notes


def _require_text(what: str, names: list[str]) -> None:
    """`BadInput` for a name that no file or terminal can take: JSON can spell halves of characters."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        bad = next(name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name))
        raise BadInput(f"{what} {bad!r} is not text: it holds half of a character. Name it otherwise.") from error


def _origins(parts: Sequence[Answers], cells: Cells, files: list[str]) -> Origin:
    """(cells,) the file and line of each answer."""
    names = {name: i for i, name in enumerate(dict.fromkeys(files))}
    bounds = np.searchsorted(cells.part, np.arange(len(parts) + 1))  # the cells stand file by file
    line = np.zeros(len(cells.row), np.int32)
    for part, low, high in zip(parts, bounds[:-1], bounds[1:], strict=True):
        if part.line is not None:
            line[low:high] = part.line[cells.at[low:high]]
    place = np.array([names[name] for name in files], code(len(names)))
    return Origin(tuple(names), place[cells.part], line)


def _groups(parts: Sequence[Answers], items: list[str], places: list[np.ndarray]) -> list[str]:
    """The group of each item, which all files must agree on where they name one."""
    names = {"": 0}
    found = np.zeros(len(items), np.int64)
    for part, place in zip(parts, places, strict=True):
        code, mine = pd.factorize(part.group)
        known = np.array([names.setdefault(name, len(names)) for name in mine.tolist()], np.int64)[code]
        before = found[place]
        for at in np.flatnonzero((before != known) & (before != 0) & (known != 0))[:1]:
            item, other = items[place[at]], list(names)[before[at]]
            raise BadInput(
                f"{part.file}: item {item!r} is in group {part.group[at]!r}; another file has it in {other!r}"
            )
        found[place] = np.where(before == 0, known, before)
    words = np.array([WHOLE, *list(names)[1:]], object)
    return words[found].tolist()


def _matrix(
    cells: Cells, rows: list[str], items: list[str], group: list[str], source: Source, origin: Origin
) -> Responses | SparseResponses:
    """Dense with a mask, or the seen cells of a large matrix with few."""
    size, weighted = len(rows) * len(items), bool((cells.weight != 1).any())
    parts, rows = parts_of(rows), labels(rows)
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
            origins=origin,
            parts=parts,
        )
    at = cells.row, cells.item
    scores, seen = np.zeros((len(rows), len(items)), np.float32), np.zeros((len(rows), len(items)), bool)
    scores[at], seen[at] = cells.score, True
    weight = None
    if weighted:
        weight = np.ones(scores.shape, np.float32)
        weight[at] = cells.weight
    file, line = np.zeros(scores.shape, origin.file.dtype), np.zeros(scores.shape, np.int32)
    file[at], line[at] = origin.file, origin.line
    return Responses.build(
        scores,
        seen=seen,
        weight=weight,
        rows=rows,
        items=items,
        group=group,
        source=source,
        origins=Origin(origin.files, file, line),
        parts=parts,
    )
