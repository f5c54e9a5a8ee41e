"""Checkpoints in a folder, by Orbax: the last one only, written while training goes on, whole or not at all."""

import contextlib
import logging
import pathlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.errors import BadFile, RunFailed

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

FULL = "No space left on device"
UNFINISHED = "*.orbax-checkpoint-tmp*"  # what Orbax calls a checkpoint until it is whole
LONGEST = 160  # of what is quoted of another program


class Store:
    """One checkpoint at a time, named by its step.

    Args:
        folder: where; it is made when the first is saved.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self._open = folder, None
        self._begun: set[int] = set()

    @property
    def steps(self) -> list[int]:
        """Those that are whole, the last one last: two where a process ended before it removed the older."""
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(int(each.name) for each in there if each.name.isdigit())

    def save(self, step: int, tree: Any) -> None:
        """Begin to write; the one before goes when this one is whole.

        Raises:
            RunFailed: this one, or the one before, cannot be written; the one before that is still there.
        """
        import orbax.checkpoint as ocp

        if step not in self._begun and step not in self.steps:
            self._begun.add(step)
            with self._writing():
                kept = {"tree": tree, "sums": _sums(tree)}
                self._manager().save(step, args=ocp.args.StandardSave(kept), force=True)

    def restore(self, step: int, like: Any) -> Any:
        """The arrays, laid out as those of `like`.

        Raises:
            BadFile: they cannot be read, are not of these shapes, or are not those that were written.
        """
        import orbax.checkpoint as ocp

        shaped = jax.tree.map(ocp.utils.to_shape_dtype_struct, {"tree": like, "sums": _sums(like)})
        damaged = f"the checkpoint of step {step} in {self.folder} is damaged"
        try:
            found = self._manager().restore(step, args=ocp.args.StandardRestore(shaped))
        except Exception as error:  # whatever Orbax, TensorStore or the file system raise for a damaged file
            raise BadFile(f"{damaged} ({' '.join(str(error).split())[:LONGEST]})") from error
        if (np.asarray(found["sums"]) != _sums(found["tree"])).any():
            raise BadFile(f"{damaged} (its numbers are not those that were written)")
        return found["tree"]

    def drop(self, step: int) -> None:
        """Remove one."""
        shutil.rmtree(self.folder / str(step), ignore_errors=True)
        if self._open is not None:
            self._open.reload()

    def wait(self) -> None:
        """Until it is whole. `RunFailed` as by `save`."""
        if self._open is not None:
            with self._writing():
                self._open.wait_until_finished()
                self._open.check_for_errors()

    def close(self) -> RunFailed | None:
        """Wait until it is whole, and end; what went wrong, if it did not become whole."""
        try:
            self.wait()
        except RunFailed as error:
            return error
        finally:
            if self._open is not None:
                with contextlib.suppress(Exception):  # it says once more what `wait` has said
                    self._open.close()
                self._open = None
        return None

    def said(self) -> str:
        """Which one there is, for messages."""
        there = self.steps
        return (
            f"the last checkpoint is of step {there[-1]}, in {self.folder}" if there else "there is no checkpoint yet"
        )

    def _manager(self) -> "ocp.CheckpointManager":
        import orbax.checkpoint as ocp

        if self._open is None:
            options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=True)
            self._clear()
            self._open = ocp.CheckpointManager(self.folder, options=options)
        return self._open

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of the system, of TensorStore, or of a thread that wrote
            self._clear()
            text = " ".join(str(error).split())
            what = FULL.lower() if FULL in text else text[:LONGEST]
            again = "Make room and run it again to go on from there." if FULL in text else "Run it again to go on."
            raise RunFailed(f"no checkpoint can be written in {self.folder}: {what}; {self.said()}. {again}") from error

    def _clear(self) -> None:
        """Remove what was begun and is not whole, which may fill the disk."""
        for part in self.folder.glob(UNFINISHED) if self.folder.is_dir() else ():
            shutil.rmtree(part, ignore_errors=True)


def _sums(tree: Any) -> np.ndarray:
    """The sum of each array's bits, as whole numbers modulo 2^32: one bit changes it, how the array lies does not."""
    return np.array([_sum(leaf) for leaf in jax.tree.leaves(tree)], np.uint32)


@jax.jit
def _sum(array: jax.Array) -> jax.Array:
    kind = {1: jnp.uint8, 2: jnp.uint16}.get(array.dtype.itemsize, jnp.uint32)
    return jnp.sum(jax.lax.bitcast_convert_type(array, kind), dtype=jnp.uint32)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, what Orbax logs of an error is left out: it comes as an exception too, and is one line there."""
    log = logging.getLogger("absl")
    log.addFilter(_is_ours)
    try:
        yield
    finally:
        log.removeFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    return "orbax" not in record.pathname
