"""How far below the best the prompt is that is named best after few answers, and whether stated chances come true.

Runs `estimators/prompts/best.py` on the simulated sets of
reference/prompteval_sim.npz (100 prompts x 1000 examples), and PromptEval's halving, TRIPLE-GSE and halving on
observed means, all on their own cells.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from unittest import mock

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.prompts.published import BUDGETS, SETS, halving, simulated
from lleval_jax.estimators.prompts import best
from lleval_jax.layout import grid
from lleval_jax.values.responses import Responses

RIVALS = {"PromptEval": "pe", "TRIPLE-GSE": "gse", "observed means": "means"}
COVARIATES = {"none": False, "known": True}
OTHERS = ("elimination", "thompson", "top-two")  # looked at while they go on; the first seed only
LOOK = 100  # answers between two looks of those
DRAWS = 500
SHAPE = (100, 1000)
BINS = (0, 0.2, 0.4, 0.6, 0.8, 0.95, 1)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    seeds: int = setting(3, "of plans on the stored sets")
    new: int = setting(0, "new sets instead, one seed each")
    others: bool = setting(True, "also rules that are looked at while they go on")
    budgets: tuple[int, ...] = setting(BUDGETS, "answers")
    shape: tuple[int, ...] = setting(SHAPE, "prompts and examples of a new set")


def session(truth: Responses, looks: Sequence[int], **settings) -> dict[int, dict]:
    """One session to the last of `looks` (answers); what it says of the best prompt at each."""
    state = best.init(truth.rows, items=truth.items, budget=looks[-1], certainty=1, draws=DRAWS, **settings)
    place = {name: j for j, name in enumerate(truth.items)}
    row = {name: i for i, name in enumerate(truth.rows)}
    scores, looked = truth.scores.mean(1, dtype=float), {}
    while not (choice := best.choose(state)).enough:
        seen = np.zeros(truth.seen.shape, bool)
        for name, items in zip(choice.rows, choice.items, strict=True):
            seen[row[name], [place[item] for item in items]] = True
        state = best.update(
            state, responses=Responses.build(truth.scores, seen=seen, rows=truth.rows, items=truth.items)
        )
        if state.spent in looks:
            looked[int(state.spent)] = _said(best.best(state), scores, row)
    return looked | {look: _said(best.best(state), scores, row) for look in looks if look not in looked}


def _said(found: best.Best, scores: np.ndarray, row: dict[str, int]) -> dict:
    below = float(scores.max() - scores[row[found.prompt]])
    held = [below <= bound + 1e-9 for bound in found.within]
    return {"regret": below, "probability": found.probability, "expected": found.gap, "held": held}


def world(k: int, shape: Sequence[int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Set k: answers (prompts, items) and covariates (prompts, features); beyond the stored sets, new ones.

    Those have prompt effects of standard deviation 0.5 in logits, of which 10 covariates explain half the variance.
    """
    if k < SETS:
        return simulated(k)
    random = np.random.default_rng([k, 7])
    x, coef = random.normal(size=(shape[0], 10)), random.normal(size=10)
    prompt = 0.5 * np.sqrt(0.5) * (x @ coef / np.linalg.norm(coef) + random.normal(size=shape[0]))
    logit = 0.3 + prompt[:, None] + 1.3 * random.normal(size=(1, shape[1]))
    return (random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float), x


def _halvings(settings: Settings, k: int, seed: int) -> list[dict]:
    """Ours and the rivals' on one set: by name, covariates, budget, set and seed."""
    answers, x = world(k, settings.shape)
    truth, runs = Responses.build(answers.astype(np.float32)), []
    for covariates, given in COVARIATES.items():
        key, features = {"covariates": covariates, "set": k, "seed": seed}, x if given else None
        for budget in settings.budgets:
            began = time.process_time()
            found = session(truth, (budget,), by="halving", row_features=features, seed=seed)[budget]
            spent = {"cpu_seconds": time.process_time() - began}
            runs.append(key | {"by": "halving", "budget": budget} | found | spent)
            for name, by in RIVALS.items():
                if by != "means" or not given:
                    regret = halving(answers, budget, by=by, seed=seed, x=features).regret
                    runs.append(key | {"by": name, "budget": budget, "regret": regret})
    return runs


