"""Coverage of the shipped banks' way of estimating, on models left out in turn: `python bench/coverage_livexiv.py`.

The 17 models with complete answers are paired at random. Each pair is left out in turn; items are calibrated and
anchors chosen anew from the others (as many as the shipped bank has), and the two are estimated from their answers to
the anchors
alone. To end in minutes each benchmark is a random part of its items, the same share of each version (--items); the
finite rest that is to be estimated stays more than forty times what is asked.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import sys
import time

import numpy as np
from scipy.stats import beta

import lleval_jax as ll
from bench.kit.machine import describe

HERE = pathlib.Path(__file__).resolve().parent

from models import build

BANKS = ("livexiv-vqa", "livexiv-tqa")
METHODS = ("auto", "gpirt", "weighted")
RESULT = HERE / "results" / "coverage_livexiv.json"


def part(name: str, items: int, seed: int) -> ll.Responses:
    """A random part of a bank's answers, in the order of the items."""
    responses = build.answers(build.HERE / name / "answers.npz")
    rng = np.random.default_rng(seed)
    share = min(1.0, items / len(responses.items))
    kept = []
    for group in range(len(responses.groups)):
        mine = np.flatnonzero(responses.group == group)
        kept.append(rng.choice(mine, round(share * len(mine)), replace=False))
    return responses.select([responses.items[i] for i in np.sort(np.concatenate(kept))])


def pairs(responses: ll.Responses, seed: int) -> list[list[int]]:
    """Complete models two by two; with an odd number the last comes with one that is scored elsewhere."""
    complete = np.flatnonzero(responses.seen.all(1))
    order = np.random.default_rng(seed).permutation(complete).tolist()
    return [order[i : i + 2] for i in range(0, len(order), 2)]


def one(task: tuple[str, int, list[int], tuple[int, ...], int]) -> tuple[list[dict], float]:
    """Every estimate of one pair."""
    name, items, pair, sizes, seed = task
    start, responses, found = time.perf_counter(), part(name, items, seed), []
    left_out = pair if len(pair) == 2 else [*pair, pairs(responses, seed)[0][0]]
    kept = responses.take([i for i in range(len(responses.rows)) if i not in left_out])
    fit = build.fit(build.recipe_of(name) | {"seed": seed}, kept)
    for k in sizes:
        bank = ll.anchors.choose(fit, kept, k=k, name=name, seed=seed)
        left = responses.take(pair).select(bank.items)
        asked, truth = ll.anchors.anchors_only(left, bank), left.scores.astype(float) @ bank.target_weight.T
        for method in METHODS:
            estimate = ll.tiny.estimate(asked, bank, method=method, groups=True, seed=seed)
            numbers = zip(
                estimate.rows, estimate.group, estimate.value, estimate.low, estimate.high, truth.ravel(), strict=True
            )
            for row, group, value, low, high, true in numbers:
                entry = {"bank": name, "k": k, "method": method, "group": group, "model": row}
                spread = {"truth": true, "value": value, "low": low, "high": high}
                found.append(entry | {key: round(float(number), 5) for key, number in spread.items()})
    return found, time.perf_counter() - start


def summary(found: list[dict]) -> list[dict]:
    """Error, coverage with its exact 95% bounds, and width, for each bank, k, method and group."""
    rows = []
    for key in dict.fromkeys((e["bank"], e["k"], e["method"], e["group"]) for e in found):
        mine = [e for e in found if (e["bank"], e["k"], e["method"], e["group"]) == key]
        value, truth = np.array([[e["value"], e["truth"]] for e in mine]).T
        low, high = np.array([[e["low"], e["high"]] for e in mine]).T
        n, inside = len(mine), int(((low <= truth) & (truth <= high)).sum())
        bounds = [
            float(beta.ppf(0.025, inside, n - inside + 1)) if inside else 0.0,
            float(beta.ppf(0.975, inside + 1, n - inside)) if inside < n else 1.0,
        ]
        row = dict(zip(("bank", "k", "method", "group"), key, strict=True))
        row |= {"mae": round(float(np.abs(value - truth).mean()), 4), "bias": round(float((value - truth).mean()), 4)}
        row |= {"models": n, "covered": inside, "coverage_bounds": [round(b, 3) for b in bounds]}
        rows.append(row | {"mean_width": round(float((high - low).mean()), 4)})
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banks", nargs="+", default=BANKS, choices=BANKS)
    parser.add_argument("--items", type=int, default=5000, help="items of each benchmark that are used")
    parser.add_argument("--k", type=int, nargs="+", default=(30, 100), help="anchors")
    parser.add_argument("--workers", type=int, default=2, help="pairs at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    tasks = [
        (name, options.items, pair, tuple(options.k), options.seed)
        for name in options.banks
        for pair in pairs(part(name, options.items, options.seed), options.seed)
    ]
    found, start = [], time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        for task, (mine, took) in zip(tasks, pool.map(one, tasks), strict=True):
            found += mine
            print(f"{task[0]}: pair {task[2]}, {took:.0f} s", flush=True)
    rows = summary(found)
    for row in rows:
        print(
            f"{row['bank']} k={row['k']:3} {row['method']:8} {row['group']:3}"
            f" MAE {row['mae']:.3f} bias {row['bias']:+.3f}"
            f"  {row['covered']}/{row['models']}  width {row['mean_width']:.3f}"
        )
    record = {
        "problem": "LiveXiv, two of 17 complete models left out in turn, 95% intervals from answers to k anchors",
        "settings": {"items": options.items, "k": list(options.k), "level": 0.95, "seed": options.seed},
        "machine": describe("jax", "numpy", "scipy"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "seconds": round(time.perf_counter() - start, 1),
        "rows": rows,
        "estimates": found,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
