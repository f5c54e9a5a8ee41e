"""What PromptEval is measured against: itself as published, its baselines, and halving for the best prompt.

Runs `estimators/prompts/published.py` on the simulated sets of
reference/prompteval_sim.npz (10 sets, seeds 0 to 2, nested budgets) on the cells that the published code asks, and
its stored errors. `python` and `methods` run the authors' program as well
(rivals/prompteval_original.py): processor seconds, weights, and the regrets of halving.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.kit.problems import shared
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators.prompts import balanced
from lleval_jax.estimators.prompts import published as paper

SETS, SEEDS, BUDGETS = 10, (0, 1, 2), (200, 400, 800, 1600)
METHODS = ("baseline", "pe_rasch", "pe_X", "logreg_X")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
BY = ("pe", "gse", "means")
HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    python: str | None = setting(None, "interpreter with scikit-learn, for the authors' program")
    methods: str | None = setting(None, "the folder of the published methods.py")
    sets: int = setting(SETS, "simulated sets")
    seeds: tuple[int, ...] = setting(SEEDS, "of plans")
    budgets: tuple[int, ...] = setting(BUDGETS, "answers")


class Chosen(NamedTuple):
    """The prompt chosen, the score it falls short of the best prompt's on all items, and the answers it took."""

    prompt: int
    regret: float
    answers: int


