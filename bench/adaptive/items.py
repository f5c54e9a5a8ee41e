"""Items needed for a full score's standard error of 2 points and of 1.

Sets of open_llm_irt (duplicate rows removed, one model in five left out, at most 1,000 of them) and AlpacaEval 2.0 (36
models, 4-fold, the folds drawn `shuffles` times; bounds of the coverage count models, not sessions). Adaptive
sessions by three rules stop as soon as their own standard error, widened by what `sessions.prepare` learned on the
other models, is small enough; coverage and root mean squared error are measured at that moment. Fixed anchors are the
default of `anchors.choose` and `tiny.estimate` with k = 20, 40, 60, ..., and need the first k at which the root mean
square of their standard errors is small enough; they learn from at most 800 models.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from unittest import mock

import numpy as np

import lleval_jax as ll
from bench.kit.coverage import bounds
from bench.kit.problems import form
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.tiny.alpaca import load as load_alpaca
from lleval_jax.estimators import adaptive, irt
from lleval_jax.estimators.adaptive import replay

SETS = ("arc_A", "arc_B", "gsm8k_A", "gsm8k_B", "truthfulqa_B", "alpaca")
GOALS = (0.02, 0.01)
SIZES = (20, 40, 60, 80, 100, 130, 160, 200, 250, 300)
RULES = ("score", "information", "random")
TEACHERS = 800  # models that fixed anchors learn from
MOST = 1000  # models left out that are tried


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(SETS, "forms of open_llm_irt, and alpaca")
    fixed: bool = setting(True, "fixed anchors too, which take longest")
    shuffles: int = setting(1, "times that AlpacaEval's folds are drawn")
    known: int | None = setting(None, "calibration models at most; all if none")
    tried: int = setting(MOST, "models left out that are tried at most")


def remembering(fit: Callable[..., ll.FitResult]) -> Callable[..., ll.FitResult]:
    """`irt.fit` that keeps what it found: sessions by all rules are prepared with the same refits."""
    kept: dict[tuple, ll.FitResult] = {}

    def once(responses: ll.Responses, **settings) -> ll.FitResult:
        key = responses.rows, hash(responses.scores.tobytes()), str(settings)
        if key not in kept:
            kept[key] = fit(responses, **settings)
        return kept[key]

    return once


def folds(
    name: str, shuffles: int = 1, known: int | None = None, tried: int = MOST
) -> list[tuple[ll.Responses, ll.Responses]]:
    """(known models, left-out models), one pair, or four for each time that AlpacaEval's folds are drawn."""
    if name == "alpaca":
        whole, parts = load_alpaca(), []
        for seed in range(shuffles):
            rows = np.random.default_rng(seed).permutation(36) if seed else np.arange(36)
            outs = [np.isin(np.arange(36), rows[f::4]) for f in range(4)]
            parts += [(whole.take(np.flatnonzero(~out)), whole.take(np.flatnonzero(out))) for out in outs]
        return parts
    whole = ll.Responses.build(form(name)[0])
    order = np.random.default_rng(0).permutation(len(whole.rows))
    cut = len(order) // 5
    return [(whole.take(np.sort(order[cut:][:known])), whole.take(np.sort(order[:cut][:tried])))]


