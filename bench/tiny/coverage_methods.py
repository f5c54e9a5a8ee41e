"""Intervals of all methods of `tiny` on simulated benchmarks, one as the model says and one that it does not know.

A set has 40 models that calibrate, 60 new ones, 300 items and 30 anchors.
"""

import dataclasses

import numpy as np

from lleval_jax.data.simulate import simulate
from lleval_jax.estimators import irt
from lleval_jax.estimators.tiny import anchors
from lleval_jax.estimators.tiny import score as tiny
from lleval_jax.values import Responses

MODELS, NEW, ITEMS, K = 40, 60, 300, 30
TRUTHS = ("1-d", "2-d and misfit")
METHODS = ("auto", *tiny.METHODS)


def draw(truth: str, seed: int) -> tuple[Responses, Responses]:
    """Calibration models and new ones."""
    if truth == "1-d":
        answers = simulate(MODELS + NEW, ITEMS, seed=seed)[0]
    else:  # two abilities, a fourth of the items guessed, and each model's luck with each of 15 topics
        rng = np.random.default_rng((seed, 7))
        own = np.where(np.arange(ITEMS)[:, None] % 2 == np.arange(2), 1, 0.3)
        slope = 1.3 * np.exp(0.3 * rng.standard_normal((ITEMS, 2))) * own
        ability = rng.standard_normal((MODELS + NEW, 2))
        shift = 0.6 * rng.standard_normal((MODELS + NEW, 15))[:, np.arange(ITEMS) % 15]
        floor = np.where(np.arange(ITEMS) % 4 == 0, 0.2, 0)
        z = ability @ slope.T + rng.standard_normal(ITEMS) + shift
        p = floor + (1 - floor) / (1 + np.exp(-z))
        answers = Responses.build((rng.random(p.shape) < p).astype(np.float32))
    return answers.take(range(MODELS)), answers.take(range(MODELS, MODELS + NEW))


def covered(truth: str, sets: int) -> dict[str, list[float]]:
    """Method -> (sets,) share of new models whose 95% interval holds their score."""
    out: dict[str, list[float]] = {method: [] for method in METHODS}
    for s in range(sets):
        known, new = draw(truth, 1000 + s)
        bank = anchors.choose(irt.fit(known), responses=known, k=K, seed=s)
        full, asked = new.scores.mean(1), anchors.anchors_only(new, bank=bank)
        for method, found in out.items():
            got = tiny.estimate(asked, bank=bank, by=method)
            found.append(float(((got.low <= full) & (full <= got.high)).mean()))
    return out


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: int = dataclasses.field(default=10, metadata={"help": "benchmarks of either kind"})


def study(settings: Settings, record) -> None:
    """How often intervals hold, by truth and method."""
    found = {truth: covered(truth, settings.sets) for truth in TRUTHS}
    held = {truth: {k: float(np.mean(v)) for k, v in shares.items()} for truth, shares in found.items()}
    record.keep({"sets": settings.sets, "level": 0.95, "held": held})
