"""The metrics of a run for TensorBoard, next to metrics.jsonl."""

import pathlib
from collections.abc import Mapping
from typing import Any

from lleval_jax.errors import BadInput

FOLDER = "tensorboard"
EXTRA = 'Install it: pip install "lleval-jax[tensorboard]".'


class Board:
    """Event files in a folder of the run; `tensorboard --logdir` of it or of several runs shows them.

    Args:
        folder: of the run.
        step: what was written of later steps is not shown, for they come again.

    Raises:
        BadInput: the package tensorboardX is missing.
    """

    def __init__(self, folder: pathlib.Path, step: int) -> None:
        self._writer = require_writer()(logdir=str(folder / FOLDER), purge_step=step + 1)

    def add(self, record: Mapping[str, float]) -> None:
        """All numbers of a step's record."""
        step = int(record["step"])
        for name, value in record.items():
            if name != "step":
                self._writer.add_scalar(_tag(name), value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def require_writer() -> Any:
    """What writes event files; `BadInput` names the extra that has it."""
    try:
        from tensorboardX import SummaryWriter  # type: ignore[import-not-found]  # of an extra
    except ImportError as error:
        raise BadInput(f"metrics for TensorBoard need the package tensorboardX. {EXTRA}") from error
    return SummaryWriter


def _tag(name: str) -> str:
    """In two groups: "training/loss", "held_out/loss"."""
    return f"held_out/{name.removeprefix('held_out_')}" if name.startswith("held_out_") else f"training/{name}"
