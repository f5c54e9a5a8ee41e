"""Sheet: a table before anything is known of it, from a file or from memory; its columns are loaded when asked for."""

import dataclasses
from collections.abc import Callable, Sequence

import pyarrow as pa

Take = Callable[[Sequence[str] | None], pa.Table]


@dataclasses.dataclass(frozen=True, eq=False)
class Sheet:
    """The names of a table's columns, and how to get these.

    name     for messages: the file's, or "the DataFrame"
    stem     what its one model is called if no column says so
    columns  names, as they are written
    take     (some of the names, or None for all) -> these columns, each once, as text or as they are kept
    first    line of the first row in the file; None where a table has no lines, and rows are counted from 1
    """

    name: str
    stem: str
    columns: tuple[str, ...]
    take: Take
    first: int | None

    def place(self, row: int) -> str:
        """Where a row (from 0) is found: "a.csv:7", or "the DataFrame, row 6"."""
        return f"{self.name}{self.between}{self.start + row}"

    @property
    def between(self) -> str:
        """What is put between the name and the number of a row."""
        return ", row " if self.first is None else ":"

    @property
    def start(self) -> int:
        """The number of the first row."""
        return 1 if self.first is None else self.first
