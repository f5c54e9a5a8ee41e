"""The folder of a training run: its settings, its metrics a line a step, its last checkpoint and its best.

run.json          what makes it this run: settings, and hashes of model and data
metrics.jsonl     one record a step
last/, best/      Orbax checkpoints, written while training goes on, whole or not at all
"""

import json
import os
import pathlib
import types
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lleval_jax.errors import BadInput, require

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

FACTS, METRICS = "run.json", "metrics.jsonl"


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

    Raises:
        BadInput: the folder holds another run, or something else; what differs is named.
    """

    def __init__(self, folder: "str | os.PathLike[str] | None", facts: dict[str, Any]) -> None:
        self.folder = None if folder is None else pathlib.Path(folder).expanduser().absolute()
        self.records: list[dict[str, float]] = []
        self._open: dict[str, ocp.CheckpointManager] = {}
        if self.folder is not None:
            _begin(self.folder, json.loads(json.dumps(facts)))

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        for manager in self._open.values():
            manager.close()

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
        self._manager("last").wait_until_finished()
        step = self._manager("last").latest_step()
        return (
            "there is no checkpoint yet" if step is None else f"the last checkpoint is of step {step}, in {self.folder}"
        )

    def restored(self, first: Kept) -> Kept:
        """What was kept last, or `first`; records of later steps are dropped, for they come again."""
        if self.folder is None:
            return first
        manager = self._manager("last")
        step = manager.latest_step()
        if step is None:
            self._rewrite(0)
            return first
        import orbax.checkpoint as ocp

        shaped = jax.tree.map(ocp.utils.to_shape_dtype_struct, _plain(first))
        try:
            found = manager.restore(step, args=ocp.args.StandardRestore(shaped))
        except Exception as error:  # whatever Orbax, TensorStore or the file system raise for a damaged file
            what = " ".join(str(error).split())[:160]
            where = f"the checkpoint of step {step} in {self.folder / 'last'} is damaged ({what})"
            raise BadInput(f"{where}; delete that folder to begin again") from error
        self._rewrite(step)
        return _filled(first, found)._replace(step=step)

    def write(self, record: dict[str, float], now: Kept, keep: bool) -> None:
        """One record; and, where it is time, what is needed to go on, and the best."""
        before = self.best
        self.records.append(record)
        if self.folder is None:
            return
        with open(self.folder / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self.best == now.step != before:
            self._save("best", now)
        if keep:
            self.keep(now)

    def keep(self, now: Kept) -> None:
        """What is needed to go on; once a step."""
        if self.folder is not None and self._manager("last").latest_step() != now.step:
            self._save("last", now)

    def _save(self, which: str, now: Kept) -> None:
        import orbax.checkpoint as ocp

        manager = self._manager(which)
        if now.step not in manager.all_steps():  # a run that went on from an earlier step finds what it makes
            manager.save(now.step, args=ocp.args.StandardSave(_plain(now)), force=True)

    def _manager(self, which: str) -> "ocp.CheckpointManager":
        import orbax.checkpoint as ocp

        if which not in self._open:
            options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=True)
            self._open[which] = ocp.CheckpointManager(self.folder / which, options=options)  # type: ignore[operator]
        return self._open[which]

    def _rewrite(self, step: int) -> None:
        """The records up to a step, and those alone: a line that was cut short is one of a later step."""
        path = self.folder / METRICS  # type: ignore[operator]
        lines = path.read_text(encoding="utf-8").splitlines()[:step] if path.exists() else []
        self.records = [json.loads(line) for line in lines]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _begin(folder: pathlib.Path, facts: dict[str, Any]) -> None:
    """The folder, made or found to hold this very run."""
    path = folder / FACTS
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        other = [name for name in facts if before.get(name) != facts[name]]
        hint = "name another folder, or delete this one"
        require(not other, f"{folder} holds another run: its {', '.join(other)} differ; {hint}")
        return
    require(
        not folder.exists() or not any(folder.iterdir()),
        f"{folder} holds something else than a run; name another folder",
    )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _plain(kept: Kept) -> dict[str, Any]:
    """As a tree of arrays without types of ours: files do not depend on how the code names them."""
    return {"arrays": {str(i): leaf for i, leaf in enumerate(jax.tree.leaves((kept.learned, kept.state)))}}


def _filled(like: Kept, found: Any) -> Kept:
    arrays = found["arrays"]
    leaves = [arrays[str(i)] for i in range(len(arrays))]
    learned, state = jax.tree.unflatten(jax.tree.structure((like.learned, like.state)), leaves)
    return Kept(learned, state, like.step)
