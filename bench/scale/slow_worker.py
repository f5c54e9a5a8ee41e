"""A worker of `bench.scale.faults` that takes its time, so that it is met at work."""

from __future__ import annotations

import multiprocessing
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from lleval_jax.scale import worker
from lleval_jax.scale.leases import Leases
from lleval_jax.scale.worker import Piece
from lleval_jax.studies import runs
from lleval_jax.studies.study import read_study

SERVER = multiprocessing.get_context("forkserver")  # one process imports all; each worker is a copy of it
SERVER.set_forkserver_preload([__name__])


def started(path: str, pause: float, patience: float) -> ForkServerProcess:
    """A worker, once it is at work."""
    here, there = SERVER.Pipe()
    process = SERVER.Process(target=work, args=(path, pause, patience, there))
    process.start()
    there.close()
    here.recv()
    return process


def work(path: str, pause: float, patience: float, ready: Connection) -> None:
    """Do what is left; SIGTERM ends it after the chunk at work."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    ready.send(True)
    slowly(path, pause, patience, stop=lambda: bool(asked))


def slowly(path: str, pause: float, patience: float, **words: Any) -> int:
    """Chunks that are done at its end, with a pause in each."""
    study = read_study(path)

    def slow(chunk: int) -> Piece:
        time.sleep(pause)
        return runs.done(study.tasks(chunk))

    store = runs.begun(study)
    leases = Leases(store, beat=patience / 5, patience=patience)
    return len(worker.work(store, study.chunks, slow, leases=leases, **words))


class Job(runs.TakePart):
    """The same as a job of submitit."""

    def __call__(self, path: str, pause: float, patience: float) -> int:  # type: ignore[override]
        return slowly(path, pause, patience)
