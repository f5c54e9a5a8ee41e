"""The folder of a run: what is damaged is named, the best goes on where the last cannot; metrics for TensorBoard."""

import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lleval_jax.errors import BadFile, BadInput, DataWarning, RunFailed
from lleval_jax.training.run import batches, board, stores
from lleval_jax.training.run.checkpoints import Kept, Run
from lleval_jax.training.run.stores import Store

FACTS = {"data": "a" * 64, "schedule": {"rate": 0.1, "steps": 4}}


def first() -> Kept:
    return Kept.first({"w": jnp.arange(2000.0)}, optax.adam(0.1))


def at(step: int) -> Kept:
    return first()._replace(learned={"w": jnp.arange(2000.0) + step}, step=step)


def written(folder: pathlib.Path, steps: int = 4, best: int = 2) -> None:
    """A run of some steps; that of the lowest held-out loss is kept apart."""
    with Run(folder, FACTS) as run:
        run.restored(first())
        for step in range(1, steps + 1):
            run.write({"step": step, "loss": 1.0, "held_out_loss": abs(step - best)}, at(step), keep=True)


def damage(folder: pathlib.Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 200:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_the_last_is_taken_up_and_the_best_is_kept(tmp_path) -> None:
    written(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "best").iterdir()] == ["2"]
    with Run(tmp_path / "run", FACTS) as run:
        found = run.restored(first())
        assert (found.step, run.best, run.stale) == (4, 2, 2)
        assert (found.learned["w"] == at(4).learned["w"]).all()


def test_what_is_taken_up_is_as_free_to_move_as_it_was(tmp_path) -> None:
    """An array bound to one device could not be used with those of a mesh."""
    written(tmp_path / "run")
    with Run(tmp_path / "run", FACTS) as run:
        found = run.restored(first())
    told = [leaf.committed for leaf in jax.tree.leaves((first().learned, first().state))]
    assert [leaf.committed for leaf in jax.tree.leaves((found.learned, found.state))] == told
    bound = first()._replace(learned=jax.device_put(first().learned, jax.devices()[1]))
    with Run(tmp_path / "run", FACTS) as run:
        assert run.restored(bound).learned["w"].devices() == {jax.devices()[1]}


def test_where_the_last_is_damaged_the_best_goes_on(tmp_path) -> None:
    written(tmp_path / "run")
    damage(tmp_path / "run" / "last" / "4")
    said = r"the checkpoint of step 4 in .*last is damaged \(.*; training goes on from step 2, of .*best"
    with Run(tmp_path / "run", FACTS) as run:
        with pytest.warns(DataWarning, match=said):
            assert run.restored(first()).step == 2
        assert [record["step"] for record in run.history] == [1, 2]
        for step in (3, 4):
            run.write({"step": step, "loss": 1.0}, at(step), keep=True)
    with Run(tmp_path / "run", FACTS) as run:
        assert run.restored(first()).step == 4
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_numbers_that_are_not_those_that_were_written_are_no_checkpoint(tmp_path) -> None:
    """As where a bit of a file has turned and nothing else notices."""
    tree = {"a": jnp.arange(6.0), "b": jnp.arange(4, dtype=jnp.bfloat16), "c": jnp.int32(7)}
    store, right = Store(tmp_path / "there"), stores._sums(tree)
    store.save(1, tree)
    store.wait()
    assert jax.tree.map(np.array_equal, store.restore(1, tree), tree) == {"a": True, "b": True, "c": True}
    for name in tree:
        bits = np.asarray(tree[name]).copy()
        bits.reshape(-1).view(np.uint8)[-1] ^= 4
        other = Store(tmp_path / name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stores, "_sums", lambda given: right)
            other.save(1, tree | {name: jnp.asarray(bits)})
            other.wait()
        with pytest.raises(BadFile, match="is damaged .its numbers are not those that were written"):
            other.restore(1, tree)
        other.close()
    store.close()


def test_where_all_are_damaged_it_is_said(tmp_path) -> None:
    written(tmp_path / "run")
    damage(tmp_path / "run")
    said = "the checkpoint of step 4 in .*last is damaged .*; delete .*run to begin again"
    with Run(tmp_path / "run", FACTS) as run, pytest.raises(BadInput, match=said):
        run.restored(first())


