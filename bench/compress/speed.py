"""How fast adapters get into a shared basis: against the authors' program, against their number, and for a whole model.

The authors' program (bruel-gabrielsson/LoRALoLA, PyTorch) is not part of this repository: LLEVAL_LORALOLA names a
folder with its files, LLEVAL_PARITY the Python that has torch. Each side runs in a process of its own. Ours is timed
from the factors to bases, cores and errors; theirs from tensors in their layout, with weights given, to bases.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import statistics
import sys
import tempfile
from typing import Any

import numpy as np

from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting

HERE = pathlib.Path(__file__).resolve().parent
OURS, THEIRS = "speed_ours.py", "rivals/lorallola.py"
SIDES = {  # name -> script, variant
    "lleval_jax": (OURS, "8 starts"),
    "lleval_jax, one start": (OURS, "1 start"),
    "LoRALoLA, eigen-iteration": (THEIRS, "eigen"),
    "LoRALoLA, alternating": (THEIRS, "alternating"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    parts: tuple[str, ...] = setting(("race", "adapters", "plan"), "what is measured")
    sides: tuple[str, ...] = setting(tuple(SIDES), "of the race")
    adapters: int = setting(1000, "of the race")
    size: int = setting(4096, "rows and columns of the module")
    rank: int = setting(16, "of the adapters")
    width: int = setting(16, "columns of a basis")
    repeats: int = setting(5, "after one that compiles")
    counts: tuple[int, ...] = setting((250, 500, 1000, 2000), "adapters, for the slope")
    plans: tuple[str, ...] = setting(("4x250", "2x500", "2x1000"), "modules x adapters that the estimate is checked at")
    threads: int = setting(2, "of PyTorch")
    timeout: float = setting(400.0, "seconds a side")


def study(settings: Settings, record: Record) -> None:
    """Each part is kept as soon as it is there."""
    if "race" in settings.parts:
        for name in settings.sides:
            script, variant = SIDES[name]
            _kept(record, f"race, {name}", side(script, variant, settings, settings.adapters, settings.repeats))
    if "adapters" in settings.parts:
        for n in settings.counts:
            for variant in ("8 starts", "12 sweeps"):
                _kept(
                    record,
                    f"adapters, {n}, {variant}",
                    side(OURS, variant, settings, n, 1 if variant == "8 starts" else 3),
                )
    if "plan" in settings.parts:
        for plan in settings.plans:
            modules, n = map(int, plan.split("x"))
            _kept(record, f"plan, {plan}", side(OURS, "8 starts", settings, n, 1, modules))


def side(script: str, variant: str, settings: Settings, n: int, repeats: int, modules: int = 1) -> dict[str, Any]:
    """A search in a process of its own."""
    python = sys.executable if script == OURS else os.environ.get("LLEVAL_PARITY", sys.executable)
    asked = {"variant": variant, "adapters": n, "repeats": repeats, "modules": modules}
    asked |= {name: getattr(settings, name) for name in ("size", "rank", "width", "threads")}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.json"
        words = [python, str(HERE / script), str(out)]
        words += [word for name, value in asked.items() for word in (f"--{name}", str(value))]
        load = os.getloadavg()[0]
        return asked | {"load_before": round(load, 2)} | run_script(words, out, settings.timeout)


def _kept(record: Record, name: str, found: dict[str, Any]) -> None:
    if found.get("seconds"):
        found["median"] = statistics.median(found["seconds"])
    print(name, {key: found.get(key) for key in ("status", "error", "median", "cold_seconds", "kept")}, flush=True)
    record.part(name, found)


def slope(counts: list[int], seconds: list[float]) -> float:
    """By which power of their number the time grows."""
    return float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])
