"""A study by submitit and by Dask, both on this machine; a job that is taken away goes on."""

import itertools
import os
import pathlib
import signal
import time
import warnings

import numpy as np
import pandas as pd
import pytest

from lleval_jax.scale import chunks
from lleval_jax.scale.store import Folder
from lleval_jax.studies import runs
from lleval_jax.studies.study import read_study

pytestmark = pytest.mark.slow
LIMIT = 120.0  # seconds that jobs may take
TOML = """
out = "{out}"
chunk = 1
[[tasks]]
verb = "estimate"
input = "answers.csv"
[tasks.grid]
level = {levels}
"""


@pytest.fixture
def study(tmp_path):
    """name, number of chunks -> a study of its own, as a file."""
    rng = np.random.default_rng(0)
    cells = itertools.product(range(5), range(20))
    table = [{"model": f"m{m}", "item": f"q{q}", "score": int(rng.random() < 0.2 * m)} for m, q in cells]
    pd.DataFrame(table).to_csv(tmp_path / "answers.csv", index=False)

    def named(name: str, count: int) -> pathlib.Path:
        levels = np.round(np.linspace(0.5, 0.99, count), 6).tolist()
        (tmp_path / f"{name}.toml").write_text(TOML.format(out=name, levels=levels))
        return tmp_path / f"{name}.toml"

    return named


def first_at_work(place: Folder) -> int:
    """The process that did the first chunk."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = chunks.receipt(place, 0)
        if found is not None:
            return int(found.worker.partition(":")[2])
        time.sleep(0.01)
    raise TimeoutError("no chunk was done")


def test_a_job_of_submitit_that_is_preempted_is_submitted_again_and_goes_on(study, tmp_path):
    submitit = pytest.importorskip("submitit", reason="needs the extra `slurm`")
    path = study("preempted", 100)
    executor = submitit.AutoExecutor(folder=tmp_path / "logs", cluster="local")
    executor.update_parameters(timeout_min=5)
    job = executor.submit(runs.take_part, str(path), 0, 1)
    os.kill(first_at_work(Folder(tmp_path / "preempted")), signal.SIGUSR2)  # as Slurm does before it takes a machine
    assert job.result() == 100
    workers = {each.worker for each in chunks.done(Folder(tmp_path / "preempted"), 100)}
    assert len(workers) == 2, f"{workers} did it"
    assert not [path for path in (tmp_path / "preempted").iterdir() if path.suffix == ".lease"]
    pd.testing.assert_frame_equal(runs.collect(read_study(path)), runs.run(study("alone", 100)))


def test_a_cluster_of_dask_gives_the_same_table(study, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs the extra `dask`")
    path, words = study("dask", 40), {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        with distributed.LocalCluster(**words) as cluster, distributed.Client(cluster) as client:
            found = runs.run(path, executor=client.get_executor(), workers=2)
    workers = {each.worker for each in chunks.done(Folder(tmp_path / "dask"), 40)}
    assert chunks.worker() not in workers  # this process did none of it
    pd.testing.assert_frame_equal(found, runs.run(study("alone", 40)))
