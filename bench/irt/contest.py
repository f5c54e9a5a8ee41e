"""Ours and the rivals on the same problems in one run.

Every contestant is a script in its own process (rivals in their own environments, see rivals/setup.py) with a
time limit. A failure is a row like any other. One JSON a problem.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Literal

import numpy as np

from bench.irt.rivals.setup import interpreter
from bench.kit.measure import run_script
from bench.kit.problems import PROBLEMS, Problem, shared
from bench.kit.results import Record
from bench.kit.settings import setting

HERE = pathlib.Path(__file__).resolve().parent

# contestant: script, environment (None: the interpreter that runs this file), variant
CONTESTANTS: dict[str, tuple[str, str | None, str]] = {
    "lleval_jax": ("ours.py", None, "best"),
    "lleval_jax, no SEs": ("ours.py", None, "no_errors"),
    "lleval_jax, ML, 61 nodes": ("ours.py", None, "likelihood"),
    "mirt-py": ("rivals/mirt_py.py", "mirt", "best"),
    "mirt-py, 61 nodes": ("rivals/mirt_py.py", "mirt", "nodes_61"),
    "mirt-py, defaults": ("rivals/mirt_py.py", "mirt", "defaults"),
    "theta-irt, priors": ("rivals/theta_irt.py", "theta_irt", "best"),
    "theta-irt, no priors": ("rivals/theta_irt.py", "theta_irt", "no_priors"),
    "girth, marginal": ("rivals/girth_ml.py", "girth", "best"),
    "girth, joint": ("rivals/girth_ml.py", "girth", "joint"),
    "py-irt": ("rivals/py_irt_svi.py", "py_irt", "best"),
    "py-irt, complete": ("rivals/py_irt_svi.py", "py_irt", "complete"),
    "torch_measure": ("rivals/torch_measure_mle.py", "torch_measure", "best"),
    "torch_measure, L-BFGS": ("rivals/torch_measure_mle.py", "torch_measure", "lbfgs"),
    "torch_measure, defaults": (
        "rivals/torch_measure_mle.py",
        "torch_measure",
        "defaults",
    ),
    "joint L-BFGS baseline": ("rivals/lbfgs_joint.py", "baseline", "best"),
    "scipy BFGS, numeric gradient": (
        "rivals/scipy_abilities.py",
        "baseline",
        "numeric",
    ),
    "scipy BFGS, analytic gradient": ("rivals/scipy_abilities.py", "baseline", "best"),
}
MARGINAL = [
    "lleval_jax",
    "mirt-py",
    "mirt-py, defaults",
    "theta-irt, priors",
    "theta-irt, no priors",
]
ITEMS = [
    *MARGINAL,
    "girth, marginal",
    "py-irt",
    "torch_measure",
    "joint L-BFGS baseline",
]
REAL = ["lleval_jax", "lleval_jax, ML, 61 nodes", "mirt-py", "mirt-py, 61 nodes", *MARGINAL[3:], *ITEMS[5:]]
CONTESTS: dict[str, list[str]] = {
    "2pl_40x60": ["lleval_jax"],
    "2pl_400x2000": [*ITEMS, "py-irt, complete", "torch_measure, L-BFGS"],
    "2pl_400x14000": ["lleval_jax, no SEs", *ITEMS[:6], "girth, joint", *ITEMS[6:], "torch_measure, L-BFGS"],
    "2pl_20000x100": ITEMS,
    "2pl_5000x28000": ["lleval_jax", "lleval_jax, no SEs"],
    "gsm8k_A": REAL,
    "gsm8k_B": REAL,
    "synth2pl_5": ["lleval_jax", "joint L-BFGS baseline"],
    "synth2pl_10": ["lleval_jax", "joint L-BFGS baseline"],
    "abilities_100000x100": [
        "lleval_jax",
        "scipy BFGS, numeric gradient",
        "scipy BFGS, analytic gradient",
    ],
}
COLUMNS = (
    "status",
    "cold s",
    "warm s",
    "CPU s",
    "MiB",
    "steps",
    "r slope",
    "r interc.",
    "P-RMSE",
    "log-lik.",
)


def compete(name: str, problem: Problem, folder: pathlib.Path, threads: int, timeout: float) -> dict:
    """Run one contestant on a saved problem and judge what it found."""
    script, environment, variant = CONTESTANTS[name]
    python = sys.executable if environment is None else interpreter(environment)
    if not pathlib.Path(python).exists():
        return {
            "status": "failed",
            "error": "not installed, run: python bench/irt/rivals/setup.py",
        }
    out = folder / "out.json"
    for old in folder.glob("out.*"):
        old.unlink()
    command = [str(python), str(HERE / script), str(folder / "problem.npz"), str(out)]
    record = run_script([*command, "--threads", str(threads), "--variant", variant], out, timeout)
    if "cold_seconds" in record and record["status"] != "not finite":
        with np.load(out.with_suffix(".npz"), allow_pickle=False) as arrays:
            partial = "abilities" not in problem.name and "extrapolated_from" in record
            record["accuracy_of_the_part" if partial else "accuracy"] = judge(problem, dict(arrays))
    return record


def judge(problem: Problem, found: dict[str, np.ndarray]) -> dict[str, float]:
    """Agreement with the truth, and the marginal log-likelihood on one yardstick for everybody."""
    slopes, intercepts = found.get("slopes"), found.get("intercepts")
    abilities, truth = found.get("abilities"), problem.truth
    if slopes is None:
        rows = truth["abilities"][: len(abilities)]
        return {"ability_rmse": float(np.sqrt(np.mean((abilities - rows) ** 2)))}
    figures = {}
    if problem.dims == 1:
        if abilities is not None:  # joint fits choose their own scale
            intercepts = intercepts + slopes[:, 0] * abilities.mean()
            slopes = slopes * abilities.std()
        figures["log_likelihood"], abilities = marginal(problem.scores, slopes[:, 0], intercepts)
        figures["log_likelihood_61_nodes"], _ = marginal(problem.scores, slopes[:, 0], intercepts, 61)
    if truth:
        if problem.dims == 1:
            figures["r_slope"] = correlation(slopes[:, 0], truth["slopes"][:, 0])
        figures["r_intercept"] = correlation(intercepts, truth["intercepts"])
        if abilities is not None:
            some = slice(None, 500)  # rows enough to tell, and no gigabytes
            right = chance(truth["abilities"][some] @ truth["slopes"].T + truth["intercepts"])
            error = chance(abilities[some] @ slopes.T + intercepts) - right
            figures["probability_rmse"] = float(np.sqrt(np.mean(error**2)))
    return figures


def marginal(
    scores: np.ndarray, slopes: np.ndarray, intercepts: np.ndarray, count: int = 1201
) -> tuple[float, np.ndarray]:
    """Marginal log-likelihood of a 2PL under N(0, 1) and the expected abilities; nodes equally spaced on [-6, 6]."""
    nodes = np.linspace(-6, 6, count)  # 1,201 are spaced .01: with 14,000 items a posterior is .02 wide
    weights = -(nodes**2) / 2
    weights -= np.log(np.exp(weights).sum())
    logits = np.outer(slopes, nodes) + intercepts[:, None]
    parts = np.array_split(scores, max(1, scores.size // 20_000_000))  # a float64 copy of a large matrix is too much
    joint = np.concatenate([part.astype(np.float64) @ logits for part in parts])
    joint += weights - np.logaddexp(0, logits).sum(0)
    peak = joint.max(1, keepdims=True)
    posterior = np.exp(joint - peak)
    total = posterior.sum(1, keepdims=True)
    return float((np.log(total) + peak).sum()), posterior @ nodes[:, None] / total


def chance(logits: np.ndarray) -> np.ndarray:
    """The logistic curve without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r."""
    return float(np.corrcoef(first, second)[0, 1])


def stored_py_irt(dims: int) -> dict:
    """py-irt's fork (multidim_2pl, 1 thread) as measured for reference/baselines.json, not run again."""
    stored = json.loads(shared("reference", "baselines.json").read_text())["py_irt_training"]
    run = stored["synth_fork_D5_e2000" if dims == 5 else "synth_fork_D10"]
    row = {"status": "stored", "peak_mib": run["peak_rss_mb"], "steps": run["epochs"]}
    row |= {
        "cold_seconds": run["train_wall_s"],
        "cpu_seconds": run["train_cpu_s"],
        "threads": run["threads"],
    }
    if run["epochs"] < 2000:
        clean = stored["clean_timings"]["rows"][f"synth_D{dims}_t1"]
        row |= {"cold_seconds": clean["wall_s_2000_epochs_extrapolated"], "threads": 1}
        row |= {"cpu_seconds": 2000 * clean["cpu_s_per_epoch_median"]}
        row |= {"extrapolated_from": "12 of 2000 epochs"}
    judged = "accuracy" if run["epochs"] == 2000 else "accuracy_of_the_part"
    row[judged] = {"probability_rmse": run["accuracy"]["p_rmse"]}
    return row | {"source": "reference/baselines.json", "note": "measured earlier, not in this run"}


