"""Doing a study: chunk by chunk, here or by an executor's workers; and the table of all that was found."""

import collections
import dataclasses
import importlib
import itertools
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from importlib import metadata
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from lleval_jax.errors import BadInput, require
from lleval_jax.scale import chunks, same_run, worker
from lleval_jax.scale.chunks import Receipt
from lleval_jax.scale.leases import Leases
from lleval_jax.scale.shards import Shard
from lleval_jax.scale.store import Store, store_at
from lleval_jax.scale.worker import Piece
from lleval_jax.studies import parts, programs
from lleval_jax.studies.study import Study, read_study
from lleval_jax.studies.task import Task
from lleval_jax.studies.verbs import VERBS
from lleval_jax.values.progress import Progress, Tell, silent

SCHEMA = "lleval/study/1"
WRITERS = {".parquet": pq.ParquetWriter, ".csv": pcsv.CSVWriter}
LOOK = 0.5  # seconds between two looks at how far workers are


def run(
    study: "Study | str | os.PathLike[str]",
    *,
    executor: Executor | Any = None,
    workers: int = 1,
    shard: Shard = Shard(),  # noqa: B008  immutable
    leases: Leases | None = None,
    stop: Any = lambda: False,
    tell: Tell = silent,
) -> pd.DataFrame:
    """Do what is left of a study, and give all that was found.

    The same call goes on where another was stopped; several may be at work at once, on one machine or on many that see
    the same folder.

    Args:
        study: a TOML file, or what `read_study` gives.
        executor: anything with `submit(function, *arguments)` whose results have `result()`: a pool of the standard
            library, `submitit.AutoExecutor`, Dask's. Its workers get a path and two numbers, so `study` must be a file.
        workers: how many are submitted to it.
        shard: which of several workers this is.
        leases: how dead workers are told from busy ones.
        stop: whether to leave after the chunk that is being done.
        tell: called with the chunks done.

    Returns:
        A line for each entry of each task, in the order of tasks: `task`, `input`, the settings that the grid varies,
        `seed`, what the verb found, and `failed` with the reason where a task failed.

    Raises:
        BadInput: as `read_study`; or the folder holds another study.

    Example:
        >>> table = run("levels.toml")  # doctest: +SKIP
    """
    asked = study if isinstance(study, Study) else read_study(study)
    how: dict[str, Any] = {"executor": executor, "workers": workers, "shard": shard, "leases": leases}
    return _table(asked, work(study, stop=stop, tell=tell, **how))


def work(
    study: "Study | str | os.PathLike[str]",
    *,
    executor: Executor | Any = None,
    workers: int = 1,
    shard: Shard = Shard(),  # noqa: B008  immutable
    leases: Leases | None = None,
    stop: Any = lambda: False,
    tell: Tell = silent,
) -> list[Receipt]:
    """`run` without its table, which may be larger than the memory: receipts of all chunks that are done."""
    asked = study if isinstance(study, Study) else read_study(study)
    store = begun(asked)
    if executor is not None:
        require(not isinstance(study, Study), "with an executor the study must be a file that its workers can read")
        jobs = [executor.submit(take_part, os.fspath(study), index, workers) for index in range(workers)]  # type: ignore[arg-type]
        _watched(jobs, store, asked.chunks, tell)
    with programs.of_study(asked):
        worker.work(store, asked.chunks, _doer(asked), shard=shard, leases=leases, stop=stop, tell=tell)
    return list(chunks.done(store, asked.chunks))  # those of others too


class TakePart:
    """One worker of several, as an executor calls it: (path of a study, its index, how many) -> chunks done at its end.

    submitit starts it again where its job was preempted, or its time is up.
    """

    def __call__(self, study: str, index: int, count: int) -> int:
        """Do what is left of a study."""
        asked = read_study(study)
        with programs.of_study(asked):
            return len(worker.work(begun(asked), asked.chunks, _doer(asked), shard=Shard(index, count)))

    def checkpoint(self, *arguments: Any) -> Any:
        """What submitit submits again: the same, which goes on."""
        return importlib.import_module("submitit.helpers").DelayedSubmission(self, *arguments)


take_part = TakePart()


def _watched(jobs: list[Any], store: Store, count: int, tell: Tell) -> None:
    """Wait for all workers; an error of one is raised once the others have ended."""
    while not all(job.done() for job in jobs):
        tell(Progress("chunks", sum(name.endswith(".json") for name in store.names()) - 1, count, unit="chunks"))
        time.sleep(LOOK)
    for job in jobs:
        job.result()


