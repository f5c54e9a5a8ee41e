"""Answers that went through a squad: what they were, what they are, by which steps, and with which scores."""

import collections
import dataclasses
import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lleval_jax.errors import require
from lleval_jax.values.pool import Spent
from lleval_jax.values.preferences import Place
from lleval_jax.values.results import Source
from lleval_jax.values.value import Value

STATUS = ("good", "aligned", "kept", "passes used up", "went in a circle", "not inspected")


class Step(NamedTuple):
    """One pass of an aligner over an answer.

    by      the aligner's name
    result  "accepted", "no change", "scores fell", or why there was no correction: "no reply", "refused", ...
    """

    by: str
    result: str


class Row(NamedTuple):
    """An answer.

    id, question
    before   the answer
    after    what became of it; the same text where nothing was accepted
    first    scores of `before`, one an inspector, in the order of `Aligned.members`
    last     scores of `after`
    steps    the passes, in order
    status   "good"              all scores were high enough from the start
             "aligned"           a correction was accepted, and all scores are high enough now
             "kept"              some score is low, and no aligner had an acceptable correction (any more)
             "passes used up"    some score is low, and no further pass was allowed
             "went in a circle"  a text came back that had been there before: the inspectors contradict each other
             "not inspected"     an inspector gave no score
    """

    id: str
    question: str
    before: str
    after: str
    first: tuple[float, ...]
    last: tuple[float, ...]
    steps: tuple[Step, ...]
    status: str

    @property
    def changed(self) -> bool:
        """Whether the answer is another one now."""
        return self.before != self.after


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Aligned(Value):
    """All answers, in the order in which they were given.

    members     names of the criteria
    thresholds  the score below which an answer is corrected, of each
    rows        the answers
    spent       what aligners cost
    """

    members: tuple[str, ...]
    thresholds: tuple[float, ...]
    rows: tuple[Row, ...]
    spent: Spent = Spent()
    source: Source = dataclasses.field(default_factory=Source)

    def brief(self) -> str:
        """How many, and how many of them changed."""
        changed = sum(row.changed for row in self.rows)
        return f"{len(self.rows):,} answers by {', '.join(self.members)}; {changed:,} changed"

    @property
    def statuses(self) -> dict[str, int]:
        """How many answers ended how."""
        found = collections.Counter(row.status for row in self.rows)
        return {name: found[name] for name in STATUS if found[name]}

    @property
    def passes(self) -> np.ndarray:
        """Of each row."""
        return np.array([len(row.steps) for row in self.rows], int)

    def scores(self, which: str = "first") -> np.ndarray:
        """(rows, members) of the answers as they were ("first") or are ("last")."""
        return np.array([getattr(row, which) for row in self.rows], float).reshape(len(self.rows), len(self.members))

    def lines(self) -> str:
        """The table as JSON, one line a row; scores in the order of `members`, null where there is none."""
        return "".join(json.dumps(self._line(row), ensure_ascii=False, allow_nan=False) + "\n" for row in self.rows)

    def _line(self, row: Row) -> dict[str, Any]:
        said = row._asdict() | {"steps": [list(step) for step in row.steps]}
        for name in ("first", "last"):
            said[name] = [None if score != score else round(float(score), 6) for score in getattr(row, name)]
        return said | {"members": list(self.members), "thresholds": list(self.thresholds)}

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, place: Place | None = None, source: Source | None = None) -> "Aligned":
        """From the table that `lines` writes.

        Raises:
            BadInput: a column is missing, a row has other members than the first, or scores are not one a member.
        """
        place = place or (lambda row: f"row {row} of the table")
        lack = [name for name in COLUMNS if name not in frame.columns]
        require(not lack, f"the table has no column {lack and lack[0]!r}; 'lleval align run' writes it")
        require(len(frame) > 0, "the table has no rows")
        names, rows = None, []
        for number, line in enumerate(frame[list(COLUMNS)].to_dict("records")):
            at = place(number)
            members, thresholds = tuple(map(str, _list(line, "members", at))), _scores(line, "thresholds", at)
            names = names or (members, thresholds)
            require(names == (members, thresholds), f"{at}: the members or thresholds are others than in the first row")
            scores = [_scores(line, name, at) for name in ("first", "last")]
            fits = all(len(each) == len(members) for each in (*scores, thresholds))
            require(fits, f"{at}: there are {len(members)} members and other numbers of scores or thresholds")
            steps = tuple(Step(*map(str, each)) for each in _list(line, "steps", at) if len(each) == 2)
            require(line["status"] in STATUS, f"{at}: status is {line['status']!r}; it is one of {', '.join(STATUS)}")
            name, question, before, after = (str(line[name]) for name in COLUMNS[:4])
            rows.append(Row(name, question, before, after, scores[0], scores[1], steps, str(line["status"])))
        return cls(*names, tuple(rows), source=source or Source())  # type: ignore[misc]


COLUMNS = ("id", "question", "before", "after", "first", "last", "steps", "status", "members", "thresholds")


def _list(line: dict[Any, Any], name: str, at: str) -> list[Any]:
    found = line[name]
    good = not isinstance(found, str) and hasattr(found, "__len__")
    require(good, f"{at}: {name!r} is {found!r}; it must be a list")
    return list(found)


def _scores(line: dict[Any, Any], name: str, at: str) -> tuple[float, ...]:
    found = _list(line, name, at)
    good = all(score is None or isinstance(score, int | float) for score in found)
    require(good, f"{at}: {name!r} is {found!r}; it must hold numbers")
    return tuple(float("nan") if score is None else float(score) for score in found)
