"""Our kernels on the device that JAX finds, beside the CPU of the same machine: `python bench/accelerator.py`.

Each problem runs in one process a device, so that a failure is a row like any other and the peak of device memory
is the problem's own. Our kernels ask for matrix products in full precision, whatever JAX's default is (TF32 on recent
GPUs); products alone are measured both ways. Errors are against float64 on the CPU, same inputs; that of float32 on the
CPU stands beside them. `step` is one EM step (one sweep) on arrays that lie on the
device, from the same parameters everywhere: its error is the arithmetic's alone, where a fit also stops a little
earlier or later. Limits are the larger of fewest bytes over the speed of a copy and operations over the speed of a
matrix product, both measured first. The file is written after every process; no problem is begun once `--budget`
seconds are used.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.kit import machine, problems
from bench.kit.measure import measure, run_script

HERE = pathlib.Path(__file__).resolve().parent
PRODUCTS = {"float32": ("float32", None), "float32 highest": ("float32", "highest"), "float64": ("float64", None)}
OURS = {"float32": "float32 highest", "float64": "float64"}  # products of our kernels
REFERENCE = "float64"  # of the CPU
POINTS = np.linspace(-3, 3, 41)  # abilities at which probabilities are compared
STEPS = 20  # under way at once
BUDGET_OF_A_GRID = 800  # answers of 100 x 250


@dataclasses.dataclass(frozen=True)
class Work:
    """What is timed, with what precision it can run, and what a step must do at least.

    call   () -> found, a dict of arrays and of what the fit says
    step   () -> arrays on the device, one step
    flops, bytes  of a step; or, without a step, of a call
    """

    call: Callable[[], dict[str, Any]]
    step: Callable[[], Any] | None = None
    flops: float = 0.0
    bytes: float = 0.0
    note: dict[str, Any] = dataclasses.field(default_factory=dict)


# --- problems: (precision, small) -> Work -----------------------------------------------------------------------------


def two_parameter(rows: int, items: int) -> Callable[[str, bool], Work]:
    """The 2PL by marginal EM, simulated as `problems` does, standard errors included."""

    def build(precision: str, small: bool) -> Work:
        import jax
        import jax.numpy as jnp

        import lleval_jax as ll
        from lleval_jax.core.irt import em, irf, quadrature
        from lleval_jax.layout import irt as layout

        shape = (rows // 10, items // 50) if small else (rows, items)
        problem = problems.two_parameter(*shape)
        responses = ll.Responses.build(problem.scores)

        def call() -> dict[str, Any]:
            found = ll.irt.fit(responses, model="2pl", precision=precision)  # type: ignore[arg-type]
            slope, intercept = found.params.slope, found.params.intercept
            error = np.sqrt(np.maximum(np.diagonal(found.covariance, axis1=1, axis2=2), 0))
            said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
            chance = 1 / (1 + np.exp(-(slope * POINTS[None, :] + intercept[:, None])))
            arrays = {"slope": slope, "intercept": intercept, "standard_error": error}
            return said | arrays | {"ability": found.params.ability, "probability": chance}

        with layout.precise(precision):
            laid = layout.arrange(responses, precision)
            nodes, log_weight = (jnp.asarray(x, precision) for x in quadrature.default(1).nodes(1))
            data = em.Data(laid.cells, nodes, log_weight, laid.row_weight, laid.item_weight)
            free = np.zeros((len(laid.item_weight), 2))
            free[: shape[1]] = np.column_stack([problem.truth["slopes"], problem.truth["intercepts"]])
            start = em.Unknowns(
                *(jnp.asarray(np.asarray(x, np.float32), precision) for x in (free, [1.0, 0.0], [-1.0, 0.0]))
            )
            task = em.Task(irf.CURVES["2pl"])
            one = jax.jit(lambda data, at: em.em_map(task, data)(at))
            padded, several = np.prod(laid.cells.scores.shape), len(nodes)

            def step() -> dict[str, Any]:
                with layout.precise(precision):
                    after, value = one(data, start)
                return {"free": after.free[: shape[1]], "mean": after.mean, "log_sd": after.log_sd, "value": value}

        size = np.dtype(precision).itemsize
        return Work(call, step, 4.0 * padded * several, 2.0 * padded * size, {"shape": shape, "nodes": several})

    return build


def joint(precision: str, small: bool, dims: int = 5) -> Work:
    """The multidimensional 2PL by the joint engine; slopes 0.7 N(0, 1)."""
    import jax
    import jax.numpy as jnp

    import lleval_jax as ll
    from lleval_jax.core.irt import joint as core
    from lleval_jax.layout import irt as layout

    shape = (80, 200) if small else (400, 5_000)
    random = np.random.default_rng(0)
    ability, slope = random.normal(size=(shape[0], dims)), 0.7 * random.normal(size=(shape[1], dims))
    truth = ability, slope, random.normal(size=shape[1])
    responses = ll.Responses.build(problems.answer(random, *truth))

    def call() -> dict[str, Any]:
        found = ll.irt.fit(responses, dims=dims, precision=precision)  # type: ignore[arg-type]
        said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
        some = slice(0, 400)
        chance = 1 / (1 + np.exp(-(found.params.ability @ found.params.slope[some].T + found.params.intercept[some])))
        # axes of little difference in spread turn against each other: slopes themselves are not compared
        return said | {"intercept": found.params.intercept, "probability": chance}

    with layout.precise(precision):
        laid = layout.arrange(responses, precision)
        data = core.Data(laid.cells, laid.row_weight, laid.item_weight, jnp.ones(dims, precision))
        padded = laid.cells.scores.shape
        ability, items = np.zeros((padded[0], dims)), np.zeros((padded[1], dims + 1))
        ability[: shape[0]], items[: shape[1]] = truth[0], np.column_stack(truth[1:])
        start = core.start(data, *(jnp.asarray(x.astype(np.float32), precision) for x in (ability, items)))
        solver = core.Alternating()
        one = jax.jit(lambda data, at: solver.step(data, solver.init(data, at)).x)

        def step() -> dict[str, Any]:
            with layout.precise(precision):
                after = one(data, start)
            return {"items": after.items.mean[: shape[1]], "rows": after.rows.mean[: shape[0]]}

    width, size = dims + 1, np.dtype(precision).itemsize
    flops = 8.0 * padded[0] * padded[1] * (width + width**2)  # a half: there and back
    return Work(call, step, flops, 2.0 * padded[0] * padded[1] * size, {"shape": shape, "dims": dims})


def abilities(precision: str, small: bool) -> Work:
    """MAP abilities with standard errors of many models, the items known; float64 by the same core functions."""
    import jax
    import jax.numpy as jnp

    import lleval_jax as ll
    from lleval_jax.core.irt import irf, scoring
    from lleval_jax.estimators.irt import ability

    problem = problems.abilities(*((1_000, 40) if small else (100_000, 100)))
    slope, intercept = (problem.given[name].astype(np.float32) for name in ("slopes", "intercepts"))
    (items, dims), rows = slope.shape, len(problem.scores)
    bank = ll.ItemBank(
        name="problem",
        version="1",
        items=tuple(f"item-{i}" for i in range(items)),
        slope=slope,
        intercept=intercept,
        floor=np.zeros(items),
        ceiling=np.ones(items),
        weight=np.full(items, 1 / items),
        group=np.zeros(items, int),
        groups=("all",),
        covariance=np.zeros((items, dims + 1, dims + 1)),
        prior_mean=np.zeros(dims),
        prior_cov=np.eye(dims),
    )
    responses = ll.Responses.build(problem.scores, items=bank.items)

    def call() -> dict[str, Any]:
        value, cov, status = ability.score(responses, bank, "map")
        error = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        return {"status": f"{(status == 1).mean():.4%} ok", "ability": value, "standard_error": error}

    @jax.jit
    def double(scores: Any, bank: irf.Items) -> tuple[Any, ...]:
        belief = scoring.Belief(jnp.zeros(dims), jnp.eye(dims))

        def one(row: Any) -> tuple[Any, ...]:
            found = scoring.mode(irf.Curve(dims=dims), bank, scoring.Answers(row, jnp.ones_like(row)), belief)
            return found.value, found.covariance, found.status

        return jax.lax.map(one, scores, batch_size=ability.BATCH)

    def call_double() -> dict[str, Any]:
        with jax.enable_x64(True):
            given = irf.Items(*(jnp.asarray(x, float) for x in (slope, intercept, np.zeros(items), np.ones(items))))
            value, cov, status = map(np.asarray, double(jnp.asarray(problem.scores, float), given))
        error = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
        return {"status": f"{(status == 1).mean():.4%} ok", "ability": value, "standard_error": error}

    read = 2.0 * rows * items * np.dtype(precision).itemsize  # scores and weights once
    note = {"shape": (rows, items), "dims": dims, "limit": "answers read once"}
    return Work(call if precision == "float32" else call_double, None, 0.0, read, note)


def prompts(block: int | None = None) -> Callable[[str, bool], Work]:
    """Grids of 100 x 250 with 800 answers each in one call of `prompts_many.fit_many`; `block` of them side by side.

    Draws in float64 are other draws: of the arithmetic only the scales of the effects tell, scores differ by chance.
    """

    def build(precision: str, small: bool) -> Work:
        from scipy.special import expit

        from lleval_jax.estimators.prompts import balanced, many

        shape, grids, budget = ((20, 30), 4, 120) if small else ((100, 250), 512, BUDGET_OF_A_GRID)
        answers, seen = np.empty((grids, *shape), np.float32), np.zeros((grids, *shape), bool)
        for i in range(grids):
            random = np.random.default_rng([6, i])
            size = 0.6 * np.exp(0.6 * random.normal()), 1.5 * np.exp(0.5 * random.normal())
            effect = [s * random.normal(size=n) for s, n in zip(size, shape, strict=True)]
            logit = random.normal() + effect[0][:, None] + effect[1][None, :]
            answers[i] = random.random(shape) < expit(logit)
            seen[(i, *balanced.plan(seen[i], budget, seed=i))] = True
        if block is not None:
            many.BLOCK = block
        sweeps: list[int] = []

        def call() -> dict[str, Any]:
            found = many.fit_many(answers, seen, dtype=precision)
            sweeps[:] = found.steps.tolist()
            good = f"{(found.status == 'ok').mean():.4%} ok, {int(np.isnan(found.score).sum())} scores NaN"
            said = {"status": good, "steps": float(found.steps.mean()), "most_steps": int(found.steps.max())}
            return said | {"log_scale": np.log(found.scale), "score": found.score}

        n, m = shape
        flops = grids * 20 * (4.0 * n * n * m + 4.0 * n**3)  # about 20 sweeps; draws not counted
        note = {"grids": grids, "shape": shape, "answers": budget, "block": block or many.BLOCK}
        return Work(call, None, flops, 0.0, note | {"limit": "20 sweeps a grid, draws left out"})

    return build


def scaling(precision: str, small: bool) -> Work:
    """The pooled scaling law of the Open LLM Leaderboard (six benchmarks), which is float64 throughout."""
    import lleval_jax as ll
    from bench.sloth.published import BENCHMARKS
    from lleval_jax.estimators import sloth

    board = ll.read_leaderboard("sloth-open-llm", corrected=False).select(BENCHMARKS["lb1"])

    def call() -> dict[str, Any]:
        found = sloth.fit(board, 1 if small else sloth.SKILLS)
        said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
        targets = [sloth.Target(family, 7e10, 2e12) for family in dict.fromkeys(board.families)]
        return said | {"probability": sloth.estimate(found, targets).value}

    return Work(call, note={"models": len(board.models), "benchmarks": list(board.benchmarks)})


def refreshed(precision: str, small: bool) -> Work:
    """Versions of a benchmark with many domains and few models, a third of them not run again; float64 throughout."""
    from scipy.special import expit

    import lleval_jax as ll
    from lleval_jax.estimators import refresh

    models, versions, domains, items = (17, 2, 3, 60) if small else (17, 4, 10, 700)
    random = np.random.default_rng(0)
    ability, affinity = 0.8 * random.normal(size=(models, 1)), 0.15 * random.normal(size=(models, domains))
    group, chain = np.arange(items) % domains, {}
    domain = [f"domain-{d}" for d in group]
    for version in range(versions):
        drift = 0.1 * random.normal(size=(models, 1))
        ease = 0.2 * random.normal(size=domains)[group] + random.normal(size=items)
        scores = random.random((models, items)) < expit(ability + drift + affinity[:, group] + ease)
        there = (np.arange(models) % 3 > 0) | (version == 0)
        rows = tuple(f"model-{m}" for m in np.flatnonzero(there))
        names = tuple(f"v{version}-{i}" for i in range(items))
        scores = scores[there].astype(np.float32)
        chain[f"v{version}"] = ll.Responses.build(scores, rows=rows, items=names, group=domain)

    def call() -> dict[str, Any]:
        found = refresh.fit(chain)
        said = {"status": found.status, "steps": found.steps, "log_likelihood": found.ended.value}
        told = refresh.estimate(found)
        return said | {"value": told.value, "low": told.low, "high": told.high}

    return Work(call, note={"models": models, "versions": versions, "domains": domains, "items": items})


# name -> (builder, variants on the accelerator, variants on the CPU)
ALL, PLAIN = ("float32", "float64"), ("float64", "float32")  # the first of each is all that `--quick` runs
PROBLEMS: dict[str, tuple[Callable[[str, bool], Work], tuple[str, ...], tuple[str, ...]]] = {
    "2pl_400x14000": (two_parameter(400, 14_000), ALL, PLAIN),
    "prompts_100x250": (prompts(), ALL, PLAIN),
    "2pl_5000x28000": (two_parameter(5_000, 28_000), ALL, PLAIN),
    "abilities_100000x100": (abilities, ALL, PLAIN),
    "joint_400x5000": (joint, ALL, PLAIN),
    "scaling_law": (scaling, ("float64",), ("float64",)),
    "refresh_17x40": (refreshed, ("float64",), ("float64",)),
    "prompts_100x250_wide": (prompts(256), ("float32",), ()),
}


# --- one process: a problem on a device -------------------------------------------------------------------------------


def one(name: str, out: pathlib.Path, small: bool, repeats: int, variants: tuple[str, ...]) -> None:
    """Run a problem's variants; figures to `out`, arrays beside it, after each."""
    began = time.perf_counter()
    import jax

    import lleval_jax.estimators.irt  # noqa: F401  (names load when first used)

    device = jax.devices()[0]
    took = time.perf_counter() - began
    record: dict[str, Any] = {"device": device.device_kind, "start_seconds": took, "variants": {}}
    arrays: dict[str, np.ndarray] = {}
    for variant in variants:
        # set for the process: a context manager would not reach the threads of `prompts_many`
        jax.config.update("jax_enable_x64", variant == "float64" and name.startswith("prompts"))
        began = time.perf_counter()
        row: dict[str, Any] = {}
        try:
            work = PROBLEMS[name][0](variant, small)
            row["build_seconds"] = time.perf_counter() - began
            figures, found = measure(work.call, repeats)
            row |= {k: v for k, v in figures.items() if k != "repeats"} | {"repeats": figures["repeats"]}
            row["compile_seconds"] = figures["cold_seconds"] - (figures["warm_seconds"] or 0)  # type: ignore[operator]
            kept = {k: np.asarray(v) for k, v in found.items() if isinstance(v, np.ndarray)}  # type: ignore[attr-defined]
            row |= {k: v for k, v in found.items() if k not in kept}  # type: ignore[attr-defined]
            if work.step is not None:
                after, row["step"] = stepped(work.step)
                kept |= {f"step {k}": v for k, v in after.items()}
            row["finite"] = all(bool(np.isfinite(v).all()) for v in kept.values())
            arrays |= {f"{variant}|{k}": v for k, v in kept.items()}
            record["work"] = {"flops": work.flops, "of": "step" if work.step else "call"} | work.note
            row["bytes"] = work.bytes
        except Exception as error:  # noqa: BLE001  (any failure is a row)
            row["error"] = re.sub(r"(/[\w.+-]+){2,}", "...", f"{type(error).__name__}: {error}")[:600]
        row["peak_device_mib"] = peak(device)  # of the process so far: the first variant's is its own
        record["variants"][variant] = row
        print(f"{name} on {device.device_kind}, {variant}: {brief(row)}", flush=True)
        np.savez(out.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
        out.write_text(json.dumps(record))


def stepped(step: Callable[[], Any]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """What one step gives, and the seconds of a step when several are under way."""
    import jax

    began = time.perf_counter()
    first = jax.block_until_ready(step())
    cold, seconds = time.perf_counter() - began, []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(STEPS):
            last = step()
        jax.block_until_ready(last)
        seconds.append((time.perf_counter() - began) / STEPS)
        if sum(seconds) * STEPS > 20:
            break
    return {k: np.asarray(v) for k, v in first.items()}, {"cold": cold, "warm": statistics.median(seconds)}


def peak(device: Any) -> float | None:
    """MiB of device memory at the worst moment; None where the device does not say."""
    told = device.memory_stats() or {}
    return told["peak_bytes_in_use"] / 2**20 if "peak_bytes_in_use" in told else None


def brief(row: dict[str, Any]) -> str:
    """A line of it."""
    if "error" in row:
        return row["error"]
    shown = {"cold": row["cold_seconds"], "warm": row["warm_seconds"], "step": row.get("step", {}).get("warm")}
    text = ", ".join(f"{k} {v:.4g} s" for k, v in shown.items() if v is not None)
    return f"{text}, steps {row.get('steps')}, {row.get('status')}, finite {row['finite']}"


def ceilings(out: pathlib.Path, small: bool) -> None:
    """Device, driver, and what a copy and matrix products reach."""
    import jax
    import jax.numpy as jnp

    device = jax.devices()[0]
    record: dict[str, Any] = {"kind": device.device_kind, "platform": device.platform, "driver": driver()}
    limit = (device.memory_stats() or {}).get("bytes_limit")
    record["memory_limit_gib"] = limit and round(limit / 2**30, 1)

    def rate(call: Callable[[], Any]) -> float:
        jax.block_until_ready(call())
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(5):
                last = call()
            jax.block_until_ready(last)
            seconds.append((time.perf_counter() - began) / 5)
        return statistics.median(seconds)

    large = device.platform != "cpu" and not small
    count = 2**29 if large else 2**22
    x = jax.random.normal(jax.random.key(0), (count,), jnp.float32)
    more, product, few = jax.jit(lambda x: x + 1), jax.jit(jnp.matmul), x[:8]
    record["copy_gb_s"] = 8 * count / rate(lambda: more(x)) / 1e9  # read and written
    record["launch_us"] = 1e6 * rate(lambda: more(few))
    host = np.ones(2**26 if large else 2**20, np.float32)
    record["to_device_gb_s"] = host.nbytes / rate(lambda: jax.device_put(host)) / 1e9
    side = 8192 if large else 512
    for variant, (precision, products) in PRODUCTS.items():
        with jax.enable_x64(precision == "float64"), jax.default_matmul_precision(products or "default"):
            a = jax.random.normal(jax.random.key(1), (side, side), precision)
            record[f"product_tflop_s {variant}"] = 2 * side**3 / rate(lambda a=a: product(a, a)) / 1e12
            exact = np.asarray(a[:8], float) @ np.asarray(a, float)
            got = np.asarray(jnp.matmul(a, a)[:8], float)
            record[f"product_error {variant}"] = float(np.linalg.norm(got - exact) / np.linalg.norm(exact))
    out.write_text(json.dumps(record))


def driver() -> str | None:
    """The GPU driver's version, where there is one."""
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


# --- all of it --------------------------------------------------------------------------------------------------------


def errors(folder: pathlib.Path, sides: dict[str, dict]) -> dict[str, dict]:
    """By device and variant: differences from the CPU's float64, largest and root mean square."""
    stored = {side: folder / f"{side}.npz" for side in sides}
    arrays = {side: dict(np.load(file)) for side, file in stored.items() if file.exists()}
    told = sides.get("cpu", {}).get("variants", {}).get(REFERENCE, {})
    right = {k.split("|")[1]: v for k, v in arrays.get("cpu", {}).items() if k.startswith(f"{REFERENCE}|")}
    rows: dict[str, dict] = {}
    for side, record in sides.items():
        for variant, row in record.get("variants", {}).items():
            if (side, variant) == ("cpu", REFERENCE) or "error" in row or not right:
                continue
            here: dict[str, Any] = {}
            for name, truth in right.items():
                gap = np.asarray(arrays[side][f"{variant}|{name}"], float) - truth
                here[name] = {"max": float(np.abs(gap).max()), "rms": float(np.sqrt(np.mean(gap**2)))}
                here[name]["of_rms"] = float(np.sqrt(np.mean(np.asarray(truth, float) ** 2)))
            if "log_likelihood" in told:
                gap = row["log_likelihood"] - told["log_likelihood"]
                here["log_likelihood_relative"] = gap / abs(told["log_likelihood"])
            rows[f"{side}, {variant}"] = here
    return rows


def limits(record: dict, device: dict) -> None:
    """Put the least seconds of a step, or of a call, and the share of the time that they are, into each row."""
    work = record.get("work", {})
    for variant, row in record.get("variants", {}).items():
        rate = device.get(f"product_tflop_s {OURS[variant]}")
        if not rate or not (work.get("flops") or row.get("bytes")):
            continue
        least = max(work["flops"] / rate / 1e12, row.get("bytes", 0) / device["copy_gb_s"] / 1e9)
        took = row.get("step", {}).get("warm") if work["of"] == "step" else row.get("warm_seconds")
        row["limit_seconds"], row["share_of_limit"] = least, took and least / took


def processes(wanted: argparse.Namespace) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Problem, side and variants, in order."""
    for name in wanted.problem or PROBLEMS:
        _, there, here = PROBLEMS[name]
        for side, variants in (("accelerator", there), ("cpu", here)):
            if variants:
                yield name, side, variants[: 1 if wanted.quick else None]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="our kernels on an accelerator and on its machine's CPU")
    parser.add_argument("--problem", action="append", choices=list(PROBLEMS), help="default: every one")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS", help="begin no problem after")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="of one problem on one device")
    parser.add_argument("--repeats", type=int, default=5, help="warm calls")
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it run?")
    parser.add_argument("--quick", action="store_true", help="float32 beside the CPU's float64 only, and no limits")
    parser.add_argument("--out", type=pathlib.Path, help="default: results/accelerator_KIND.json")
    parser.add_argument("--one", nargs=3, metavar=("PROBLEM", "SIDE", "FILE"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    sys.path.append(str(HERE.parents[1]))
    if wanted.one:
        name, side, file = wanted.one
        if side == "cpu":
            os.environ["JAX_PLATFORMS"] = "cpu"
        if name == "ceilings":
            return ceilings(pathlib.Path(file), wanted.small)
        _, there, here = PROBLEMS[name]
        variants = (there if side == "accelerator" else here)[: 1 if wanted.quick else None]
        return one(name, pathlib.Path(file), wanted.small, wanted.repeats, variants)

    began = time.monotonic()
    record: dict[str, Any] = {
        "measured": datetime.date.today().isoformat(),
        "small": wanted.small,
        "machine": machine.describe("jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin", "numpy", "scipy"),
        "devices": {},
        "problems": {},
    }
    out = wanted.out

    def run(name: str, side: str, file: pathlib.Path) -> dict:
        used = time.monotonic() - began
        limit = min(wanted.timeout, max(wanted.budget - used, 0) + 20)
        command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--one", name, side, str(file)]
        command += ["--repeats", str(wanted.repeats)] + ["--small"] * wanted.small + ["--quick"] * wanted.quick
        return run_script(command, file, limit)

    with tempfile.TemporaryDirectory() as place:
        for side in () if wanted.quick else ("accelerator", "cpu"):
            record["devices"][side] = run("ceilings", side, pathlib.Path(place) / f"ceilings-{side}.json")
            print(side, record["devices"][side], flush=True)
        kind = re.sub(r"\W+", "-", record["devices"].get("accelerator", {}).get("kind", "quick")).strip("-").lower()
        out = out or HERE / "results" / f"accelerator_{kind}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        for name, side, variants in processes(wanted):
            folder = pathlib.Path(place) / name
            folder.mkdir(exist_ok=True)
            here = record["problems"].setdefault(name, {})
            first = not here
            if first and time.monotonic() - began > wanted.budget:
                here["left_out"] = f"the budget of {wanted.budget:g} s was used"
                print(f"{name}: {here['left_out']}", flush=True)
            if "left_out" not in here:
                found = run(name, side, folder / f"{side}.json")
                limits(found, record["devices"].get(side, {}))
                here[side] = found
                here["errors"] = errors(folder, {k: v for k, v in here.items() if k in ("accelerator", "cpu")})
                for variant in variants:
                    row = found.get("variants", {}).get(variant)
                    print(f"{name}, {side}, {variant}: {brief(row) if row else found.get('error')}", flush=True)
                for who, each in here["errors"].items() if side == "cpu" else ():
                    shown = {k: v["max"] if isinstance(v, dict) else v for k, v in each.items()}
                    print(f"  error of {who}: " + ", ".join(f"{k} {v:.2g}" for k, v in shown.items()), flush=True)
            record["seconds"] = round(time.monotonic() - began, 1)
            out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
