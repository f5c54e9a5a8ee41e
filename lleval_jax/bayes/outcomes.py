"""From draws of scores to ranks, who is best, and intervals."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from lleval_jax.core.share import wilson


class Summary(NamedTuple):
    """Of each entry: point, interval, and standard deviation, as `Estimate` has them."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    std_error: np.ndarray


def summary(draws: np.ndarray, level: float) -> Summary:
    """Mean, equal-tailed interval (widened to contain the mean), standard deviation; draws on the first axis."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    value = draws.mean(0)
    return Summary(value, np.minimum(low, value), np.maximum(high, value), draws.std(0))


def ranks(draws: np.ndarray) -> np.ndarray:
    """(draws, rows, groups) ranks by score, 1 the highest; of equal ones the mean."""
    return rankdata(-draws, axis=1)


def best(draws: np.ndarray) -> np.ndarray:
    """(draws, rows, groups) 1 for the row with the highest score; equal ones share it."""
    top = draws == draws.max(1, keepdims=True)
    return top / top.sum(1, keepdims=True)


def ahead(gap: np.ndarray) -> np.ndarray:
    """1 where a difference is positive, one half where it is nothing."""
    return (gap > 0) + 0.5 * (gap == 0)


def probability(draws: np.ndarray, level: float, effective: float) -> Summary:
    """Of indicators: their mean, and Wilson's interval for what so many effective draws leave open."""
    p = draws.mean(0)
    low, high = wilson(p, NormalDist().inv_cdf((1 + level) / 2) ** 2 / effective)
    return Summary(p, low, high, np.sqrt(p * (1 - p) / effective))