def test_what_differs_of_another_run_is_said_with_its_hash(tmp_path) -> None:
    written(tmp_path / "run", steps=1)
    other = {"data": "b" * 64, "schedule": {"rate": 0.2, "steps": 4}}
    said = "data is a{12}... there and b{12}... here, schedule.rate is 0.1 there and 0.2 here; name another folder"
    with pytest.raises(BadInput, match=said):
        Run(tmp_path / "run", other)


def test_a_write_that_fails_says_from_where_to_go_on(tmp_path, monkeypatch) -> None:
    written(tmp_path / "run", steps=2)
    with Run(tmp_path / "run", FACTS) as run:
        run.restored(first())
        (tmp_path / "run" / "metrics.jsonl").unlink()
        (tmp_path / "run" / "metrics.jsonl").mkdir()
        said = "metrics.jsonl cannot be written: is a directory; the last checkpoint is of step 2, in .*last. Make room"
        with pytest.raises(RunFailed, match=said):
            run.write({"step": 3, "loss": 1.0}, at(3), keep=True)


def test_a_checkpoint_that_cannot_be_written_says_so_in_a_line(tmp_path, monkeypatch) -> None:
    """As TensorStore says it of a disk that is full; what was begun is removed, for it takes room."""

    class Full:
        def save(self, *given: object, **named: object) -> None:
            (tmp_path / "run" / "last" / "3.orbax-checkpoint-tmp").mkdir()
            raise ValueError("RESOURCE_EXHAUSTED: Error writing\n...: No space left on device [os_error_code='28']")

    written(tmp_path / "run", steps=2)
    said = r"no checkpoint can be written in .*last: no space left on device; the last checkpoint is of step 2,.*"
    with Run(tmp_path / "run", FACTS) as run:
        run.restored(first())
        monkeypatch.setattr(stores.Store, "_manager", lambda store: Full())
        with pytest.raises(RunFailed, match=said) as failed:
            run.write({"step": 3, "loss": 1.0}, at(3), keep=True)
    assert "\n" not in str(failed.value)
    assert sorted(path.name for path in (tmp_path / "run" / "last").iterdir()) == ["2"]


def test_metrics_for_tensorboard_need_their_package(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        BadInput, match=r'need the package tensorboardX. Install it: pip install "lleval-jax\[tensorboard'
    ):
        Run(tmp_path / "run", FACTS, tensorboard=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(BadInput, match="need a folder of the run"):
        Run(None, FACTS, tensorboard=True)


def test_metrics_go_to_tensorboard_by_their_names(tmp_path, monkeypatch) -> None:
    """Against a writer that keeps what it is given."""
    said = []

    class Writer:
        def __init__(self, logdir: str, purge_step: int) -> None:
            said.append((logdir, purge_step))

        def add_scalar(self, *what: object) -> None:
            said.append(what)

        def close(self) -> None:
            said.append("closed")

    monkeypatch.setattr(board, "require_writer", lambda: Writer)
    written(tmp_path / "run", steps=2)
    with Run(tmp_path / "run", FACTS, tensorboard=True) as run:
        run.restored(first())
        run.write({"step": 3, "loss": 0.5, "held_out_loss": 0.25}, at(3), keep=False)
    place = str(tmp_path / "run" / "tensorboard")
    assert said == [(place, 3), ("training/loss", 0.5, 3), ("held_out/loss", 0.25, 3), "closed"]


def test_files_for_tensorboard_hold_the_numbers(tmp_path) -> None:
    pytest.importorskip("tensorboardX")
    with Run(tmp_path / "run", FACTS, tensorboard=True) as run:
        run.restored(first())
        run.write({"step": 1, "loss": 0.5}, at(1), keep=False)
    (path,) = (tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*")
    assert b"training/loss" in path.read_bytes()


def test_places_are_named_in_few_words() -> None:
    assert batches.named(["a.jsonl:3", "a.jsonl:17", "b.csv:2"]) == "a.jsonl:3, 17; b.csv:2"
    assert batches.named(["row 3 of the table", "row 4 of the table"]) == "row 3, 4 of the table"
    assert batches.named(["here"]) == "here"
