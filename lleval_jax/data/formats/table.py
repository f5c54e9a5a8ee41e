"""Tables of answers in files, a row an answer or a matrix: `.parquet`, `.csv`, `.jsonl`, a JSON list of objects."""

import csv
import io
import pathlib
from collections.abc import Iterable

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.data.tables import answers, columns, load, wide
from lleval_jax.errors import BadInput

KNOWN_BY = frozenset(("model", "item", "score", "prompt"))  # two of these, or one in a parquet: a table of answers
LOOKED_AT = 20  # lines
NO_TEXT = b"\0"


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a table whose columns are named as ours, or surely mean the same."""
    found = frozenset(_columns(head, path))
    if head.startswith(b"PAR1") and not (found and found.isdisjoint(KNOWN_BY)):
        return True  # without columns it is damaged, which `read` says
    return "doc_id" not in found and (len(KNOWN_BY & found) >= 2 or _are_long(path, found, columns.SURE, unclear=False))


def resembles(head: bytes, path: pathlib.Path, options: Options, named: bool) -> bool:
    """Whether a file of no known format is a table of answers after all, by looser names or as a matrix.

    Of a file that is `named` itself it is enough that it is some table: its reader then says what is missing.
    """
    found = _columns(head, path)
    if options.matrix or not found:
        return options.matrix and not head.startswith((b"PAR1", b"PK")) and NO_TEXT not in head
    if head.removeprefix(load.BOM).lstrip().startswith((b"{", b"[")) and not load.first_keys(head):
        return _are_long(path, found, columns.ALL, unclear=True)
    rows = _rows(head)
    if named and all(len(row) == len(found) for row in rows):
        return True
    return _are_long(path, found, columns.ALL, unclear=True) or wide.is_wide(found, rows)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one table. `BadInput` for a column that is not there or a value that is no score."""
    if options.matrix:
        return wide.unnamed(load.unnamed(path), options)
    return answers.read(load.sheet(path), options)


def _columns(head: bytes, path: pathlib.Path) -> list[str]:
    """Names of the columns of a table that begins so; none where it is none."""
    if head.startswith(b"PAR1"):
        return sorted(files.parquet_columns(path, head))
    start = head.removeprefix(load.BOM).lstrip()
    if start.startswith((b"{", b"[")):
        return list(load.first_keys(head) or files.top_keys(start))
    found = load.header(start.split(b"\n", 1)[0])[1]
    return found if len(found) > 1 and NO_TEXT not in head else []


def _rows(head: bytes) -> list[list[str]]:
    """The first whole rows of a CSV."""
    if head.startswith((b"PAR1", b"{", b"[")):
        return []
    lines = head.removeprefix(load.BOM).lstrip().split(b"\n")
    whole = lines[1:LOOKED_AT] if len(lines) > LOOKED_AT else lines[1:-1] or lines[1:]
    delimiter, _ = load.header(lines[0])
    text = b"\n".join(whole).decode("utf-8", "replace").replace("\r", "")
    try:
        return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error:
        return []


def _are_long(path: pathlib.Path, names: Iterable[str], groups: int, *, unclear: bool) -> bool:
    """Whether names of columns tell where item and score are; `unclear` where several could be."""
    try:
        found, _ = columns.answers(path.name, list(names), groups=groups)
    except BadInput:
        return unclear
    return {"item", "score"} <= found.keys()


FORMAT = Format(
    name="table (.parquet, .csv, .jsonl with model, item, score; or a matrix)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(("rows", "columns", "matrix", "no_answer")),
)
