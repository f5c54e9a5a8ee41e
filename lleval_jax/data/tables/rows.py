"""Tables of texts: every column, every cell as text; for prompts, examples and what a model is asked."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from lleval_jax.data import files, opening
from lleval_jax.data.tables import columns, frames, load
from lleval_jax.data.tables.sheet import Sheet
from lleval_jax.errors import BadInput, require

Row = dict[str, str]  # column -> cell; "" where there is none


class Rows(NamedTuple):
    """A table of texts. `name` is the file's, or "the DataFrame"; known columns have our own names."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def place(self, row: int) -> str:
        """Where a row (from 0) is found. Cells may hold line breaks, so rows are counted and not lines."""
        return f"{self.name}, row {row + 1}"

    def named(self, column: str) -> dict[str, int]:
        """Name -> its row. `BadInput` for a name that is empty, not on one line, or there twice."""
        found: dict[str, int] = {}
        for number, row in enumerate(self.rows):
            name = row[column]
            require(bool(name.strip()), f"{self.place(number)}: {column} is empty; each row needs a name")
            require(len(name.splitlines()) == 1, f"{self.place(number)}: {column} {name!r} is not on one line")
            first = found.setdefault(name, number)
            message = f"{self.place(number)}: {column} {name!r} is in row {first + 1} too; each name stands once"
            require(first == number, message)
        return found


@opening.shelved
def read_rows(given: str | os.PathLike[str] | Any, known: Sequence[str], needed: Sequence[str]) -> Rows:
    """All rows of a table as texts.

    Args:
        given: a `.csv`, `.parquet` or `.jsonl` file, whose content tells the format; or a table in memory.
        known: columns with a meaning; of their names case and blanks do not count. Others keep their names.
        needed: those of `known` that must be there.

    Raises:
        BadInput: there is no such file, it is damaged or has no rows, or lacks a column that is needed.
    """
    if frames.is_table(given):
        return _rows(frames.sheet(given), known, needed)
    path = opening.one(given)
    with files.damage(path.name), files.in_utf8(path):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        return _rows(load.sheet(path), known, needed)


def _rows(sheet: Sheet, known: Sequence[str], needed: Sequence[str]) -> Rows:
    found = columns.find(sheet.name, sheet.columns, dict.fromkeys(known, ()))
    lack = [name for name in needed if name not in found]
    if lack:
        have = ", ".join(map(repr, sheet.columns[: columns.MOST]))
        word = "columns" if len(lack) > 1 else "column"
        raise BadInput(f"{sheet.name} has no {word} {', '.join(map(repr, lack))}; it has {have}")
    ours = {name: use for use, name in found.items()}
    table = sheet.take(None)
    names = tuple(ours.get(name, str(name)) for name in table.column_names)
    cells = [_texts(table[name]) for name in table.column_names]
    require(table.num_rows > 0, f"{sheet.name} has a header and no rows")
    return Rows(sheet.name, names, tuple(dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)))


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Each cell as text."""
    return ["" if value is None else str(value) for value in column.to_pylist()]
