"""Which of two answers is better: by scores, by a model that is asked, or by any function; both ways round."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from lleval_jax.lm import once
from lleval_jax.lm.client import Client
from lleval_jax.training.aligners.criterion import Criterion
from lleval_jax.training.aligners.prompts import Asking, read_choice
from lleval_jax.training.aligners.squad import Scores
from lleval_jax.values.aligned import Aligned
from lleval_jax.values.corrections import plain

WIN, TIE, LOSS = 1.0, 0.0, -1.0


class Judge(Protocol):
    """Compares answers."""

    def prefer(self, questions: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Any:
        """(rows,) above 0 where the second is better, below 0 where the first is, 0 for neither; NaN: no verdict."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class ByScore:
    """The answer with the higher score of an inspector, by more than a margin.

    inspector  one that did not decide what was corrected: by its own score an accepted correction always wins
    margin     differences up to it are ties
    """

    inspector: Scores
    margin: float = 0.0

    def prefer(self, questions: Sequence[str], first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """As `Judge`."""
        one, other = (np.asarray(self.inspector.score(questions, side), float) for side in (first, second))
        gap = other - one
        return np.where(np.isnan(gap), np.nan, np.sign(np.where(np.abs(gap) > self.margin, gap, 0.0)))


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """A model that is asked which answer is better."""

    client: Client
    criterion: Criterion
    asking: Asking = Asking()

    def prefer(self, questions: Sequence[str], first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """As `Judge`."""
        rows = zip(questions, first, second, strict=True)
        requests = [self.asking.better(self.criterion, *row) for row in rows]
        found, values = once.ask_once(self.client, requests), []
        for request in requests:
            reason, text = once.judged(found[request])
            choice = None if reason else read_choice(text)
            values.append(np.nan if choice is None else (0.0, -1.0, 1.0)[choice])
        return np.array(values, float)


def verdicts(judge: Judge, aligned: Aligned) -> np.ndarray:
    """(rows,) 1 where the answer got better, -1 where it got worse, 0 for a tie; NaN where the judge said nothing.

    Unchanged answers are ties, and are not asked about. Of others the judge sees both orders, and a verdict that turns
    with the order is a tie.
    """
    found = np.zeros(len(aligned.rows))
    asked = [i for i, row in enumerate(aligned.rows) if plain(row.before) != plain(row.after)]
    if not asked:
        return found
    rows = [aligned.rows[i] for i in asked]
    questions, before, after = ([getattr(row, name) for row in rows] for name in ("question", "before", "after"))
    one = np.asarray(judge.prefer(questions, before, after), float)
    other = -np.asarray(judge.prefer(questions, after, before), float)
    agreed = np.where(np.sign(one) == np.sign(other), np.sign(one), TIE)
    found[asked] = np.where(np.isnan(one) | np.isnan(other), np.nan, agreed)
    return found
