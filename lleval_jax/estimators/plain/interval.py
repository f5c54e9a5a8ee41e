"""Intervals of a mean score that keep their level near 0 and 1 and with few questions.

Right or wrong, independent questions: Wilson's score interval (1927), the values p with

    (value - p)^2 <= z^2 p (1 - p) / n.

Everything else is the same equation with 1 / n replaced by the variance of the mean in units of p (1 - p). A unit (a
question, or a cluster) with mean y in [0, 1] has a variance of at most p (1 - p); r is the share of it that is seen,

    r = (V k (k - 1) + u) / ((k - 1) value (1 - value) + u),    (value - p)^2 <= q^2 p (1 - p) r / k,

with k units (Kish's count where they differ in size), V the variance of the mean (`units.Units.variance`) and
u = a (1 - a), a = (k value + 1/2) / (k + 1): one more unit with the largest variance possible. So few units that agree
by chance, or a score of 0 or 1, do not make a narrow interval, and n answers that are all right have r = 1. q is the
normal quantile; for clusters of several questions Student's with `Units.df` + 1 degrees of freedom. k / r is the
effective number of questions.

A finite population of N questions, n of them asked: r / k is multiplied by (N - n) / (N - 1). Where answers vary
between repeats, the variance within questions stays, n / N of it (Cochran 1977, eq. 10.15): the interval closes only
where all questions were asked and each answer is taken for the model's only one.

`by="t"` is the textbook's mean plus or minus t times the standard error, cut to [0, 1]: what other programs print. With
few questions or scores near 0 or 1 it is too narrow (Bowyer et al. 2025, arXiv:2503.01747).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from lleval_jax.core.share import wilson
from lleval_jax.estimators.plain.units import Answers, Units

ONE_SIGMA = 0.6826894921370859  # the level whose half width is called a standard error


class Interval(NamedTuple):
    """A value, where its interval begins and ends, and its standard error."""

    value: float
    low: float
    high: float
    std_error: float


class Population(NamedTuple):
    """The finite set of questions that a score is of.

    size      how many questions there are
    asked     how many of them were answered
    noise     variance of the mean that comes from repeats of the same questions; 0 where each has one answer
    loudest   the same if repeats of a question differed as much as right and wrong can, in units of p (1 - p)
    df        degrees of freedom of `noise`
    """

    size: int
    asked: int
    noise: float
    loudest: float
    df: float

    @property
    def left(self) -> float:
        """(N - n) / (N - 1): the share of the variance between questions that is left."""
        return (self.size - self.asked) / max(self.size - 1, 1)

    @property
    def share(self) -> float:
        """The share of the population that was asked, n / N."""
        return self.asked / self.size


def population(answers: Answers, size: int) -> Population:
    """What is known of a finite population from the answers to some of its questions.

    A question with one answer is taken to vary as the others do; if none has two, not at all.
    """
    n, repeats = len(answers.item), np.maximum(answers.weight, 1)
    many = repeats > 1
    if not many.any():
        return Population(size, n, 0.0, 0.0, 0.0)
    within = answers.score * (1 - answers.score) * repeats / np.maximum(repeats - 1, 1)  # the most that they can vary
    within = np.where(many, within, within[many].mean())
    df = float((repeats - 1).sum())
    return Population(size, n, float((within / repeats).sum()) / n**2, float((1 / repeats).sum()) / n**2, df)


def of_mean(units: Units, level: float, by: str, finite: Population | None) -> Interval:
    """The interval of the mean over all questions like these, or over a finite population."""
    found = textbook(units, level, finite) if by == "t" else score(units, level, finite)
    if finite is None or finite.loudest:
        return found
    right = units.mean * finite.asked  # what is not asked can only add, at most one a question
    low, high = right / finite.size, (right + finite.size - finite.asked) / finite.size
    return found._replace(low=min(max(found.low, low), found.value), high=max(min(found.high, high), found.value))


def score(units: Units, level: float, finite: Population | None) -> Interval:
    """Wilson's equation with the variance per p (1 - p) that the units show."""
    value = units.mean
    low, high = wilson(value, _quantile(units, level) ** 2 * _per(units, finite))
    error = np.sqrt(_variance(units, finite))
    if units.variance == 0:
        ends = wilson(value, _quantile(units, ONE_SIGMA) ** 2 * _per(units, finite))
        error = (ends[1] - ends[0]) / 2
    return Interval(value, float(low), float(high), float(error))


def textbook(units: Units, level: float, finite: Population | None) -> Interval:
    """The mean plus or minus t standard errors, cut to [0, 1]; [0, 1] where one unit says nothing of the variance."""
    value = units.mean
    if len(units.value) < 2 and (finite is None or finite.left > 0):
        return Interval(value, 0.0, 1.0, 0.5)
    error = np.sqrt(_variance(units, finite))
    half = stdtrit(_df(units, finite), 0.5 + level / 2) * error if error > 0 else 0.0
    return Interval(value, max(0.0, value - half), min(1.0, value + half), float(error))


def _per(units: Units, finite: Population | None) -> float:
    """The variance of the mean in units of p (1 - p): one over the effective number of questions."""
    value, k = units.mean, units.count
    near = (k * value + 0.5) / (k + 1)
    most = near * (1 - near)
    part = 1.0
    if not units.right_or_wrong:
        part = (units.variance * k * (k - 1) + most) / ((k - 1) * value * (1 - value) + most)
    if finite is None:
        return part / k
    if not finite.loudest:
        return finite.left * part / k
    loud = (finite.noise / finite.loudest + most / k) / (value * (1 - value) + most / k)
    return finite.left * part / k + finite.share * min(loud, 1.0) * finite.loudest


def _variance(units: Units, finite: Population | None) -> float:
    """Of the mean, nothing assumed of its size."""
    if finite is None:
        return units.variance
    return (1 - finite.share) * units.variance + finite.share * finite.noise


def _df(units: Units, finite: Population | None) -> float:
    """Degrees of freedom of `_variance`, by Satterthwaite's rule."""
    if finite is None or not finite.noise:
        return units.df
    between, within = (1 - finite.share) * units.variance, finite.share * finite.noise
    return (between + within) ** 2 / (between**2 / max(units.df, 1) + within**2 / finite.df)


def _quantile(units: Units, level: float) -> float:
    return float(ndtri(0.5 + level / 2) if units.single else stdtrit(units.df + 1, 0.5 + level / 2))
