"""Tokens a second of greedy writing, compared with transformers' torch models on the same weights, in one run.

The rival needs PyTorch: `pip install "lleval-jax[train,parity]"`, and a C++ compiler for `torch.compile`. Where that is
another environment than this one, LLEVAL_PARITY names its Python.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
import tempfile

from bench.kit.machine import versions
from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.lm import models

HERE = pathlib.Path(__file__).resolve().parent
OURS, THEIRS = "decoding_ours.py", "rivals/transformers_decoding.py"
CONTESTANTS = {  # name -> script, variant
    "lleval_jax, float32": (OURS, "float32"),
    "lleval_jax, bfloat16": (OURS, "bfloat16"),
    "transformers, float32": (THEIRS, "float32 eager"),
    "transformers, float32, torch.compile": (THEIRS, "float32 compiled"),
    "transformers, bfloat16": (THEIRS, "bfloat16 eager"),
    "transformers, bfloat16, torch.compile": (THEIRS, "bfloat16 compiled"),
}
FULL = "transformers, float32"  # whose tokens ours must be


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    model: tuple[str, ...] = setting(("5M", "135M"), "sizes of models")
    contestant: tuple[str, ...] = setting(tuple(CONTESTANTS), "sides")
    rows: tuple[int, ...] = setting((1, 8), "texts that are written at once")
    prompt: int = setting(32, "tokens of a prompt")
    tokens: int = setting(64, "tokens that are timed")
    repeats: int = setting(7, "times, of which the median is taken")
    threads: int = setting(2, "cores")
    timeout: float = setting(900.0, "seconds a side and model, compilation included")


def study(settings: Settings, record: Record) -> None:
    """A part for each model."""
    for name in settings.model:
        with tempfile.TemporaryDirectory() as folder:
            parameters = models.write(name, pathlib.Path(folder))
            sides = dict(record.content.get(name, {}).get("sides", {}))
            for who in settings.contestant:
                sides[who] = side(who, pathlib.Path(folder), parameters, settings)
                print(f"{name}, {who}: {said(sides[who])}", flush=True)
                record.part(name, about(settings, parameters) | {"sides": compared(sides)})


def about(settings: Settings, parameters: int) -> dict:
    """What is the same for all sides of a model."""
    asked = {key: getattr(settings, key) for key in ("prompt", "tokens", "repeats", "threads")}
    return asked | {"parameters": parameters, "versions": versions("torch", "transformers", "flax")}


def side(who: str, folder: pathlib.Path, parameters: int, settings: Settings) -> dict:
    """One contestant in a process of its own."""
    script, variant = CONTESTANTS[who]
    python = sys.executable if script == OURS else os.environ.get("LLEVAL_PARITY", sys.executable)
    out = folder / "out.json"
    out.unlink(missing_ok=True)
    words = [
        python,
        str(HERE / script),
        str(folder),
        str(out),
        "--variant",
        variant,
        "--rows",
        *map(str, settings.rows),
    ]
    for key in ("prompt", "tokens", "repeats", "threads"):
        words += [f"--{key}", str(getattr(settings, key))]
    before = os.getloadavg()[0]
    found = run_script(words, out, settings.timeout)
    size = parameters * (2 if "bfloat16" in variant else 4)
    for rows, times in found.get("rows", {}).items():
        step = times["seconds"] / settings.tokens
        times |= {"tokens_a_second": int(rows) / step, "gigabytes_a_second": size / step / 1e9}
    return found | {"load_before": round(before, 2)}


def compared(sides: dict) -> dict:
    """Whether ours wrote the tokens of the rival; the tokens themselves are not kept twice."""
    kept = {rows: times.get("tokens") for rows, times in sides.get(FULL, {}).get("rows", {}).items()}
    for found in sides.values():
        for rows, times in found.get("rows", {}).items():
            if kept.get(rows) and "tokens" in times:
                pairs = [
                    (a, b)
                    for one, two in zip(times["tokens"], kept[rows], strict=True)
                    for a, b in zip(one, two, strict=True)
                ]
                times["tokens_as_theirs"] = sum(a == b for a, b in pairs) / len(pairs)
    return sides


def said(found: dict) -> str:
    """In a line."""
    if found.get("status") != "ok":
        return f"{found.get('status')}: {found.get('error')}"
    speeds = (f"{times['tokens_a_second']:.1f} tokens/s at {rows}" for rows, times in found["rows"].items())
    return f"{', '.join(speeds)}; load {found['load_before']}"
