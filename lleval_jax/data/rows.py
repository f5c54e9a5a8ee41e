"""The rows of any table as they are, with where each was found: for values that have columns of their own."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from lleval_jax.data import archive, files, opening
from lleval_jax.data.tables import frames, load
from lleval_jax.data.tables.columns import Aliases, find
from lleval_jax.errors import require
from lleval_jax.values.results import Source


class Rows(NamedTuple):
    """A table.

    name    of the file, or of what it is in memory
    frame   its rows; of JSON lines lists stay lists
    place   row -> where it is found, for messages
    source  the file
    """

    name: str
    frame: pd.DataFrame
    place: Callable[[int], str]
    source: Source

    def named(self, uses: Aliases, asked: Mapping[str, str] | None) -> pd.DataFrame:
        """The columns that are known, under our names; `BadInput` where `asked` names one that is not there."""
        found = find(self.name, [str(name) for name in self.frame.columns], uses, asked)
        return self.frame[list(found.values())].set_axis(list(found), axis=1) if found else self.frame


@opening.shelved
def read_rows(path: str | os.PathLike[str] | Any, *, encoding: str | None = None) -> Rows:
    """The rows of a table.

    Args:
        path: a `.jsonl`, `.parquet` or `.csv` file, perhaps compressed, an address, "-" for stdin; or a table in
            memory: a frame of pandas, polars or pyarrow, a dict of columns, or a list of dicts.
        encoding: of text that is neither UTF-8 nor UTF-16.

    Raises:
        BadInput: the file is none, empty or damaged.
    """
    if frames.is_table(path):
        sheet = frames.sheet(path)
        return Rows(sheet.name, sheet.take(None).to_pandas(), sheet.place, Source())
    path = opening.one(path, encoding=encoding)
    with files.damage(path.name), files.in_utf8(path):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        frame, place = load.frame(path)
        return Rows(path.name, frame, place, Source(files={path.name: archive.file_hash(path)}))
