"""How well scores over prompts are estimated (`estimators/prompts/effects.py`): `python bench/prompts.py [PART ...]`.

Parts, in the order run, each stored as soon as it is done in results/prompts.json:

simulated        the reference's 10 sets, 3 seeds and cells (`prompts_rivals`), beside PromptEval as published, its
                 template-only regression, and the crude EM of design/probes/prompteval_draws.py in the shared folder
example_driven   the same on sets made here, where examples matter much, prompts little and covariates next to nothing
coverage         intervals on fresh worlds, sizes of effects log-normal: prompts .6 (log sd .6), examples 1.5 (.5)
fixed            the same where prompts always differ by .2, .6 or 1.2 logits and examples by 1.5
real             56 templates x 100 examples of mmlu_abstract_algebra, all answers known, 100 plans
published        325 grids (tasks x models of Mizrahi et al. 2024) of 100 templates with the accuracies published;
                 which examples are right is drawn; with and without features of the templates' texts
judges           5 models under 30 prompts each (of a judge, or of the task) x 120 examples, right or wrong and in
                 fractions: how often intervals of models' means, their differences and shares of prompts won hold
quick            `fit_many(method="ep")`: simulated, coverage and published
known            the same on the simulated sets with covariates, told how large effects are there: what is attainable
speed            `fit_many` warm, peak memory (of this process: run it alone), and the plan
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import json
import os
import pathlib
import resource
import time
from collections.abc import Callable, Sequence
from typing import Literal
from unittest import mock

import jax
import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import beta, t

import lleval_jax as ll
from bench.kit.machine import describe
from bench.kit.problems import shared
from bench.prompts import published as rivals
from lleval_jax.estimators import prompts
from lleval_jax.estimators.prompts import balanced, many
from lleval_jax.estimators.prompts import published as paper
from lleval_jax.layout import grid as crossed_layout

PARTS = ("simulated", "example_driven", "coverage", "fixed", "real", "published", "judges", "quick", "known", "speed")
BUDGETS, LEVELS = rivals.BUDGETS, rivals.LEVELS
COLUMNS = ("w1", "individual", *(f"q{round(100 * level):02d}" for level in LEVELS), "mean")
BARS = {"without": (3.2, 3.2, 2.9, 2.2), "with": (2.7, 2.4, 2.0, 1.6)}
SHAPE, FRESH = (100, 250), (60, 150)  # of the grids that are timed, and of a fresh world
CHUNK = 64  # worlds at once, with all budgets each
TALL, WIDE, FITS = 57 * 5, 15 * 4, 256  # the study of the paper: tasks x seeds, models x budgets; fits that are timed
SHARES, PLANS = (0.05, 0.1, 0.2), 100
PANEL = (5, 30, 120)  # models, prompts and examples of `judges`
TEMPLATES, COMPONENTS = 100, 8  # of a task, and of the features of their texts
Method = Literal["mcmc", "ep"]
RESULT = pathlib.Path(__file__).resolve().parent / "results" / "prompts.json"
SOURCES = (
    "estimators/prompts.py",
    "estimators/prompt_answers.py",
    "estimators/prompts_many.py",
    "estimators/crossed_layout.py",
    "estimators/crossed_fit.py",
    "core/crossed.py",
    "core/crossed_scales.py",
    "core/crossed_draws.py",
    "core/crossed_shape.py",
    "core/crossed_messages.py",
    "core/crossed_joint.py",
)


# --- the simulated sets -----------------------------------------------------------------------------------------------


@functools.cache
def crude() -> tuple[Callable, Callable]:
    """`fit` and `scores` of the crude EM, out of the probe's file, which is a script."""
    file = shared("design", "probes", "prompteval_draws.py")
    functions: list[ast.stmt] = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
    names = {"np": np, "expit": expit}
    exec(compile(ast.Module(functions, []), str(file), "exec"), names)  # noqa: S102
    return names["fit"], names["scores"]


