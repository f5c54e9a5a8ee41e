"""Answers that went through a squad: what they were, what they are, by which steps, and with which scores."""

import collections
import dataclasses
import json
from typing import Any, NamedTuple

import numpy as np

from lleval_jax.values.pool import Spent
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
        """The table as JSON, one line a row; scores by the name of their criterion, null where there is none."""
        return "".join(json.dumps(self._line(row), ensure_ascii=False, allow_nan=False) + "\n" for row in self.rows)

    def _line(self, row: Row) -> dict[str, Any]:
        said = row._asdict() | {"steps": [list(step) for step in row.steps]}
        for name in ("first", "last"):
            given = zip(self.members, getattr(row, name), strict=True)
            said[name] = {member: None if score != score else round(float(score), 6) for member, score in given}
        return said | {"thresholds": dict(zip(self.members, self.thresholds, strict=True))}
