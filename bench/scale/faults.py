"""What stops do to a study: kills at random moments, signals, damaged files, two workers on one chunk, other data.

The study is scores of a small table, a chunk a task; workers wait a little in each chunk, so that they are met at work.
Its table must be that of a study that was never disturbed. Then what chunks cost: how long a finished study of many
chunks takes to be recognised, and what chunks, receipts and leases add to the work itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
import signal
import tempfile
import time
from multiprocessing.context import ForkServerProcess

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.scale import slow_worker
from bench.scale.objects import Faults, Objects
from lleval_jax.errors import BadInput
from lleval_jax.scale import chunks, worker
from lleval_jax.scale.store import Folder
from lleval_jax.scale.worker import Piece
from lleval_jax.studies import runs
from lleval_jax.studies.study import Study, read_study

STUDY = """
out = "{out}"
chunk = 1
[[tasks]]
verb = "estimate"
input = "answers.csv"
[tasks.grid]
level = {levels}
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    chunks: int = setting(200, "of the study")
    kills: int = setting(200, "at random moments")
    pause: float = setting(0.05, "seconds that a worker waits in each chunk")
    longest: float = setting(0.5, "seconds after which a worker is killed, at most")
    patience: float = setting(0.3, "seconds after which a dead worker's chunk is free")
    preemptions: int = setting(10, "of jobs of submitit")
    refused: float = setting(0.05, "share of requests to an object store that fail, and of slow reads")
    recognised: int = setting(10_000, "chunks of a finished study")
    cost: int = setting(100, "chunks by which the cost of chunks is measured")


def study(settings: Settings, record: Record) -> None:
    """A part for each kind of fault."""
    with tempfile.TemporaryDirectory() as temporary:
        place = pathlib.Path(temporary)
        answers(place / "answers.csv")
        whole = runs.run(named(place, "whole", settings))
        record.part("kills", kills(place, whole, settings))
        record.part("SIGTERM", terminated(place, whole, settings))
        record.part("preempted", preempted(place, whole, settings))
        record.part("object store", in_store(place, whole, settings))
        record.part("damage", damage(place, whole, settings))
        record.part("two at once", two(place, whole, settings))
        record.part("other data", other(place, settings))
        record.part("recognised", recognised(place, settings))
        record.part("cost", cost(place, settings))


def answers(path: pathlib.Path) -> None:
    """A small table."""
    rng = np.random.default_rng(0)
    cells = itertools.product(range(20), range(50))
    table = [{"model": f"m{m}", "item": f"q{q}", "score": int(rng.random() < 0.04 * m)} for m, q in cells]
    pd.DataFrame(table).to_csv(path, index=False)


def named(place: pathlib.Path, name: str, settings: Settings, count: int = 0, out: str = "") -> Study:
    """The study with a folder of its own, or a place."""
    levels = np.round(np.linspace(0.5, 0.99, count or settings.chunks), 6).tolist()
    (place / f"{name}.toml").write_text(STUDY.format(out=out or name, levels=levels))
    return read_study(place / f"{name}.toml")


def begun(place: pathlib.Path, name: str, settings: Settings) -> ForkServerProcess:
    """A worker, once it is at work."""
    return slow_worker.started(str(place / f"{name}.toml"), settings.pause, settings.patience)


def same(asked: Study, whole: pd.DataFrame) -> dict:
    """Whether the table is that of the undisturbed study; lines that are there twice, and that are missing."""
    found = runs.collect(asked)
    return {
        "same": found.equals(whole),
        "twice": int(found.duplicated(["task", "row"]).sum()),
        "missing": len(whole) - len(found.drop_duplicates(["task", "row"])),
    }


def kills(place: pathlib.Path, whole: pd.DataFrame, settings: Settings) -> dict:
    """SIGKILL at random moments; where a study ends before all kills, the next one begins."""
    rng, done, studies, found = np.random.default_rng(0), 0, 0, []
    while done < settings.kills:
        asked = named(place, f"kills-{studies}", settings)
        studies += 1
        while done < settings.kills:
            process = begun(place, f"kills-{studies - 1}", settings)
            process.join(rng.uniform(0, settings.longest))
            if not process.is_alive():
                break  # it was done before
            process.kill()
            process.join()
            done += 1
        begun(place, f"kills-{studies - 1}", settings).join()
        found.append(same(asked, whole))
        print("kills", done, found[-1], flush=True)
    return {"kills": done, "studies": studies, "chunks": settings.chunks} | _worst(found)


def terminated(place: pathlib.Path, whole: pd.DataFrame, settings: Settings) -> dict:
    """SIGTERM in the middle: the chunk at work is written, and no lease is left."""
    asked = named(place, "terminated", settings)
    process = begun(place, "terminated", settings)
    time.sleep(3 * settings.pause)
    process.terminate()
    first = time.perf_counter()
    process.join()
    status = process.exitcode
    left = [name for name in Folder(asked.out).names() if name.endswith(".lease")]
    seconds, before = time.perf_counter() - first, len(list(chunks.done(Folder(asked.out), asked.chunks)))
    runs.work(asked)
    return {"status": status, "seconds": seconds, "chunks before": before, "leases": len(left)} | same(asked, whole)


