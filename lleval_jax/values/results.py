"""What a user takes home: a number, its interval, and where both came from."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from lleval_jax.errors import nearest, require, require_level
from lleval_jax.values import rules
from lleval_jax.values.taken_out import arrow, labelled, table
from lleval_jax.values.value import Value

if TYPE_CHECKING:
    import pyarrow
    import xarray  # pyright: ignore[reportMissingImports]

SCHEMA = "lleval/estimate/1"
CHOICE_SCHEMA = "lleval/choice/1"
WHOLE = "all"  # the group that is the whole benchmark
NOT_FINITE = "not finite"  # the word of `types.Status`, which loads JAX
Params = TypeVar("Params")


@dataclasses.dataclass(frozen=True)
class Source:
    """Provenance of a value.

    files    name of each file read -> "sha256:..."
    bank     name of the item bank used, if any
    version  of lleval_jax that made the value
    command  as typed in the shell, if it was
    seed     of the random key used
    cite     BibTeX keys of the methods used
    """

    files: dict[str, str] = dataclasses.field(default_factory=dict)
    bank: str = ""
    version: str = ""
    command: str = ""
    seed: int = 0
    cite: tuple[str, ...] = ()

    def merge(self, other: "Source") -> "Source":
        """Files and citations of both; the rest of `self`, or of `other` where `self` says nothing."""
        return Source(
            files=self.files | other.files,
            bank=self.bank or other.bank,
            version=self.version or other.version,
            command=self.command or other.command,
            seed=self.seed or other.seed,
            cite=tuple(dict.fromkeys((*self.cite, *other.cite))),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self) | {"cite": list(self.cite)}


@dataclasses.dataclass(frozen=True, eq=False)
class Ended(Value):
    """How a fit ended.

    status  "ok", "not converged", "not finite", or a method's own word
    steps   iterations taken
    value   reached: a log likelihood (marginal or penalised joint, as the method says), or what `unit` names
    unit    of the value: "log likelihood", "log evidence", "loss"
    error   of the last step, in the solver's unit; NaN where it is not kept
    """

    status: str
    steps: int
    value: float
    unit: str = "log likelihood"
    error: float = float("nan")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FitResult(Value, Generic[Params]):
    """What `fit` learns from many answers: keep it with `save`, use it with `estimate` and `choose`.

    params    the method's own NamedTuple of numpy arrays, of `values.params`
    axes      names along the axes of the params; first what was measured (models, prompts, texts), then by what
              (items, benchmarks, elements)
    ended     how the search ended, and what it reached
    method    name of the model and engine
    settings  what was asked, as plain values
    """

    params: Params
    axes: Mapping[str, tuple[str, ...]]
    ended: Ended
    method: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: Source = dataclasses.field(default_factory=Source)

    def __post_init__(self) -> None:
        require(len(self.axes) > 1, f"axes are {list(self.axes)}; a fit has two at least, rows and items")
        for axis, names in self.axes.items():
            rules.require_names(f"axis {axis!r}", names, unique=False)
        if self.status != NOT_FINITE:  # one lane of many may have run away; its status says so
            sizes = {axis: len(names) for axis, names in self.axes.items()}
            rules.require_arrays(self.method, self.params, {"rows": len(self.rows), "items": len(self.items)} | sizes)

    @property
    def rows(self) -> tuple[str, ...]:
        """Names along the first axis: models, prompts or texts."""
        return next(iter(self.axes.values()))

    @property
    def items(self) -> tuple[str, ...]:
        """Names along the second axis: items, examples, benchmarks, elements or cells."""
        return list(self.axes.values())[1]

    @property
    def status(self) -> str:
        """The word of how it ended."""
        return self.ended.status

    @property
    def steps(self) -> int:
        """Iterations taken."""
        return self.ended.steps

    @property
    def converged(self) -> bool:
        """Whether the solver met its tolerance."""
        return self.status == "ok"

    def names(self, axis: str, index: np.ndarray) -> tuple[str, ...]:
        """Names of positions on an axis: `law.names("families", law.params.family)` is each model's family."""
        known = self.axes[axis]
        return tuple(known[i] for i in index)

    def brief(self) -> str:
        """One line, for a prompt."""
        return str(self)

    def __str__(self) -> str:
        (one, rows), (two, items) = list(self.axes.items())[:2]
        return (
            f"{self.method}: {len(rows)} {one} x {len(items)} {two}, "
            f"{self.ended.unit} {self.ended.value:z.2f}, {self.steps} steps, {self.status}"
        )


