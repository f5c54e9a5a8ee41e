"""One IRT fit of a long table, larger and larger: seconds, memory, bytes a cell; and what a cost model says of more.

Models are drawn to answer a share of the items each, at random. A process of its own does each fit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys
import tempfile
import time

import numpy as np

from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sizes: tuple[str, ...] = setting(("2000x10000", "6324x31622", "20000x100000"), "models x items of the tables")
    seen: float = setting(0.05, "share of the items that a model answered")
    models: tuple[str, ...] = setting(("rasch", "2pl"), "item response functions")
    devices: int = setting(1, "simulated devices of the process")
    timeout: float = setting(3000.0, "seconds a fit")


def study(settings: Settings, record: Record) -> None:
    """A part for each size and model."""
    with tempfile.TemporaryDirectory() as folder:
        for size in settings.sizes:
            for model in settings.models:
                out = pathlib.Path(folder) / f"{size}-{model}.json"
                words = [size, str(settings.seen), model, str(settings.devices), str(out)]
                found = run_script([sys.executable, "-m", "bench.scale.large", *words], out, settings.timeout)
                record.part(f"{size} {model} {settings.devices}", found | {"model": model, "size": size})
                print(size, model, found, flush=True)


def drawn(rows: int, items: int, seen: float, seed: int = 0):  # noqa: ANN201
    """A long table and its true abilities, in 4 bytes a number."""
    import lleval_jax as ll

    rng = np.random.default_rng(seed)
    ability, easiness = rng.normal(size=rows).astype(np.float32), rng.normal(0, 1.5, items).astype(np.float32)
    slope = np.exp(rng.normal(0, 0.3, items)).astype(np.float32)
    asked = [np.flatnonzero(rng.random(items, np.float32) < seen).astype(np.int32) for _ in range(rows)]
    row = np.repeat(np.arange(rows, dtype=np.int32), [len(each) for each in asked])
    item = np.concatenate(asked)
    scores = np.empty(len(row), np.float32)
    for first in range(0, len(row), 1 << 22):  # a part at a time: no temporary array is as long as the table
        part = slice(first, first + (1 << 22))
        logit = slope[item[part]] * ability[row[part]] + easiness[item[part]]
        scores[part] = rng.random(len(logit), np.float32) < 1 / (1 + np.exp(-logit))
    names = tuple(f"m{n:06}" for n in range(rows)), tuple(f"i{n:07}" for n in range(items))
    group = np.zeros(items, np.int32)
    weight = np.broadcast_to(np.float32(1), len(row))
    return ll.SparseResponses(row, item, scores, weight, *names, group, ("all",)), ability


def main() -> None:
    """One fit, in a process of its own."""
    parser = argparse.ArgumentParser()
    for name, kind in (("size", str), ("seen", float), ("model", str), ("devices", int), ("out", pathlib.Path)):
        parser.add_argument(name, type=kind)
    asked = parser.parse_args()

    import jax

    import lleval_jax as ll

    jax.config.update("jax_num_cpu_devices", asked.devices)
    rows, items = map(int, asked.size.split("x"))
    answers, ability = drawn(rows, items, asked.seen)
    began, told = time.perf_counter(), []

    def tell(progress: ll.Progress) -> None:
        told.append((progress.done, time.perf_counter()))
        print(f"{progress}, {told[-1][1] - began:.0f} s", flush=True)

    fit = ll.irt.fit(answers, model=asked.model, plan=ll.Plan(mesh=ll.mesh(), every=2), tell=tell)
    seconds = time.perf_counter() - began
    found = {
        "cells": len(answers.row),
        "seconds of the fit": round(seconds, 2),
        "steps": int(fit.ended.steps),
        "status": fit.ended.status,
        "correlation with the truth": round(float(np.corrcoef(fit.params.ability[:, 0], ability)[0, 1]), 5),
    }
    asked.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
