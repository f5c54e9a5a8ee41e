"""A table in a file or in memory, opened for a reader that knows which columns it wants."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lleval_jax.data import archive, files, opening
from lleval_jax.data.tables import columns, frames, load
from lleval_jax.data.tables.columns import Aliases, Found
from lleval_jax.data.tables.sheet import Sheet
from lleval_jax.errors import require


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """The columns that a reader wants: `found` is use -> name in `table`; `used` is file -> hash."""

    sheet: Sheet
    found: Found
    table: pa.Table
    used: dict[str, str]


@contextlib.contextmanager
def opened(
    given: str | os.PathLike[str] | Any,
    uses: Aliases,
    needed: Sequence[str],
    asked: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> Iterator[Opened]:
    """A file, of text in this encoding, or a table in memory; in a call that is `opening.shelved`.

    Raises:
        BadInput: there is no such file, it is empty or damaged, or it lacks a column that is needed.
    """
    if frames.is_table(given):
        yield _opened(frames.sheet(given), uses, needed, asked, {})
        return
    path = opening.one(given, encoding=encoding)
    with files.damage(path.name), files.in_utf8(path):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        yield _opened(load.sheet(path), uses, needed, asked, {path.name: archive.file_hash(path)})


def _opened(
    sheet: Sheet, uses: Aliases, needed: Sequence[str], asked: Mapping[str, str] | None, used: dict[str, str]
) -> Opened:
    found = columns.find(sheet.name, sheet.columns, uses, asked)
    if not found.keys() >= set(needed):
        raise columns.missing(sheet.name, sheet.columns, needed, found)
    return Opened(sheet, found, sheet.take(list(dict.fromkeys(found.values()))), used)