def stopped(
    found: replay.Sessions, error: np.ndarray, reach: float, truth: np.ndarray, goal: float, rows: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Each session at the first look at which its standard error is small enough, or at its end."""
    enough = error <= goal
    at = np.where(enough.any(1), enough.argmax(1), error.shape[1] - 1)
    row = np.arange(len(at))
    value, half = found.value[row, at], reach * error[row, at]
    return {
        "items": found.length[at],
        "reached": enough.any(1),
        "miss": value - truth,
        "inside": np.abs(value - truth) <= half,
        "model": np.array(rows),
    }


def judged(parts: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Means over all sessions, and exact bounds of the coverage, as for one session a model."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    n, coverage = len(np.unique(whole["model"])), float(whole["inside"].mean())
    low, high = bounds(n * coverage, n)
    return {
        "items": float(whole["items"].mean()),
        "reached": float(whole["reached"].mean()),
        "rmse": float(np.sqrt((whole["miss"] ** 2).mean())),
        "coverage": coverage,
        "coverage_low": low,
        "coverage_high": high,
        "sessions": len(whole["inside"]),
        "models": n,
        "models_missed": len(np.unique(whole["model"][~whole["inside"]])),
    }


def fixed(fit: ll.FitResult, known: ll.Responses, new: ll.Responses, truth: np.ndarray, sizes) -> list[dict]:
    """Anchors of each size and the default estimate from them."""
    found = []
    if len(known.rows) > TEACHERS:
        known = known.take(np.random.default_rng(1).permutation(len(known.rows))[:TEACHERS])
        fit = ll.irt.fit(known)
    for k in sizes:
        bank = ll.anchors.choose(fit, responses=known, k=int(k))
        e = ll.tiny.estimate(new.select(bank.anchor_items), bank=bank)
        inside = (e.low <= truth) & (truth <= e.high)
        found.append({"k": int(k), "variance": e.std_error**2, "miss": e.value - truth, "inside": inside})
        if np.sqrt((e.std_error**2).mean()) <= min(GOALS):
            break
    return found


def needed(parts: list[list[dict]], goal: float) -> dict[str, float]:
    """The first k at which the standard error is small enough."""
    for step in range(min(map(len, parts))):
        here = [part[step] for part in parts]
        variance = np.concatenate([p["variance"] for p in here])
        if np.sqrt(variance.mean()) <= goal:
            break
    inside, miss = np.concatenate([p["inside"] for p in here]), np.concatenate([p["miss"] for p in here])
    reached = float(np.sqrt(variance.mean()) <= goal)
    return {
        "items": here[0]["k"],
        "reached": reached,
        "rmse": float(np.sqrt((miss**2).mean())),
        "coverage": float(inside.mean()),
    }


def run(name: str, settings: Settings) -> dict:
    """All methods on one set."""
    found: dict[str, list] = {rule: [] for rule in RULES}
    anchors, seconds, dims, learned = [], 0.0, [], []
    for known, new in folds(name, settings.shuffles, settings.known, settings.tried):
        fit = ll.irt.fit(known, dims="auto" if len(known.rows) > 100 else 1)
        dims.append(int(fit.settings["dims"]))
        learned.append(len(known.rows))
        bank = ll.anchors.choose(fit, responses=None, k=None)
        truth = new.scores.astype(float) @ bank.target_weight[0]
        budget = min(len(bank.items) - 1, 400)
        for rule in RULES:
            ready = replay.prepare(bank, fit=fit, responses=known, by=rule, budget=budget)
            begun = time.perf_counter()
            got = replay.replay(new, bank=ready, by=rule, budget=budget)
            seconds += time.perf_counter() - begun
            length = np.broadcast_to(got.length, got.value.shape)
            error = np.sqrt(np.maximum(got.variance, 0)) * adaptive.widen_of(ready, length)
            error[:, 0] = np.inf
            reach = adaptive.reach_of(ready, 0.95)
            found[rule].append({goal: stopped(got, error, reach, truth, goal, new.rows) for goal in GOALS})
        if settings.fixed:
            anchors.append(fixed(fit, known, new, truth, [k for k in SIZES if k <= budget]))
    table = {rule: {str(goal): judged([p[goal] for p in parts]) for goal in GOALS} for rule, parts in found.items()}
    if settings.fixed:
        table["fixed anchors"] = {str(goal): needed(anchors, goal) for goal in GOALS}
    return {"dims": dims, "calibration_models": learned, "seconds": seconds, "methods": table}


def study(settings: Settings, record: Record) -> None:
    """All sets, one after the other; others stay as stored."""
    with mock.patch.object(irt, "fit", remembering(irt.fit)):
        for name in settings.sets:
            found = run(name, settings)
            for method, goals in found["methods"].items():
                for goal, r in goals.items():
                    print(
                        f"{name:<13} {method:<14} standard error {float(goal):.2f}: {r['items']:6.1f} items, reached "
                        f"by {r['reached']:.0%}, rmse {r['rmse']:.4f}, coverage {r['coverage']:.3f}",
                        flush=True,
                    )
            record.keep({"sets": record.content.get("sets", {}) | {name: found}})
