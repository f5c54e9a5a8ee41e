"""What PromptEval is measured against: itself as published, its baselines, and halving for the best prompt.

`python bench/prompts_rivals.py` runs `estimators/prompts/published.py` on the simulated sets of
reference/prompteval_sim.npz (10 sets, seeds 0 to 2, nested budgets) on the cells that the published code asks, beside
its stored errors. `--python PYTHON --methods FOLDER` runs the authors' program as well
(bench/rivals/prompteval_original.py): processor seconds, weights, and the regrets of halving.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time
from typing import NamedTuple

import numpy as np

from bench.kit.machine import describe
from bench.kit.problems import shared
from lleval_jax.estimators.prompts import balanced
from lleval_jax.estimators.prompts import published as paper

SETS, SEEDS, BUDGETS = 10, (0, 1, 2), (200, 400, 800, 1600)
METHODS = ("baseline", "pe_rasch", "pe_X", "logreg_X")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
BY = ("pe", "gse", "means")
HERE = pathlib.Path(__file__).resolve().parent
RESULT = HERE / "results" / "prompts_reference.json"


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
        "pe_rasch": lambda: paper.fit(answers, seen),
        "pe_X": lambda: paper.fit(answers, seen, x),
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
        return paper.scores(paper.fit(answers, seen, x), answers, seen)
    return paper.fit_rows(answers, seen, x).theta if by == "gse" else _observed(answers, seen)


def _observed(answers: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean of what was seen (prompts,); -1 where nothing was."""
    count = seen.sum(1)
    return np.where(count > 0, np.where(seen, answers, 0).sum(1) / np.maximum(count, 1), -1)


def reference() -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """Ours on all sets: scores by "method.set.seed" (budgets, prompts), processor seconds by method of four budgets."""
    scores, seconds = {}, {method: [] for method in METHODS}
    for seed in SEEDS:
        plans = _nested(seed)  # a plan does not look at answers
        for k in range(SETS):
            answers, x = simulated(k)
            for method in METHODS:
                began = time.process_time()
                scores[f"{method}.{k}.{seed}"] = np.array([estimated(method, answers, s, x) for s in plans])
                seconds[method].append(time.process_time() - began)
    return scores, seconds


def table(scores: dict[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    """Errors in points, averaged over sets and seeds: method, then budget -> W1, individual, five quantiles."""
    rows = {}
    for method in METHODS:
        runs = [
            [errors(s, simulated(k)[0].mean(1)) for s in scores[f"{method}.{k}.{seed}"]]
            for k in range(SETS)
            for seed in SEEDS
        ]
        rows[method] = {str(b): e.round(3).tolist() for b, e in zip(BUDGETS, 100 * np.mean(runs, 0), strict=True)}
    return rows


def regrets(published: bool) -> dict[str, np.ndarray]:
    """Regrets of halving by "how.covariates.set.seed", (budgets,)."""
    found = {}
    for k in range(SETS):
        answers, x = simulated(k)
        for seed in SEEDS:
            for by in BY:
                for name, given in (("rasch", None), ("X", x)) if by != "means" else (("none", None),):
                    runs = [halving(answers, b, by=by, seed=seed, x=given, published=published) for b in BUDGETS]
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


def beside_the_original(out: pathlib.Path, scores: dict, found: dict) -> dict:
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


def _nested(seed: int) -> list[np.ndarray]:
    """The published plan at each budget, one within the other."""
    plans, seen = [], np.zeros(simulated(0)[0].shape, bool)
    for budget in BUDGETS:
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
                        else paper.fit(answers, seen, None if method == "pe_rasch" else x)
                    )
                    gaps.append(np.abs(fitted.coefficients - theirs[f"weights.{tol}.{method}.{budget}.{seed}"]).max())
                rows.setdefault(f"{method} {budget}", {})[f"tol {float(tol):g}"] = float(f"{max(gaps):.2g}")
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="PromptEval as published")
    parser.add_argument("--python", help="interpreter with scikit-learn")
    parser.add_argument("--methods", help="the folder of the published methods.py")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "original.json"
        original = start(options.python, options.methods, out) if options.python else None
        record, scores, found = ours()
        if original and original.wait() == 0:
            record["original"] = beside_the_original(out, scores, found)
            print(json.dumps(record["original"], indent=1))
    options.out.write_text(json.dumps(record, indent=1) + "\n")


def ours() -> tuple[dict, dict, dict]:
    """The record of what needs no other program; our scores and regrets."""
    stored = json.loads(shared("reference", "baselines.json").read_text())["prompteval_sim"]["summary"]
    scores, seconds = reference()
    rows = table(scores)
    for method in METHODS:
        pairs = [f"{rows[method][str(b)][0]:6.2f} ({100 * stored[method][str(b)]['w1']:6.2f})" for b in BUDGETS]
        print(f"{method:9}" + " ".join(pairs), flush=True)
    apart = [abs(rows[m][str(b)][0] - 100 * stored[m][str(b)]["w1"]) for m in METHODS for b in BUDGETS]
    print(f"W1 at most {max(apart):.3f} points from the stored", flush=True)
    found = regrets(published=True)
    record = {
        "problem": "10 simulated sets, 100 prompts x 1000 items, seeds 0 to 2; averages, in points",
        "source": "reference/prompteval_sim.npz, reference/baselines.json",
        "machine": describe("numpy", "scipy", "jax"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "columns": ["w1", "individual", *[f"q{round(100 * level):02d}" for level in LEVELS]],
        "errors": rows,
        "stored_w1": {m: {str(b): round(100 * stored[m][str(b)]["w1"], 3) for b in BUDGETS} for m in METHODS},
        "largest_w1_gap": round(max(apart), 4),
        "cpu_seconds_of_four_fits_median": {m: round(float(np.median(s)), 4) for m, s in seconds.items()},
        "best_prompt_regret": averaged(found),
        "best_prompt_regret_new_plan": averaged(regrets(published=False)),
    }
    print(json.dumps(record["best_prompt_regret"]), flush=True)
    return record, scores, found


if __name__ == "__main__":
    main()
