"""The folder of a training run: its settings, its metrics a line a step, its last checkpoint and its best.

run.json          what makes it this run: settings, and hashes of model and data
metrics.jsonl     one record a step
tensorboard/      the same numbers for TensorBoard, if asked for
last/, best/      Orbax checkpoints, written while training goes on, whole or not at all
"""

import contextlib
import json
import os
import pathlib
import time
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lleval_jax import writing
from lleval_jax.errors import BadFile, BadInput, DataWarning, NotConverged, RunFailed, outside, require
from lleval_jax.scale import same_run
from lleval_jax.scale.store import Folder
from lleval_jax.training.run import board
from lleval_jax.training.run.board import Board
from lleval_jax.training.run.stores import Store, quiet

METRICS = "metrics.jsonl"


class Kept(NamedTuple):
    """What a run needs to go on: the variables that learn, the optimiser's state, and the steps done."""

    learned: Any
    state: Any
    step: int

    @classmethod
    def first(cls, learned: Any, optimizer: optax.GradientTransformation) -> "Kept":
        """Before the first step, in memory of its own: steps overwrite it."""
        learned = jax.tree.map(jnp.copy, learned)
        return cls(learned, optimizer.init(learned), 0)


class Run:
    """A folder that is written as training goes on; without a folder, its history in memory.

    Args:
        folder: where; None for nowhere.
        facts: what makes the run this one.
        tensorboard: write metrics for TensorBoard too.

    Raises:
        BadInput: the folder holds another run, or something else; what differs is named.
    """

    def __init__(
        self, folder: "str | os.PathLike[str] | None", facts: dict[str, Any], *, tensorboard: bool = False
    ) -> None:
        self.folder = None if folder is None else pathlib.Path(folder).expanduser().absolute()
        self.records: list[dict[str, float]] = []
        self._until, self._board, self._asked = contextlib.ExitStack(), None, tensorboard
        if tensorboard:
            require(self.folder is not None, "metrics for TensorBoard need a folder of the run: pass out=")
            board.require_writer()
        self._stores: tuple[Store, ...] = ()
        if self.folder is not None:
            same_run.begin(Folder(self.folder), json.loads(json.dumps(facts)))
            self._last, self._best = self._stores = Store(self.folder / "last"), Store(self.folder / "best")

    def __enter__(self) -> "Run":
        self._until.enter_context(quiet())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        with self._until:
            if self._board is not None:
                self._board.close()
            failed = [found for store in self._stores for found in [store.close()] if found is not None]
            if failed and error is None:  # else the first error is the one told
                raise failed[0]

    @property
    def history(self) -> tuple[dict[str, float], ...]:
        """All records so far."""
        return tuple(self.records)

    @property
    def best(self) -> int | None:
        """The step of the lowest held-out loss; None before the first evaluation."""
        seen = [(record["held_out_loss"], int(record["step"])) for record in self.records if "held_out_loss" in record]
        return min(seen)[1] if seen else None

    @property
    def stale(self) -> int:
        """Evaluations since the best."""
        return sum("held_out_loss" in record and record["step"] > (self.best or 0) for record in self.records)

    def last(self) -> str:
        """The last checkpoint, for messages."""
        if self.folder is None:
            return "no checkpoint was kept"
        with contextlib.suppress(RunFailed):
            self._last.wait()
        return self._last.said()

    def restored(self, first: Kept) -> Kept:
        """What was kept last, or `first`; records of later steps are dropped, for they come again.

        A last checkpoint that is damaged is left out with a warning where the best one, of an earlier step, is whole.

        Raises:
            BadInput: there are checkpoints, and all are damaged.
        """
        if self.folder is None:
            return first
        now = self._newest(first)
        for store in self._stores:
            for step in store.steps:
                if step > now.step:
                    store.drop(step)
        self._rewrite(now.step)
        if self._asked:
            self._board = Board(self.folder, now.step)
        return now

    def record(
        self,
        number: int,
        value: jax.Array,
        norm: jax.Array,
        *,
        rate: float,
        tokens: int,
        began: float,
        where: Callable[[], str],
    ) -> dict[str, float]:
        """What is written of a step, the first of number 0.

        Raises:
            NotConverged: the loss or the norm of its gradient is not finite; it says where, and the last checkpoint.
        """
        record = {
            "step": number + 1,
            "loss": float(value),
            "norm": float(norm),
            "rate": rate,
            "tokens": tokens,
            "seconds": time.perf_counter() - began,
        }
        if not np.isfinite([record["loss"], record["norm"]]).all():
            what = f"step {number + 1}: the loss is {record['loss']} and the norm of its gradient {record['norm']}"
            raise NotConverged(f"{what}; {where()}; {self.last()}. A smaller rate may help.")
        return record

    def write(self, record: dict[str, float], now: Kept, keep: bool) -> None:
        """One record; and, where it is time, what is needed to go on, and the best.

        Raises:
            RunFailed: it cannot be written; what is there to go on from is named.
        """
        before = self.best
        self.records.append(record)
        if self.folder is None:
            return
        with self._naming():
            with open(self.folder / METRICS, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            if self._board is not None:
                self._board.add(record)
        if self.best == now.step != before:
            self._best.save(now.step, _plain(now))
        if keep:
            self.keep(now)

    def keep(self, now: Kept) -> None:
        """What is needed to go on; once a step. `RunFailed` if it cannot be written."""
        if self.folder is not None:
            self._last.save(now.step, _plain(now))

    def _newest(self, first: Kept) -> Kept:
        """The newest checkpoint that can be read."""
        there = sorted({(step, store.folder.name, store) for store in self._stores for step in store.steps})
        damaged: list[BadFile] = []
        for step, _, store in reversed(there):
            try:
                found = store.restore(step, _plain(first))
            except BadFile as error:
                damaged.append(error)
                continue
            if damaged:
                text = f"{damaged[0].what}; training goes on from step {step}, of {store.folder}"
                warnings.warn(DataWarning(text), stacklevel=outside())
            return _filled(first, found)._replace(step=step)
        if damaged:
            raise BadInput(f"{damaged[0].what}; delete {self.folder} to begin again") from damaged[0]
        return first

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """An error of the system as one line that says from where to go on."""
        try:
            yield
        except OSError as error:
            path = self.folder / METRICS  # type: ignore[operator]
            text = f"{path} cannot be written: {(error.strerror or str(error)).lower()}; {self.last()}"
            raise RunFailed(f"{text}. Make room and run it again to go on from there.") from error

    def _rewrite(self, step: int) -> None:
        """The records up to a step, and those alone: a line that was cut short is one of a later step."""
        path = self.folder / METRICS  # type: ignore[operator]
        lines = path.read_text(encoding="utf-8").splitlines()[:step] if path.exists() else []
        self.records = [json.loads(line) for line in lines]
        writing.put(path, "".join(f"{line}\n" for line in lines).encode())


def _plain(kept: Kept) -> dict[str, Any]:
    """As a tree of arrays without types of ours: files do not depend on how the code names them."""
    return {"arrays": {str(i): leaf for i, leaf in enumerate(jax.tree.leaves((kept.learned, kept.state)))}}


def _filled(like: Kept, found: Any) -> Kept:
    arrays, given = found["arrays"], jax.tree.leaves((like.learned, like.state))
    leaves = [_as_free(arrays[str(i)], leaf) for i, leaf in enumerate(given)]
    learned, state = jax.tree.unflatten(jax.tree.structure((like.learned, like.state)), leaves)
    return Kept(learned, state, like.step)


def _as_free(array: jax.Array, like: jax.Array) -> jax.Array:
    """The array, bound to its device only where `like` is: one that is not bound goes where a mesh's others are."""
    return array if like.committed else jnp.asarray(np.asarray(array))
