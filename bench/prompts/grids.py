"""How well scores over prompts are estimated (`estimators/prompts/effects.py`).

Parts, in the order run, each stored as soon as it is done:

simulated        the reference's 10 sets, 3 seeds and cells (`published`), compared with PromptEval as published, its
                 template-only regression, and a crude EM (`rivals/crude.py`)
example_driven   the same on sets made here, where examples matter much, prompts little and covariates next to nothing
coverage         intervals on fresh worlds, sizes of effects log-normal: prompts .6 (log sd .6), examples 1.5 (.5)
fixed            the same where prompts always differ by .2, .6 or 1.2 logits and examples by 1.5
real             56 templates x 100 examples of mmlu_abstract_algebra, all answers known, 100 plans
published        325 grids (tasks x models of Mizrahi et al. 2024) of 100 templates with the accuracies published;
                 which examples are right is drawn; with and without features of the templates' texts
judges           5 models under 30 prompts each (of a judge, or of the task) x 120 examples, right or wrong and in
                 fractions: how often intervals of models' means, their differences and shares of prompts won hold
quick            `fit_many(method="ep")`: simulated, coverage and published
known            the same on the simulated sets with covariates, knowing how large effects are there: what is attainable
speed            `fit_many` warm, peak memory (of this process: run it alone), and the plan
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from typing import Literal
from unittest import mock

import jax
import numpy as np

import lleval_jax as ll
from bench.kit.problems import shared
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.prompts import published as rivals
from bench.prompts import speed
from bench.prompts.figures import COLUMNS, apart, compared, shares_held, spread, summed, told
from bench.prompts.rivals import crude
from bench.prompts.worlds import balanced_plans, example_driven, judged, nested, templates, world
from lleval_jax.estimators import prompts
from lleval_jax.estimators.prompts import balanced, many
from lleval_jax.estimators.prompts import published as paper
from lleval_jax.layout import grid as crossed_layout

PARTS = ("simulated", "example_driven", "coverage", "fixed", "real", "published", "judges", "quick", "known", "speed")
BUDGETS, LEVELS = rivals.BUDGETS, rivals.LEVELS
BARS = {"without": (3.2, 3.2, 2.9, 2.2), "with": (2.7, 2.4, 2.0, 1.6)}
FRESH = (60, 150)  # of a fresh world
CHUNK = 64  # worlds at once, with all budgets each
SHARES, PLANS = (0.05, 0.1, 0.2), 100
PANEL = (5, 30, 120)  # models, prompts and examples of `judges`
Method = Literal["mcmc", "ep"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    parts: tuple[str, ...] = setting(PARTS, "what is measured")
    repeats: int = setting(1000, "worlds of `coverage`, `judges` and `quick`; a quarter for `fixed`")
    seconds: float = setting(float("inf"), "after which `coverage` and `judges` end")
    shape: tuple[int, ...] = setting(FRESH, "prompts and examples of a fresh world")
    budgets: tuple[int, ...] = setting(tuple(BUDGETS), "answers to a fresh world")
    panel: tuple[int, ...] = setting(PANEL, "models, prompts and examples of `judges`")
    draws: int = setting(400, "of the posterior in fresh worlds")


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
                        random = np.random.default_rng(seed)
                        fit = crude.fit(seen, answers, features if x else None)
                        single, order = crude.scores(seen, answers, fit, random)
                    else:
                        order = single = rivals.estimated(method, answers, seen, features)
                    errors[method][place] = apart(order, single, truth)
        so_far = {m: np.nanmean(e[: k + 1, ..., 0], (0, 1)).round(2).tolist() for m, e in errors.items()}
        print(f"{tell} {k}: {so_far}", flush=True)
    return errors, held


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


def covered(settings: Settings, prompt: float | None, tell: str, method: Method = "mcmc") -> dict:
    """Coverage and width of 95% intervals at each budget; ends early after so many seconds."""
    held, wide, single, began = [], [], [], time.perf_counter()
    repeats, shape, budgets = settings.repeats, settings.shape, settings.budgets
    for start in range(0, repeats, CHUNK):
        if held and time.perf_counter() - began > settings.seconds:
            break
        seeds = range(start, min(start + CHUNK, repeats))
        answers = np.stack([world(np.random.default_rng([5, seed]), prompt, shape) for seed in seeds])
        seen = np.zeros((len(budgets), *answers.shape), bool)
        for i, seed in enumerate(seeds):
            row, column = balanced.plan(seen[0, i], budgets[-1], seed=seed)
            for b, budget in enumerate(budgets):
                seen[b, i, row[:budget], column[:budget]] = True
        grids = np.broadcast_to(answers, seen.shape).reshape(-1, *shape)
        found = many.fit_many(
            grids,
            seen=seen.reshape(-1, *shape),
            points=16 if method == "mcmc" else None,
            draws=settings.draws,
            by=method,
            seed=start,
        )
        truth = grids.mean(2, dtype=float)
        of_truth = np.quantile(truth, LEVELS, axis=1).T
        inside = (found.low <= truth) & (truth <= found.high)
        sides = np.stack([of_truth < found.quantile_low, of_truth > found.quantile_high])
        held.append(sides.reshape(2, len(budgets), len(seeds), -1))
        wide.append((found.quantile_high - found.quantile_low).reshape(len(budgets), len(seeds), -1))
        pair = np.stack([inside.mean(1), (found.high - found.low).mean(1)])
        single.append(pair.reshape(2, len(budgets), -1))
        now = 1 - np.concatenate(held, 2).sum(0).mean((1, 2))
        each = single[-1][0].mean(1).round(3)
        sweeps = found.steps.reshape(len(budgets), -1)
        print(f"{tell} {start + len(seeds)}: {now.round(3)}, single {each}, sweeps {sweeps.max(1)}", flush=True)
    return summed(np.concatenate(held, 2), np.concatenate(wide, 1), np.concatenate(single, 2), shape, budgets)


def fixed(settings: Settings) -> dict:
    """Prompts that differ by the same each time, whatever the prior says."""
    each = dataclasses.replace(settings, repeats=settings.repeats // 4, seconds=settings.seconds / 4)
    return {str(sd): covered(each, sd, f"prompts differ by {sd}") for sd in (0.2, 0.6, 1.2)}


def real() -> dict:
    """56 templates x 100 examples."""
    with np.load(shared("data", "multi_prompt", "mmlu_abstract_algebra_mistral-7b-instruct.npz")) as stored:
        answers = stored["responses"].astype(float)
    rows = {}
    for share in SHARES:
        grids, budget = np.broadcast_to(answers, (PLANS, *answers.shape)), round(share * answers.size)
        seen = balanced_plans(grids, budget)
        found = many.fit_many(grids, seen=seen, points=16, draws=400)
        rows[str(budget)] = compared(grids, seen, found, ("baseline", "pe_rasch"), None)
        print(budget, json.dumps(rows[str(budget)]), flush=True)
    of_truth = paper.quantiles(answers.mean(1), LEVELS)
    return {"plans": PLANS, "true_quantiles": (100 * of_truth).round(2).tolist(), "budgets": rows}


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
            plain = many.fit_many(grids, seen=seen, points=16, draws=400)
            aware = many.fit_many(grids, seen=seen, row_features=features, points=16, draws=400)
            each.append((seen, np.broadcast_to(features, (len(grids), *features.shape)), plain, aware))
        seen, features, plain, aware = jax.tree.map(lambda *parts: np.concatenate(parts), *each)
        rows[str(budget)] = {
            "without": compared(everything, seen, plain, ("baseline", "pe_rasch"), None),
            "with": compared(everything, seen, aware, ("pe_X",), features),
        }
        print(budget, json.dumps(rows[str(budget)]), flush=True)
    return rows


def judges(settings: Settings) -> dict:
    """Models that share prompts and examples; each pair of models next to each other is compared."""
    found: dict[str, dict] = {}
    for kind in ("binary", "fractional"):
        rows: dict[str, list[list[float]]] = {str(share): [] for share in SHARES}
        began = time.perf_counter()
        for k in range(settings.repeats):
            if time.perf_counter() - began > settings.seconds / 2:
                break
            answers = judged(np.random.default_rng([9, k]), kind == "fractional", settings.panel)
            for i, share in enumerate(SHARES):
                rows[str(share)].append(told_apart(answers, settings.panel, round(share * answers.size), 3 * k + i))
        found[kind] = {share: shares_held(np.array(values)) for share, values in rows.items()}
        print(kind, json.dumps(found[kind]), flush=True)
    return found


def told_apart(answers: np.ndarray, panel: tuple[int, ...], budget: int, seed: int) -> list[float]:
    """Of one grid: share of means, differences and shares won whose 95% intervals hold, and the widths of these."""
    models, each, _ = panel
    names = [str(m) for m in range(models)]
    seen = np.zeros(answers.shape, bool)
    seen[balanced.plan(seen, budget, seed=seed)] = True
    row = [f"{m}/{i}" for m in names for i in range(each)]
    grid = ll.Responses.build(np.where(seen, answers, 0), seen=seen, rows=row)
    fitted = prompts.fit(
        grid, models=np.repeat(names, each).tolist(), prompts=[str(i) for i in range(each)] * models, seed=seed
    )
    truth = answers.mean(1, dtype=float).reshape(models, each)
    mean = prompts.estimate(fitted, quantiles=(), of=("mean",))
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


def quick(settings: Settings) -> dict:
    """`simulated`, `coverage` and `published`, without rivals."""
    everything, rows = np.concatenate([grids for grids, _ in templates()]), {}
    for share in SHARES:
        seen = balanced_plans(everything, round(share * everything[0].size))
        found = many.fit_many(everything, seen=seen, draws=400, by="ep")
        rows[f"{share:g}"] = compared(everything, seen, found, (), None)
        print(share, json.dumps(rows[f"{share:g}"]), flush=True)
    found = {"simulated": {name: quick_simulated(x) for name, x in (("without", False), ("with", True))}}
    return found | {"published": rows, "coverage": covered(settings, None, "quick coverage", "ep")}


def quick_simulated(x: bool) -> dict:
    """Errors on the reference's sets by budget, means over seeds and sets."""
    errors = np.zeros((rivals.SETS, len(rivals.SEEDS), len(BUDGETS), len(COLUMNS)))
    for k in range(rivals.SETS):
        answers, features = rivals.simulated(k)
        seen = np.stack([plan for seed in rivals.SEEDS for plan in nested(seed)])
        grids = np.broadcast_to(answers, seen.shape)
        found = many.fit_many(grids, seen=seen, row_features=features if x else None, draws=400, by="ep")
        each = [apart(*one, answers.mean(1)) for one in zip(found.distribution, found.score, strict=True)]
        errors[k] = np.reshape(each, errors[k].shape)
    rows = {str(b): spread(errors[:, :, i]) for i, b in enumerate(BUDGETS)}
    print("with" if x else "without", "covariates", {b: row["mean"][0] for b, row in rows.items()}, flush=True)
    return rows


def known() -> dict:
    """Errors of one who knows how large effects are in the simulated sets, as if 1,000 had been seen."""
    sizes = {"EXPLAINED": 0.6, "REST": 0.25, "HARD": 1.5}
    with mock.patch.multiple(crossed_layout, **sizes, OPEN=1e3, LOOSE=1e3, FIRM=1e3):  # pyright: ignore[reportCallIssue]
        return {"sizes": sizes, "with": quick_simulated(True)}


def study(settings: Settings, record: Record) -> None:
    """Each part with its own machine and date."""
    does = {
        "simulated": simulated,
        "example_driven": driven,
        "coverage": lambda: covered(settings, None, "coverage"),
        "fixed": lambda: fixed(settings),
        "real": real,
        "published": published,
        "judges": lambda: judges(settings),
        "quick": lambda: quick(settings),
        "known": known,
        "speed": speed.speed,
    }
    record.content.setdefault("columns", COLUMNS)
    for part in settings.parts:
        # all budgets in one shape: one compilation
        with mock.patch.object(crossed_layout, "LEAST_POWER", crossed_layout.LEAST_POWER if part == "speed" else 11):
            record.part(part, does[part]())
