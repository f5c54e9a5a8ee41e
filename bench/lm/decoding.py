"""Tokens a second of greedy writing, compared with transformers' torch models on the same weights, in one run.

The rival needs PyTorch: `pip install "lleval-jax[train,parity]"`, and a C++ compiler for `torch.compile`. Where that is
another environment than this one, LLEVAL_PARITY names its Python.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import statistics
import sys
import tempfile

import numpy as np

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
    repeats: int = setting(5, "times a turn; the median of all is taken")
    turns: int = setting(2, "of each side")
    threads: int = setting(2, "cores")
    timeout: float = setting(900.0, "seconds a side and model, compilation included")


def study(settings: Settings, record: Record) -> None:
    """A part for each model; the sides take turns, so that what else the machine does meets all of them."""
    for name in settings.model:
        sides = dict(record.content.get(name, {}).get("sides", {}))
        samples: dict[str, list[dict]] = {who: [] for who in settings.contestant}
        with tempfile.TemporaryDirectory() as folder:
            parameters = models.write(name, pathlib.Path(folder))
            for turn in range(settings.turns):
                for who, found in samples.items():
                    if not any(one["status"] != "ok" for one in found):
                        found.append(side(who, pathlib.Path(folder), settings))
                    sides[who] = pooled(found, settings, parameters * (2 if "bfloat16" in who else 4))
                    print(f"{name}, turn {turn + 1}, {who}: {said(sides[who])}", flush=True)
                    record.part(name, about(settings, parameters) | {"sides": compared(sides)})


def about(settings: Settings, parameters: int) -> dict:
    """What is the same for all sides of a model."""
    asked = {key: getattr(settings, key) for key in ("prompt", "tokens", "repeats", "turns", "threads")}
    return asked | {"parameters": parameters, "versions": versions("torch", "transformers", "flax")}


def side(who: str, folder: pathlib.Path, settings: Settings) -> dict:
    """One contestant in a process of its own."""
    script, variant = CONTESTANTS[who]
    python = sys.executable if script == OURS else os.environ.get("LLEVAL_PARITY", sys.executable)
    out = folder / "out.json"
    out.unlink(missing_ok=True)
    rows = map(str, settings.rows)
    words = [python, str(HERE / script), str(folder), str(out), "--variant", variant, "--rows", *rows]
    for key in ("prompt", "tokens", "repeats", "threads"):
        words += [f"--{key}", str(getattr(settings, key))]
    before = os.getloadavg()[0]
    return run_script(words, out, settings.timeout) | {"load_before": round(before, 2)}


def pooled(turns: list[dict], settings: Settings, size: int) -> dict:
    """All turns of one side together; `size` is that of the weights in bytes."""
    lost = [one for one in turns if one["status"] != "ok"]
    loads = [one["load_before"] for one in turns]
    found = {**(lost or turns)[0], "load_before": loads, "rows": {}}
    for rows in [] if lost else turns[0]["rows"]:
        each = [one["rows"][rows] for one in turns]
        writing = sorted(seconds for one in each for seconds in one["writing"])
        step = statistics.median(writing) / settings.tokens
        found["rows"][rows] = {
            "first_seconds": each[0]["first"],
            "prompt_seconds": statistics.median(seconds for one in each for seconds in one["reading"]),
            "seconds": statistics.median(writing),
            "spread": [writing[0], writing[-1]],
            "cpu_seconds": statistics.median(seconds for one in each for seconds in one["processor"]),
            "tokens_a_second": int(rows) / step,
            "gigabytes_a_second": size / step / 1e9,
            "threads": [one.get("threads", settings.threads) for one in each],
            "tokens": each[0]["tokens"],
        }
    if "gigabytes_a_second" in found:
        found["gigabytes_a_second"] = max(one["gigabytes_a_second"] for one in turns)
    return found


def compared(sides: dict) -> dict:
    """What share of a side's tokens are those that transformers wrote in float32, in place of the tokens."""
    known = {rows: times.get("tokens") for rows, times in sides.get(FULL, {}).get("rows", {}).items()}
    return {who: found | {"rows": judged(found.get("rows", {}), known)} for who, found in sides.items()}


def judged(rows: dict, known: dict) -> dict:
    """Of one side."""
    made = {}
    for count, times in rows.items():
        made[count] = {key: value for key, value in times.items() if key != "tokens"}
        if known.get(count) and "tokens" in times:
            made[count]["tokens_as_theirs"] = float((np.array(times["tokens"]) == np.array(known[count])).mean())
    return made


def said(found: dict) -> str:
    """In a line."""
    if found.get("status") != "ok":
        return f"{found.get('status')}: {found.get('error')}"
    speeds = (f"{times['tokens_a_second']:.1f} tokens/s at {rows}" for rows, times in found["rows"].items())
    return f"{', '.join(speeds)}; load {found['load_before'][-1]}"
