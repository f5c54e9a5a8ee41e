"""Abilities of up to a million models, of a hundred answers each, out of one parquet table, on five dimensions.

End to end by `ll.run`: the table is read a few thousand models at a time, each part is estimated and written. Answers
are drawn, the bank is fitted to drawn ones; how long it takes does not depend on them.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import lleval_jax as ll
from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.data import simulate

STUDY = """
out = "out"
chunk = 1
[[tasks]]
verb = "ability"
input = "answers.parquet"
models = {part}
bank = "{bank}"
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    models: tuple[int, ...] = setting((10_000, 100_000, 1_000_000), "in the table")
    workers: tuple[int, ...] = setting((1, 2), "processes")
    items: int = setting(1000, "of the bank")
    answers: int = setting(100, "of a model")
    dims: int = setting(5, "of ability")
    calibration: int = setting(400, "models that the bank is fitted to")
    part: int = setting(5000, "models of a task")
    timeout: float = setting(1200.0, "seconds a run")


def study(settings: Settings, record: Record) -> None:
    """A part for each number of models and processes."""
    with tempfile.TemporaryDirectory() as temporary:
        place = pathlib.Path(temporary)
        ll.save(bank(settings), place / "bank")
        for models in settings.models:
            folder = place / f"{models}"
            folder.mkdir()
            written(folder / "answers.parquet", models, settings)
            (folder / "study.toml").write_text(STUDY.format(part=settings.part, bank=place / "bank"))
            for workers in settings.workers:
                found = timed(folder, workers, settings)
                name = f"{models} models, {workers} processes"
                record.part(name, {"models": models, "workers": workers} | found)
                print(name, found, flush=True)


def bank(settings: Settings) -> ll.ItemBank:
    """Of drawn answers."""
    answers, _ = simulate(settings.calibration, settings.items, seed=0)
    fit = ll.irt.fit(answers, dims=settings.dims)
    return ll.anchors.choose(fit, responses=answers, k=min(50, settings.items // 2), name="drawn")


def written(path: pathlib.Path, models: int, settings: Settings) -> None:
    """A long table, sorted by model."""
    rng = np.random.default_rng(0)
    schema = pa.schema({"model": pa.string(), "item": pa.string(), "score": pa.int8()})
    with pq.ParquetWriter(path, schema) as out:
        for table in drawn(rng, models, settings):
            out.write_table(table.cast(schema), row_group_size=table.num_rows)


def drawn(rng: np.random.Generator, models: int, settings: Settings) -> Iterator[pa.Table]:
    """A part's models at a time."""
    answers, _ = simulate(2, settings.items, seed=0)
    names = pa.array(answers.items)
    for first in range(0, models, settings.part):
        count = min(settings.part, models - first)
        order = np.argsort(rng.random((count, settings.items), np.float32), 1)[:, : settings.answers]
        rows = pa.array([f"m{number:07}" for number in range(first, first + count)])
        columns = {
            "model": pa.DictionaryArray.from_arrays(
                np.repeat(np.arange(count, dtype=np.int32), settings.answers), rows
            ),
            "item": pa.DictionaryArray.from_arrays(order.astype(np.int32).ravel(), names),
            "score": rng.integers(0, 2, order.size).astype(np.int8),
        }
        yield pa.table(columns)


def timed(folder: pathlib.Path, workers: int, settings: Settings) -> dict:
    """One run of the shell's verb in a process of its own, with its wall time and peak memory."""
    words = [sys.executable, "-m", "lleval_jax", "run", str(folder / "study.toml"), "-q"]
    out = folder / f"{workers}.json"
    for each in (folder / "out").glob("*"):
        each.unlink()
    found = run_script([*words, "--workers", str(workers), "--json", str(out)], out, settings.timeout)
    size = os.path.getsize(folder / "answers.parquet")
    return {key: found[key] for key in ("rows", "failed", "done", "whole_run", "status", "error") if key in found} | {
        "megabytes": round(size / 1e6, 1)
    }
