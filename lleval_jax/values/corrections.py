"""Answers with better ones: what an aligner learns from, and what was left out and why."""

import collections
import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from lleval_jax.errors import require
from lleval_jax.values.pool import Dropped, Spent
from lleval_jax.values.preferences import Place
from lleval_jax.values.results import Source
from lleval_jax.values.text_columns import named, require_once, texts
from lleval_jax.values.value import Value

NEEDED, FURTHER = ("question", "answer", "correction"), ("id", "critique", "model", "request")  # columns of a table


class Example(NamedTuple):
    """A question, an answer x, and a better answer to the same.

    id          its name
    question, answer, correction
    critique    what is wrong with the answer, "" where it is not said
    model       who corrected it
    request     the SHA-256 of the request
    """

    id: str
    question: str
    answer: str
    correction: str
    critique: str = ""
    model: str = ""
    request: str = ""

    @property
    def changed(self) -> bool:
        """Whether the correction differs from the answer by more than blanks."""
        return plain(self.answer) != plain(self.correction)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Corrections(Value):
    """Examples for one criterion.

    criterion  its name
    rows       the examples
    dropped    rows that were left out, and why
    spent      what they cost
    """

    criterion: str
    rows: tuple[Example, ...]
    dropped: tuple[Dropped, ...] = ()
    spent: Spent = Spent()
    source: Source = dataclasses.field(default_factory=Source)

    def __post_init__(self) -> None:
        require_once([row.id for row in self.rows])

    def brief(self) -> str:
        """How many, and for what."""
        return f"{len(self.rows):,} corrections for {self.criterion!r}, {len(self.dropped):,} dropped"

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, criterion: str = "", place: Place | None = None, source: Source | None = None
    ) -> "Corrections":
        """From a table with columns question, answer, correction and, where they are known, id, critique, criterion.

        Args:
            frame: the table.
            criterion: its name; "": that of the column criterion.
            place: where a row is found, for messages.
            source: where the table came from.

        Raises:
            BadInput: a column is missing, a cell is empty or no text, or there are several criteria.

        Example:
            >>> table = {"question": ["Sky?"], "answer": ["Blue, fool."], "correction": ["Blue."]}
            >>> Corrections.from_frame(pd.DataFrame(table), criterion="polite")
            <Corrections: 1 corrections for 'polite', 0 dropped>
        """
        place = place or (lambda row: f"row {row} of the table")
        lack = [name for name in NEEDED if name not in frame.columns]
        there = ", ".join(map(repr, list(frame.columns)[:12])) or "none"
        require(not lack, f"corrections need the columns {', '.join(NEEDED)}; the table has {there}")
        require(len(frame) > 0, "the table has no rows")
        columns = {name: texts(frame[name], name, place) for name in NEEDED}
        optional = {name: _optional(frame[name]) for name in FURTHER if name in frame.columns and name != "id"}
        ids = texts(frame["id"], "id", place) if "id" in frame.columns else named(columns["question"])
        said = sorted(set(_optional(frame["criterion"]))) if "criterion" in frame.columns else []
        require(len(said) < 2 or bool(criterion), f"there are the criteria {', '.join(said)}; name one")
        rows = zip(ids, *columns.values(), *_filled(optional, len(ids)), strict=True)
        return cls(criterion or "".join(said), tuple(Example(*row) for row in rows), source=source or Source())

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were dropped, by reason, the commonest first."""
        return dict(collections.Counter(each.reason for each in self.dropped).most_common())

    def keep(self, rows: Iterable[Example]) -> "Corrections":
        """These examples only."""
        return dataclasses.replace(self, rows=tuple(rows), dropped=(), spent=Spent())

    def lines(self) -> str:
        """The table as JSON, one line a row."""
        made: Sequence[dict[str, Any]] = [row._asdict() | {"criterion": self.criterion} for row in self.rows]
        return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in made)


def plain(text: str) -> str:
    """A text up to blanks, to say whether two are the same."""
    return " ".join(text.split())


def _optional(column: pd.Series) -> tuple[str, ...]:
    return tuple("" if cell is None or cell != cell else str(cell) for cell in column)


def _filled(columns: dict[str, tuple[str, ...]], rows: int) -> list[tuple[str, ...]]:
    return [columns.get(name, ("",) * rows) for name in FURTHER if name != "id"]
