"""Intervals of what several seeds reached on the same prompts: a bootstrap over prompts, and the range of seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

DRAWS = 1000
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Found(NamedTuple):
    """A measure.

    value      mean over seeds
    low, high  95% interval over prompts, widened to contain the value, as `training.outcome` has it
    least, most  over seeds
    """

    value: float
    low: float
    high: float
    least: float
    most: float


def won(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Share of pairs whose chosen answer has the larger reward; the last axis are pairs."""
    return np.where(u == v, 0.5, u > v).mean(-1)


def violated(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Share of quantile levels at which the chosen lie below the rejected."""
    return (_gap(u, v) < 0).mean(-1)


def area(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Mean distance there, in nats."""
    return np.maximum(-_gap(u, v), 0).mean(-1)


def margin(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Mean distance of the quantiles, in nats."""
    return (u - v).mean(-1)


def distance(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """W1 distance of the two samples, in nats."""
    return np.abs(_gap(u, v)).mean(-1)


def moved(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Mean log-ratio of all answers, in nats."""
    return (u + v).mean(-1) / 2


def first(u: np.ndarray, v: np.ndarray) -> np.ndarray:  # noqa: ARG001
    """Mean of the first: of the KL divergence's single texts."""
    return u.mean(-1)


def found(runs: Sequence[tuple[Any, Any]], measure: Measure, against: Sequence[tuple[Any, Any]] | None = None) -> Found:
    """Of runs, one a seed, each (u, v) of the same prompts; or of the difference to other runs on these prompts."""
    u, v = _stacked(runs)
    value, draws = measure(u, v), _drawn(measure, u, v)
    if against is not None:
        other = _stacked(against)
        value, draws = value - measure(*other).mean(), draws - _drawn(measure, *other)
    low, high = np.quantile(draws, [0.025, 0.975])
    middle = float(value.mean())
    return Found(middle, min(low, middle), max(high, middle), float(value.min()), float(value.max()))


def _drawn(measure: Measure, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(draws,) the mean over seeds, of prompts drawn again: the same for whatever is compared."""
    rows = np.random.default_rng(0).integers(0, u.shape[1], (DRAWS, u.shape[1]))
    return measure(u[:, rows], v[:, rows]).mean(0)


def _stacked(runs: Sequence[tuple[Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, prompts) of both."""
    u, v = (np.array(side, float) for side in zip(*runs, strict=True))
    return u, v


def _gap(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sort(u, -1) - np.sort(v, -1)
