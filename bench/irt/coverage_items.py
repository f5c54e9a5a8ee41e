"""Intervals of slopes, intercepts and abilities of the 2PL: independent benchmarks, as lanes of one call."""

import dataclasses

import numpy as np

from lleval_jax.estimators import irt
from lleval_jax.values import FitResult, Responses

ROWS, ITEMS = 500, 40
NAMES = ("slope", "intercept", "ability")


def draw(rows: int = 118, items: int = 17, seed: int = 0, dims: int = 1, missing: float = 0.2, reverse: int = 0):
    """Answers, and the truth behind them: slopes, intercepts, abilities. The first `reverse` slopes are negative."""
    rng = np.random.default_rng(seed)
    slope, intercept = np.exp(0.3 * rng.standard_normal((items, dims))), rng.standard_normal(items)
    if dims > 1:  # each item needs one ability
        slope = 1.6 * slope * (np.arange(items)[:, None] % dims == np.arange(dims)[None])
    slope[:reverse] *= -1
    ability = rng.standard_normal((rows, dims))
    p = 1 / (1 + np.exp(-(ability @ slope.T + intercept)))
    scores = (rng.random((rows, items)) < p).astype(np.float32)
    seen = rng.random((rows, items)) >= missing
    return Responses.build(scores, seen=seen), slope, intercept, ability


def simulated(worlds: int) -> tuple[list, list[FitResult]]:
    """Worlds as `draw` gives them, and their fits."""
    truth = [draw(ROWS, ITEMS, 100 + seed, missing=0.0) for seed in range(worlds)]
    return truth, irt.fit_many([one[0] for one in truth], standard_errors=True)


def shares(truth, fits, name: str) -> np.ndarray:
    """(worlds,) share of 95% intervals of these that hold the truth."""
    place = NAMES.index(name)
    inside = []
    for (_, slope, intercept, ability), got in zip(truth, fits, strict=True):
        value, want, variance = (
            (got.params.slope[:, 0], slope[:, 0], got.params.covariance[:, 0, 0]),
            (got.params.intercept, intercept, got.params.covariance[:, 1, 1]),
            (got.params.ability[:, 0], ability[:, 0], got.params.ability_cov[:, 0, 0]),
        )[place]
        inside.append(np.mean(np.abs(value - want) < 1.96 * np.sqrt(variance)))
    return np.array(inside)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=40, metadata={"help": "benchmarks"})


def study(settings: Settings, record) -> None:
    """How often intervals hold, by what they are of."""
    truth, fits = simulated(settings.worlds)
    held = {name: float(shares(truth, fits, name).mean()) for name in NAMES}
    record.keep({"worlds": settings.worlds, "level": 0.95, "held": held})
