"""A worker of `bench.scale.faults` that takes its time, so that it is met at work: STUDY PAUSE PATIENCE."""

from __future__ import annotations

import signal
import sys
import time

from lleval_jax.scale import worker
from lleval_jax.scale.leases import Leases
from lleval_jax.scale.worker import Piece
from lleval_jax.studies import runs
from lleval_jax.studies.study import read_study


def main() -> None:
    """Do what is left; SIGTERM ends it after the chunk at work."""
    path, pause, patience = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    study, asked = read_study(path), []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))

    def slow(chunk: int) -> Piece:
        time.sleep(pause)
        return runs.done(study.tasks(chunk))

    store = runs.begun(study)
    print("ready", flush=True)
    leases = Leases(store, beat=patience / 5, patience=patience)
    worker.work(store, study.chunks, slow, leases=leases, stop=lambda: bool(asked))


if __name__ == "__main__":
    main()
