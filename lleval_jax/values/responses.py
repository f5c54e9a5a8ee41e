"""The response matrix: who answered what, how well, and what was never asked."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, require
from lleval_jax.values.origin import Origin, spread
from lleval_jax.values.results import WHOLE as WHOLE
from lleval_jax.values.results import Source
from lleval_jax.values.taken_out import arrow, labelled
from lleval_jax.values.value import Value

if TYPE_CHECKING:
    import pyarrow
    import xarray  # pyright: ignore[reportMissingImports]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Responses(Value):
    """Scores of rows (models, or prompts of one model) on items.

    scores  (rows, items)  in [0, 1]; 0 where not seen
    seen    (rows, items)  True where an answer exists
    weight  (rows, items)  answers behind a score: n of "k of n repeats are right"; 1 by default
    rows    names of the rows
    items   names of the items
    group   (items,)       index into `groups`: the scenario an item belongs to
    groups  names of the scenarios
    source  which files this came from
    origins the file and line of each answer, (rows, items); None where they are not known
    parts   what each row is: (rows,) names of "model" and, where a row is one, of "prompt", of which its name is the
            label; "" where it is not known. Empty where the rows came from plain arrays

    Build one from plain arrays with `Responses.build`, which fills in names and takes NaN as missing.
    """

    scores: np.ndarray
    seen: np.ndarray
    weight: np.ndarray
    rows: tuple[str, ...]
    items: tuple[str, ...]
    group: np.ndarray
    groups: tuple[str, ...]
    source: Source = dataclasses.field(default_factory=Source)
    origins: Origin | None = None
    parts: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.rows), len(self.items))
        for name in ("scores", "seen", "weight"):
            found = getattr(self, name).shape
            require(found == shape, f"{name} has shape {found}; the names say {shape}")
        require(self.group.shape == shape[1:], f"group has shape {self.group.shape}; there are {shape[1]} items")
        if self.origins is not None:
            found = self.origins.file.shape
            require(found == shape, f"origins have shape {found}; the names say {shape}")
        require_parts(self.parts, self.rows)
        _require_unique("rows", self.rows)
        _require_unique("items", self.items)
        for position, value in zip(*_outside(self.scores, self.seen), strict=True):
            row, item = np.unravel_index(position, shape)
            raise BadInput(
                f"the score of row {self.rows[row]!r} on item {self.items[item]!r} is {value:g}; "
                "scores must lie in [0, 1]. Rescale them first."
            )

    @classmethod
    def build(
        cls,
        scores: np.ndarray,
        *,
        seen: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        rows: Sequence[str] | None = None,
        items: Sequence[str] | None = None,
        group: Sequence[str] | None = None,
        source: Source | None = None,
        origins: Origin | None = None,
        parts: Mapping[str, Sequence[str]] | None = None,
    ) -> "Responses":
        """From a (rows, items) matrix. NaN is missing; names default to their place, groups to one."""
        scores = np.asarray(scores)
        require(scores.ndim == 2, f"scores must be a matrix rows x items; this has shape {scores.shape}")
        if scores.dtype.kind == "f":
            seen = np.isfinite(scores) if seen is None else seen & np.isfinite(scores)
        seen = np.ones(scores.shape, bool) if seen is None else np.asarray(seen, bool)
        names, codes = (WHOLE,), np.zeros(scores.shape[1], np.int32)
        if group is not None and len(set(group)) > 1:
            found, codes = np.unique(np.asarray(group, str), return_inverse=True)
            names, codes = tuple(found.tolist()), codes.astype(np.int32)
        return cls(
            scores=np.where(seen, scores, scores.dtype.type(0)) if not seen.all() else scores,
            seen=seen,
            weight=np.broadcast_to(np.float32(1), scores.shape) if weight is None else np.asarray(weight),
            rows=_names(rows, scores.shape[0], "row"),
            items=_names(items, scores.shape[1], "item"),
            group=codes,
            groups=names,
            source=source or Source(),
            origins=origins,
            parts={what: tuple(map(str, names)) for what, names in (parts or {}).items()},
        )

    def brief(self) -> str:
        """One line, for a prompt."""
        return shape_of(self.rows, self.items, self.groups, int(self.seen.sum()))

    @property
    def n_seen(self) -> np.ndarray:
        """(rows,) how many items each row has answered."""
        return self.seen.sum(1)

    @property
    def fill(self) -> float:
        """Share of the cells that were seen."""
        return float(self.seen.mean()) if self.seen.size else 0.0

    def origin(self, row: str, item: str) -> str:
        """Where the answer of `row` to `item` came from: "file:line"; of repeats, the first."""
        at = _place(self.rows, row, "row"), _place(self.items, item, "item")
        require(bool(self.seen[at]), f"row {row!r} has no answer to item {item!r}")
        return "" if self.origins is None else self.origins.place(at)

    def take(self, rows: Iterable[int]) -> "Responses":
        """Only these rows, by position."""
        index = np.asarray(list(rows), int)
        return dataclasses.replace(
            self,
            scores=self.scores[index],
            seen=self.seen[index],
            weight=self.weight[index],
            rows=tuple(self.rows[i] for i in index),
            origins=None if self.origins is None else self.origins[index],
            parts=taken(self.parts, index),
        )

    def answered(self) -> "Responses":
        """Only the rows with an answer."""
        return self if self.seen.any(1).all() else self.take(np.flatnonzero(self.seen.any(1)))

    def select(self, items: Sequence[str]) -> "Responses":
        """The same rows on `items`, in that order; items never asked come out unseen."""
        place = {name: i for i, name in enumerate(self.items)}
        column = np.array([place.get(name, -1) for name in items], int)
        known = column >= 0
        return dataclasses.replace(
            self,
            scores=np.where(known, self.scores[:, column], self.scores.dtype.type(0)),
            seen=np.where(known, self.seen[:, column], False),
            weight=np.where(known, self.weight[:, column], self.weight.dtype.type(1)),
            items=tuple(items),
            group=np.where(known, self.group[column], 0).astype(np.int32),
            origins=None if self.origins is None else self.origins[:, column],
        )

    def ordered(self) -> "Responses":
        """The same answers, rows and items in the order of their names."""
        rows, items = sorted(self.rows), sorted(self.items)
        if self.rows == tuple(rows) and self.items == tuple(items):
            return self
        row, item = positions(rows, self.rows), positions(items, self.items)
        cells = np.ix_(row, item)
        return dataclasses.replace(
            self,
            scores=self.scores[cells],
            seen=self.seen[cells],
            weight=self.weight if not any(self.weight.strides) else self.weight[cells],
            rows=tuple(rows),
            items=tuple(items),
            group=self.group[item],
            origins=None if self.origins is None else self.origins[cells],
            parts=taken(self.parts, row),
        )

    def merge(self, other: "Responses") -> "Responses":
        """Rows and items of both. A cell seen in both must agree, and so must the parts of a row; else `BadInput`."""
        rows = tuple(dict.fromkeys((*self.rows, *other.rows)))
        items = tuple(dict.fromkeys((*self.items, *other.items)))
        both = [part._spread(rows, items) for part in (self, other)]
        (s1, m1, w1), (s2, m2, w2) = both
        clash = m1 & m2 & (np.abs(s1 - s2) > 1e-6)
        for row, item in np.argwhere(clash)[:1]:
            raise BadInput(
                f"row {rows[row]!r} has two different answers on item {items[item]!r}: "
                f"{s1[row, item]:g} and {s2[row, item]:g} ({int(clash.sum())} such cells). Keep one of them."
            )
        names = dict(zip(other.items, (other.groups[g] for g in other.group), strict=True))
        names |= dict(zip(self.items, (self.groups[g] for g in self.group), strict=True))
        return Responses.build(
            np.where(m1, s1, s2),
            seen=m1 | m2,
            weight=np.where(m1, w1, w2),
            rows=rows,
            items=items,
            group=[names[item] for item in items],
            source=self.source.merge(other.source),
            origins=self._both(other, rows, items, m1),
            parts=_joined(self, other, rows),
        )

    def to_xarray(self) -> "xarray.Dataset":
        """Scores (row, item), NaN where not seen, their weights, and the group of each item. Needs xarray."""
        scores = np.where(self.seen, self.scores, np.nan).astype(float)
        variables = {
            "score": (("row", "item"), scores),
            "weight": (("row", "item"), np.where(self.seen, self.weight, 0)),
        }
        groups = np.asarray(self.groups, object)[self.group]
        return labelled(variables, {"row": list(self.rows), "item": list(self.items), "group": ("item", groups)})

    def to_arrow(self) -> "pyarrow.Table":
        """The seen cells, as `to_frame` has them, for arrow."""
        return arrow(self.to_frame())

    def to_frame(self, *, origins: bool = False) -> pd.DataFrame:
        """The seen cells as a long table: model, item, score, group, weight; with `origins` also file and line."""
        row, item = np.nonzero(self.seen)
        frame = pd.DataFrame(
            {
                "model": np.asarray(self.rows, object)[row],
                "item": np.asarray(self.items, object)[item],
                "score": self.scores[row, item],
                "group": np.asarray(self.groups, object)[self.group[item]],
                "weight": self.weight[row, item],
            }
        )
        if origins and self.origins is not None:
            places = self.origins[row, item]
            return frame.assign(file=places.names(), line=places.line)
        return frame

    def _both(
        self, other: "Responses", rows: tuple[str, ...], items: tuple[str, ...], mine: np.ndarray
    ) -> Origin | None:
        """Origins of both on larger axes: of `self` where `mine`."""
        if self.origins is None and other.origins is None:
            return None
        known = (part.origins.files for part in (self, other) if part.origins is not None)
        files = tuple(dict.fromkeys(name for names in known for name in names))
        one, two = (
            spread(part.origins, part.seen, files, part._cells(rows, items), mine.shape) for part in (self, other)
        )
        return Origin(files, np.where(mine, one.file, two.file), np.where(mine, one.line, two.line))

    def _cells(self, rows: tuple[str, ...], items: tuple[str, ...]) -> tuple[np.ndarray, ...]:
        """Where the cells lie on larger axes."""
        at_row = {name: i for i, name in enumerate(rows)}
        at_item = {name: i for i, name in enumerate(items)}
        return np.ix_([at_row[r] for r in self.rows], [at_item[i] for i in self.items])

    def _spread(self, rows: tuple[str, ...], items: tuple[str, ...]) -> tuple[np.ndarray, ...]:
        """Scores, seen and weight laid out on larger axes."""
        cells = self._cells(rows, items)
        out = np.zeros((len(rows), len(items)), np.float32), np.zeros((len(rows), len(items)), bool)
        weight = np.ones((len(rows), len(items)), np.float32)
        out[0][cells], out[1][cells], weight[cells] = self.scores, self.seen, self.weight
        return *out, weight


def positions(names: Sequence[str], among: Sequence[str]) -> np.ndarray:
    """Where each name stands among others, all of which it is one."""
    at = {name: i for i, name in enumerate(among)}
    return np.fromiter((at[name] for name in names), int, len(names))


def shape_of(rows: Sequence[str], items: Sequence[str], groups: Sequence[str], answers: int) -> str:
    """How much answers are, in words."""
    inside = f" in {len(groups):,} groups" if len(groups) > 1 else ""
    return f"{len(rows):,} rows x {len(items):,} items{inside}, {answers:,} answers"


def require_parts(parts: Mapping[str, tuple[str, ...]], rows: tuple[str, ...]) -> None:
    """`BadInput` where a part does not have one name a row."""
    for what, names in parts.items():
        require(len(names) == len(rows), f"parts has {len(names)} names of {what!r}; there are {len(rows)} rows")


def taken(parts: Mapping[str, tuple[str, ...]], index: np.ndarray) -> dict[str, tuple[str, ...]]:
    """The parts of these rows, by position."""
    return {what: tuple(names[i] for i in index) for what, names in parts.items()}


def _joined(one: Responses, two: Responses, rows: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The parts of the rows of both; "" where neither says."""
    found = {}
    for what in dict.fromkeys((*one.parts, *two.parts)):
        mine, theirs = _named(one, what), _named(two, what)
        for row in [row for row in mine if theirs.get(row, mine[row]) != mine[row]][:1]:
            raise BadInput(f"row {row!r} is of {what} {mine[row]!r}, and of {what} {theirs[row]!r} in what is merged.")
        found[what] = tuple(mine.get(row, theirs.get(row, "")) for row in rows)
    return found


