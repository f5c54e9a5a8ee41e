"""PEPR on simulated prompts, six elements, by the public calls and their defaults.

How the error of the weights falls with the number of texts, how far predictions of all 63 combinations are from the
truth, how often intervals hold it, how often a prompt whose elements act on each other is flagged, and the seconds of
1,000 bootstrap fits in one call, and of a loop over scipy's SLSQP on the same weighted texts.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
import warnings
from collections.abc import Sequence

import jax
import numpy as np
from scipy.optimize import minimize

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.data import simulate_logprobs
from lleval_jax.estimators.pepr import search
from lleval_jax.layout import texts as layout
from lleval_jax.scale.plan import HERE
from lleval_jax.values.logprobs import LogProbs, members_of
from lleval_jax.values.progress import silent

TRUE = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1, "e": 0.0, "f": 0.0}
WEIGHT = np.array(list(TRUE.values()))
SIZES = (50, 100, 200, 400, 800, 1600)
INTERACTIONS = (0.0, 0.005, 0.01, 0.02, 0.05)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    runs: int = setting(200, "worlds of a row")
    sizes: tuple[int, ...] = setting(SIZES, "numbers of texts")
    draws: int = setting(1000, "bootstrap fits")
    pairs: tuple[int, ...] = setting((1000, 4000), "numbers of pairs, 20 worlds each at most")


def recovery(runs: int, sizes: Sequence[int]) -> dict:
    """Errors of weights and of scores of all combinations, and coverage, by number of texts."""
    rows = {}
    for n in sizes:
        error, mae, widest, held, inside = [], [], [], [], []
        for seed in range(runs):
            table = simulate_logprobs(TRUE, n, seed=seed)
            fit = ll.pepr.fit(table, draws=1)
            weight, score = ll.pepr.estimate(fit), ll.pepr.estimate(fit, subsets="all")
            member = np.stack([members_of(name, fit.items) for name in score.rows])
            has = (member @ WEIGHT > 0) & (member.sum(1) > 1)
            truth = member[has] @ (WEIGHT * fit.params.value) / (member[has] @ WEIGHT)
            error.append(np.sqrt(((weight.value - WEIGHT) ** 2).mean()))
            mae.append(np.abs(score.value[has] - truth).mean())
            widest.append(np.abs(score.value[has] - truth).max())
            held.append((weight.low <= WEIGHT) & (WEIGHT <= weight.high))
            inside.append(((score.low[has] <= truth) & (truth <= score.high[has])).mean())
        rows[str(n)] = {
            "weight_rmse": float(np.mean(error)),
            "score_mae_63": float(np.mean(mae)),
            "score_largest_error": float(np.mean(widest)),
            "weight_coverage": float(np.mean(held)),
            "zero_weight_coverage": float(np.mean(np.array(held)[:, WEIGHT == 0])),
            "score_coverage": float(np.mean(inside)),
            "runs": runs,
        }
    slope = np.polyfit(np.log(sizes), np.log([rows[str(n)]["weight_rmse"] for n in sizes]), 1)[0]
    return {"by_texts": rows, "slope": float(slope), "noise": 0.3, "spread": 3.0}


def flags(runs: int) -> dict:
    """Share of fits called not linear, by the strength of an interaction of two elements; 200 texts."""
    found = {}
    for strength in INTERACTIONS:
        status = [
            ll.pepr.fit(simulate_logprobs(TRUE, 200, interaction=strength, seed=seed), draws=1).status
            for seed in range(runs)
        ]
        found[str(strength)] = float(np.mean([word == "not linear" for word in status]))
    return {"texts": 200, "runs": runs, "false_alarm_stated": 0.01, "flagged": found}


def preferences(runs: int, sizes: Sequence[int]) -> dict:
    """Largest error of the weights from pairs."""
    largest = {}
    for n in sizes:
        fits = [ll.pepr.fit(simulate_logprobs(TRUE, n, pairs=True, seed=seed), draws=1) for seed in range(runs)]
        largest[str(n)] = float(np.mean([np.abs(fit.params.weight - WEIGHT).max() for fit in fits]))
    return {"mean_largest_weight_error": largest, "runs": runs}


def seconds(draws: int) -> dict:
    """1,000 fits to weighted texts in one call, and one by one with scipy; the same answers."""
    arrays, work = layout.lay_out(LogProbs.from_frame(simulate_logprobs(TRUE, 200, seed=0)), "text")
    took, how = [], {"plan": HERE, "name": "pepr.fit", "facts": {}}
    for _ in range(6):
        start = time.perf_counter()
        with jax.enable_x64(True):
            found = search.run(arrays, work, 0.0, 1.0, draws, 0, silent, how)
        took.append(time.perf_counter() - start)
    often = np.random.default_rng(0).standard_exponential((draws + 1, 200))[1:]
    start, apart = time.perf_counter(), 0.0
    sums = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(6)}
    for weight, ours in zip(often, found.drawn_weight, strict=True):
        turned = weight[:, None] * work.table.columns / weight.sum()
        gram, linear = turned.T @ work.table.columns, turned.T @ work.table.target
        theirs = minimize(  # pyright: ignore[reportCallIssue]
            lambda w: 0.5 * w @ gram @ w - linear @ w,  # noqa: B023
            np.full(6, 1 / 6),
            jac=lambda w: gram @ w - linear,  # noqa: B023
            bounds=[(0, 1)] * 6,
            constraints=sums,
            method="SLSQP",
            options={"ftol": 1e-12},
        )
        apart = max(apart, float(np.abs(theirs.x - ours).max()))
    loop = time.perf_counter() - start
    every = LogProbs.from_frame(simulate_logprobs({str(k): k + 1.0 for k in range(16)}, 200, seed=0))
    fit = ll.pepr.fit(every, draws=1)
    start = time.perf_counter()
    ll.pepr.estimate(fit, subsets="all")
    return {
        "fits": draws,
        "ours_cold": took[0],
        "ours_warm": statistics.median(took[1:]),
        "slsqp_loop": loop,
        "largest_difference": apart,
        "scores_of_65535_combinations": time.perf_counter() - start,
    }


def study(settings: Settings, record: Record) -> None:
    """All four parts."""
    warnings.simplefilter("ignore", ll.DataWarning)
    found: dict = {"seconds": seconds(settings.draws), "recovery": recovery(settings.runs, settings.sizes)}
    found |= {"flags": flags(settings.runs), "preferences": preferences(min(settings.runs, 20), settings.pairs)}
    record.keep(found)
    print(json.dumps(found, indent=1))