def damage(place: pathlib.Path, whole: pd.DataFrame, settings: Settings) -> dict:
    """Tables cut short, with a bit turned, without a receipt; receipts that are no JSON."""
    asked, rng = named(place, "damage", settings), np.random.default_rng(1)
    runs.work(asked)
    store = Folder(asked.out)
    for chunk in rng.choice(asked.chunks, min(40, asked.chunks), replace=False):
        content = bytearray(store.get(chunks.table_name(chunk)) or b"")
        kind = chunk % 4
        if kind == 0:
            store.put(chunks.table_name(chunk), bytes(content[: rng.integers(len(content))]))
        elif kind == 1:
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
            store.put(chunks.table_name(chunk), bytes(content))
        elif kind == 2:
            store.remove(chunks.receipt_name(chunk))
        else:
            store.put(chunks.receipt_name(chunk), b"{")
    known = len(list(chunks.done(store, asked.chunks)))
    runs.work(asked)
    return {"damaged": min(40, asked.chunks), "found": asked.chunks - known} | same(asked, whole)


def two(place: pathlib.Path, whole: pd.DataFrame, settings: Settings) -> dict:
    """Two workers, each of which takes the other for dead whenever it waits."""
    hasty = dataclasses.replace(settings, patience=settings.pause / 10)
    asked = named(place, "two", hasty)
    both = [begun(place, "two", hasty) for _ in range(2)]
    for each in both:
        each.join()
    return {"statuses": [each.exitcode for each in both]} | same(asked, whole)


def in_store(place: pathlib.Path, whole: pd.DataFrame, settings: Settings) -> dict:
    """Two workers on an object store that refuses requests and is slow, one of which is killed."""
    with Objects(Faults(failed=settings.refused, slow=settings.refused)) as server:
        asked = named(place, "store", settings, out=server.address("bucket/study"))
        first, second = (begun(place, "store", settings) for _ in range(2))
        time.sleep(20 * settings.pause)
        first.kill()
        second.join()
        refused = server.asked["failed"] / sum(server.asked.values())
        return {"status": second.exitcode, "refused": refused} | same(asked, whole)


def preempted(place: pathlib.Path, whole: pd.DataFrame, settings: Settings) -> dict:
    """Jobs of submitit on this machine that are preempted at random moments, and go on as they are submitted again."""
    import submitit

    asked, rng = named(place, "preempted", settings), np.random.default_rng(2)
    store, met, found = Folder(asked.out), set[str](), 0
    executor = submitit.AutoExecutor(folder=place / "logs", cluster="local")
    executor.update_parameters(timeout_min=60)
    while len(list(chunks.done(store, asked.chunks))) < asked.chunks:  # it submits a job again five times at most
        job = executor.submit(slow_worker.Job(), str(place / "preempted.toml"), settings.pause, settings.patience)
        while not job.done():
            time.sleep(rng.uniform(0, 2 * settings.longest))
            new = {each.worker for each in chunks.done(store, asked.chunks)} - met
            if new and found < settings.preemptions:
                met, found = met | new, found + 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(new.pop().partition(":")[2]), signal.SIGUSR2)
    workers = len({each.worker for each in chunks.done(store, asked.chunks)})
    return {"preempted": found, "processes": workers} | same(asked, whole)


def other(place: pathlib.Path, settings: Settings) -> dict:
    """The same folder with another table of answers."""
    named(place, "other", settings, 2)
    runs.work(place / "other.toml")
    before = (place / "answers.csv").read_text()
    (place / "answers.csv").write_text(before.replace(",0\n", ",1\n", 1))
    try:
        runs.work(place / "other.toml")
    except BadInput as error:
        return {"refused": "answers.csv" in str(error)}
    finally:
        (place / "answers.csv").write_text(before)
    return {"refused": False}


def recognised(place: pathlib.Path, settings: Settings) -> dict:
    """A finished study of many chunks."""
    store, table = Folder(place / "many"), pa.table({"x": np.arange(20.0)})
    for chunk in range(settings.recognised):
        chunks.keep(store, chunk, table, tasks=1, failed=0, seconds=0.0)
    first = time.perf_counter()
    found = worker.work(store, settings.recognised, lambda chunk: Piece(table, 0, 0))
    return {"chunks": len(found), "seconds": time.perf_counter() - first}


def cost(place: pathlib.Path, settings: Settings) -> dict:
    """The same tasks in chunks, and one call after another without any file."""
    asked = named(place, "cost", settings, settings.cost)
    tasks = [asked.tasks(chunk) for chunk in range(asked.chunks)]
    runs.done(tasks[0])  # compiled
    first = time.perf_counter()
    for some in tasks:
        runs.done(some)
    alone = time.perf_counter() - first
    first = time.perf_counter()
    runs.work(asked)
    return {"chunks": asked.chunks, "alone": alone, "in chunks": time.perf_counter() - first}


def _worst(found: list[dict]) -> dict:
    return {
        "same": all(each["same"] for each in found),
        "twice": sum(each["twice"] for each in found),
        "missing": sum(each["missing"] for each in found),
    }
