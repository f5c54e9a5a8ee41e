"""Coverage of the shipped banks' way of estimating, on models left out in turn.

The 17 models with complete answers are paired at random. Each pair is left out in turn; items are calibrated and
anchors chosen anew from the others (as many as the shipped bank has), and the two are estimated from their answers to
the anchors alone. To end in minutes each benchmark is a random part of its items (`items`), the same share of each
version; the finite rest that is to be estimated stays more than forty times what is asked.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np

import lleval_jax as ll
from bench.kit.coverage import bounds
from bench.kit.measure import each
from bench.kit.results import Record
from bench.kit.settings import setting
from models import build

BANKS = ("livexiv-vqa", "livexiv-tqa")
METHODS = ("auto", "gpirt", "weighted")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    banks: tuple[str, ...] = setting(BANKS, "shipped banks")
    items: int = setting(5000, "items of each benchmark that are used")
    k: tuple[int, ...] = setting((30, 100), "anchors")
    pairs: int | None = setting(None, "pairs of models that are left out; all if none")
    workers: int = setting(2, "pairs at a time")
    seed: int = setting(0, "of items, pairs, anchors")


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
    fit = ll.irt.fit(kept, **build.fitting(build.recipe_of(name) | {"seed": seed}))
    for k in sizes:
        bank = ll.anchors.choose(fit, responses=kept, k=k, name=name, seed=seed)
        left = responses.take(pair).select(bank.items)
        asked, truth = ll.anchors.anchors_only(left, bank=bank), left.scores.astype(float) @ bank.target_weight.T
        for method in METHODS:
            estimate = ll.tiny.estimate(asked, bank=bank, by=method, groups=True, seed=seed)
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
        row = dict(zip(("bank", "k", "method", "group"), key, strict=True))
        row |= {"mae": round(float(np.abs(value - truth).mean()), 4), "bias": round(float((value - truth).mean()), 4)}
        row |= {"models": n, "covered": inside, "coverage_bounds": [round(b, 3) for b in bounds(inside, n)]}
        rows.append(row | {"mean_width": round(float((high - low).mean()), 4)})
    return rows


def study(settings: Settings, record: Record) -> None:
    """All pairs of all banks."""
    tasks = [
        (name, settings.items, pair, settings.k, settings.seed)
        for name in settings.banks
        for pair in pairs(part(name, settings.items, settings.seed), settings.seed)[: settings.pairs]
    ]
    found = []
    for task, (mine, took) in zip(tasks, each(one, tasks, settings.workers), strict=True):
        found += mine
        print(f"{task[0]}: pair {task[2]}, {took:.0f} s", flush=True)
    rows = summary(found)
    for row in rows:
        print(
            f"{row['bank']} k={row['k']:3} {row['method']:8} {row['group']:3}"
            f" MAE {row['mae']:.3f} bias {row['bias']:+.3f}"
            f"  {row['covered']}/{row['models']}  width {row['mean_width']:.3f}"
        )
    record.keep(
        {
            "problem": "LiveXiv, two of 17 complete models left out in turn, 95% intervals from answers to k anchors",
            "settings": {"items": settings.items, "k": list(settings.k), "level": 0.95, "seed": settings.seed},
            "rows": rows,
            "estimates": found,
        }
    )
