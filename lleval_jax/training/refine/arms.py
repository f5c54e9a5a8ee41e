"""What arms of an experiment scored: teacher, student and others on the same questions, some with several seeds."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lleval_jax.errors import nearest, require
from lleval_jax.values.value import Value

NAMES, COSTS, ANSWER, DISTANCE = ("arm", "question", "seed"), ("tokens", "money"), "answer", "distance"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Arms(Value):
    """Scores of arms on the same questions.

    names      (arms,)
    questions  (questions,)
    seeds      (seeds,) of those that have several
    scores     measure -> (arms, questions, seeds); an arm with one seed has the same numbers in all
    costs      "tokens", "money" -> (arms,), where they are known
    """

    names: tuple[str, ...]
    questions: tuple[str, ...]
    seeds: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    costs: Mapping[str, NDArray[np.float64]] = dataclasses.field(default_factory=dict)

    def brief(self) -> str:
        """How many of each."""
        of = f"{len(self.names)} arms, {len(self.questions):,} questions, {len(self.seeds)} seeds"
        return f"{of}: {', '.join(self.scores)}"

    def __getitem__(self, asked: tuple[str, str]) -> NDArray[np.float64]:
        """(questions, seeds) of a measure and an arm."""
        measure, name = asked
        require(name in self.names, f"there is no arm {name!r}; there are {', '.join(self.names)}{self._near(name)}")
        return self.scores[measure][self.names.index(name)]

    def _near(self, name: str) -> str:
        return nearest(name, self.names)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, base: str = "base") -> "Arms":
        """From a table with a row for each arm, question and seed.

        Columns are arm, question, seed where arms have several, and measures, which are all other columns of numbers:
        content, style, ... `tokens` and `money` are no measures: they are added up to what an arm cost. Where answers
        are there as text and no `distance` is, it is the share of words in which an answer differs from the base's.

        Args:
            frame: the table.
            base: the arm of the untouched strong model.

        Raises:
            BadInput: a column is missing, no measure is there, a cell is missing, twice or no finite number, or arms
                have different seeds.

        Example:
            >>> rows = [(arm, q, 1.0) for arm in ("base", "teacher") for q in ("a", "b")]
            >>> Arms.from_frame(pd.DataFrame(rows, columns=["arm", "question", "content"]))
            <Arms: 2 arms, 2 questions, 1 seeds: content>
        """
        for name in NAMES[:2]:
            require(name in frame.columns, f"the table has no column {name!r}; it has {', '.join(map(str, frame))}")
        require(len(frame) > 0, "the table has no rows")
        keys = pd.DataFrame({name: frame[name].astype(str) if name in frame else "0" for name in NAMES})
        keys.index = frame.index
        if ANSWER in frame.columns and DISTANCE not in frame.columns:
            frame = frame.assign(**{DISTANCE: _distances(keys, frame[ANSWER].astype(str), base)})
        numbers = {str(name): _numbers(frame[name]) for name in frame.columns if name not in (*NAMES, ANSWER)}
        typed = pd.api.types.is_numeric_dtype  # of text, a column counts where most cells are numbers
        known = {name: each for name, each in numbers.items() if typed(frame[name]) or each.notna().mean() > 0.5}
        measures = [name for name in known if name not in COSTS]
        require(bool(measures), "the table has no column of numbers to compare, such as content")
        names, questions = (tuple(dict.fromkeys(keys[name])) for name in NAMES[:2])
        seeds = {name: tuple(dict.fromkeys(some)) for name, some in keys.groupby("arm", sort=False)["seed"]}
        several = max(seeds.values(), key=len)
        for name, own in seeds.items():
            text = f"arm {name!r} has the seeds {', '.join(own)}; others have {', '.join(several)}"
            require(len(own) == 1 or set(own) == set(several), text)
        index = pd.MultiIndex.from_frame(keys)
        twice = index[index.duplicated()]
        require(not len(twice), f"{_cell(twice[0]) if len(twice) else ''} stands twice")
        wanted = [(n, q, s if len(seeds[n]) > 1 else seeds[n][0]) for n in names for q in questions for s in several]
        have = set(index)
        lack = [cell for cell in wanted if cell not in have]
        require(not lack, f"{_cell(lack[0]) if lack else ''} is missing; all arms are compared on the same questions")
        shape = len(names), len(questions), len(several)
        scores = {}
        for measure in measures:
            column = pd.Series(known[measure].to_numpy(float), index)
            bad = column[~np.isfinite(column)]
            require(not len(bad), f"{measure} of {_cell(bad.index[0]) if len(bad) else ''} is no finite number")
            scores[measure] = column.loc[wanted].to_numpy().reshape(shape)
        spent = {name: known[name].groupby(keys["arm"], sort=False).sum() for name in COSTS if name in known}
        return cls(names, questions, several, scores, {k: v.loc[list(names)].to_numpy(float) for k, v in spent.items()})


def _numbers(column: pd.Series) -> pd.Series:
    """As numbers, NaN where a cell is none."""
    return pd.to_numeric(column, errors="coerce")


def _cell(key: tuple[Any, ...]) -> str:
    arm, question, seed = key
    return f"arm {arm!r}, question {question!r}, seed {seed!r}"


def _distances(keys: pd.DataFrame, answers: pd.Series, base: str) -> list[float]:
    """How far each answer is from the base's to the same question; the first, where the base has several."""
    of_base = answers[keys["arm"] == base]
    require(len(of_base) > 0, f"there is no arm {base!r}, from whose answers to measure; name it with base=")
    first = dict(zip(keys["question"][of_base.index][::-1], of_base[::-1], strict=True))
    return [
        word_distance(answer, first.get(question, ""))
        for answer, question in zip(answers, keys["question"], strict=True)
    ]


def word_distance(one: str, other: str) -> float:
    """The share of the words of two texts that they do not have in common: 1 - 2 common / all.

    Example:
        >>> word_distance("Paris it is", "it is Rome")
        0.33333333333333337
    """
    first, second = (collections.Counter(text.casefold().split()) for text in (one, other))
    every = first.total() + second.total()
    return 1 - 2 * (first & second).total() / every if every else 0.0
