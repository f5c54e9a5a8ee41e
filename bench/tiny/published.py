"""tinyBenchmarks as published (`estimators/tiny/published.py`) compared with the authors' own code, on AlpacaEval 2.0.

Runs the whole protocol of
reference/tinybench_alpaca_shared.json once a seed: 3 samplings x 4 estimators x 5 sizes x 5 restarts x 4
folds, with new fits and new items each time. The stored row is one such run of the original program, so it
must lie among ours: it differs from our mean by at most `WIDE` standard errors of that difference.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from typing import Literal

import jax
import numpy as np

from bench.kit.measure import each
from bench.kit.problems import shared, two_parameter
from bench.kit.results import Record, path_of
from bench.kit.settings import setting
from lleval_jax.estimators.tiny import published

SIZES = (10, 20, 30, 60, 100)
SAMPLINGS = ("random", "anchor", "anchor-irt")
ESTIMATORS = ("naive", "pirt", "pirt_pkg", "gpirt")
FOLDS, RESTARTS, DIMS = 4, 5, (2, 5)
WIDE = 4.0
RESULT = path_of("tiny", "tinybench_reference")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    data: Literal["alpaca", "simulated"] = setting("alpaca", "whose answers")
    seeds: int = setting(8, "runs of the whole protocol (at least 2)")
    workers: int = setting(2, "runs at a time")
    folds: int = setting(FOLDS, "folds that are run")
    restarts: int = setting(RESTARTS, "draws of items in each fold")


def load() -> tuple[np.ndarray, dict]:
    """Scores (36 models, 801 items) in [0, 1], and the stored reference."""
    with np.load(shared("data", "alpaca_eval", "alpaca_eval2.npz"), allow_pickle=False) as z:
        scores = z["responses"][z["note"] == ""].astype(float)
    reference = json.loads(shared("reference", "tinybench_alpaca_shared.json").read_text())
    return scores[:, ~np.isnan(scores).any(0)], reference


def protocol(
    scores: np.ndarray, seed: int, folds: int = FOLDS, restarts: int = RESTARTS
) -> tuple[np.ndarray, list[int]]:
    """One run: mean absolute errors (samplings, estimators, sizes), and the dims chosen in each fold."""
    draws, *fits = jax.random.split(jax.random.key(seed), 1 + FOLDS)
    tests = [np.arange(k, len(scores), FOLDS) for k in range(FOLDS)]
    pairs = list(zip(tests, fits, strict=True))[:folds]
    runs = [fold(scores, test, jax.random.split(draws, RESTARTS)[:restarts], key) for test, key in pairs]
    return np.concatenate([e for e, _ in runs]).mean(0), [dims for _, dims in runs]


def fold(scores: np.ndarray, test: np.ndarray, restarts: jax.Array, key: jax.Array) -> tuple[np.ndarray, int]:
    """Absolute errors (test models, samplings, estimators, sizes), averaged over restarts, and the dims.

    A restart (its key, one of `restarts`) is the same in all folds and sizes, as the original has one seed: a run draws
    random items five times.
    """
    train = np.delete(scores, test, 0)
    answers, c = published.binarise(train)
    choose_key, fit_key = jax.random.split(key)
    choice = published.choose_dims(train, answers, DIMS, key=choose_key)
    fitted = published.fit(answers, choice.dims, key=fit_key)
    found = np.empty((len(SAMPLINGS), len(SIZES), len(restarts), len(test), len(ESTIMATORS)))
    for cell in itertools.product(range(len(SAMPLINGS)), range(len(SIZES)), range(len(restarts))):
        size = SIZES[cell[1]]
        chosen = draw(SAMPLINGS[cell[0]], train, fitted, size, key=restarts[cell[2]])
        share = published.lambda_(choice.bias[0], train.var(1).mean(), size, SAMPLINGS[cell[0]] != "random")
        found[cell] = [estimates(row, row > c, chosen, fitted, share) for row in scores[test]]
    error = np.abs(found - scores[test].mean(1)[:, None]).mean(2)
    return error.transpose(2, 0, 3, 1), choice.dims


def draw(sampling: str, train: np.ndarray, fitted: published.Fit, size: int, *, key: jax.Array) -> published.Anchors:
    """The items to ask, one scenario with equal weights."""
    if sampling == "random":
        return published.random(np.zeros(train.shape[1], int), size, key=key)
    features = published.correctness_features(train) if sampling == "anchor" else published.irt_features(fitted)
    return published.anchors(features, np.ones(train.shape[1]), size, key=key)


def estimates(
    row: np.ndarray, right: np.ndarray, chosen: published.Anchors, fitted: published.Fit, share: float
) -> list:
    """One model's score by each of `ESTIMATORS`."""
    theta = published.ability(right[chosen.items].astype(float), chosen.items, fitted)
    seen, probability = row[chosen.items], published.curve(theta, fitted)
    naive = published.naive(seen, chosen)
    weighted = published.pirt(seen, chosen, probability)
    plain = published.pirt(seen, chosen, probability, datapart="plain")
    return [naive, weighted, plain, published.gpirt(naive, weighted, share)]


