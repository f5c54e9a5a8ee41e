"""Shares and means with intervals that know that questions of one paper are alike."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from lleval_jax.core import share

LEVEL = 0.95


class Share(NamedTuple):
    """A share, or a mean, with its interval. `n` questions of `papers` papers; NaN and [NaN, NaN] of none."""

    value: float
    low: float
    high: float
    n: int
    papers: int

    def mapped(self, change: Callable[[float], float]) -> "Share":
        """Of a rising function of the share."""
        return self._replace(value=change(self.value), low=change(self.low), high=change(self.high))


NONE = Share(float("nan"), float("nan"), float("nan"), 0, 0)


def share_of(hits: Sequence[bool], papers: Sequence[Hashable] | None = None, *, level: float = LEVEL) -> Share:
    """Wilson's interval of a share, widened by how much questions of one paper are alike.

    The variance of the share is that of a ratio of sums over papers (linearised), in units of p (1 - p) / n; it is
    never taken below that of independent questions, and the quantile is Student's with as many degrees of freedom
    as there are papers, less one.

    Args:
        hits: (n,) of each question.
        papers: (n,) of each; None: questions are independent.
        level: of the interval.

    Example:
        >>> found = share_of([True] * 10 + [False] * 190)
        >>> f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
        '0.050 [0.027, 0.090]'
    """
    found = np.asarray(hits, float)
    n = len(found)
    if n == 0:
        return NONE
    value = float(found.mean())
    many = n if papers is None else len(set(papers))
    inflated = 1.0 if papers is None else _inflation(found, papers)
    low, high = share.wilson(value, _quantile(level, papers is not None, many) ** 2 * inflated / n)
    return Share(value, float(low), float(high), n, many)


def mean_of(values: Sequence[float], papers: Sequence[Hashable], *, level: float = LEVEL) -> Share:
    """The mean of values with an interval clustered by paper (Student's); NaN ends of a single paper."""
    found = np.asarray(values, float)
    many = len(set(papers))
    if len(found) == 0:
        return NONE
    value = float(found.mean())
    half = float("nan")
    if many > 1:
        half = _quantile(level, True, many) * np.sqrt(_variance(found - value, papers))
    return Share(value, value - half, value + half, len(found), many)


def _inflation(found: np.ndarray, papers: Sequence[Hashable]) -> float:
    """How many times the variance of independent questions that of these is, at least 1."""
    value = found.mean()
    if value * (1 - value) == 0 or len(set(papers)) < 2:
        return 1.0
    return max(1.0, float(_variance(found - value, papers) / (value * (1 - value) / len(found))))


def _variance(left: np.ndarray, papers: Sequence[Hashable]) -> float:
    """Of the mean, from what is left of each question, summed over each paper."""
    _, where = np.unique(np.asarray([str(each) for each in papers]), return_inverse=True)
    sums = np.bincount(where, left)
    return float(np.sum(sums**2) / len(left) ** 2 * len(sums) / max(len(sums) - 1, 1))


def _quantile(level: float, clustered: bool, many: int) -> float:
    from scipy import special  # not needed for --help

    tail = (1 + level) / 2
    return float(special.stdtrit(many - 1, tail) if clustered and many > 1 else special.ndtri(tail))
