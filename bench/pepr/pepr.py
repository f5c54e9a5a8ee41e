"""PEPR on simulated prompts, six elements: `python bench/pepr.py`, by the public calls and their defaults.

How the error of the weights falls with the number of texts, how far predictions of all 63 combinations are from the
truth, how often intervals hold it, how often a prompt whose elements act on each other is flagged, and the seconds of
1,000 bootstrap fits in one call beside a loop over scipy's SLSQP on the same weighted texts.
"""

import argparse
import json
import pathlib
import statistics
import time
import warnings

import jax
import numpy as np
from scipy.optimize import minimize

import lleval_jax as ll
from bench.kit import machine
from lleval_jax.data import simulate_logprobs
from lleval_jax.estimators.pepr import kernel
from lleval_jax.values.logprobs import LogProbs, members_of

TRUE = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1, "e": 0.0, "f": 0.0}
WEIGHT = np.array(list(TRUE.values()))
SIZES = (50, 100, 200, 400, 800, 1600)
INTERACTIONS = (0.0, 0.005, 0.01, 0.02, 0.05)
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def recovery(runs: int) -> dict:
    """Errors of weights and of scores of all combinations, and coverage, by number of texts."""
    rows = {}
    for n in SIZES:
        error, mae, widest, held, inside = [], [], [], [], []
        for seed in range(runs):
            table = simulate_logprobs(TRUE, n, seed=seed)
            fit = ll.pepr.fit(table, draws=1)
            weight, score = ll.pepr.estimate(fit), ll.pepr.estimate(fit, "all")
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
    slope = np.polyfit(np.log(SIZES), np.log([rows[str(n)]["weight_rmse"] for n in SIZES]), 1)[0]
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


def preferences(runs: int) -> dict:
    """Largest error of the weights from pairs."""
    largest = {}
    for n in (1000, 4000):
        fits = [ll.pepr.fit(simulate_logprobs(TRUE, n, pairs=True, seed=seed), draws=1) for seed in range(runs)]
        largest[str(n)] = float(np.mean([np.abs(fit.params.weight - WEIGHT).max() for fit in fits]))
    return {"mean_largest_weight_error": largest, "runs": runs}


def seconds(draws: int = 1000) -> dict:
    """1,000 fits to weighted texts in one call, and one by one with scipy; the same answers."""
    work = kernel.prepare(LogProbs.from_frame(simulate_logprobs(TRUE, 200, seed=0)), "text")
    took = []
    for _ in range(6):
        start = time.perf_counter()
        with jax.enable_x64(True):
            found = kernel.run(work, 0.0, 1.0, draws, 0)
        took.append(time.perf_counter() - start)
    often = np.random.default_rng(0).standard_exponential((draws + 1, 200))[1:]
    start, apart = time.perf_counter(), 0.0
    sums = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(6)}
    for weight, ours in zip(often, found.drawn_weight, strict=True):
        turned = weight[:, None] * work.table.columns / weight.sum()
        gram, linear = turned.T @ work.table.columns, turned.T @ work.table.target
        theirs = minimize(
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
    ll.pepr.estimate(fit, "all")
    return {
        "fits": draws,
        "ours_cold": took[0],
        "ours_warm": statistics.median(took[1:]),
        "slsqp_loop": loop,
        "largest_difference": apart,
        "scores_of_65535_combinations": time.perf_counter() - start,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "pepr.json")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore", ll.DataWarning)
    record: dict = {"machine": machine.describe("jax", "numpy", "scipy"), "seconds": seconds()}
    record |= {"recovery": recovery(wanted.runs), "flags": flags(wanted.runs), "preferences": preferences(20)}
    wanted.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({name: record[name] for name in ("seconds", "recovery", "flags", "preferences")}, indent=1))


if __name__ == "__main__":
    main()
