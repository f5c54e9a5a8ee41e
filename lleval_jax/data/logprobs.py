"""Tables of log-probabilities of texts under the elements of a prompt: `.parquet`, `.csv`, `.jsonl`."""

import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lleval_jax.data import archive, files, table
from lleval_jax.errors import require
from lleval_jax.values.logprobs import SIDES, LogProbs
from lleval_jax.values.results import Source

EXTRA = ("tokens", *(f"tokens_{side}" for side in SIDES), "desired")


def read_logprobs(
    path: str | pathlib.Path, *, parts: Sequence[str] | None = None, pairs: bool | None = None
) -> LogProbs:
    """The log-probabilities of one long table, as `LogProbs.from_frame` describes it.

    Args:
        path: a `.parquet`, `.csv` or `.jsonl` file; the content tells the format, not the name.
        parts: the elements in the library's order; None: as they first stand in the file.
        pairs: whether to read `preferred` and `rejected` in place of `logprob`; None: if there is no `logprob`.

    Raises:
        BadInput: as `LogProbs.from_frame`, with the line of the file; or the file is none or damaged.
    """
    path = pathlib.Path(path)
    require(path.is_file(), f"there is no file {path}")
    with files.damage(path.name):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        known = ("text", "element", "logprob", *SIDES, *EXTRA)
        found = table._load(path, known, ("text", "element"))
        first = table._first_line(path)
        content: dict[str, np.ndarray] = {}
        for name in found.column_names:
            if name in ("text", "element", "desired"):
                code, names = table._names(path, found, name, first)
                content[name] = names[code]
            else:
                content[name] = table._numbers(path, found, name, first)
    require(len(found) > 0, f"{path.name} has a header and no rows")
    return LogProbs.from_frame(
        pd.DataFrame(content),
        parts=parts,
        pairs=pairs,
        place=lambda row: f"{path.name}:{first + row}",
        source=Source(files={path.name: archive.file_hash(path)}),
    )
