"""A leaderboard: models of known family, size and training tokens, and their scores on benchmarks."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, DataWarning, require
from lleval_jax.values import rules
from lleval_jax.values.results import Source
from lleval_jax.values.rules import Flag, Positive, Rule, checked
from lleval_jax.values.taken_out import arrow, labelled, table
from lleval_jax.values.value import Value

if TYPE_CHECKING:
    import pyarrow
    import xarray  # pyright: ignore[reportMissingImports]

KEYS = ("model", "family", "params", "tokens")  # columns that must be there
FACTS = (*KEYS, "base_family", "instruct")  # columns that are no benchmarks
UNITS = {"params": (1e9, "billions", 1e5), "tokens": (1e12, "trillions", 1e3)}  # unit, its word, largest number of it
FEWEST = {"params": 1e4, "tokens": 1e6}  # a count below is in a unit

Place = Callable[[int], str]


@checked(
    instruct=Flag("models"),
    params=Positive("models"),
    tokens=Positive("models"),
    scores=Rule("models", "benchmarks", finite=False),
    seen=Flag("models", "benchmarks"),
    floor=Rule("benchmarks", low=0, high=1),
)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Leaderboard(Value):
    """Models by benchmarks. A row is a model.

    models        (rows,)  names, all different
    families      (rows,)  models that differ in size and tokens alone
    lineages      (rows,)  families that share their pretraining, as an instruct variant does with its base model
    instruct      (rows,)  whether tuned to follow instructions
    params        (rows,)  number of parameters, a count
    tokens        (rows,)  tokens trained on, a count
    benchmarks    names of the columns
    scores, seen  (rows, benchmarks)  in [0, 1], and whether known
    floor         (benchmarks,)  the score of guessing
    """

    models: tuple[str, ...]
    families: tuple[str, ...]
    lineages: tuple[str, ...]
    instruct: np.ndarray
    params: np.ndarray
    tokens: np.ndarray
    benchmarks: tuple[str, ...]
    scores: np.ndarray
    seen: np.ndarray
    floor: np.ndarray
    source: Source = dataclasses.field(default_factory=Source)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        floors: dict[str, float] | None = None,
        strict: bool = False,
        place: Place | None = None,
        source: Source | None = None,
    ) -> "Leaderboard":
        """From a table, a row a model.

        Args:
            frame: columns `model`, `family`, `params`, `tokens` (counts: 7e9, 2e12), perhaps `base_family` (else each
                family stands alone) and `instruct`; every other numeric column is a benchmark with scores in [0, 1].
            floors: benchmark -> score of guessing; 0 where not named.
            strict: make an error of every warning.
            place: names row i in messages; None: "row i".
            source: where it comes from.

        Raises:
            BadInput: a column that is missing, a model that stands twice, a size that is no positive number, a score
                outside of [0, 1], or a benchmark without scores. With `strict`, all that would be a warning.

        Warns:
            DataWarning: parameters in billions, tokens in trillions or scores in percent, which are put right;
                tokens that are not known, for which those of the lineage stand in; rows left out for lack of them.
        """
        where = place or (lambda row: f"row {row}")
        for name in KEYS:
            have = ", ".join(map(str, frame.columns))
            require(name in frame.columns, f"the leaderboard has no column {name!r}; it has {have}")
        require(len(frame) > 0, "the leaderboard has no rows")
        notes: list[str] = []
        names = {name: _names(frame[name], name, where) for name in ("model", "family")}
        lineages = names["family"]
        if "base_family" in frame.columns:
            lineages = [base or family for base, family in zip(_texts(frame["base_family"]), lineages, strict=True)]
        again = pd.Series(names["model"]).duplicated().to_numpy().nonzero()[0]
        for row in again[:1]:
            raise BadInput(f"{where(row)}: model {names['model'][row]!r} is listed twice; keep one")
        params = _counts(frame["params"], "params", where, notes)
        tokens = _counts(frame["tokens"], "tokens", where, notes)
        instruct = _flags(frame["instruct"], where) if "instruct" in frame.columns else np.zeros(len(frame), bool)
        tokens = _borrowed(tokens, lineages, names["model"], notes)
        benchmarks = [str(n) for n in frame.columns if n not in FACTS and pd.api.types.is_numeric_dtype(frame[n])]
        require(bool(benchmarks), "the leaderboard has no column of scores besides params and tokens")
        found = [_scores(frame[name].to_numpy(float), name, where, notes) for name in benchmarks]
        scores = np.stack(found, 1)
        seen = np.isfinite(scores)
        keep = np.isfinite(params) & np.isfinite(tokens) & seen.any(1)
        _tell_left_out(np.asarray(names["model"], object)[~keep], notes)
        require(bool(keep.any()), "no row has params, tokens and a score")
        floor = np.array([(floors or {}).get(name, 0.0) for name in benchmarks])
        _say(notes, strict)

        def kept(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(value for value, good in zip(values, keep, strict=True) if good)

        return cls(
            kept(names["model"]),
            kept(names["family"]),
            kept(lineages),
            instruct[keep],
            params[keep],
            tokens[keep],
            tuple(benchmarks),
            np.where(seen, scores, 0)[keep],
            seen[keep],
            floor,
            source or Source(),
        )

    def __post_init__(self) -> None:
        rows = len(self.models)
        for name in ("models", "families", "lineages", "benchmarks"):
            found = getattr(self, name)
            unique = name in ("models", "benchmarks")
            rules.require_names(f"leaderboard: {name}", found, unique=unique)
            require(unique or len(found) == rows, f"{name} has {len(found)} entries; there are {rows} models")
        rules.require_arrays("leaderboard", self, {"models": rows, "benchmarks": len(self.benchmarks)})
        rules.require_known("leaderboard: scores", self.scores, self.seen, "models", "benchmarks")
        require(
            bool((self.floor < 1).all()),
            f"leaderboard: floor must be below 1; it reaches {self.floor.max(initial=0):g}",
        )

    def brief(self) -> str:
        """One line, for a prompt."""
        families = len(set(self.families))
        return f"{len(self.models):,} models of {families:,} families x {len(self.benchmarks):,} benchmarks"

    def _repr_html_(self) -> str:
        """The first models, for a notebook."""
        return table(self.brief(), self.to_frame())

    def to_xarray(self) -> "xarray.Dataset":
        """Scores (model, benchmark), NaN where not known, and what is known of the models. Needs xarray."""
        facts = {"family": self.families, "base_family": self.lineages, "instruct": self.instruct}
        facts |= {"params": self.params, "tokens": self.tokens}
        coords = {name: ("model", np.asarray(values)) for name, values in facts.items()}
        scores = np.where(self.seen, self.scores, np.nan)
        axes = {"model": list(self.models), "benchmark": list(self.benchmarks)}
        return labelled({"score": (("model", "benchmark"), scores)}, axes | coords)

    def to_arrow(self) -> "pyarrow.Table":
        """The table of `to_frame`, for arrow."""
        return arrow(self.to_frame())

    def take(self, rows: Sequence[int] | np.ndarray) -> "Leaderboard":
        """Some of the models, in this order."""
        at = np.arange(len(self.models))[np.asarray(rows)]

        def some(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[i] for i in at)

        return dataclasses.replace(
            self,
            models=some(self.models),
            families=some(self.families),
            lineages=some(self.lineages),
            **{name: getattr(self, name)[at] for name in ("instruct", "params", "tokens", "scores", "seen")},
        )

    def select(self, benchmarks: Sequence[str]) -> "Leaderboard":
        """Some of the benchmarks, in this order; models without a score on any of them are left out.

        Raises:
            BadInput: there is no such benchmark.
        """
        for name in benchmarks:
            known = ", ".join(self.benchmarks)
            require(name in self.benchmarks, f"there is no benchmark {name!r}; there are: {known}")
        at = [self.benchmarks.index(name) for name in benchmarks]
        cut = dataclasses.replace(
            self,
            benchmarks=tuple(benchmarks),
            scores=self.scores[:, at],
            seen=self.seen[:, at],
            floor=self.floor[at],
        )
        return cut.take(np.flatnonzero(cut.seen.any(1)))

    def hide(self, rows: np.ndarray) -> "Leaderboard":
        """The same models, with no score known of some: rows (rows,), true where hidden."""
        return dataclasses.replace(self, seen=self.seen & ~rows[:, None])

    def to_frame(self) -> pd.DataFrame:
        """A table as `from_frame` takes it."""
        facts = {"model": self.models, "family": self.families, "base_family": self.lineages}
        numbers = {"instruct": self.instruct, "params": self.params, "tokens": self.tokens}
        scores = np.where(self.seen, self.scores, np.nan)
        return pd.DataFrame(facts | numbers | {name: scores[:, j] for j, name in enumerate(self.benchmarks)})


def _texts(column: pd.Series) -> list[str]:
    return ["" if pd.isna(value) else str(value).strip() for value in column]


def _names(column: pd.Series, name: str, where: Place) -> list[str]:
    found = _texts(column)
    for row, text in enumerate(found):
        require(bool(text), f"{where(row)}: no {name}")
    return found


def _counts(column: pd.Series, name: str, where: Place, notes: list[str]) -> np.ndarray:
    """Counts, NaN where not known; a column that is plainly in billions or trillions is put right."""
    found = pd.to_numeric(column, errors="coerce").to_numpy(float)
    for row in np.flatnonzero(np.isnan(found) & column.notna().to_numpy() & (np.array(_texts(column)) != ""))[:1]:
        raise BadInput(f"{where(row)}: {name} is {column.iloc[row]!r}; it must be a number, as 7e9")
    for row in np.flatnonzero(~np.isnan(found) & ~((found > 0) & np.isfinite(found)))[:1]:
        raise BadInput(f"{where(row)}: {name} is {found[row]:g}; it must be a positive number")
    known = found[~np.isnan(found)]
    if not len(known) or known.min() >= FEWEST[name]:
        return found
    unit, word, most = UNITS[name]
    if known.max() <= most:
        notes.append(f"{name} from {known.min():g} to {known.max():g} are taken as {word}; write counts, as {unit:g}")
        return found * unit
    small = int(np.flatnonzero(found < FEWEST[name])[0])
    raise BadInput(
        f"{where(small)}: {name} is {found[small]:g}, and up to {known.max():g} in other rows; write all as counts "
        f"(is this one in {word}? then it is {found[small] * unit:g})"
    )


def _flags(column: pd.Series, where: Place) -> np.ndarray:
    words = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}
    found = [words.get(text.lower() or "false") for text in _texts(column)]
    for row, flag in enumerate(found):
        require(flag is not None, f"{where(row)}: instruct is {column.iloc[row]!r}; it must be true or false")
    return np.array(found, bool)


def _borrowed(tokens: np.ndarray, lineages: Sequence[str], models: Sequence[str], notes: list[str]) -> np.ndarray:
    """Unknown tokens: the median of the lineage's, where there are any."""
    missing = np.isnan(tokens)
    if not missing.any():
        return tokens
    median = pd.Series(tokens).groupby(np.asarray(lineages, object)).transform("median").to_numpy()
    lent = missing & ~np.isnan(median)
    if lent.any():
        first = models[int(np.flatnonzero(lent)[0])]
        notes.append(f"{lent.sum()} models have no tokens; the median of their lineage stands in (first: {first!r})")
    return np.where(lent, median, tokens)


def _scores(found: np.ndarray, name: str, where: Place, notes: list[str]) -> np.ndarray:
    """Scores in [0, 1], NaN where not known; a column in percent is put right."""
    known = found[~np.isnan(found)]
    require(len(known) > 0, f"benchmark {name!r} has no scores; leave the column out")
    most = float(known.max())
    if 1 < most <= 100 and known.min() >= 0 and np.median(known) > 1:
        notes.append(f"scores of {name!r} reach {most:g} and are taken as percent; write them in [0, 1]")
        return found / 100
    for row in np.flatnonzero(~np.isnan(found) & ~((found >= 0) & (found <= 1)))[:1]:
        raise BadInput(
            f"{where(row)}: {name} is {found[row]:g}; a benchmark's scores lie in [0, 1]. "
            "Scale the column, or leave it out if it is no benchmark."
        )
    return found


def _tell_left_out(names: np.ndarray, notes: list[str]) -> None:
    if len(names):
        notes.append(f"{len(names)} models lack params, tokens or all scores and were left out (first: {names[0]!r})")


def _say(notes: Sequence[str], strict: bool) -> None:
    for message in notes:
        if strict:
            raise BadInput(message)
        warnings.warn(message, DataWarning, stacklevel=3)
