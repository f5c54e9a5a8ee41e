"""Observed cells as coordinates, for a huge matrix of which few cells were seen."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, require
from lleval_jax.values.origin import Origin
from lleval_jax.values.responses import Responses, _place, _require_unique, positions, require_parts, shape_of, taken
from lleval_jax.values.results import Source
from lleval_jax.values.taken_out import arrow
from lleval_jax.values.value import Value

if TYPE_CHECKING:
    import pyarrow

DENSE_FROM = 0.11  # a coordinate costs 9 bytes, a dense cell 1: dense is smaller above this fill


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SparseResponses(Value):
    """The same as `Responses`, cell by cell.

    row, item  (cells,)  positions of the seen cells, each cell once
    scores     (cells,)  in [0, 1]
    weight     (cells,)  answers behind a score
    origins    (cells,)  the file and line of each; None where they are not known
    parts      what each row is: (rows,) names of "model" and, where a row is one, of "prompt"
    """

    row: np.ndarray
    item: np.ndarray
    scores: np.ndarray
    weight: np.ndarray
    rows: tuple[str, ...]
    items: tuple[str, ...]
    group: np.ndarray
    groups: tuple[str, ...]
    source: Source = dataclasses.field(default_factory=Source)
    origins: Origin | None = None
    parts: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("item", "scores", "weight"):
            require(getattr(self, name).shape == self.row.shape, f"{name} must have one entry a seen cell")
        whole = self.origins is None or self.origins.file.shape == self.row.shape
        require(whole, "origins must have one entry a seen cell")
        require_parts(self.parts, self.rows)
        _require_unique("rows", self.rows)
        _require_unique("items", self.items)
        for at in np.flatnonzero(~((self.scores >= 0) & (self.scores <= 1)))[:1]:
            raise BadInput(
                f"the score of row {self.rows[self.row[at]]!r} on item {self.items[self.item[at]]!r} is "
                f"{self.scores[at]:g}; scores must lie in [0, 1]. Rescale them first."
            )
        cell = np.sort(self.row.astype(np.int64) * len(self.items) + self.item)  # many times faster than np.unique
        require(bool((cell[1:] != cell[:-1]).all()), "a cell stands twice; each (row, item) may be given once")

    def brief(self) -> str:
        """One line, for a prompt."""
        return shape_of(self.rows, self.items, self.groups, len(self.scores))

    @property
    def n_seen(self) -> np.ndarray:
        """(rows,) how many items each row has answered."""
        return np.bincount(self.row, minlength=len(self.rows))

    @property
    def fill(self) -> float:
        """Share of the cells that were seen."""
        return len(self.row) / max(1, len(self.rows) * len(self.items))

    def origin(self, row: str, item: str) -> str:
        """Where the answer of `row` to `item` came from: "file:line"; of repeats, the first."""
        at = _place(self.rows, row, "row"), _place(self.items, item, "item")
        found = np.flatnonzero((self.row == at[0]) & (self.item == at[1]))
        require(len(found) > 0, f"row {row!r} has no answer to item {item!r}")
        return "" if self.origins is None else self.origins.place(found[0])

    def dense(self) -> Responses:
        """As a matrix with a mask."""
        shape = len(self.rows), len(self.items)
        scores, seen, weight = np.zeros(shape, np.float32), np.zeros(shape, bool), np.ones(shape, np.float32)
        cell = self.row, self.item
        scores[cell], seen[cell], weight[cell] = self.scores, True, self.weight
        origins = None
        if self.origins is not None:
            file, line = (np.zeros(shape, part.dtype) for part in (self.origins.file, self.origins.line))
            file[cell], line[cell] = self.origins.file, self.origins.line
            origins = Origin(self.origins.files, file, line)
        names = {name: getattr(self, name) for name in ("rows", "items", "group", "groups", "source", "parts")}
        return Responses(scores, seen, weight, origins=origins, **names)

    def take(self, rows: Iterable[int]) -> "SparseResponses":
        """Only these rows, by position."""
        index = np.asarray(list(rows), int)
        place = np.full(len(self.rows), -1)
        place[index] = np.arange(len(index))
        kept = place[self.row] >= 0
        rows = tuple(self.rows[i] for i in index)
        return self._keep(kept, row=place[self.row[kept]], rows=rows, parts=taken(self.parts, index))

    def select(self, items: Sequence[str]) -> "SparseResponses":
        """The same rows on `items`, in that order; items never asked come out unseen."""
        at = {name: i for i, name in enumerate(items)}
        place = np.array([at.get(name, -1) for name in self.items])
        kept = place[self.item] >= 0
        known = {name: g for name, g in zip(self.items, self.group, strict=True)}
        group = np.array([known.get(name, 0) for name in items], np.int32)
        return self._keep(kept, item=place[self.item[kept]], items=tuple(items), group=group)

    def ordered(self) -> "SparseResponses":
        """The same answers: rows and items in the order of their names, cells by row, then by item."""
        rows, items = sorted(self.rows), sorted(self.items)
        row, item = positions(self.rows, rows)[self.row], positions(self.items, items)[self.item]
        cells = np.lexsort((item, row))
        back = positions(rows, self.rows)
        named = {"rows": tuple(rows), "items": tuple(items), "parts": taken(self.parts, back)}
        named |= {"group": self.group[positions(items, self.items)]}
        return self._keep(cells, row=row[cells], item=item[cells], **named)

    def to_arrow(self) -> "pyarrow.Table":
        """The seen cells, as `to_frame` has them, for arrow."""
        return arrow(self.to_frame())

    def to_frame(self, *, origins: bool = False) -> pd.DataFrame:
        """The seen cells as a long table: model, item, score, group, weight; with `origins` also file and line."""
        frame = pd.DataFrame(
            {
                "model": np.asarray(self.rows, object)[self.row],
                "item": np.asarray(self.items, object)[self.item],
                "score": self.scores,
                "group": np.asarray(self.groups, object)[self.group[self.item]],
                "weight": self.weight,
            }
        )
        if origins and self.origins is not None:
            return frame.assign(file=self.origins.names(), line=self.origins.line)
        return frame

    def _keep(self, kept: np.ndarray, **changes) -> "SparseResponses":
        cells = {name: getattr(self, name)[kept] for name in ("row", "item", "scores", "weight")}
        origins = None if self.origins is None else self.origins[kept]
        return dataclasses.replace(self, origins=origins, **(cells | changes))


def as_dense(responses: Responses | SparseResponses) -> Responses:
    """The same answers as a matrix."""
    require_responses(responses)
    return responses.dense() if isinstance(responses, SparseResponses) else responses


def require_responses(responses: object) -> None:
    """`BadInput` that says what to do, unless these are answers: a path, a table or a bank are the usual slips."""
    kind = type(responses).__name__
    if kind == "ItemBank":
        require(False, "responses is an item bank.", python="The answers come first, then bank=...")
    good = isinstance(responses, Responses | SparseResponses)
    require(good, f"responses is of type {kind}; it must be answers.", python="Pass ll.read(...) of it.")
