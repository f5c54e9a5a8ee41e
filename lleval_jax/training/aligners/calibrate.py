"""Scores as probabilities: Platt's line or isotonic steps; how well they rank and how well they are calibrated."""

import dataclasses
from typing import Literal, NamedTuple, Protocol

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit

from lleval_jax.errors import require

Vector = np.ndarray  # float64 (rows,)
STEPS, SMALL = 100, 1e-10  # of Newton's method: at most, and the largest change that is none
DRAWS = 500  # of the bootstrap of an area


class Calibration(Protocol):
    """Raw scores to probabilities that an answer is good; NaN stays NaN."""

    def __call__(self, raw: Vector) -> Vector:
        """See above."""
        ...


@dataclasses.dataclass(frozen=True)
class Platt:
    """1 / (1 + exp(-(slope raw + offset))) (Platt 1999)."""

    slope: float
    offset: float

    def __call__(self, raw: Vector) -> Vector:
        """As `Calibration`."""
        return expit(self.slope * np.asarray(raw, float) + self.offset)


@dataclasses.dataclass(frozen=True)
class Isotonic:
    """Steps that never fall, with straight lines between them (Zadrozny and Elkan 2002).

    raw, probability  of the corners, both rising
    """

    raw: tuple[float, ...]
    probability: tuple[float, ...]

    def __call__(self, raw: Vector) -> Vector:
        """As `Calibration`."""
        given = np.asarray(raw, float)
        return np.where(np.isnan(given), np.nan, np.interp(given, self.raw, self.probability))


@dataclasses.dataclass(frozen=True)
class Unchanged:
    """Scores that are taken as they are, such as grades."""

    def __call__(self, raw: Vector) -> Vector:
        """As `Calibration`."""
        return np.asarray(raw, float)


class Report(NamedTuple):
    """How an inspector does on questions that it has not seen.

    auc        probability that a good answer has a higher score than a bad one, ties half
    low, high  its interval, by a bootstrap over questions
    ece        mean distance of probability and share of good answers, over ten groups of like probability
    rows       answers
    """

    auc: float
    low: float
    high: float
    ece: float
    rows: int


def fit(raw: Vector, good: Vector, how: Literal["platt", "isotonic"] = "platt") -> Platt | Isotonic:
    """The calibration of raw scores.

    Args:
        raw: (rows,) scores, large for good.
        good: (rows,) 1 for a good answer, 0 for a bad one.
        how: "isotonic" needs some hundred rows.

    Raises:
        BadInput: all are of one class, or a score is not finite.
    """
    raw, good = np.asarray(raw, float), np.asarray(good, float)
    require_two_classes(good)
    require(bool(np.isfinite(raw).all()), "a score is not finite; it cannot be calibrated")
    require(how in ("platt", "isotonic"), f"calibration is {how!r}; it is 'platt' or 'isotonic'")
    if how == "isotonic":
        places, first = np.unique(raw, return_inverse=True)
        sums, weights = np.bincount(first, good), np.bincount(first).astype(float)
        steps = isotonic_regression(sums / weights, weights=weights).x
        return Isotonic(tuple(places.tolist()), tuple(np.clip(steps, 0, 1).tolist()))
    spread = raw.std() or 1.0
    many, few = good.sum(), len(good) - good.sum()  # Platt's targets: no probability of 0 or 1 from few rows
    targets = np.where(good == 1, (many + 1) / (many + 2), 1 / (few + 2))
    slope, offset = logistic(np.stack([(raw - raw.mean()) / spread], 1), targets, 0.0)
    return Platt(float(slope / spread), float(offset - slope * raw.mean() / spread))


def logistic(x: np.ndarray, targets: Vector, penalty: float) -> Vector:
    """Coefficients of a logistic regression with a ridge penalty, the offset (not penalised) last; by Newton's method.

    Minimises the summed cross-entropy plus penalty/2 times the sum of squares.

    Args:
        x: (rows, features).
        targets: (rows,) in [0, 1].
        penalty: at least 0.
    """
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 0.0
    found, value = np.zeros(design.shape[1]), np.inf
    step = np.zeros_like(found)
    for _ in range(STEPS):
        after = _objective(design, targets, ridge, found + step)
        while after > value and np.abs(step).max() > SMALL:
            step = step / 2
            after = _objective(design, targets, ridge, found + step)
        found, value = found + step, min(value, after)
        p = expit(design @ found)
        slope = design.T @ (p - targets) + ridge * found
        curve = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge + SMALL)
        step = -np.linalg.solve(curve, slope)
        if np.abs(step).max() < SMALL:
            break
    return found


def report(probability: Vector, good: Vector, questions: "list[str]", *, level: float = 0.95, seed: int = 0) -> Report:
    """How well probabilities rank and are calibrated; rows without one are left out.

    Raises:
        BadInput: all are of one class.
    """
    there = np.isfinite(probability)
    probability, good = np.asarray(probability, float)[there], np.asarray(good, float)[there]
    require_two_classes(good)
    _, owner = np.unique(np.array(questions, object)[there], return_inverse=True)
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        counts = np.bincount(rng.integers(0, owner.max() + 1, owner.max() + 1), minlength=owner.max() + 1)
        drawn.append(auc(probability, good, counts[owner].astype(float)))
    tail = (1 - level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Report(auc(probability, good), float(low), float(high), ece(probability, good), len(good))


def auc(scores: Vector, good: Vector, weights: Vector | None = None) -> float:
    """The area under the curve of hits by false alarms, ties half; NaN where a class has no weight.

    Example:
        >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
        0.875
    """
    weights = np.ones(len(scores)) if weights is None else weights
    _, place = np.unique(scores, return_inverse=True)
    of_good, of_bad = np.bincount(place, weights * good), np.bincount(place, weights * (1 - good))
    below = np.cumsum(of_bad) - of_bad
    total = of_good.sum() * of_bad.sum()
    return float(of_good @ (below + of_bad / 2) / total) if total > 0 else np.nan


def ece(probability: Vector, good: Vector, groups: int = 10) -> float:
    """The expected calibration error, over groups of like probability and equal size."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    return float(sum(abs(np.sum(probability[part] - good[part])) for part in parts) / len(order))


def threshold(harm: float = 1.0, neglect: float = 1.0) -> float:
    """The probability of being good below which an answer is to be corrected.

    Args:
        harm: price of correcting a good answer.
        neglect: price of leaving a bad one.

    Example:
        >>> threshold(harm=3.0)
        0.25
    """
    require(harm >= 0 and neglect >= 0 and harm + neglect > 0, f"prices are {harm:g} and {neglect:g}; none is below 0")
    return neglect / (harm + neglect)


def require_two_classes(good: Vector) -> None:
    """`BadInput` where all answers are good, all are bad, or there are none."""
    many, all_of_them = int(np.sum(good)), len(good)
    word = "good" if many else "bad"
    what = f"all {all_of_them:,} answers are {word}" if all_of_them else "there are no answers"
    require(0 < many < all_of_them, f"{what}; an inspector needs good and bad ones")


def _objective(design: np.ndarray, targets: Vector, ridge: Vector, at: Vector) -> float:
    scores = design @ at
    return float(np.sum(np.logaddexp(0, scores) - targets * scores) + ridge @ at**2 / 2)
