"""Models answer a version with wrong keys; `check` names suspects, people confirm them, and scores come nearer."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting

FALSE = 0.02  # share of right keys that may be suspected, of the ranking


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    models: tuple[int, ...] = setting((100, 50, 20, 8), "numbers of models")
    items: int = setting(300, "questions of the version")
    share: float = setting(0.05, "of the keys that are wrong")
    seeds: int = setting(10, "worlds")


def world(models: int, items: int, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(answers against the keys, answers against the truth, which keys are wrong).

    A model finds the truth with a logistic probability; who does not picks any other option, the wrong key among them.
    """
    ability, slope = rng.normal(0.8, 1.2, (models, 1)), rng.lognormal(0.2, 0.3, items)
    right = rng.random((models, items)) < 1 / (1 + np.exp(-slope * (ability - rng.normal(0, 1, items))))
    wrong = np.isin(np.arange(items), rng.choice(items, round(share * items), replace=False))
    unlucky = ~right & (rng.random((models, items)) < 1 / 3)
    return np.where(wrong, unlucky, right).astype(float), right.astype(float), wrong


def loop(models: int, settings: Settings) -> dict[str, Any]:
    """Shares found and falsely named, and the error of scores before and after the suspects were looked at."""
    found, false, before, after, ranked = [], [], [], [], []
    for seed in range(settings.seeds):
        scored, truth, wrong = world(models, settings.items, settings.share, np.random.default_rng(seed))
        responses = ll.Responses.build(scored)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            report = ll.itemfit.examine(ll.irt.fit(responses, standard_errors=False), responses=responses).items
        named = np.array(["key likely wrong" in flags for flags in report.flags])
        found.append(float((named & wrong).sum() / wrong.sum()))
        false.append(float((named & ~wrong).sum() / (~wrong).sum()))
        doubt = np.nan_to_num(np.asarray(report.wrong_key, float))
        limit = np.quantile(doubt[~wrong], 1 - FALSE)  # the suspicion that so many of the right ones exceed
        ranked.append(float((doubt[wrong] > limit).mean()))
        confirmed = named & wrong  # people look at the suspects: what is right stays
        before.append(float(np.abs(scored.mean(1) - truth.mean(1)).mean()))
        after.append(float(np.abs(scored[:, ~confirmed].mean(1) - truth.mean(1)).mean()))
    means = {"found at 2% false": ranked, "found": found, "false": false, "error before": before, "error after": after}
    return {name: float(np.mean(values)) for name, values in means.items()}


def study(settings: Settings, record: Record) -> None:
    """All of it."""
    record.keep({f"{models} models": loop(models, settings) for models in settings.models} | {"items": settings.items})
