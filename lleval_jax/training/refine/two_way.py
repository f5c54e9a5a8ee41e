"""Means over questions and seeds with intervals: both are drawn again, and what few seeds leave unknown is added.

Scores d (questions, seeds) vary by question, by seed, and by both. Draws take n - 1 of n questions and of n seeds, so
that their variance is not too small by (n - 1) / n. But percentiles of three seeds are too narrow, and what varies by
both is drawn twice. So the draws are stretched about the value: their half width becomes that of the two-way layout,

    h^2 = t(Q - 1)^2 s_q^2 / Q + t(S - 1)^2 max(0, s_s^2 / S - s_qs^2 / (Q S)),

with Student's quantiles: right where questions or where seeds prevail, somewhat wide between. (One quantile with
Satterthwaite's degrees of freedom covers 85% in place of 95% with three seeds that prevail.)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Matrix = NDArray[np.float64]


class Draws(NamedTuple):
    """The same questions and seeds for all that is compared.

    questions  (draws, questions) weights that add up to 1
    seeds      (draws, seeds) likewise
    """

    questions: Matrix
    seeds: Matrix

    def means(self, scores: Matrix) -> Matrix:
        """(draws,) the mean of scores (questions, seeds) in each draw."""
        return np.einsum("dq,qs,ds->d", self.questions, scores, self.seeds, optimize=True)


class Interval(NamedTuple):
    """A value with its interval and standard error."""

    value: float
    low: float
    high: float
    std_error: float


def drawn(questions: int, seeds: int, draws: int, seed: int) -> Draws:
    """Weights of so many draws."""
    rng = np.random.default_rng(seed)
    return Draws(_weights(rng, questions, draws), _weights(rng, seeds, draws))


def mean(scores: Matrix, draws: Draws, level: float) -> Interval:
    """The mean of scores (questions, seeds)."""
    return _stretched(float(scores.mean()), draws.means(scores), draws.means(scores), scores, level)


def ratio(above: Matrix, below: Matrix, draws: Draws, level: float) -> Interval:
    """The mean of one over the mean of another; without bounds where the other may be 0 or less."""
    gap, least = mean(below, draws, level), float(draws.means(below).min())
    value = float(above.mean() / below.mean()) if below.mean() != 0 else 0.0
    if gap.low <= 0 or least <= 0:
        return Interval(value, -np.inf, np.inf, np.inf)
    linear = (above - value * below) / below.mean()
    return _stretched(value, draws.means(above) / draws.means(below), draws.means(linear), value + linear, level)


def _weights(rng: np.random.Generator, size: int, draws: int) -> Matrix:
    if size == 1:
        return np.ones((draws, 1))
    taken = rng.integers(0, size, (draws, size - 1))
    counts = np.zeros((draws, size))
    np.add.at(counts, (np.arange(draws)[:, None], taken), 1.0)
    return counts / (size - 1)


def _stretched(value: float, found: Matrix, linear: Matrix, scores: Matrix, level: float) -> Interval:
    """Percentiles of draws about the value, stretched to the half width of the two-way layout of `scores`."""
    one, two = _variances(scores)
    error, spread, tail = float(np.sqrt(one + two)), float(linear.std()), (1 - level) / 2
    if spread == 0:
        return Interval(value, value, value, error)
    wide = one * _quantile(scores.shape[0], tail) ** 2 + two * _quantile(scores.shape[1], tail) ** 2
    stretch = np.sqrt(wide) / (spread * -float(ndtri(tail)))
    low, high = np.quantile(found - value, [tail, 1 - tail]) * stretch
    return Interval(value, min(value, value + low), max(value, value + high), error)


def _quantile(many: int, tail: float) -> float:
    """Student's, for a mean of so many; 0 of one, which does not vary."""
    return -float(stdtrit(many - 1, tail)) if many > 1 else 0.0


def _variances(scores: Matrix) -> tuple[float, float]:
    """The squared standard error of the mean by questions, with what varies by both, and by seeds alone."""
    questions, seeds = scores.shape
    by_question, by_seed = scores.mean(1), scores.mean(0)
    one = float(by_question.var(ddof=1)) / questions if questions > 1 else 0.0
    if seeds == 1:
        return one, 0.0
    rest = scores - by_question[:, None] - by_seed + scores.mean()
    both = float(np.sum(rest**2)) / max(1, (questions - 1) * (seeds - 1)) / scores.size
    return one, max(0.0, float(by_seed.var(ddof=1)) / seeds - both)
