"""Errors of scores over prompts, and how often intervals hold, as they are stored."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from scipy.stats import t

from bench.kit.coverage import bounds
from bench.prompts import published as rivals
from bench.prompts.published import BUDGETS, LEVELS
from lleval_jax.estimators import prompts
from lleval_jax.estimators.prompts import many
from lleval_jax.estimators.prompts import published as paper

COLUMNS = ("w1", "individual", *(f"q{round(100 * level):02d}" for level in LEVELS), "mean")


def apart(order: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(columns,) errors in points of a distribution and of single scores, all (prompts,); `COLUMNS`."""
    both = prompts.wasserstein(np.sort(order), np.sort(truth)), np.abs(scores - truth).mean()
    quantile = np.abs(paper.quantiles(order, LEVELS) - paper.quantiles(truth, LEVELS))
    return 100 * np.array([*both, *quantile, abs(order.mean() - truth.mean())])


def told(errors: dict[str, np.ndarray], held: np.ndarray) -> dict:
    """Means with standard errors from set to set, of each method and of ours minus each."""
    rows: dict = {"failed": int(np.isnan(held[..., 0]).sum()), "errors": {}, "w1_of_ours_minus": {}}
    for method, values in errors.items():
        rows["errors"][method] = {str(b): spread(values[:, :, i]) for i, b in enumerate(BUDGETS)}
        gap = errors["ours"][..., :1] - values[..., :1]
        if method != "ours":
            rows["w1_of_ours_minus"][method] = {str(b): spread(gap[:, :, i]) for i, b in enumerate(BUDGETS)}
    names = [*COLUMNS[2:-1], "single"]
    rows["held_95"] = {str(b): named(np.nanmean(held[:, :, i], (0, 1)), names) for i, b in enumerate(BUDGETS)}
    return rows


def named(values: np.ndarray, names: Sequence[str] = COLUMNS) -> dict[str, float]:
    """By column."""
    return dict(zip(names, np.asarray(values, float).round(3).tolist(), strict=True))


def spread(values: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard error, (columns,), of (sets, seeds, columns)."""
    of_set = np.nanmean(values, 1)
    error = of_set.std(0, ddof=1) / np.sqrt(len(of_set))
    return {"mean": of_set.mean(0).round(3).tolist(), "se": error.round(3).tolist()}


def summed(
    missed: np.ndarray,
    wide: np.ndarray,
    single: np.ndarray,
    shape: Sequence[int],
    budgets: Sequence[int] = tuple(BUDGETS),
) -> dict:
    """What is stored of coverage and width.

    Args:
        missed: (2, budgets, worlds, levels) whether the true quantile lies below, above its interval.
        wide: (budgets, worlds, levels) the width of that interval.
        single: (2, budgets, worlds) share of prompts whose interval holds, and its width.
        shape: of a world.
        budgets: answers to it.
    """
    repeats, rows = missed.shape[2], {}
    for b, budget in enumerate(budgets):
        line = {}
        for i, name in enumerate(COLUMNS[2:-1]):
            hits = repeats - int(missed[:, b, :, i].sum())
            line[name] = {
                "coverage": round(hits / repeats, 4),
                "bounds": np.round(bounds(hits, repeats), 4).tolist(),
                "truth_below_above": missed[:, b, :, i].sum(1).tolist(),
                "width": round(100 * float(wide[b, :, i].mean()), 2),
            }
        half = 1.96 * single[0, b].std(ddof=1) / np.sqrt(repeats)
        middle = single[0, b].mean()
        line["single"] = {
            "coverage": round(float(middle), 4),
            "bounds": [round(float(middle - half), 4), round(float(middle + half), 4)],
            "width": round(100 * float(single[1, b].mean()), 2),
        }
        rows[str(budget)] = line
    return {"worlds": repeats, "shape": list(shape), "budgets": rows}


def compared(
    grids: np.ndarray,
    seen: np.ndarray,
    found: many.Many,
    methods: Sequence[str],
    features: np.ndarray | None,
) -> dict:
    """Errors of ours and of rivals on the same cells, and how often our intervals hold. features (grids, rows, k)."""
    ended = np.isfinite(found.score).all(1)
    found, grids, seen, features = jax.tree.map(lambda array: array[ended], (found, grids, seen, features))
    truth = grids.mean(2)
    of_truth = np.array([paper.quantiles(one, LEVELS) for one in truth])
    x = grids if features is None else features  # not looked at by methods without covariates
    errors = {}
    for method in methods:
        scores = [rivals.estimated(method, *given) for given in zip(grids, seen, x, strict=True)]
        errors[method] = np.array([apart(s, s, at) for s, at in zip(scores, truth, strict=True)])
    ours = np.array([apart(d, s, at) for d, s, at in zip(found.distribution, found.score, truth, strict=True)])
    inside = (found.quantile_low <= of_truth) & (of_truth <= found.quantile_high)
    return {
        "failed": int((~ended).sum()),
        "errors": {m: named(np.mean(e, 0)) for m, e in (errors | {"ours": ours}).items()},
        "ours_minus": {m: paired(ours - e) for m, e in errors.items()},
        "held_95": named(inside.mean(0), COLUMNS[2:-1]),
        "width": named(100 * (found.quantile_high - found.quantile_low).mean(0), COLUMNS[2:-1]),
        "held_95_single": round(float(((found.low <= truth) & (truth <= found.high)).mean()), 3),
        "prompt_sd": round(float(found.scale[:, 0].mean()), 3),
        "example_sd": round(float(found.scale[:, -1].mean()), 3),
    }


def paired(gap: np.ndarray) -> dict[str, list]:
    """By column: mean of (plans, columns), its 95% interval, times below and above 0."""
    half = t.ppf(0.975, len(gap) - 1) * gap.std(0, ddof=1) / np.sqrt(len(gap))
    middle, wins, losses = gap.mean(0), (gap < 0).sum(0).tolist(), (gap > 0).sum(0).tolist()
    ends = np.stack([middle, middle - half, middle + half], 1).round(3).tolist()
    return {name: [*ends[i], wins[i], losses[i]] for i, name in enumerate(COLUMNS)}


def shares_held(values: np.ndarray) -> dict:
    """Means over worlds and the standard errors of the shares that hold; values (worlds, 6)."""
    middle, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
    names = ("mean", "difference", "won")
    return {"worlds": len(values)} | {
        name: {
            "coverage": [round(float(middle[i]), 3), round(float(error[i]), 3)],
            "width": round(float(middle[i + 3]), 2),
        }
        for i, name in enumerate(names)
    }