def simulated(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Set k: answers (prompts, items) in {0, 1} and covariates (prompts, features)."""
    with np.load(shared("reference", "prompteval_sim.npz")) as stored:
        return stored[f"Y{k}"].astype(float), stored[f"X{k}"].astype(float)


def published_plan(
    seen: np.ndarray,
    budget: int,
    seed: int,
    active: np.ndarray | None = None,
    random_column: bool = False,
) -> np.ndarray:
    """The published plan, number for number: `seen` (rows, items) extended to `budget` cells by RandomState(seed).

    `active` (any number,) are the rows that may be asked, in an order that the draws depend on. It ends early where the
    drawn row is complete.
    """
    seen, random = seen.copy(), np.random.RandomState(seed)  # noqa: NPY002, the published draws
    active = np.arange(len(seen)) if active is None else active
    of_row, of_column = seen.sum(1), seen.sum(0)
    for _ in range(budget - int(seen.sum())):
        row = random.choice(active[of_row[active] == of_row[active].min()])
        free = np.flatnonzero(~seen[row])
        if len(free) == 0:
            break
        rare = free if random_column else free[of_column[free] == of_column[free].min()]
        column = random.choice(rare)
        seen[row, column] = True
        of_row[row] += 1
        of_column[column] += 1
    return seen


def estimated(method: str, answers: np.ndarray, seen: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Scores (prompts,) of one of METHODS."""
    if method == "baseline":
        return paper.average(answers, seen)
    fitted = {
        "pe_rasch": lambda: paper.extended_rasch(answers, seen),
        "pe_X": lambda: paper.extended_rasch(answers, seen, x),
        "logreg_X": lambda: paper.fit_rows(answers, seen, x),
    }[method]()
    return paper.scores(fitted, answers, seen)


def errors(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Of prompts' scores (prompts,): Wasserstein-1, mean absolute, and of the five quantiles; in [0, 1]."""
    apart = np.abs(np.sort(scores) - np.sort(truth)).mean()
    quantile = np.abs(paper.quantiles(scores, LEVELS) - paper.quantiles(truth, LEVELS))
    return np.array([apart, np.abs(scores - truth).mean(), *quantile])


def halving(
    answers: np.ndarray,
    budget: int,
    *,
    by: str,
    seed: int,
    x: np.ndarray | None = None,
    published: bool = False,
) -> Chosen:
    """The best prompt by successive halving over a known grid (Karnin et al. 2013, as in the PromptEval paper, 2.6).

    In each of ceil(log2 prompts) phases as many answers are asked, then the lower half of the prompts is dropped.
    Chosen is the highest observed mean of who is left.

    Args:
        answers: (prompts, items) in {0, 1}, all known; only what the plan asks is looked at before the end.
        budget: answers in all.
        by: what drops a prompt: "pe", PromptEval's score; "gse", the logistic regression without items (TRIPLE-GSE);
            "means", the observed mean. "pe" and "means" ask a balanced plan, "gse" random items.
        seed: of the plan.
        x: (prompts, features) covariates, None for none.
        published: draw as the published code does, not from `estimators/prompts/balanced.py`.
    """
    prompts, items = answers.shape
    phases = int(np.ceil(np.log2(prompts)))
    share, seen, active = budget // phases, np.zeros(answers.shape, bool), np.arange(prompts)
    for phase in range(phases):
        more = share + (budget - phases * share if phase == 0 else 0)
        total = int(seen.sum()) + min(more, int((~seen[active]).sum()))
        if published:
            seen = published_plan(seen, total, seed, active, by == "gse")
        else:
            allowed = np.isin(np.arange(prompts), active)
            seen[balanced.plan(seen, total, seed=seed, rows=allowed, random_column=by == "gse")] = True
        if seen[active].all() or len(active) == 1:
            break
        active = active[np.argsort(_worth(by, answers, seen, x)[active])[int(np.ceil(len(active) / 2)) :]]
    prompt = int(active[np.argmax(_observed(answers, seen)[active])])
    truth = answers.mean(1)
    return Chosen(prompt, float(truth.max() - truth[prompt]), int(seen.sum()))


def _worth(by: str, answers: np.ndarray, seen: np.ndarray, x: np.ndarray | None) -> np.ndarray:
    """What prompts (prompts,) are ranked by in a phase."""
    if by == "pe":
        return paper.scores(paper.extended_rasch(answers, seen, x), answers, seen)
    return paper.fit_rows(answers, seen, x).theta if by == "gse" else _observed(answers, seen)


def _observed(answers: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean of what was seen (prompts,); -1 where nothing was."""
    count = seen.sum(1)
    return np.where(count > 0, np.where(seen, answers, 0).sum(1) / np.maximum(count, 1), -1)


def reference(s: Settings) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """Ours on all sets: scores by "method.set.seed" (budgets, prompts), processor seconds by method of four budgets."""
    scores, seconds = {}, {method: [] for method in METHODS}
    for seed in s.seeds:
        plans = _nested(seed, s.budgets)  # a plan does not look at answers
        for k in range(s.sets):
            answers, x = simulated(k)
            for method in METHODS:
                began = time.process_time()
                scores[f"{method}.{k}.{seed}"] = np.array([estimated(method, answers, seen, x) for seen in plans])
                seconds[method].append(time.process_time() - began)
    return scores, seconds


def table(scores: dict[str, np.ndarray], s: Settings) -> dict[str, dict[str, list[float]]]:
    """Errors in points, averaged over sets and seeds: method, then budget -> W1, individual, five quantiles."""
    rows = {}
    for method in METHODS:
        runs = [
            [errors(found, simulated(k)[0].mean(1)) for found in scores[f"{method}.{k}.{seed}"]]
            for k in range(s.sets)
            for seed in s.seeds
        ]
        rows[method] = {str(b): e.round(3).tolist() for b, e in zip(s.budgets, 100 * np.mean(runs, 0), strict=True)}
    return rows


def regrets(published: bool, s: Settings) -> dict[str, np.ndarray]:
    """Regrets of halving by "how.covariates.set.seed", (budgets,)."""
    found = {}
    for k in range(s.sets):
        answers, x = simulated(k)
        for seed in s.seeds:
            for by in BY:
                for name, given in (("rasch", None), ("X", x)) if by != "means" else (("none", None),):
                    runs = [halving(answers, b, by=by, seed=seed, x=given, published=published) for b in s.budgets]
                    found[f"{by}.{name}.{k}.{seed}"] = np.array([run.regret for run in runs])
    return found


def averaged(found: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Points, averaged over sets and seeds, by "how.covariates"; one for each budget."""
    names = sorted({name.rsplit(".", 2)[0] for name in found})
    runs = {n: [r for name, r in found.items() if name.startswith(n + ".")] for n in names}
    return {name: (100 * np.mean(r, 0)).round(3).tolist() for name, r in runs.items()}


def start(python: str, methods: str, out: pathlib.Path) -> subprocess.Popen:
    """The authors' program, while ours runs."""
    sets, script = shared("reference", "prompteval_sim.npz"), HERE / "rivals" / "prompteval_original.py"
    return subprocess.Popen([python, "-W", "ignore", str(script), methods, str(sets), str(out)])


def compared_with_the_original(out: pathlib.Path, scores: dict, found: dict) -> dict:
    """Compare what the authors' program wrote to `out`, number by number."""
    record = json.loads(out.read_text())
    with np.load(out.with_suffix(".npz")) as stored:
        theirs = {name: stored[name] for name in stored.files}
    plans = {seed: _nested(seed) for seed in SEEDS}
    same = all((np.packbits(plans[seed][-1], axis=1) == theirs[f"seen.{seed}"]).all() for seed in SEEDS)
    gap = {
        method: 100 * max(np.abs(s - theirs[f"scores.{n}"]).max() for n, s in scores.items() if n.startswith(method))
        for method in METHODS
    }
    agree = [
        np.isclose(found[f"{by}.{name}.{k}.{seed}"], theirs[f"regrets.{name}.{k}.{seed}"][:, column])
        for column, by in enumerate(("gse", "pe"))
        for name in ("rasch", "X")
        for k in range(SETS)
        for seed in SEEDS
        if f"regrets.{name}.{k}.{seed}" in theirs
    ]
    return {
        "versions": record["versions"],
        "cpu_seconds_of_four_budgets_median": {
            m: round(float(np.median(s)), 3) for m, s in record["cpu_seconds"].items()
        },
        "same_cells": bool(same),
        "largest_gap_of_a_score_in_points": {m: float(f"{g:.2g}") for m, g in gap.items()},
        "same_regret": f"{np.sum(agree)} of {np.size(agree)} runs of halving",
        "weights_on_set_0": _weights(theirs, plans),
    }


def _nested(seed: int, budgets: Sequence[int] = BUDGETS) -> list[np.ndarray]:
    """The published plan at each budget, one within the other."""
    plans, seen = [], np.zeros(simulated(0)[0].shape, bool)
    for budget in budgets:
        plans.append(seen := published_plan(seen, budget, seed))
    return plans


def _weights(theirs: dict[str, np.ndarray], plans: dict[int, list[np.ndarray]]) -> dict[str, dict[str, float]]:
    """Largest distance of liblinear's coefficients from the minimum, at both tolerances."""
    answers, x = simulated(0)
    rows: dict[str, dict[str, float]] = {}
    for method in METHODS[1:]:
        for i, budget in enumerate(BUDGETS):
            for tol in ("0.0001", "1e-10"):
                gaps = []
                for seed in SEEDS:
                    seen = plans[seed][i]
                    fitted = (
                        paper.fit_rows(answers, seen, x)
                        if method == "logreg_X"
                        else paper.extended_rasch(answers, seen, None if method == "pe_rasch" else x)
                    )
                    gaps.append(np.abs(fitted.coefficients - theirs[f"weights.{tol}.{method}.{budget}.{seed}"]).max())
                rows.setdefault(f"{method} {budget}", {})[f"tol {float(tol):g}"] = float(f"{max(gaps):.2g}")
    return rows


def study(settings: Settings, record: Record) -> None:
    """Ours; and the authors' program at the same time, if it is at hand."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "original.json"
        original = start(settings.python, settings.methods, out) if settings.python and settings.methods else None
        content, scores, found = ours(settings)
        if original and original.wait() == 0:
            content["original"] = compared_with_the_original(out, scores, found)
            print(json.dumps(content["original"], indent=1))
    record.keep(content)


def ours(s: Settings) -> tuple[dict, dict, dict]:
    """The record of what needs no other program; our scores and regrets."""
    stored = json.loads(shared("reference", "baselines.json").read_text())["prompteval_sim"]["summary"]
    scores, seconds = reference(s)
    rows = table(scores, s)
    for method in METHODS:
        pairs = [f"{rows[method][str(b)][0]:6.2f} ({100 * stored[method][str(b)]['w1']:6.2f})" for b in s.budgets]
        print(f"{method:9}" + " ".join(pairs), flush=True)
    apart = [abs(rows[m][str(b)][0] - 100 * stored[m][str(b)]["w1"]) for m in METHODS for b in s.budgets]
    print(f"W1 at most {max(apart):.3f} points from the stored", flush=True)
    found = regrets(True, s)
    record = {
        "problem": "10 simulated sets, 100 prompts x 1000 items, seeds 0 to 2; averages, in points",
        "source": "reference/prompteval_sim.npz, reference/baselines.json",
        "columns": ["w1", "individual", *[f"q{round(100 * level):02d}" for level in LEVELS]],
        "errors": rows,
        "stored_w1": {m: {str(b): round(100 * stored[m][str(b)]["w1"], 3) for b in s.budgets} for m in METHODS},
        "largest_w1_gap": round(max(apart), 4),
        "cpu_seconds_of_four_fits_median": {m: round(float(np.median(s)), 4) for m, s in seconds.items()},
        "best_prompt_regret": averaged(found),
        "best_prompt_regret_new_plan": averaged(regrets(False, s)),
    }
    print(json.dumps(record["best_prompt_regret"]), flush=True)
    return record, scores, found
