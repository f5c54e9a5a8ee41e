"""A pool of questions with a weak teacher's answers, read from `.jsonl`, `.parquet` or `.csv`."""

import os
from collections.abc import Mapping
from typing import Any

from lleval_jax.data import archive, files, opening
from lleval_jax.data.tables import frames, load
from lleval_jax.data.tables.columns import Aliases, find
from lleval_jax.errors import require
from lleval_jax.values.pool import NAMES, Pool
from lleval_jax.values.results import Source

USES: Aliases = {name: () for name in NAMES}  # columns by our own names; others are told


@opening.shelved
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
    if frames.is_table(path):
        sheet = frames.sheet(path)
        return _pool(sheet.take(None).to_pandas(), sheet.name, columns, place=sheet.place, teacher=teacher)
    path = opening.one(path, encoding=encoding)
    with files.damage(path.name), files.in_utf8(path):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        frame, place = load.frame(path)
        source = Source(files={path.name: archive.file_hash(path)})
    return _pool(frame, path.name, columns, place=place, teacher=teacher, source=source)


def _pool(frame: Any, where: str, asked: Mapping[str, str] | None, **about: Any) -> Pool:
    found = find(where, [str(name) for name in frame.columns], USES, asked)
    named = frame[list(found.values())].set_axis(list(found), axis=1) if found else frame
    return Pool.from_frame(named, **about)
