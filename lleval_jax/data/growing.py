"""A CSV that grows by whole rows while a long run works, so that a run that was stopped can go on.

Each `add` is one write behind the last row, and lasts. A row is one line. The last column should be one that no reader
needs: a line that a kill cut short then has too few cells, which readers refuse, or all that is needed. The next run
takes such a line away. There is one writer at a time.
"""

import contextlib
import csv
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lleval_jax import writing
from lleval_jax.errors import BadFile, BadInput, require

SPECIAL = re.compile(r'[",]|^\s|\s$')  # a cell with one of these stands in quotes
MARK = b"\xef\xbb\xbf"  # how a spreadsheet begins a CSV in UTF-8


@dataclasses.dataclass
class Growing:
    """An open table.

    path     the file
    columns  in the file's order
    rows     those that were there when it was opened
    cut      a line cut short, which was taken away; "" where there was none
    """

    path: pathlib.Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    cut: str
    _handle: int

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Put rows behind the others: all of them, or after an error none. A column that a row lacks stays empty."""
        before = os.fstat(self._handle).st_size
        head = b"" if before else _line(self.columns)
        content = head + b"".join(_line([str(row.get(name, "")) for name in self.columns]) for row in rows)
        try:
            _write(self._handle, content)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, before)
            raise OSError(error.errno, error.strerror, os.fspath(self.path)) from error


class Passing(NamedTuple):
    """In place of a `Growing` where nothing is kept."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...] = ()
    cut: str = ""

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Rows are for the caller alone."""


@contextlib.contextmanager
def growing(
    path: pathlib.Path, columns: Sequence[str], *, ours: bool, needed: Sequence[str] | None = None
) -> Iterator[Growing]:
    """A table to add rows to, made with the first rows if there is none.

    Args:
        path: the CSV.
        columns: those that a new table has.
        ours: whether such runs wrote the file, so that a last line without an end was cut short. Of another's file
            such a line is whole.
        needed: those that a table that is there must have; None: the same.

    Raises:
        BadInput: it is no such table, or another process is writing to it.
        OSError: it cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    made = not path.exists()
    require(made or path.is_file(), f"{path} is not a file; rows are added to a file")
    handle = os.open(path, flags, 0o666)
    try:
        require(writing.lock(handle) is not False, f"another process is writing to {path}; wait for it")
        yield _opened(path, columns, columns if needed is None else needed, handle, ours)
    finally:
        empty = os.fstat(handle).st_size == 0
        os.close(handle)
        if made and empty:
            path.unlink(missing_ok=True)


def _opened(path: pathlib.Path, columns: Sequence[str], needed: Sequence[str], handle: int, ours: bool) -> Growing:
    content, cut = path.read_bytes(), b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content) and ours:
        content, cut = content[:whole], content[whole:]
    have, rows = _parsed(path, content)
    lack = [name for name in needed if have and name not in have]
    require(not lack, f"{path} has columns {', '.join(have)}; it needs {', '.join(needed)}. Name another file.")
    if cut:
        os.ftruncate(handle, whole)
    elif whole < len(content):
        _write(handle, b"\n")
    return Growing(path, have or tuple(columns), rows, cut.decode("utf-8", "replace"), handle)


def _parsed(path: pathlib.Path, content: bytes) -> tuple[tuple[str, ...], tuple[dict[str, str], ...]]:
    """(columns, rows) of a table; none of an empty file."""
    try:
        text = content.removeprefix(MARK).decode("utf-8")
        lines = [(row, at) for at, row in _numbered(text) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadFile(f"{path} is not a CSV in UTF-8: {error}") from error
    if not lines:
        return (), ()
    head = tuple(lines[0][0])
    for row, at in lines[1:]:
        if len(row) != len(head):
            raise BadInput(f"{path}:{at} has {len(row)} cells; the header has {len(head)}")
    return head, tuple(dict(zip(head, row, strict=True)) for row, _ in lines[1:])


def _numbered(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for row in reader:
        yield reader.line_num, row


def _line(cells: Sequence[str]) -> bytes:
    """A row as one line."""
    for cell in cells:
        require(len(cell.splitlines()) < 2, f"{cell[:60]!r} is not on one line; in a table that grows a row is a line")
    return (",".join(map(_quoted, cells)) + "\n").encode("utf-8", "backslashreplace")


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if SPECIAL.search(cell) else cell


def _write(handle: int, content: bytes) -> None:
    """All of it, through a power cut too."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in writing.UNSUPPORTED:  # not every network disk can
            raise