def begun(study: Study) -> Store:
    """Where the study lies, which holds no other one.

    Raises:
        BadInput: it holds another study; what differs is named.
    """
    store = store_at(study.out)
    same_run.begin(store, json.loads(json.dumps(facts(study))))
    return store


def facts(study: Study) -> dict[str, Any]:
    """What makes a study this one: version, tasks, and the hash of each input."""
    paths = dict.fromkeys(part.path for table in study.tables for part in table.parts)
    tables = [dataclasses.asdict(each) for each in study.tables]
    return {
        "schema": SCHEMA,
        "version": metadata.version("lleval-jax"),
        "seed": study.seed,
        "chunk": study.chunk,
        "tasks": {f"{number}": table for number, table in enumerate(tables, 1)},
        "inputs": {path: parts.fingerprint(path) for path in paths},
    }


def collect(study: Study) -> pd.DataFrame:
    """The table of all chunks that are done."""
    return _table(study, list(chunks.done(store_at(study.out), study.chunks)))


def _table(study: Study, receipts: list[Receipt]) -> pd.DataFrame:
    require(bool(receipts), f"{study.out} holds no chunk that is done")
    tables = chunks.tables(store_at(study.out), receipts)
    return pa.concat_tables(tables, promote_options="permissive").to_pandas()


def write(study: Study, receipts: list[Receipt], path: pathlib.Path) -> None:
    """The table of these chunks into a file (parquet or csv), a chunk in memory at a time."""
    store = store_at(study.out)
    schema = pa.unify_schemas([chunks.schema(store, each) for each in receipts], promote_options="permissive")
    with WRITERS[path.suffix](path, schema) as out:
        for table in chunks.tables(store, receipts):
            out.write_table(_as(table, schema))


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """With all columns of a schema; those that a chunk has not are empty."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def reasons(study: Study, receipts: list[Receipt]) -> dict[str, int]:
    """Why tasks failed -> how many of them, the most frequent first."""
    found = collections.Counter[str]()
    for table in chunks.tables(store_at(study.out), [each for each in receipts if each.failed]):
        found.update(why for why in table["failed"].to_pylist() if why is not None)
    return dict(found.most_common())


def summary(study: Study, receipts: list[Receipt]) -> dict[str, Any]:
    """How far a study is: chunks, tasks, failures, seconds, and who did how much."""
    seconds: dict[str, float] = {}
    for each in receipts:
        seconds[each.worker] = round(seconds.get(each.worker, 0.0) + each.seconds, 3)
    return {
        "chunks": study.chunks,
        "done": len(receipts),
        "tasks": len(study),
        "rows": sum(each.rows for each in receipts),
        "failed": sum(each.failed for each in receipts),
        "workers": seconds,
    }


def _doer(study: Study) -> Any:
    return lambda chunk: done(study.tasks(chunk))


def done(tasks: list[Task]) -> Piece:
    """All tasks of a chunk; those that read the same are given to their verb together."""
    tables: list[pd.DataFrame] = []
    failed = 0
    for same in together(tasks):
        for task, found in zip(same, _found(same[0].verb, same[0].part, same), strict=True):
            failed += isinstance(found, Exception)
            tables.append(_labelled(task, found))
    return Piece(pa.Table.from_pandas(pd.concat(tables, ignore_index=True), preserve_index=False), len(tasks), failed)


def together(tasks: list[Task]) -> Iterator[list[Task]]:
    """Those that are given to their verb together: neighbours that read the same."""
    for _, some in itertools.groupby(tasks, key=lambda task: (task.verb, task.part)):
        yield list(some)


def _found(verb: str, part: parts.Part, tasks: list[Task]) -> Iterator[Any]:
    try:
        answers = parts.value(part)
    except BadInput as error:
        return itertools.repeat(error, len(tasks))
    return VERBS[verb].run(answers, tasks)


def _labelled(task: Task, found: Any) -> pd.DataFrame:
    """The table of a task, with what was asked in front; a task that failed has one line."""
    if isinstance(found, Exception):
        table = pd.DataFrame({"failed": [f"{type(found).__name__}: {found}"]})
    else:
        table = found.assign(failed=None)
    asked: Mapping[str, Any] = {"task": task.number, "input": task.part.path, **task.chosen, "seed": task.seed}
    return pd.concat([pd.DataFrame({key: [value] * len(table) for key, value in asked.items()}), table], axis=1)
