"""Files as sheets: `.parquet`, `.csv` with any delimiter, JSON lines, a JSON list of objects; or without names."""

import collections
import csv
import functools
import io
import itertools
import json
import pathlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from lleval_jax.data import files
from lleval_jax.data.tables.sheet import Sheet
from lleval_jax.errors import BadFile, require

BOM = b"\xef\xbb\xbf"
DELIMITERS = ",\t;|"
LOOKED_AT = 100  # lines of JSON that tell what kind a column is
BLOCK, LARGEST_BLOCK = 1 << 20, 1 << 26  # bytes that hold at least one line of a CSV
Row = tuple[int, dict[str, Any]]  # the number of an object's line, and the object


def sheet(path: pathlib.Path) -> Sheet:
    """The table in a file, with the names of its columns. `BadInput` where it begins as none."""
    head = files.head(path)
    if head.startswith(b"PAR1"):
        with files.parquet(path) as parquet:
            columns = parquet.schema_arrow.names
        return Sheet(path.name, stem(path), tuple(columns), functools.partial(_parquet, path), 1)
    start = head.removeprefix(BOM).lstrip()[:1]
    if start == b"{":
        columns = list(next(files.objects(path))[1])
        return Sheet(path.name, stem(path), tuple(columns), functools.partial(_lines, path), 1)
    if start == b"[":
        rows = _listed(path)
        columns = list(dict.fromkeys(name for _, row in rows for name in row))
        return Sheet(
            path.name, stem(path), tuple(columns), functools.partial(_objects, f"{path.name}, row ", rows), None
        )
    number, line = _first(path)
    delimiter, columns = header(line)
    take = functools.partial(_csv, path, delimiter, pa_csv.ReadOptions(use_threads=False, block_size=_block(line)))
    return Sheet(path.name, stem(path), tuple(columns), take, number + 1)


def frame(path: pathlib.Path) -> tuple[pd.DataFrame, Callable[[int], str]]:
    """The rows of a file, and where each is, for messages. Of JSON lines lists stay lists: a chat is one."""
    if files.head(path).removeprefix(BOM).lstrip()[:1] == b"{":
        lines, rows = zip(*files.objects(path), strict=True)
        return pd.DataFrame.from_records(list(rows)), lambda row: f"{path.name}:{lines[row]}"
    found = sheet(path)
    return found.take(None).to_pandas(), found.place


def unnamed(path: pathlib.Path) -> Sheet:
    """The matrix in a text file without names, a model a line; its columns are called "item-1" and so on."""
    number, line = _first(path)
    delimiter, first = header(line, DELIMITERS + " ")
    columns = [f"item-{at}" for at in range(1, len(first) + 1)]
    options = pa_csv.ReadOptions(use_threads=False, block_size=_block(line), column_names=columns)
    return Sheet(path.name, stem(path), tuple(columns), functools.partial(_csv, path, delimiter, options), number)


def stem(path: pathlib.Path) -> str:
    """The file's name without what says how it is written: "gpt-4.1" of "gpt-4.1.csv.gz"."""
    return pathlib.PurePath(files.plain_name(path)).stem


def header(line: bytes, delimiters: str = DELIMITERS) -> tuple[str, list[str]]:
    """(delimiter, cells) of a line of a CSV."""
    text = line.removeprefix(BOM).decode("utf-8", "replace").rstrip("\r\n")
    delimiter = max(delimiters, key=text.count)
    try:
        return delimiter, next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    except csv.Error:
        return delimiter, []


def require_once(where: str, columns: Sequence[str]) -> None:
    """`BadInput` where two columns have one name."""
    for name, count in collections.Counter(columns).items() if len(set(columns)) < len(columns) else ():
        require(count == 1, f"{where} has {count} columns named {name!r}")


