"""Answers out: JSON to a file or to stdout, tables to the terminal."""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import lleval_jax as ll
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table

STDOUT = pathlib.Path("-")


def write(tables: "Sequence[Table]", content: dict[str, Any], path: pathlib.Path | None) -> None:
    """The JSON where it was asked for; the tables on stdout, unless the JSON goes there."""
    if path is not None:
        _json(content, path)
    if path != STDOUT:
        _tables(tables)


def _tables(tables: "Sequence[Table]") -> None:
    for i, table in enumerate(tables):
        if i:
            print()
        ll.report.text.show(table)


def text(content: str, path: pathlib.Path) -> None:
    """As it is, such as a table of cells in CSV."""
    _put(content, path)


def lines(items: Sequence[str], path: pathlib.Path) -> None:
    """One a line; `BadInput` for a name that would be two lines."""
    broken = [item for item in items if len(item.splitlines()) > 1 or "\0" in item]
    message = f"{broken and broken[0]!r} cannot be written on one line"
    require(not broken, message, shell="Take the names from --json.")
    _put("".join(f"{item}\n" for item in items), path)


@contextlib.contextmanager
def picture(path: pathlib.Path) -> Iterator[str]:
    """A name to draw to; the picture is put in place once the block is over, whole or not at all."""
    from lleval_jax import writing  # not needed for --help

    with writing.replacing(path) as part:
        yield os.fspath(part)


def _json(content: dict[str, Any], path: pathlib.Path) -> None:
    whole = path != STDOUT or (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    _put(json.dumps(content, indent=1, ensure_ascii=not whole, allow_nan=False) + "\n", path)


def _put(text: str, path: pathlib.Path) -> None:
    """Whole or not at all: written to a part first, then put in place."""
    if path == STDOUT:
        print(text, end="", flush=True)
        return
    if path.exists() and not path.is_file():  # a pipe or /dev/stderr cannot be replaced
        path.write_text(text, encoding="utf-8")
        return
    from lleval_jax import writing  # not needed for --help

    writing.put(path, text.encode("utf-8"))
