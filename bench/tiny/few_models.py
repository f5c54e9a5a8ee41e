"""What a bank of few calibration models says of new ones: how often the printed 95% intervals contain the score.

Simulated answers to 80 items, 20 of them asked; abilities N(0, 1), easiness N(0.3, 1.5), slopes 1 (Rasch) or
log-normal. The curve is the one that `--model auto` takes. Banks of fewer than five models are refused; the share of
their intervals that contain the score is what the refusal is for, taken with the refusal out of the way.
"""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator

import numpy as np
from scipy.special import expit

from lleval_jax.errors import DataWarning
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import ability, guard
from lleval_jax.estimators.tiny import anchors
from lleval_jax.estimators.tiny import score as tiny
from lleval_jax.values import Responses

NEW, ITEMS, K = 60, 80, 20
TRUTHS = ("rasch", "2pl")


def draw(truth: str, models: int, seed: int) -> tuple[Responses, Responses]:
    """Calibration models and new ones."""
    rng = np.random.default_rng((models, seed))
    slope = np.ones(ITEMS) if truth == "rasch" else rng.lognormal(0, 0.4, ITEMS)
    z = slope * rng.normal(0, 1, (models + NEW, 1)) + rng.normal(0.3, 1.5, ITEMS)
    answers = Responses.build((rng.random(z.shape) < expit(z)).astype(np.float32))
    return answers.take(range(models)), answers.take(range(models, models + NEW))


@contextlib.contextmanager
def refused_below(models: int) -> Iterator[None]:
    """Banks of fewer models are refused."""
    usual = guard.FEWEST, ability.FEWEST
    guard.FEWEST = ability.FEWEST = models
    try:
        yield
    finally:
        guard.FEWEST, ability.FEWEST = usual


def covered(truth: str, models: int, sets: int) -> dict[str, float]:
    """Share of intervals that contain the score, their half width, and the mean absolute error."""
    found: dict[str, list[float]] = {"inside": [], "half_width": [], "error": []}
    for seed in range(sets):
        known, new = draw(truth, models, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            fit = irt.fit(known, model="auto" if models > 1 else "rasch")
            bank = anchors.choose(fit, responses=known, k=K, seed=seed)
        got, score = tiny.estimate(anchors.anchors_only(new, bank=bank), bank=bank), new.scores.mean(1)
        found["inside"].append(float(((got.low <= score) & (score <= got.high)).mean()))
        found["half_width"].append(float((got.high - got.low).mean() / 2))
        found["error"].append(float(np.abs(got.value - score).mean()))
    return {name: float(np.mean(each)) for name, each in found.items()}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    models: tuple[int, ...] = dataclasses.field(default=(1, 4, 5, 7, 10, 29), metadata={"help": "calibration models"})
    sets: int = dataclasses.field(default=8, metadata={"help": "benchmarks of either kind"})


def study(settings: Settings, record) -> None:
    """How often intervals contain the score, by truth and number of calibration models."""
    with refused_below(1):
        found = {truth: {m: covered(truth, m, settings.sets) for m in settings.models} for truth in TRUTHS}
    record.keep({"sets": settings.sets, "level": 0.95, "new": NEW, "items": ITEMS, "asked": K, "found": found})
