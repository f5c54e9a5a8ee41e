"""What a squad did: wins, ties and losses, harm to answers that were good, lengths, passes; with intervals.

Ties are not left out: an aligner that copies has a win rate of 50% here, and none among its decided answers.
"""

from statistics import NormalDist
from typing import Any

import numpy as np

from lleval_jax.core.share import wilson
from lleval_jax.errors import require, require_level
from lleval_jax.training.refine import two_way
from lleval_jax.training.refine.arms import word_distance
from lleval_jax.training.refine.two_way import Draws, Interval
from lleval_jax.values.aligned import Aligned
from lleval_jax.values.results import Estimate, Source

CITE = ("ngweta2024aligners",)
NONE = "no such answers"
MEANS = ("length ratio", "distance", "passes")  # measures that are no shares
Pair = tuple[np.ndarray, np.ndarray]  # what is counted, and of how many, row by row


def evaluate(
    aligned: Aligned,
    verdicts: np.ndarray,
    *,
    good: np.ndarray | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    name: str = "squad",
    source: Source | None = None,
) -> Estimate:
    """Shares and means over answers, with intervals by a paired bootstrap over questions.

    Args:
        aligned: what a squad gave.
        verdicts: (rows,) 1 better, -1 worse, 0 alike, NaN unknown: `judges.verdicts`.
        good: (rows,) which answers were good before; None: those whose first scores are all high enough.
        level: of the intervals.
        draws: of the bootstrap.
        seed: of the draws.
        name: of what is evaluated, the row of the estimate.
        source: where the answers come from.

    Returns:
        An `Estimate` with groups

        * "wins", "ties", "losses": shares of the answers with a verdict
        * "win rate": ties count half; "win rate, decided": ties are left out
        * "changed": share of all answers; "good changed", "good lost": of those that were good before
        * "length ratio": words after to words before; "distance": share of words that differ, of changed answers
        * "passes": mean of all answers; "unfinished": share that ended with a score that is still too low

    Raises:
        BadInput: verdicts or good are not one a row, or there are no answers.
    """
    require_level(level)
    require(draws >= 100, f"draws is {draws}; intervals need 100 at least")
    many = len(aligned.rows)
    require(many > 0, "there are no answers to evaluate")
    require(len(verdicts) == many, f"there are {len(verdicts):,} verdicts and {many:,} answers")
    high = aligned.scores("first") >= np.array(aligned.thresholds)
    before: np.ndarray = np.asarray(np.all(high, axis=1) if good is None else good, float)
    require(len(before) == many, f"good has {len(before):,} entries; there are {many:,} answers")
    measures = _measures(aligned, np.asarray(verdicts, float), before)
    questions = [row.question for row in aligned.rows]
    _, owner = np.unique(np.array(questions, object), return_inverse=True)
    count = int(owner.max()) + 1
    by = two_way.drawn(count, 1, draws, seed)
    found = {
        group: _interval(pair, owner, count, by, level) if group in MEANS else _share(pair, owner, count, by, level)
        for group, pair in measures.items()
    }
    value, low, high, error = np.array([each if each else (0.0, -np.inf, np.inf, np.inf) for each in found.values()]).T
    return Estimate(
        target="alignment",
        method="paired bootstrap over questions",
        rows=(name,) * len(found),
        group=tuple(found),
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=error,
        n_seen=np.array([int(of.sum()) if set(of) <= {0, 1} else many for _, of in measures.values()]),
        status=tuple("ok" if each and np.isfinite(each.low) else NONE for each in found.values()),
        source=Source(cite=CITE).merge(source or aligned.source),
        caveats=_caveats(np.asarray(verdicts, float), count),
    )


def _measures(aligned: Aligned, verdicts: np.ndarray, good: np.ndarray) -> dict[str, Pair]:
    known = np.isfinite(verdicts).astype(float)
    said = np.nan_to_num(verdicts)
    win, loss = (said > 0).astype(float), (said < 0).astype(float)
    changed = np.array([row.changed for row in aligned.rows], float)
    words = [np.array([len(getattr(row, name).split()) for row in aligned.rows], float) for name in ("after", "before")]
    distance = np.array([word_distance(row.before, row.after) for row in aligned.rows])
    low = (aligned.scores("last") < np.array(aligned.thresholds)).any(1).astype(float)
    every = np.ones(len(said))
    return {
        "wins": (win, known),
        "ties": (known - win - loss, known),
        "losses": (loss, known),
        "win rate": (win + (known - win - loss) / 2, known),
        "win rate, decided": (win, win + loss),
        "changed": (changed, every),
        "good changed": (changed * good, good),
        "good lost": (loss * good, good),
        "length ratio": (words[0], words[1]),
        "distance": (distance * changed, changed),
        "passes": (aligned.passes.astype(float), every),
        "unfinished": (low, every),
    }


def _share(pair: Pair, owner: np.ndarray, count: int, by: Draws, level: float) -> Interval | None:
    """As `_interval`; where it happened to none or to all, by Wilson over the questions: no draw differs there."""
    found, (above, below) = _interval(pair, owner, count, by, level), pair
    if found is None or (above.any() and (above < below).any()):
        return found
    questions = len(np.unique(owner[below > 0]))
    low, high = wilson(found.value, NormalDist().inv_cdf((1 + level) / 2) ** 2 / questions)
    return Interval(found.value, float(low), float(high), float(high - low) / 2)


def _interval(pair: Pair, owner: np.ndarray, count: int, by: Draws, level: float) -> Interval | None:
    """A ratio of sums; None where there is nothing to divide by."""
    above, below = (np.bincount(owner, each, count).astype(float)[:, None] for each in pair)
    if not below.any():
        return None
    if (below == below[0]).all():
        return two_way.mean(above / below, by, level)
    return two_way.ratio(above, below, by, level)


def _caveats(verdicts: np.ndarray, questions: int) -> tuple[Any, ...]:
    lost = int(np.isnan(verdicts).sum())
    said = (f"{lost:,} answers have no verdict, and are left out of wins, ties and losses",) if lost else ()
    return (*said, *(("one question only: there is no interval",) if questions == 1 else ()))
