"""Our kernels on the device that JAX finds, compared with the CPU of the same machine.

Each problem runs in one process a device, so that a failure is a row like any other and the peak of device memory
is the problem's own. Our kernels ask for matrix products in full precision, whatever JAX's default is (TF32 on recent
GPUs); products alone are measured both ways. Errors are against float64 on the CPU, same inputs; that of float32 on the
CPU stands next to them. `step` is one EM step (one sweep) on arrays that lie on the
device, from the same parameters everywhere: its error is the arithmetic's alone, where a fit also stops a little
earlier or later. Limits are the larger of fewest bytes over the speed of a copy and operations over the speed of a
matrix product, both measured first. The file is written after every process; no problem is begun once `--budget`
seconds are used.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.irt.device import brief
from bench.irt.work import PROBLEMS
from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting

OURS = {"float32": "float32 highest", "float64": "float64"}  # products of our kernels
REFERENCE = "float64"  # of the CPU


def errors(folder: pathlib.Path, sides: dict[str, dict]) -> dict[str, dict]:
    """By device and variant: differences from the CPU's float64, largest and root mean square."""
    stored = {side: folder / f"{side}.npz" for side in sides}
    arrays = {side: dict(np.load(file)) for side, file in stored.items() if file.exists()}
    known = sides.get("cpu", {}).get("variants", {}).get(REFERENCE, {})
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
            if "log_likelihood" in known:
                gap = row["log_likelihood"] - known["log_likelihood"]
                here["log_likelihood_relative"] = gap / abs(known["log_likelihood"])
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


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    problem: tuple[str, ...] = setting(tuple(PROBLEMS), "problems")
    budget: float = setting(float("inf"), "seconds after which no problem is begun")
    timeout: float = setting(120.0, "seconds of one problem on one device")
    repeats: int = setting(5, "warm calls")
    small: bool = setting(False, "tiny sizes: does it run?")
    quick: bool = setting(False, "float32 and the CPU's float64 only, and no limits")


def processes(wanted: Settings) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Problem, side and variants, in order."""
    for name in wanted.problem or PROBLEMS:
        _, there, here = PROBLEMS[name]
        for side, variants in (("accelerator", there), ("cpu", here)):
            if variants:
                yield name, side, variants[: 1 if wanted.quick else None]


def process(name: str, side: str, file: pathlib.Path, settings: Settings, used: float) -> dict:
    """Run one problem on one device, in a process of its own."""
    limit = min(settings.timeout, max(settings.budget - used, 0) + 20)
    command = [sys.executable, "-m", "bench.irt.device", name, side, str(file), "--repeats", str(settings.repeats)]
    return run_script(command + ["--small"] * settings.small + ["--quick"] * settings.quick, file, limit)


def study(settings: Settings, record: Record) -> None:
    """All problems on both devices; the JSON is named after the accelerator."""
    began, devices, problems = time.monotonic(), {}, {}
    with tempfile.TemporaryDirectory() as place:
        for side in () if settings.quick else ("accelerator", "cpu"):
            devices[side] = process("ceilings", side, pathlib.Path(place) / f"ceilings-{side}.json", settings, 0)
            print(side, devices[side], flush=True)
        if record.path.stem == "accelerator":
            kind = devices.get("accelerator", {}).get("kind", "quick")
            word = re.sub(r"\W+", "-", kind).strip("-").lower()
            record = Record(record.path.with_name(f"accelerator_{word}.json"))
        for name, side, variants in processes(settings):
            folder = pathlib.Path(place) / name
            folder.mkdir(exist_ok=True)
            here, used = problems.setdefault(name, {}), time.monotonic() - began
            if not here and used > settings.budget:
                here["left_out"] = f"the budget of {settings.budget:g} s was used"
            if "left_out" not in here:
                here[side] = process(name, side, folder / f"{side}.json", settings, used)
                limits(here[side], devices.get(side, {}))
                here["errors"] = errors(folder, {k: v for k, v in here.items() if k in ("accelerator", "cpu")})
                tell(name, side, here, variants)
            record.keep({"small": settings.small, "devices": devices, "problems": problems})


def tell(name: str, side: str, here: dict, variants: Sequence[str]) -> None:
    """Lines of what one device did."""
    for variant in variants:
        row = here[side].get("variants", {}).get(variant)
        print(f"{name}, {side}, {variant}: {brief(row) if row else here[side].get('error')}", flush=True)
    for who, each in here["errors"].items() if side == "cpu" else ():
        shown = {k: v["max"] if isinstance(v, dict) else v for k, v in each.items()}
        print(f"  error of {who}: " + ", ".join(f"{k} {v:.2g}" for k, v in shown.items()), flush=True)