def _others(settings: Settings, k: int, seed: int) -> list[dict]:
    """The rules that need no budget beforehand: one session each, looked at on its way."""
    answers, x = world(k, settings.shape)
    truth, runs = Responses.build(answers.astype(np.float32)), []
    for covariates, given in COVARIATES.items():
        key, features = {"covariates": covariates, "set": k, "seed": seed}, x if given else None
        for rule in OTHERS:
            looked = session(truth, settings.budgets, by=rule, k=LOOK, row_features=features, seed=seed)
            runs += [key | {"by": rule, "budget": budget} | looked[budget] for budget in settings.budgets]
    return runs


def summary(runs: list[dict], budgets: Sequence[int]) -> dict:
    """Means over sets and seeds, in points; standard errors over runs, those of differences over the same runs."""
    regret = {(r["covariates"], r["by"], r["budget"], r["set"], r["seed"]): 100 * r["regret"] for r in runs}
    table, less = {}, {}
    for covariates in COVARIATES:
        for by in dict.fromkeys(r["by"] for r in runs):
            rows = [[v for key, v in regret.items() if key[:3] == (covariates, by, b)] for b in budgets]
            if not all(rows):
                continue
            means = {str(b): _mean(v) for b, v in zip(budgets, rows, strict=True)}
            table.setdefault(covariates, {})[by] = means | {"runs": len(rows[0])}
            if by in RIVALS:
                less[f"halving minus {by}, covariates {covariates}"] = {
                    str(b): _mean(
                        [
                            v - other
                            for key, v in regret.items()
                            if key[:3] == (covariates, "halving", b)
                            and (other := regret.get((covariates, by, *key[2:]))) is not None
                        ]
                    )
                    for b in budgets
                }
    each = {f"{c}.{by}.{b}": [] for c, by, b, _, _ in regret}
    for (covariates, by, budget, _, _), value in regret.items():
        each[f"{covariates}.{by}.{budget}"].append(round(value, 1))
    return {
        "problem": "100 prompts x 1000 examples; regret of the prompt named best, in points",
        "sets": len({key[3:] for key in regret}),
        "draws": DRAWS,
        "regret_in_points": table,
        "differences": less,
        "each": {name: " ".join(map(str, values)) for name, values in each.items()},
        "calibration": {by: calibration([r for r in runs if r["by"] == by]) for by in ("halving", *OTHERS)},
        "cpu_seconds_of_a_session_median": round(
            float(np.median([r["cpu_seconds"] for r in runs if "cpu_seconds" in r])), 2
        ),
    }


def calibration(runs: list[dict]) -> dict:
    """Stated chances and how often they came true, expected and real regret, how often bounds held."""
    if not runs:
        return {}
    stated, hit = np.array([r["probability"] for r in runs]), np.array([r["regret"] <= 0 for r in runs])
    place = np.digitize(stated, BINS[1:-1])
    bins = [
        {
            "stated": round(float(stated[here].mean()), 3),
            "came_true": round(float(hit[here].mean()), 3),
            "runs": int(here.sum()),
        }
        for b in range(len(BINS) - 1)
        if (here := place == b).any()
    ]
    apart = (hit - stated).sum() / np.sqrt((stated * (1 - stated)).sum())
    return {
        "best": bins,
        "sum_in_standard_deviations": round(float(apart), 2),
        "expected_regret": round(100 * float(np.mean([r["expected"] for r in runs])), 2),
        "regret": round(100 * float(np.mean([r["regret"] for r in runs])), 2),
        "bounds_held": {str(p): round(float(np.mean([r["held"][i] for r in runs])), 3) for i, p in enumerate(best.AT)},
    }


def _mean(values: Sequence[float]) -> dict[str, float]:
    """Mean, its standard error, and the median."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return {
        "mean": round(float(np.mean(values)), 2),
        "se": round(error, 2),
        "median": round(float(np.median(values)), 2),
    }


def study(settings: Settings, record: Record) -> None:
    """Sessions on the stored sets or on new ones, stored after each."""
    if settings.new:
        name, parts = "new_sets", [(_halvings, k, 0) for k in range(SETS, SETS + settings.new)]
    else:
        name, parts = "stored_sets", [(_halvings, k, seed) for seed in range(settings.seeds) for k in range(SETS)]
        parts += [(_others, k, 0) for k in range(SETS)] if settings.others else []
    runs = []
    with mock.patch.object(grid, "LEAST_POWER", 11):  # all fits have room for 2048 answers: one compilation
        for part, k, seed in parts:
            runs += part(settings, k, seed)
            record.part(name, summary(runs, settings.budgets))
            print(f"seed {seed}, set {k}: {record.content[name]['took']}", flush=True)