def example_driven(k: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """Set k of a world where examples matter: answers (100, 1000) and covariates (100, 10), of size `effect` each."""
    random = np.random.default_rng([77, k])
    x, coefficients = random.normal(size=(100, 10)), effect * random.normal(size=10)
    prompt, example = 0.1 * random.normal(size=100), 2.5 * random.normal(size=1000)
    logit = 0.7 * random.normal() + (x @ coefficients + prompt)[:, None] + example[None, :]
    return (random.random(logit.shape) < expit(logit)).astype(float), x


def apart(order: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(columns,) errors in points of a distribution and of single scores, all (prompts,); `COLUMNS`."""
    both = prompts.wasserstein(np.sort(order), np.sort(truth)), np.abs(scores - truth).mean()
    quantile = np.abs(paper.quantiles(order, LEVELS) - paper.quantiles(truth, LEVELS))
    return 100 * np.array([*both, *quantile, abs(order.mean() - truth.mean())])


def runs(
    sets: Sequence[tuple[np.ndarray, np.ndarray]], x: bool, methods: Sequence[str], tell: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Errors by method (sets, seeds, budgets, columns); of ours whether intervals hold, (sets, seeds, budgets, 6)."""
    errors = {m: np.zeros((len(sets), len(rivals.SEEDS), len(BUDGETS), len(COLUMNS))) for m in ("ours", *methods)}
    held = np.zeros((*errors["ours"].shape[:3], len(LEVELS) + 1))
    plans = [nested(seed) for seed in rivals.SEEDS]
    for k, (answers, features) in enumerate(sets):
        truth = answers.mean(1)
        of_truth = np.append(paper.quantiles(truth, LEVELS), truth)
        for seed in rivals.SEEDS:
            for b, seen in enumerate(plans[seed]):
                grid = ll.Responses.build(np.where(seen, answers, np.nan))
                place = k, seed, b
                try:
                    own = len(rivals.SEEDS) * k + seed  # of the draws: their luck is not to be that of all sets
                    fitted = prompts.fit(grid, row_features=features if x else None, seed=own)
                except ll.NotConverged:  # counted as `failed`
                    held[place] = np.nan
                    for values in errors.values():
                        values[place] = np.nan
                    continue
                found = prompts.estimate(fitted, per_prompt=True)
                value = np.asarray(found.value)
                errors["ours"][place] = apart(prompts.distribution(fitted).value, value[len(LEVELS) :], truth)
                inside = (np.asarray(found.low) <= of_truth) & (of_truth <= np.asarray(found.high))
                held[place] = np.append(inside[: len(LEVELS)], inside[len(LEVELS) :].mean())
                for method in methods:
                    if method == "crude":
                        fit, scores = crude()
                        random = np.random.default_rng(seed)
                        single, order = scores(seen, answers, fit(seen, answers, features if x else None), random)
                    else:
                        order = single = rivals.estimated(method, answers, seen, features)
                    errors[method][place] = apart(order, single, truth)
        so_far = {m: np.nanmean(e[: k + 1, ..., 0], (0, 1)).round(2).tolist() for m, e in errors.items()}
        print(f"{tell} {k}: {so_far}", flush=True)
    return errors, held


@functools.cache
def nested(seed: int) -> list[np.ndarray]:
    """The published code's cells at each budget."""
    seen, plans = np.zeros((100, 1000), bool), []
    for budget in BUDGETS:
        plans.append(seen := rivals.published_plan(seen, budget, seed))
    return plans


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


def simulated() -> dict:
    """The reference's sets."""
    sets = [rivals.simulated(k) for k in range(rivals.SETS)]
    without = told(*runs(sets, False, ("crude", "baseline", "pe_rasch"), "without covariates"))
    return {"bars": BARS, "without": without, "with": told(*runs(sets, True, ("crude", "pe_X", "logreg_X"), "with"))}


def driven() -> dict:
    """Where covariates say nothing, or little."""
    found = {}
    for name, effect in (("no_effect", 0.0), ("weak_effect", 0.05)):
        sets = [example_driven(k, effect) for k in range(10)]
        errors, held = runs(sets, True, ("pe_X", "logreg_X"), name)
        found[name] = told(errors, held)
    return found


# --- coverage ---------------------------------------------------------------------------------------------------------


def world(random: np.random.Generator, prompt: float | None, shape: tuple[int, int]) -> np.ndarray:
    """Answers (prompts, examples); sizes of effects log-normal, or prompts of a given size."""
    sizes = (0.6 * np.exp(0.6 * random.normal()), 1.5 * np.exp(0.5 * random.normal()))
    sizes = sizes if prompt is None else (prompt, 1.5)
    effects = [size * random.normal(size=n) for size, n in zip(sizes, shape, strict=True)]
    logit = random.normal() + effects[0][:, None] + effects[1][None, :]
    return (random.random(shape) < expit(logit)).astype(np.float32)


def covered(repeats: int, seconds: float, prompt: float | None, tell: str, method: Method = "mcmc") -> dict:
    """Coverage and width of 95% intervals at each budget; ends early after so many seconds."""
    held, wide, single, shape, began = [], [], [], FRESH, time.perf_counter()
    for start in range(0, repeats, CHUNK):
        if held and time.perf_counter() - began > seconds:
            break
        seeds = range(start, min(start + CHUNK, repeats))
        answers = np.stack([world(np.random.default_rng([5, seed]), prompt, shape) for seed in seeds])
        seen = np.zeros((len(BUDGETS), *answers.shape), bool)
        for i, seed in enumerate(seeds):
            row, column = balanced.plan(seen[0, i], BUDGETS[-1], seed=seed)
            for b, budget in enumerate(BUDGETS):
                seen[b, i, row[:budget], column[:budget]] = True
        grids = np.broadcast_to(answers, seen.shape).reshape(-1, *shape)
        found = many.fit_many(
            grids,
            seen.reshape(-1, *shape),
            points=16 if method == "mcmc" else None,
            draws=400,
            method=method,
            seed=start,
        )
        truth = grids.mean(2, dtype=float)
        of_truth = np.quantile(truth, LEVELS, axis=1).T
        inside = (found.low <= truth) & (truth <= found.high)
        sides = np.stack([of_truth < found.quantile_low, of_truth > found.quantile_high])
        held.append(sides.reshape(2, len(BUDGETS), len(seeds), -1))
        wide.append((found.quantile_high - found.quantile_low).reshape(len(BUDGETS), len(seeds), -1))
        pair = np.stack([inside.mean(1), (found.high - found.low).mean(1)])
        single.append(pair.reshape(2, len(BUDGETS), -1))
        now = 1 - np.concatenate(held, 2).sum(0).mean((1, 2))
        each = single[-1][0].mean(1).round(3)
        sweeps = found.steps.reshape(len(BUDGETS), -1)
        print(f"{tell} {start + len(seeds)}: {now.round(3)}, single {each}, sweeps {sweeps.max(1)}", flush=True)
    return summed(np.concatenate(held, 2), np.concatenate(wide, 1), np.concatenate(single, 2), shape)


def summed(missed: np.ndarray, wide: np.ndarray, single: np.ndarray, shape: tuple[int, int]) -> dict:
    """What is stored of coverage and width.

    Args:
        missed: (2, budgets, worlds, levels) whether the true quantile lies below, above its interval.
        wide: (budgets, worlds, levels) the width of that interval.
        single: (2, budgets, worlds) share of prompts whose interval holds, and its width.
        shape: of a world.
    """
    repeats, rows = missed.shape[2], {}
    for b, budget in enumerate(BUDGETS):
        line = {}
        for i, name in enumerate(COLUMNS[2:-1]):
            hits = repeats - int(missed[:, b, :, i].sum())
            ends = beta.ppf([0.025, 0.975], [hits, hits + 1], [repeats - hits + 1, repeats - hits])
            line[name] = {
                "coverage": round(hits / repeats, 4),
                "bounds": np.nan_to_num(ends, nan=1.0).round(4).tolist(),
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


def fixed(repeats: int, seconds: float) -> dict:
    """Prompts that differ by the same each time, whatever the prior says."""
    return {str(sd): covered(repeats, seconds, sd, f"prompts differ by {sd}") for sd in (0.2, 0.6, 1.2)}


# --- real answers -----------------------------------------------------------------------------------------------------


def real() -> dict:
    """56 templates x 100 examples."""
    with np.load(shared("data", "multi_prompt", "mmlu_abstract_algebra_mistral-7b-instruct.npz")) as stored:
        answers = stored["responses"].astype(float)
    rows = {}
    for share in SHARES:
        grids, budget = np.broadcast_to(answers, (PLANS, *answers.shape)), round(share * answers.size)
        seen = balanced_plans(grids, budget)
        found = many.fit_many(grids, seen, points=16, draws=400)
        rows[str(budget)] = compared(grids, seen, found, ("baseline", "pe_rasch"), None)
        print(budget, json.dumps(rows[str(budget)]), flush=True)
    of_truth = paper.quantiles(answers.mean(1), LEVELS)
    return {"plans": PLANS, "true_quantiles": (100 * of_truth).round(2).tolist(), "budgets": rows}


def templates() -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each task its grids (models, templates, examples) and the features of its templates."""
    table = pd.read_parquet(shared("data", "multi_prompt", "template_accuracy.parquet"))
    texts = pd.read_parquet(shared("data", "multi_prompt", "templates.parquet"))
    texts = texts.set_index(["task", "template_id"])["template"]
    tasks = []
    for k, (task, of_task) in enumerate(table.groupby("task")):
        random = np.random.default_rng([8, k])
        accuracy = of_task.pivot(index="template_id", columns="model", values="accuracy")
        accuracy = accuracy.iloc[random.choice(len(accuracy), TEMPLATES, replace=False)]
        grids = np.stack([with_accuracies(random, accuracy[model].to_numpy()) for model in accuracy])
        features, _ = prompts.features([texts[task, template] for template in accuracy.index])
        tasks.append((grids, prompts.pca(features / np.maximum(features.std(0), 1e-9), COMPONENTS)))
    return tasks


def published() -> dict:
    """Templates whose accuracies are real, answers to single examples drawn."""
    tasks = templates()
    everything = np.concatenate([grids for grids, _ in tasks])
    rows: dict = {"grids": len(everything), "sd_of_accuracies": np.quantile(100 * everything.mean(2).std(1), LEVELS)}
    rows = {name: np.round(value, 2).tolist() for name, value in rows.items()}
    for share in SHARES:
        budget, each = round(share * everything[0].size), []
        for grids, features in tasks:
            seen = balanced_plans(grids, budget)
            plain = many.fit_many(grids, seen, points=16, draws=400)
            aware = many.fit_many(grids, seen, row_features=features, points=16, draws=400)
            each.append((seen, np.broadcast_to(features, (len(grids), *features.shape)), plain, aware))
        seen, features, plain, aware = jax.tree.map(lambda *parts: np.concatenate(parts), *each)
        rows[str(budget)] = {
            "without": compared(everything, seen, plain, ("baseline", "pe_rasch"), None),
            "with": compared(everything, seen, aware, ("pe_X",), features),
        }
        print(budget, json.dumps(rows[str(budget)]), flush=True)
    return rows


def with_accuracies(random: np.random.Generator, accuracy: np.ndarray) -> np.ndarray:
    """Answers (prompts, 100) of which each prompt has exactly as many right as given, the easiest with some luck."""
    example = 1.5 * np.exp(0.5 * random.normal()) * random.normal(size=100)
    ease = example[None, :] + random.logistic(size=(len(accuracy), 100))
    rank = np.argsort(np.argsort(-ease, axis=1), axis=1)
    return (rank < np.round(100 * accuracy)[:, None]).astype(float)


def balanced_plans(grids: np.ndarray, budget: int) -> np.ndarray:
    """Cells of each grid, from its own seed."""
    seen = np.zeros(grids.shape, bool)
    for seed in range(len(grids)):
        seen[(seed, *balanced.plan(seen[seed], budget, seed=seed))] = True
    return seen


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
        "ours_minus": {m: beside(ours - e) for m, e in errors.items()},
        "held_95": named(inside.mean(0), COLUMNS[2:-1]),
        "width": named(100 * (found.quantile_high - found.quantile_low).mean(0), COLUMNS[2:-1]),
        "held_95_single": round(float(((found.low <= truth) & (truth <= found.high)).mean()), 3),
        "prompt_sd": round(float(found.scale[:, 0].mean()), 3),
        "example_sd": round(float(found.scale[:, -1].mean()), 3),
    }


def beside(gap: np.ndarray) -> dict[str, list]:
    """By column: mean of (plans, columns), its 95% interval, times below and above 0."""
    half = t.ppf(0.975, len(gap) - 1) * gap.std(0, ddof=1) / np.sqrt(len(gap))
    middle, wins, losses = gap.mean(0), (gap < 0).sum(0).tolist(), (gap > 0).sum(0).tolist()
    ends = np.stack([middle, middle - half, middle + half], 1).round(3).tolist()
    return {name: [*ends[i], wins[i], losses[i]] for i, name in enumerate(COLUMNS)}


# --- several models ---------------------------------------------------------------------------------------------------


def judges(repeats: int, seconds: float) -> dict:
    """Models that share prompts and examples; each pair of models next to each other is compared."""
    found: dict[str, dict] = {}
    for kind in ("binary", "fractional"):
        rows: dict[str, list[list[float]]] = {str(share): [] for share in SHARES}
        began = time.perf_counter()
        for k in range(repeats):
            if time.perf_counter() - began > seconds / 2:
                break
            answers = judged(np.random.default_rng([9, k]), kind == "fractional")
            for i, share in enumerate(SHARES):
                rows[str(share)].append(told_apart(answers, round(share * answers.size), 3 * k + i))
        found[kind] = {share: shares_held(np.array(values)) for share, values in rows.items()}
        print(kind, json.dumps(found[kind]), flush=True)
    return found


def judged(random: np.random.Generator, fractional: bool) -> np.ndarray:
    """Answers (models x prompts, examples) of a world; fractions have a tenth of the variance of right and wrong."""
    models, prompts_, examples = PANEL
    sizes = (0.5, 0.4, 0.3, 1.2)
    shapes = ((models, 1, 1), (1, prompts_, 1), (models, prompts_, 1), (1, 1, examples))
    logit = 0.5 * random.normal() + sum(s * random.normal(size=shape) for s, shape in zip(sizes, shapes, strict=True))
    p = expit(logit).reshape(models * prompts_, examples)
    answers = random.beta(9 * p, 9 * (1 - p)) if fractional else random.random(p.shape) < p
    return answers.astype(np.float32)


def told_apart(answers: np.ndarray, budget: int, seed: int) -> list[float]:
    """Of one grid: share of means, differences and shares won whose 95% intervals hold, and the widths of these."""
    models, each, _ = PANEL
    names = [str(m) for m in range(models)]
    seen = np.zeros(answers.shape, bool)
    seen[balanced.plan(seen, budget, seed=seed)] = True
    row = [f"{m}/{i}" for m in names for i in range(each)]
    grid = ll.Responses.build(np.where(seen, answers, 0), seen=seen, rows=row)
    fitted = prompts.fit(
        grid, models=np.repeat(names, each).tolist(), prompts=[str(i) for i in range(each)] * models, seed=seed
    )
    truth = answers.mean(1, dtype=float).reshape(models, each)
    mean = prompts.estimate(fitted, quantiles=(), what=("mean",))
    pairs = list(zip(names, names[1:], strict=False))
    gap = [prompts.difference(fitted, *pair) for pair in pairs]
    won = [prompts.won(fitted, *pair) for pair in pairs]
    wins = ((np.sign(truth[:-1] - truth[1:]) + 1) / 2).mean(1)
    kinds = (([mean], truth.mean(1)), (gap, -np.diff(truth.mean(1))), (won, wins))
    inside, wide = [], []
    for estimates, true in kinds:
        low, high = (np.concatenate([getattr(e, side) for e in estimates]) for side in ("low", "high"))
        inside.append(float(((low <= true + 1e-9) & (true <= high + 1e-9)).mean()))
        wide.append(100 * float((high - low).mean()))
    return inside + wide


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


# --- the quick method -------------------------------------------------------------------------------------------------


def quick(repeats: int, seconds: float) -> dict:
    """`simulated`, `coverage` and `published`, without rivals."""
    everything, rows = np.concatenate([grids for grids, _ in templates()]), {}
    for share in SHARES:
        seen = balanced_plans(everything, round(share * everything[0].size))
        found = many.fit_many(everything, seen, draws=400, method="ep")
        rows[f"{share:g}"] = compared(everything, seen, found, (), None)
        print(share, json.dumps(rows[f"{share:g}"]), flush=True)
    found = {"simulated": {name: quick_simulated(x) for name, x in (("without", False), ("with", True))}}
    return found | {"published": rows, "coverage": covered(repeats, seconds, None, "quick coverage", "ep")}


def quick_simulated(x: bool) -> dict:
    """Errors on the reference's sets by budget, means over seeds and sets."""
    errors = np.zeros((rivals.SETS, len(rivals.SEEDS), len(BUDGETS), len(COLUMNS)))
    for k in range(rivals.SETS):
        answers, features = rivals.simulated(k)
        seen = np.stack([plan for seed in rivals.SEEDS for plan in nested(seed)])
        grids = np.broadcast_to(answers, seen.shape)
        found = many.fit_many(grids, seen, row_features=features if x else None, draws=400, method="ep")
        each = [apart(*one, answers.mean(1)) for one in zip(found.distribution, found.score, strict=True)]
        errors[k] = np.reshape(each, errors[k].shape)
    rows = {str(b): spread(errors[:, :, i]) for i, b in enumerate(BUDGETS)}
    print("with" if x else "without", "covariates", {b: row["mean"][0] for b, row in rows.items()}, flush=True)
    return rows


def known() -> dict:
    """Errors of one who knows how large effects are in the simulated sets, as if 1,000 had been seen."""
    sizes = {"EXPLAINED": 0.6, "REST": 0.25, "HARD": 1.5}
    with mock.patch.multiple(crossed_layout, **sizes, OPEN=1e3, LOOSE=1e3, FIRM=1e3):
        return {"sizes": sizes, "with": quick_simulated(True)}


# --- speed ------------------------------------------------------------------------------------------------------------


def speed() -> dict:
    """Seconds of many fits and of a plan."""
    shape, each = SHAPE, FITS // len(BUDGETS)
    answers = np.stack([world(np.random.default_rng([6, i]), None, shape) for i in range(FITS)])
    seen = np.zeros(answers.shape, bool)
    for i in range(FITS):
        seen[(i, *balanced.plan(seen[i], BUDGETS[i // each], seed=i))] = True
    methods: tuple[Method, ...] = ("ep", "mcmc")
    tries: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
    for method in methods:
        for _ in range(3):
            began = time.perf_counter(), time.process_time()
            many.fit_many(answers, seen, method=method)
            tries[method].append((time.perf_counter() - began[0], time.process_time() - began[1]))
            print(f"{FITS} fits, {method}: {tries[method][-1][0]:.2f} s, {tries[method][-1][1]:.2f} CPU s", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    fits, original = TALL * WIDE, json.loads(rivals.RESULT.read_text())
    began = time.perf_counter(), time.process_time()
    balanced.plan(np.zeros((100, 14_000), bool), 28_000, seed=0)
    plan = time.perf_counter() - began[0], time.process_time() - began[1]
    return {
        "shape": list(shape),
        "fits": fits,
        **{method: per_fit(tries[method], fits) for method in methods},
        "peak_gib": round(memory, 2),
        "reference_cpu_ms_a_fit": {
            m: round(1000 * s / 4, 2) for m, s in original["cpu_seconds_of_four_fits_median"].items()
        },
        "plan_100x14000_of_28000": {"seconds": round(plan[0], 3), "cpu_seconds": round(plan[1], 3)},
    }


def per_fit(tries: list[tuple[float, float]], fits: int) -> dict:
    """Of seconds and processor seconds of some calls, the first of which compiles."""
    wall, cpu = (min(column) for column in zip(*tries[1:], strict=True))
    return {
        "first_seconds": round(tries[0][0], 2),
        "seconds_of_256": round(wall, 3),
        "cpu_seconds_of_256": round(cpu, 3),
        "cpu_ms_a_fit": round(1000 * cpu / FITS, 3),
        "seconds_of_all": round(wall * fits / FITS, 1),
        "cpu_seconds_of_all": round(cpu * fits / FITS, 1),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="scores over prompts from few answers")
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument(
        "--repeats", type=int, default=1000, help="worlds of `coverage` and `quick`; a quarter for `fixed`"
    )
    parser.add_argument("--seconds", type=float, default=np.inf, help="after which `coverage` and `judges` end")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    does = {
        "simulated": simulated,
        "example_driven": driven,
        "coverage": lambda: covered(options.repeats, options.seconds, None, "coverage"),
        "fixed": lambda: fixed(options.repeats // 4, options.seconds / 4),
        "real": real,
        "published": published,
        "judges": lambda: judges(options.repeats, options.seconds),
        "quick": lambda: quick(options.repeats, options.seconds),
        "known": known,
        "speed": speed,
    }
    sources, usual = fingerprint(), crossed_layout.LEAST_POWER
    for part in options.parts or PARTS:
        crossed_layout.LEAST_POWER = usual if part == "speed" else 11  # all budgets in one shape: one compilation
        began = time.perf_counter(), time.process_time()
        found = does[part]()
        took = time.perf_counter() - began[0], time.process_time() - began[1]
        found["took"] = dict(zip(("seconds", "cpu"), np.round(took, 1).tolist(), strict=True))
        found["machine"] = describe("numpy", "scipy", "jax") | {"threads": os.environ.get("OMP_NUM_THREADS", "default")}
        found["sources"] = sources
        record = json.loads(options.out.read_text()) if options.out.exists() else {"columns": COLUMNS}
        options.out.write_text(json.dumps(record | {part: found}, indent=1) + "\n")


def fingerprint() -> str:
    """Of the estimator's files as measured."""
    package = pathlib.Path(ll.__file__).parent
    return hashlib.sha256(b"".join((package / name).read_bytes() for name in SOURCES)).hexdigest()[:12]


if __name__ == "__main__":
    main()