def stored(reference: dict) -> np.ndarray:
    """The reference's errors as (samplings, estimators, sizes)."""
    mae = reference["mae"]
    return np.array([[[mae[s][e][str(n)] for n in SIZES] for e in ESTIMATORS] for s in SAMPLINGS])


def deviation(runs: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(reference - our mean) in standard errors of that difference.  runs (seeds, ...) -> (...)."""
    return (reference - runs.mean(0)) / (runs.std(0, ddof=1) * np.sqrt(1 + 1 / len(runs)))


def table(runs: np.ndarray, reference: np.ndarray) -> str:
    """Ours (sd over seeds) | reference in points, * where they differ by more than `WIDE` standard errors."""
    wide = np.abs(deviation(runs, reference)) > WIDE
    mean, sd = 100 * runs.mean(0), 100 * runs.std(0, ddof=1)
    lines = [f"{'MAE in points':21}" + "".join(f"{n:>9} items      " for n in SIZES)]
    for i, j in itertools.product(range(len(SAMPLINGS)), range(len(ESTIMATORS))):
        cells = [
            f"{mean[i, j, n]:5.2f} ({sd[i, j, n]:.2f}) |{100 * reference[i, j, n]:5.2f}"
            + (" *" if wide[i, j, n] else "  ")
            for n in range(len(SIZES))
        ]
        lines.append(f"{SAMPLINGS[i] + ' ' + ESTIMATORS[j]:21}" + " ".join(cells))
    return "\n".join(lines)


def one(task: tuple[Settings, int]) -> tuple[np.ndarray, list[int], float]:
    """A seed's errors, dims and seconds."""
    (settings, seed), start = task, time.perf_counter()
    scores = two_parameter(36, 120).scores.astype(float) if settings.data == "simulated" else load()[0]
    return *protocol(scores, seed, settings.folds, settings.restarts), time.perf_counter() - start


def study(settings: Settings, record: Record) -> None:
    """All seeds, compared with the stored reference unless the answers are simulated."""
    runs, dims, seconds = [], [], []
    for errors, chosen, took in each(one, [(settings, seed) for seed in range(settings.seeds)], settings.workers):
        runs.append(errors)
        dims.append(chosen)
        seconds.append(round(took, 1))
        print(f"seed {len(runs) - 1}: dims {chosen}, {took:.0f} s", flush=True)
    found = {
        "problem": "AlpacaEval 2.0, 36 models x 801 items, tinyBenchmarks as published",
        "source": "reference/tinybench_alpaca_shared.json",
        "seconds": seconds,
        "runs": np.round(runs, 6).tolist(),
    }
    if settings.data == "alpaca":
        reference = load()[1]
        found["dims_per_fold"] = {"ours": dims, "reference": reference["dims_per_fold"]}
        found["rows"] = rows(np.array(runs), stored(reference))
    record.keep(found)


def rows(runs: np.ndarray, theirs: np.ndarray) -> dict[str, dict[str, float]]:
    """By sampling, estimator and size: ours, the reference, and how far apart they are."""
    away = deviation(runs, theirs)
    print(table(runs, theirs))
    print(f"{(np.abs(away) <= WIDE).sum()} of {away.size} cells within {WIDE:g} standard errors")
    return {
        f"{s} {e} {n}": {
            "mae": round(float(runs[:, i, j, k].mean()), 5),
            "sd_over_seeds": round(float(runs[:, i, j, k].std(ddof=1)), 5),
            "reference": float(theirs[i, j, k]),
            "standard_errors_apart": round(float(away[i, j, k]), 2),
        }
        for (i, s), (j, e), (k, n) in itertools.product(*map(enumerate, (SAMPLINGS, ESTIMATORS, SIZES)))
    }
