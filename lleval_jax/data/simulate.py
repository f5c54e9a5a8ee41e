"""Response matrices with known truth: item response models drawn from a seed."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from lleval_jax.curves import Curve, Model, curve_of
from lleval_jax.errors import require
from lleval_jax.values import Responses


class Truth(NamedTuple):
    """What the answers were drawn from.

    P = floor + (ceiling - floor) sigmoid(slope . ability + intercept)

    slope        (items, dims)
    intercept    (items,)
    floor        (items,)
    ceiling      (items,)
    ability      (rows, dims)
    probability  (rows, items)
    """

    slope: np.ndarray
    intercept: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray
    ability: np.ndarray
    probability: np.ndarray


def simulate(
    rows: int,
    items: int,
    *,
    seed: int,
    dims: int = 1,
    model: Model | Curve = "2pl",
    missing: float = 0.0,
    repeats: int = 1,
    groups: int = 1,
) -> tuple[Responses, Truth]:
    """Draw answers and the truth behind them.

    Args:
        rows: how many models.
        items: how many questions.
        seed: the same seed and settings draw the same answers.
        dims: how many abilities; each standard normal.
        model: "rasch" (slope 1), "2pl", "3pl" (a floor), "4pl" (floor and ceiling), or a `Curve`.
        missing: share of cells not seen, at random; each row keeps one answer at least.
        repeats: answers a cell; the score is their mean, the weight their number.
        groups: the items are dealt to this many scenarios in turn.
    """
    curve = curve_of(model, dims)
    require(
        min(rows, items, dims, repeats, groups) >= 1,
        "rows, items, dims, repeats and groups must be at least 1",
    )
    require(0 <= missing < 1, f"missing is {missing}; it must lie in [0, 1)")
    draw = np.random.default_rng(seed)
    truth = _truth(draw, rows, items, curve)
    scores = draw.binomial(repeats, truth.probability).astype(np.float32) / np.float32(repeats)
    seen = draw.random((rows, items)) >= missing
    seen[np.arange(rows), draw.integers(items, size=rows)] = True
    weight = None if repeats == 1 else np.broadcast_to(np.float32(repeats), scores.shape)
    names = [f"group-{i % groups}" for i in range(items)]
    return Responses.build(scores, seen=seen, weight=weight, group=names), truth


def _truth(draw: np.random.Generator, rows: int, items: int, curve: Curve) -> Truth:
    """Slopes around 1 in each dimension, difficulties as wide as the abilities."""
    ability = draw.standard_normal((rows, curve.dims))
    slope = np.exp(0.3 * draw.standard_normal((items, curve.dims)))
    slope = np.ones_like(slope) if curve.shared_slope else slope
    intercept = draw.standard_normal(items)
    floor = draw.uniform(0.1, 0.3, items) if curve.floor else np.zeros(items)
    ceiling = draw.uniform(0.85, 1.0, items) if curve.ceiling else np.ones(items)
    logit = ability @ slope.T + intercept
    probability = floor + (ceiling - floor) * expit(logit)
    return Truth(slope, intercept, floor, ceiling, ability, probability)