def table(rows: dict[str, dict]) -> str:
    """The rows as aligned text; * marks extrapolated seconds."""

    def show(value, digits: int = 2) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    lines = [f"{'':30}" + "".join(f"{column:>14}" for column in COLUMNS)]
    for name, row in rows.items():
        star, right = "*" if "extrapolated_from" in row else "", row.get("accuracy", {})
        seconds = [show(row.get(key)) + star for key in ("cold_seconds", "warm_seconds", "cpu_seconds")]
        peak = row.get("peak_mib") or row.get("whole_run", {}).get("peak_mib")
        cells = [row["status"], *seconds, show(peak, 0), str(row.get("steps", "-"))]
        cells += [show(right.get(key), 3) for key in ("r_slope", "r_intercept")]
        cells += [
            show(right.get("probability_rmse"), 4),
            show(right.get("log_likelihood"), 1),
        ]
        lines.append(f"{name:30}" + "".join(f"{cell:>14}" for cell in cells))
        remarks = [row.get(key) for key in ("error", "note", "extrapolated_from")]
        lines += [f"{'':6}{remark}" for remark in remarks if remark]
    return "\n".join(lines)


def contest(name: str, wanted: Sequence[str], settings: Settings, record: Record) -> None:
    """One problem: run the wanted contestants, keep other rows of an earlier run, print and store."""
    problem, rows = PROBLEMS[name](), dict(record.content.get("rows", {}))
    if problem.name.startswith("synth2pl"):
        rows["py-irt fork"] = stored_py_irt(problem.dims)
    if problem.fitted:
        rows["R mirt"] = {"status": "stored", "steps": problem.reference["steps"], "note": "61 nodes; no time known"}
        rows["R mirt"]["accuracy"] = judge(problem, dict(problem.fitted))
    about = {"problem": name, "shape": problem.scores.shape, "dims": problem.dims, "reference": problem.reference}
    about["timeout_seconds"] = settings.timeout
    print(f"{name}: {' x '.join(map(str, problem.scores.shape))}, {problem.dims} dims", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        problem.save(pathlib.Path(folder) / "problem.npz")
        for contestant in wanted:
            print(f"  {contestant} ...", flush=True)
            row = compete(contestant, problem, pathlib.Path(folder), settings.threads, settings.timeout)
            rows[contestant] = row | {"measured": datetime.date.today().isoformat()}
            record.keep(about | {"rows": rows})
    print(table(rows), flush=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    who: Literal["all", "rivals", "ours"] = setting("all", "which side")
    problem: tuple[str, ...] = setting(tuple(CONTESTS)[1:], "problems")
    contestant: tuple[str, ...] = setting((), "only these; all of a problem if none")
    threads: int = setting(2, "cores of a contestant")
    timeout: float = setting(300.0, "seconds a contestant and problem")


def study(settings: Settings, record: Record) -> None:
    """Each problem into a JSON of its own."""
    for name in settings.problem:
        sides = {each: "ours" if each.startswith("lleval_jax") else "rivals" for each in CONTESTS[name]}
        entered = [each for each, side in sides.items() if settings.who in ("all", side)]
        try:
            contest(name, settings.contestant or entered, settings, Record(record.path.with_name(f"{name}.json")))
        except FileNotFoundError as error:
            print(f"{name} left out: {error}", flush=True)