def first_keys(head: bytes) -> tuple[str, ...]:
    """Keys of the object that begins some bytes, or a list of such; none where a value is no text or number."""
    text = head.removeprefix(BOM).decode("utf-8", "replace").lstrip()
    text = text.removeprefix("[").lstrip()
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return ()
    flat = isinstance(found, dict) and not any(isinstance(value, list | dict) for value in found.values())
    return tuple(found) if flat else ()


def _first(path: pathlib.Path) -> tuple[int, bytes]:
    """The first line that is not blank, and its number."""
    found = next(files.lines(path), None)
    if found is None:
        raise BadFile(f"{path.name} is empty")
    return found


def _block(line: bytes) -> int:
    """How many bytes to parse at a time, for lines as long as the first."""
    return max(BLOCK, min(8 * len(line), LARGEST_BLOCK), 2 * len(line))


def _parquet(path: pathlib.Path, columns: Sequence[str] | None) -> pa.Table:
    with files.parquet(path) as parquet:
        return parquet.read(columns=None if columns is None else list(columns))


def _csv(path: pathlib.Path, delimiter: str, reading: pa_csv.ReadOptions, columns: Sequence[str] | None) -> pa.Table:
    """Columns of a CSV as text."""
    if columns is None:
        columns = reading.column_names or header(_first(path)[1])[1]
        require_once(path.name, columns)
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), include_columns=list(columns), strings_can_be_null=False
    )
    parse = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with files.open_watched(path) as stream:
        try:
            return pa_csv.read_csv(stream, read_options=reading, parse_options=parse, convert_options=convert)
        except pa.ArrowInvalid as error:
            text = str(error)[:200].replace("Row #", f"{path.name}:")
            raise BadFile(f"{path.name} is not a whole CSV: {text}") from error


def _lines(path: pathlib.Path, columns: Sequence[str] | None) -> pa.Table:
    """Columns of JSON lines."""
    where = f"{path.name}:"
    if columns is None:
        return _objects(where, list(files.objects(path)), None)
    quick = _quick(path, columns)
    return _objects(where, files.objects(path), columns) if quick is None else quick


def _quick(path: pathlib.Path, columns: Sequence[str]) -> pa.Table | None:
    """JSON lines in bulk, each column of the kind that the first lines have; None where any line is unusual."""
    first = [row for _, row in itertools.islice(files.objects(path), LOOKED_AT)]
    schema = pa.schema([(name, _kind([row.get(name) for row in first])) for name in columns])
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        with files.open_watched(path) as stream:
            return pa_json.read_json(stream, parse_options=options)
    except (pa.ArrowException, OSError, EOFError, zlib.error):
        return None


def _kind(values: Sequence[object]) -> pa.DataType:
    """How to keep such values; whole numbers as they are, since they may be names."""
    found = {type(value) for value in values if value is not None}
    if found <= {int} and found:
        return pa.int64()
    return pa.float64() if found <= {int, float} and found else pa.bool_() if found == {bool} else pa.string()


def _objects(where: str, rows: Iterable[Row], columns: Sequence[str] | None) -> pa.Table:
    """Columns of objects as text, null where there is nothing; None: of all keys. `where` goes before a number."""
    if columns is None:
        rows = list(rows)
        columns = list(dict.fromkeys(name for _, row in rows for name in row))
    found: dict[str, list[str | None]] = {name: [] for name in columns}
    for number, row in rows:
        for name, column in found.items():
            value = row.get(name)
            good = value is None or isinstance(value, int | float | str)
            require(good, f"{where}{number}: {name} is {str(value)[:60]!r}; it must be a text or a number")
            column.append(None if value is None else str(value))
    return pa.table({name: pa.array(column, pa.string()) for name, column in found.items()})


def _listed(path: pathlib.Path) -> list[Row]:
    """The objects of a file that is a JSON list of them, each with its number."""
    found = json.loads(files.whole(path).removeprefix(BOM))
    for at, row in enumerate(found, 1):
        require(isinstance(row, dict), f"{path.name}: entry {at} is {str(row)[:60]!r}; it must be an object")
    return list(enumerate(found, 1))
