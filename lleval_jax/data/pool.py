"""A pool of questions with a weak teacher's answers, read from `.jsonl`, `.parquet` or `.csv`."""

import os
from collections.abc import Mapping
from typing import Any

from lleval_jax.data.rows import read_rows
from lleval_jax.data.tables.columns import Aliases
from lleval_jax.values.pool import NAMES, Pool

USES: Aliases = {name: () for name in NAMES}  # columns by our own names; others are told


def read_pool(
    path: str | os.PathLike[str] | Any,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    teacher: str = "",
) -> Pool:
    """A pool, as `Pool.from_frame` describes it.

    Args:
        path: a `.jsonl`, `.parquet` or `.csv` file, perhaps compressed, an address, "-" for stdin; or a table in
            memory.
        columns: what a column is, where its name does not tell: {"weak": "gpt2"}. Case and blanks do not count.
        encoding: of text that is neither UTF-8 nor UTF-16.
        teacher: who answered.

    Raises:
        BadInput: as `Pool.from_frame`, with the line of the file; or the file is none or damaged.
    """
    rows = read_rows(path, encoding=encoding)
    return Pool.from_frame(rows.named(USES, columns), place=rows.place, source=rows.source, teacher=teacher)
