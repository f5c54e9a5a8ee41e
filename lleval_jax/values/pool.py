"""Questions with a weak teacher's answers, and what became of them when a strong model answered for itself."""

import collections
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from lleval_jax.errors import require
from lleval_jax.values.preferences import NOTHING, Place, Preferences, Side
from lleval_jax.values.results import Source
from lleval_jax.values.text_columns import named, require_once, texts
from lleval_jax.values.value import Value

MILLION = 1_000_000
NAMES = ("id", "question", "weak", "truth", "topic")  # columns of a table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Pool(Value):
    """What is to be refined.

    ids        (rows,) names, each once
    questions  (rows,)
    weak       (rows,) the weak teacher's answers
    truth      (rows,) right answers, for an arm that learns these; or () where they are not known
    topics     (rows,) what each is about, or ()
    teacher    its name
    cost       what its answers cost, in money
    """

    ids: tuple[str, ...]
    questions: tuple[str, ...]
    weak: tuple[str, ...]
    truth: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    teacher: str = ""
    cost: float = 0.0
    source: Source = dataclasses.field(default_factory=Source)

    def __post_init__(self) -> None:
        require(len(self.ids) > 0, "the pool has no rows")
        for name in ("questions", "weak", "truth", "topics"):
            found = len(getattr(self, name))
            good = found == len(self.ids) or (name in ("truth", "topics") and not found)
            require(good, f"{name} has {found:,} entries; there are {len(self.ids):,} rows")
        require_once(self.ids)
        require(self.cost >= 0, f"cost is {self.cost:g}; it must not be negative")

    def brief(self) -> str:
        """How many rows, and by whom."""
        return f"{len(self.ids):,} weak answers" + (f" of {self.teacher}" if self.teacher else "")

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, place: Place | None = None, teacher: str = "", source: Source | None = None
    ) -> "Pool":
        """From a table with columns question and weak and, where they are known, id, truth and topic.

        Rows without an id are named by a hash of the question, so that what is drawn for them does not depend on the
        order of the table.

        Args:
            frame: the table.
            place: where a row is found, for messages.
            teacher: who answered.
            source: where the table came from.

        Raises:
            BadInput: a column is missing, or a cell is empty or no text; the message names the row.

        Example:
            >>> Pool.from_frame(pd.DataFrame({"question": ["2 + 2?"], "weak": ["5"]}), teacher="small")
            <Pool: 1 weak answers of small>
        """
        place = place or (lambda row: f"row {row} of the table")
        lack = [name for name in ("question", "weak") if name not in frame.columns]
        there = ", ".join(map(repr, list(frame.columns)[:12])) or "none"
        require(not lack, f"a pool needs the columns question and weak; the table has {there}")
        columns = {name: texts(frame[name], name, place) for name in NAMES if name in frame.columns}
        ids = columns.get("id") or named(columns["question"])
        rest = [columns.get(name, ()) for name in ("question", "weak", "truth", "topic")]
        return cls(ids, *rest, teacher=teacher, source=source or Source())

    def learned(self, answers: Sequence[str]) -> Preferences:
        """The questions with some answers, to be learned as they are: `pool.learned(pool.weak)` is naive training."""
        return _wanted(self.questions, tuple(answers), self.ids, self.source)


class Dropped(NamedTuple):
    """A row that has no refined answer.

    id      of the row
    reason  "no reply", "empty", "cut", "refused", "filtered", or "no guideline"
    detail  what the client said, "" where the reason is all
    """

    id: str
    reason: str
    detail: str = ""


class Spent(NamedTuple):
    """What an arm cost the strong model.

    requests  that it made, each counted once; cached: those of them that were answered in an earlier run
    asked     tokens of them
    written   tokens of the replies
    unknown   requests whose tokens were not counted: the sums are then too low
    """

    requests: int = 0
    cached: int = 0
    asked: int = 0
    written: int = 0
    unknown: int = 0

    def money(self, asked: float, written: float) -> float:
        """The price, with prices of a million tokens read and a million written."""
        return (self.asked * asked + self.written * written) / MILLION


class Row(NamedTuple):
    """A refined answer.

    id              of the row in the pool
    question, answer
    demonstrations  ids of the rows that were shown, in that order
    guideline       that was inferred from them and answered by, "" where none was
    ended           why the model ended: "stop"
    asked, written  tokens of the request and of the reply; None where they were not counted
    request         the SHA-256 of the request
    """

    id: str
    question: str
    answer: str
    demonstrations: tuple[str, ...]
    guideline: str
    ended: str
    asked: int | None
    written: int | None
    request: str


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Refined(Value):
    """Answers of a strong model that was shown weak ones: what it learns next.

    how      "refine", "infer" or "improve"
    model    that answered, as it is named there
    rows     those with an answer, in the order of the pool
    dropped  the others, with reasons
    spent    tokens
    """

    how: str
    model: str
    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...]
    spent: Spent
    source: Source = dataclasses.field(default_factory=Source)

    def brief(self) -> str:
        """How many there are, and how many were dropped."""
        return f"{len(self.rows):,} answers by {self.how!r}, {len(self.dropped):,} dropped"

    @property
    def reasons(self) -> dict[str, int]:
        """Why rows were dropped, and how many."""
        return dict(collections.Counter(each.reason for each in self.dropped).most_common())

    def learned(self) -> Preferences:
        """The questions with the refined answers, to be learned as they are.

        Raises:
            BadInput: all were dropped.
        """
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.items())
        require(bool(self.rows), f"there is no refined answer to learn ({why})")
        questions, answers, ids = zip(*((row.question, row.answer, row.id) for row in self.rows), strict=True)
        return _wanted(questions, answers, ids, self.source)

    def lines(self, *, chat: bool = False) -> str:
        """The table as JSON, one line a row, with the columns that `lleval train` learns from.

        Args:
            chat: only `messages`, as providers of fine-tuning take them.
        """
        made = (_chat(row) if chat else self._line(row) for row in self.rows)
        return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in made)

    def _line(self, row: Row) -> Mapping[str, Any]:
        said = row._asdict()
        learned = {"id": said.pop("id"), "prompt": said.pop("question"), "completion": said.pop("answer")}
        return learned | {"how": self.how, "model": self.model} | said


def _chat(row: Row) -> Mapping[str, Any]:
    turns = (("user", row.question), ("assistant", row.answer))
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def _wanted(questions: tuple[str, ...], answers: tuple[str, ...], ids: tuple[str, ...], source: Source) -> Preferences:
    return Preferences(Side(questions, answers, ids), NOTHING, False, source)
