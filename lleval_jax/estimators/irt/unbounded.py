"""Rows whose likelihood has no finite maximum: all right or all wrong, so that it grows without end on one side.

The maximum is infinite and so is the interval's end on that side. Where the other end lies the answers say: a
likelihood ratio interval (Wilks 1938) contains each ability whose log likelihood, the other abilities at their best, is
within half a quantile of chi-squared of the supremum.

On the host: such rows are few.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_expit, xlog1py, xlogy
from scipy.stats import chi2

from lleval_jax.core.irt.scoring import FARTHEST
from lleval_jax.values.bank import ItemBank

WORD = "no finite maximum"
EDGE = "at the edge of the scale"  # a finite maximum, beyond where it is looked for
FAR = 40.0  # ability that stands for infinity


class Ends(NamedTuple):
    """Value, low and high of each ability, (dims,) each, and how the search ended."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    word: str


def sides(bank: ItemBank, scores: np.ndarray, weight: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(rows, dims) the side on which a row's likelihood grows without end, -1 or 1, and 0 where it has a maximum.

    scores, weight (rows, items), weight 0 where not seen; value (rows, dims) where the search ended
    """
    items, found = _items(bank), np.zeros(value.shape)
    here = _loglik(items, scores, weight, value)
    for dim in range(value.shape[1]):
        for side in (-1, 1):
            away = value.copy()
            away[:, dim] = side * FAR
            found[_loglik(items, scores, weight, away) > here, dim] = side
    return found


def held(value: np.ndarray) -> np.ndarray:
    """(rows,) whether a search ended where abilities are held.  (rows, dims) -> (rows,)."""
    return np.any(np.abs(value) >= FARTHEST, axis=1)


def ends(
    bank: ItemBank, scores: np.ndarray, weight: np.ndarray, value: np.ndarray, side: np.ndarray, level: float
) -> Ends:
    """The likelihood ratio interval of a row without a finite maximum, or with one beyond where it is looked for.

    Args:
        bank: its items.
        scores: (items,) of the row.
        weight: (items,) answers behind each; 0 where not seen.
        value: (dims,) where the search ended.
        side: (dims,) on which the likelihood grows without end, or 0.
        level: coverage aimed at.

    Returns:
        Value, low and high: infinite where the data set no bound.
    """
    asked = np.flatnonzero(weight > 0)
    row = _Row(_items(bank, asked), scores[None, asked], weight[None, asked])
    start = np.where(side == 0, value, side * FAR)
    low, high = _both(row, start, _best(row, start, None), level)
    return Ends(np.where(side == 0, value, side * np.inf), low, high, WORD if side.any() else EDGE)


class _Items(NamedTuple):
    """Slopes (items, dims), intercepts, floors and ceilings (items,), in float64."""

    slope: np.ndarray
    intercept: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray


class _Row(NamedTuple):
    """The items that a row answered, and its answers, (1, items) each."""

    items: _Items
    scores: np.ndarray
    weight: np.ndarray

    def loglik(self, ability: np.ndarray) -> float:
        return float(_loglik(self.items, self.scores, self.weight, ability[None])[0])


def _items(bank: ItemBank, index: np.ndarray | slice = slice(None)) -> _Items:
    return _Items(*(np.asarray(p, float)[index] for p in (bank.slope, bank.intercept, bank.floor, bank.ceiling)))


def _loglik(items: _Items, scores: np.ndarray, weight: np.ndarray, ability: np.ndarray) -> np.ndarray:
    """(rows,) of answers (rows, items) at abilities (rows, dims)."""
    z = ability @ items.slope.T + items.intercept
    if (items.floor == 0).all() and (items.ceiling == 1).all():
        each = scores * log_expit(z) + (1 - scores) * log_expit(-z)
    else:
        p = items.floor + (items.ceiling - items.floor) * expit(z)
        each = xlogy(scores, p) + xlog1py(1 - scores, -p)
    return np.where(weight > 0, weight * each, 0).sum(1)


def _both(row: _Row, start: np.ndarray, top: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of each ability: where the profile falls below the supremum by half the quantile."""
    least = top - chi2.ppf(level, 1) / 2
    found = ([_end(row, start, d, side, least) for d in range(len(start))] for side in (-1, 1))
    low, high = map(np.array, found)
    return np.minimum(low, start), np.maximum(high, start)


def _end(row: _Row, start: np.ndarray, dim: int, side: int, least: float) -> float:
    """The ability on one side at which the profile meets `least`; infinite if it does not."""

    def above(x: float) -> float:
        return _best(row, np.where(np.arange(len(start)) == dim, x, start), dim) - least

    inner = float(start[dim])
    while above(inner) > 0:
        outer = inner + side
        if abs(outer) > FAR:
            return side * np.inf
        if above(outer) <= 0:
            return float(brentq(above, inner, outer, xtol=1e-10))
        inner = outer
    return inner


def _best(row: _Row, start: np.ndarray, held: int | None) -> float:
    """Largest log likelihood within `FAR`, one ability held; of a single ability that is held, its own."""
    free = np.arange(len(start)) != (-1 if held is None else held)
    if not free.any():
        return row.loglik(start)

    def minus(x: np.ndarray) -> float:
        at = start.copy()
        at[free] = x
        return -row.loglik(at)

    found = minimize(minus, start[free], method="L-BFGS-B", bounds=[(-10 * FAR, 10 * FAR)] * int(free.sum()))
    return max(-float(found.fun), row.loglik(start))