def _named(responses: Responses, what: str) -> dict[str, str]:
    """Row -> its part, where it has one."""
    return {row: name for row, name in zip(responses.rows, responses.parts.get(what, ()), strict=False) if name}


def _outside(scores: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat position and value of the first seen score outside [0, 1], if any."""
    if scores.dtype.kind == "b" or scores.size == 0 or (scores.min() >= 0 and scores.max() <= 1):
        return np.empty(0, int), np.empty(0)
    bad = np.flatnonzero(seen & ~((scores >= 0) & (scores <= 1)))[:1]
    return bad, scores.ravel()[bad]


def _names(names: Sequence[str] | None, length: int, what: str) -> tuple[str, ...]:
    if names is None:
        return tuple(f"{what}-{i}" for i in range(length))
    return tuple(map(str, names))


def _place(names: Sequence[str], name: str, what: str) -> int:
    """Position of a name."""
    require(name in names, f"there is no {what} {name!r}; there are {len(names)}, such as {list(names[:3])}")
    return names.index(name)


def _require_unique(what: str, names: tuple[str, ...]) -> None:
    if len(set(names)) < len(names):
        unique, counts = np.unique(np.asarray(names, object), return_counts=True)
        raise BadInput(f"{what} must have unique names; {unique[counts.argmax()]!r} stands {counts.max()} times")