class Entry(NamedTuple):
    """One entry of an `Estimate`: a row on a group, with its interval."""

    row: str
    group: str
    value: float
    low: float
    high: float
    std_error: float
    n_seen: int
    status: str
    remark: str

    def __str__(self) -> str:
        name = self.row if self.group == WHOLE else f"{self.row} / {self.group}"
        return f"{name}  {self.value:z.3f}  [{self.low:z.3f}, {self.high:z.3f}]  from {self.n_seen} answers"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Estimate(Value):
    """One estimated quantity per entry; an entry is a row (a model) on a group ("all": the benchmark).

    value, low, high  (entries,)  point and interval, in the unit of `target`
    level             coverage the interval aims at, e.g. 0.95
    std_error         (entries,)  half width of a 68% interval, same unit
    n_seen            (entries,)  answers used
    status            (entries,)  "ok", or what went wrong
    caveats           what a reader must know of all entries, in sentences: too few models behind the bank, ...
    remark            (entries,)  what a reader must know of an entry, "" where there is nothing; () stands for that

    An end of an interval that the data do not bound is infinite, and so is a maximum likelihood that has no maximum.
    """

    target: str
    method: str
    rows: tuple[str, ...]
    group: tuple[str, ...]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    std_error: np.ndarray
    n_seen: np.ndarray
    status: tuple[str, ...]
    source: Source = dataclasses.field(default_factory=Source)
    caveats: tuple[str, ...] = ()
    remark: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "remark", self.remark or ("",) * len(self.rows))
        for name in ("group", "value", "low", "high", "std_error", "n_seen", "status", "remark"):
            found = len(getattr(self, name))
            require(found == len(self.rows), f"{name} has {found} entries; there are {len(self.rows)} rows")
        require_level(self.level)
        self._require_ordered()

    def _require_ordered(self) -> None:
        """Each value lies inside its interval, and none is NaN."""
        wrong = np.flatnonzero(~((self.low <= self.value) & (self.value <= self.high)))[:1]
        for i in wrong:
            found = f"{self.value[i]:g} is not inside its interval [{self.low[i]:g}, {self.high[i]:g}]"
            require(False, f"{self.target} of {self.rows[i]!r} ({self.group[i]}): low <= value <= high fails; {found}")
        for name in ("std_error", "n_seen"):
            numbers = np.asarray(getattr(self, name))
            for i in np.flatnonzero(~(numbers >= 0))[:1]:
                require(
                    False, f"{name} of {self.rows[i]!r} ({self.group[i]}) is {numbers[i]:g}; it must not be negative"
                )

    @classmethod
    def crossed(
        cls,
        rows: Sequence[str],
        groups: Sequence[str],
        numbers: Sequence[np.ndarray],
        *,
        n_seen: np.ndarray | int,
        status: str | np.ndarray,
        target: str,
        method: str,
        level: float,
        source: Source,
    ) -> "Estimate":
        """One entry a row and group: `numbers` are value, low, high and std_error, (rows, groups) each.

        `n_seen` and `status` have that shape too, or are the same for all rows (groups,) or all entries ().
        """
        value, low, high, std_error = (np.reshape(number, -1) for number in numbers)
        shape = len(rows), len(groups)
        return cls(
            target=target,
            method=method,
            rows=tuple(row for row in rows for _ in groups),
            group=tuple(groups) * len(rows),
            value=value,
            low=low,
            high=high,
            level=level,
            std_error=std_error,
            n_seen=np.broadcast_to(n_seen, shape).ravel(),
            status=tuple(np.broadcast_to(np.asarray(status, object), shape).ravel().tolist()),
            source=source,
        )

    def __len__(self) -> int:
        """How many entries."""
        return len(self.rows)

    def __bool__(self) -> bool:
        """An estimate is one, also without an entry."""
        return True

    def __iter__(self) -> Iterator[Entry]:
        """The entries, one after the other."""
        return map(self._at, range(len(self)))

    def __getitem__(self, name: str | tuple[str, str]) -> Entry:
        """`estimate["model-a"]` is its entry on the whole ("all"), or its only one; or `estimate["model-a", "group"]`.

        Raises:
            BadInput: there is no such row or group, or it is not clear which of several entries is meant.
        """
        row, group = name if isinstance(name, tuple) else (name, None)
        kind = type(row).__name__
        require(isinstance(row, str), f"entries are asked for by the name of a row; {row!r} is of type {kind}")
        here = [i for i, one in enumerate(self.rows) if one == row]
        require(bool(here), f"there is no row {row!r}; there are {len(set(self.rows)):,}{_such(row, self.rows)}")
        groups = [self.group[i] for i in here]
        found = [i for i in here if self.group[i] == (group or WHOLE)] or (here if group is None else [])
        hint = f"{', '.join(groups)}{nearest(str(group), groups)}"
        require(bool(found), f"{row!r} has no group {group!r}; there is {hint}")
        several = f"{row!r} has {len(found)} entries; say which group: {', '.join(groups)}."
        require(len(found) == 1, several, python=f"Write estimate[{row!r}, {groups[0]!r}].")
        return self._at(found[0])

    def _at(self, i: int) -> Entry:
        value, low, high, std_error = (float(x[i]) for x in (self.value, self.low, self.high, self.std_error))
        words = self.status[i], self.remark[i]
        return Entry(self.rows[i], self.group[i], value, low, high, std_error, int(self.n_seen[i]), *words)

    def brief(self) -> str:
        """One line, for a prompt."""
        return f"{self.target} by {self.method}, {len(self):,} entries, {100 * self.level:.4g}% intervals"

    def _repr_html_(self) -> str:
        """A table of the first entries, for a notebook."""
        frame = self.to_frame().drop(columns="std_error")
        return table(f"{self.target} by {self.method}, {self.level:.0%} intervals", frame, self.caveats)

    def to_xarray(self) -> "xarray.Dataset":
        """Variables over row and group, NaN where there is no such entry; what is said of all are attributes.

        Needs xarray.

        Raises:
            BadInput: a row and group stand twice.
        """
        frame = self.to_frame().set_index(["row", "group"])
        require(frame.index.is_unique, "a row and group stand twice; a grid has one entry for each")
        rows, groups = (list(dict.fromkeys(names)) for names in (self.rows, self.group))
        whole = frame.reindex(pd.MultiIndex.from_product([rows, groups]))
        shape = len(rows), len(groups)
        variables = {str(name): (("row", "group"), whole[name].to_numpy().reshape(shape)) for name in whole}
        said = {"target": self.target, "method": self.method, "level": self.level, "caveats": list(self.caveats)}
        return labelled(variables, {"row": rows, "group": groups}, said)

    def to_arrow(self) -> "pyarrow.Table":
        """The table of `to_frame`, for arrow; target, method, level and caveats are the schema's metadata."""
        said = {"target": self.target, "method": self.method, "level": self.level, "caveats": list(self.caveats)}
        return arrow(self.to_frame(), said)

    def take(self, entries: Sequence[int] | np.ndarray) -> "Estimate":
        """Some entries, by their positions and in that order; caveats and source stay."""
        here = [int(i) for i in entries]
        words = {name: tuple(getattr(self, name)[i] for i in here) for name in ("rows", "group", "status", "remark")}
        numbers = ("value", "low", "high", "std_error", "n_seen")
        return dataclasses.replace(self, **words, **{name: np.asarray(getattr(self, name))[here] for name in numbers})

    def to_frame(self) -> pd.DataFrame:
        """One line an entry; with a column of remarks where there are any."""
        columns = {
            "row": self.rows,
            "group": self.group,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "std_error": self.std_error,
            "n_seen": self.n_seen,
            "status": self.status,
        }
        return pd.DataFrame(columns | ({"remark": self.remark} if any(self.remark) else {}))

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an estimate, schema `lleval/estimate/1`; what is infinite becomes null."""
        entries = [_entry(line) for line in self.to_frame().to_dict(orient="records")]
        return {
            "schema": SCHEMA,
            "target": self.target,
            "method": self.method,
            "level": self.level,
            "estimates": entries,
            "caveats": list(self.caveats),
            "source": self.source.to_dict(),
        }

    def __str__(self) -> str:
        """A plain table: one line an entry."""
        names = [r if g == "all" else f"{r} / {g}" for r, g in zip(self.rows, self.group, strict=True)]
        width = max(map(len, names), default=0)
        lines = [f"estimated {self.target}, {100 * self.level:.4g}% intervals (method: {self.method})"]
        for name, v, low, high, n, status, remark in zip(
            names, self.value, self.low, self.high, self.n_seen, self.status, self.remark, strict=True
        ):
            words = "; ".join(filter(None, ("" if status == "ok" else status, remark)))
            note = f"  ({words})" if words else ""
            lines.append(f"{name:<{width}}  {v:z.3f}  [{low:z.3f}, {high:z.3f}]  n = {n}{note}")
        return "\n".join([*lines, *self.caveats])


def _such(name: str, names: Sequence[str]) -> str:
    """The nearest names, or some."""
    return nearest(name, names) or f", such as {', '.join(map(repr, list(dict.fromkeys(names))[:3]))}"


def _entry(line: dict[Any, Any]) -> dict[str, Any]:
    """An entry as JSON has it: no empty remark, null for what is infinite."""
    numbers = ("value", "low", "high", "std_error")
    return {
        str(name): None if name in numbers and not math.isfinite(found) else found
        for name, found in line.items()
        if name != "remark" or found
    }


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Choice(Value):
    """What to ask next.

    rows   (rows,)  who is asked; empty names stand for a session from nothing
    items  (rows,)  tuples of item names, best first; empty where it is enough
    why    (rows,)  why these, or why it is enough
    summary  why these, in one sentence, where each row has a reason of its own
    whole  True where each row is asked all items of a version, and `items` names none
    """

    rows: tuple[str, ...]
    items: tuple[tuple[str, ...], ...]
    why: tuple[str, ...]
    source: Source = dataclasses.field(default_factory=Source)
    whole: bool = False
    summary: str = ""

    def brief(self) -> str:
        """One line, for a prompt."""
        if self.enough:
            return f"enough for {len(self.rows):,} rows"
        return f"{len(self.rows):,} rows" + ("" if self.whole else f", {sum(map(len, self.items)):,} items")

    def _repr_html_(self) -> str:
        """What each row is asked, for a notebook."""
        lines = zip(self.rows, (", ".join(items) for items in self.items), self.why, strict=True)
        return table(self.brief(), pd.DataFrame(list(lines), columns=["row", "items", "why"]))

    @property
    def reason(self) -> str:
        """Why these, or why it is enough, in one sentence."""
        reasons = list(dict.fromkeys(filter(None, self.why)))
        if self.summary or len(reasons) < 2:
            return self.summary or "".join(reasons)
        return f"{reasons[0]} ({self.rows[0]}); the reasons of the other {len(self.rows) - 1} rows stand with each"

    @property
    def enough(self) -> bool:
        """Whether no more questions are needed."""
        return not any(self.items) and not (self.whole and self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a choice, schema `lleval/choice/1`: all items to run, and each row's own."""
        each = [
            {"row": row, "items": list(items), "why": why}
            for row, items, why in zip(self.rows, self.items, self.why, strict=True)
        ]
        asked = dict.fromkeys(item for items in self.items for item in items)
        return {
            "schema": CHOICE_SCHEMA,
            "rows": list(self.rows),
            "items": list(asked),
            "why": self.reason,
            "choices": each,
            "source": self.source.to_dict(),
        }
