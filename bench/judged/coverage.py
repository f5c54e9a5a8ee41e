"""Do the intervals of judge scores that are corrected by human labels hold, and how many labels is a judge worth?

Quality varies by model and question, and a human says right or wrong. A good judge sees quality with little noise; a
biased one likes five of the ten models better than they are; a noisy one sees little; a useless one nothing. Labels are
drawn at random for each model.
"""

from __future__ import annotations

import dataclasses

import numpy as np

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting

MODELS = 10
JUDGES = {"good": (0.5, 0.0), "biased": (0.5, 2.0), "noisy": (3.0, 0.0), "useless": (np.inf, 0.0)}  # noise, bias


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = setting(300, "of each judge and number of labels; each has ten models")
    questions: int = setting(500, "that each model answers")
    labels: tuple[int, ...] = setting((20, 50, 100), "of each model")
    judges: tuple[str, ...] = setting(tuple(JUDGES), "which judges")


def world(judge: str, questions: int, labels: int, seed: int) -> tuple[ll.Responses, ll.Responses, np.ndarray]:
    """Scores, labels and the true score on questions like these, (models,)."""
    rng, (noise, bias) = np.random.default_rng((seed, labels)), JUDGES[judge]
    level = rng.normal(0.5, 1.0, MODELS)[:, None]
    quality = level + rng.normal(0, 2.0, (MODELS, questions))
    right = (rng.random(quality.shape) < 1 / (1 + np.exp(-2 * quality))).astype(float)
    seen = quality + bias * (np.arange(MODELS) < MODELS // 2)[:, None]
    told = np.zeros_like(seen) if np.isinf(noise) else seen
    told = told + rng.normal(0, 1.0 if np.isinf(noise) else noise, seen.shape)
    nodes, weight = np.polynomial.hermite_e.hermegauss(61)
    truth = (1 / (1 + np.exp(-2 * (level + 2.0 * nodes)))) @ weight / weight.sum()
    chosen = rng.permuted(np.tile(np.arange(questions) < labels, (MODELS, 1)), axis=1)
    return ll.Responses.build(1 / (1 + np.exp(-told))), ll.Responses.build(np.where(chosen, right, np.nan)), truth


def row_of(judge: str, labels: int, settings: Settings) -> dict[str, float]:
    """Coverage, width and worth."""
    inside, width, error, alone, helps = [], [], [], [], []
    for seed in range(settings.worlds):
        scores, given, truth = world(judge, settings.questions, labels, seed)
        found = ll.judged.estimate(scores, human=given)
        inside.append((found.low <= truth) & (truth <= found.high))
        width.append(found.high - found.low)
        error.append(found.value - truth)
        alone.append(np.nanmean(np.where(given.seen, given.scores, np.nan), 1) - truth)
        helps.append(ll.judged.worth(scores, human=given).helps)
    return {
        "inside": float(np.mean(inside)),
        "width": float(np.mean(width)),
        "mae": float(np.abs(error).mean()),
        "worth": labels * float(np.square(alone).mean() / np.square(error).mean()),
        "helps": float(np.mean(helps)),
    }


def study(settings: Settings, record: Record) -> None:
    """All judges and numbers of labels."""
    rows = {}
    for judge in settings.judges:
        for labels in settings.labels:
            rows[f"{judge}, {labels}"] = row_of(judge, labels, settings)
            print(f"{judge}, {labels} labels: {rows[f'{judge}, {labels}']}", flush=True)
            record.keep({"rows": rows, "worlds": settings.worlds})
