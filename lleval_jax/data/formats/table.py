"""Long tables of answers, one row an answer: `.parquet`, `.csv`, `.jsonl`, the last two also as gzip."""

import csv
import io
import pathlib
import zlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, group_of_items, row_name
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.data.unscored import is_unscored
from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.values.responses import WHOLE

COLUMNS = ("model", "item", "score", "prompt", "group", "weight")
KNOWN_BY = frozenset(COLUMNS[:4])  # two of these in the first line, or one in a parquet: a table of answers
AGREE = 1e-6  # scores closer than this are the same


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a table of answers."""
    if head.startswith(b"PAR1"):
        columns = files.parquet_columns(path, head)
        return not columns or not columns.isdisjoint(KNOWN_BY)  # without columns it is damaged, which `read` says
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
    if first.startswith(b"{"):
        keys = files.top_keys(first)
        return "doc_id" not in keys and len(KNOWN_BY & keys) >= 2
    return len(KNOWN_BY & set(_header(first)[1])) >= 2


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one table. `BadInput` for a column that is not there or a value that is no score."""
    by_prompt = options.rows == "prompt"
    needed = ("prompt", "item", "score") if by_prompt else ("model", "item", "score")
    table = load(path, COLUMNS, needed)
    first = first_line(path)
    model = names(path, table, "model", first) if "model" in table.column_names else _same("", table)
    prompt = names(path, table, "prompt", first) if by_prompt else None
    row, rows = _rows(model, prompt)
    item, items = names(path, table, "item", first)
    score = numbers(path, table, "score", first)
    group, groups = _same("", table)
    if "group" in table.column_names:
        group, groups = names(path, table, "group", first, empty=True)
    return Answers(
        file=path.name,
        rows=rows,
        items=items,
        group=group_of_items(path.name, items, item, groups, group),
        row=row,
        item=item,
        score=score,
        weight=_weight(path, table, first),
        line=np.arange(first, first + len(table)),
    )


def read_scores(path: str | pathlib.Path) -> pd.DataFrame:
    """The full scores of models: columns model, score in [0, 1], group ("all" where the file has none).

    One line a model and group; the same line twice is kept once, two that disagree are a `BadInput`.
    """
    path = pathlib.Path(path)
    require(path.is_file(), f"there is no file {path}")
    with files.damage(path.name):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        table = load(path, ("model", "score", "group"), ("model", "score"))
        first = first_line(path)
        model, models = names(path, table, "model", first)
        score = numbers(path, table, "score", first)
        group, groups = _same(WHOLE, table)
        if "group" in table.column_names:
            group, groups = names(path, table, "group", first, empty=True)
            groups = np.where(groups == "", WHOLE, groups)
    require(len(table) > 0, f"{path.name} has a header and no scores")
    for at in np.flatnonzero(~((score >= 0) & (score <= 1)))[:1]:
        raise BadInput(f"{path.name}:{first + at}: score {score[at]:g} is not in [0, 1]")
    frame = pd.DataFrame({"model": models[model], "score": score, "group": groups[group]})
    line = np.arange(first, first + len(frame))
    apart = frame["score"] - frame.groupby(["model", "group"])["score"].transform("first")
    for at in np.flatnonzero(apart.abs() > AGREE)[:1]:
        same = (frame["model"] == frame["model"][at]) & (frame["group"] == frame["group"][at])
        other = int(np.flatnonzero(same)[0])
        raise BadInput(
            f"{path.name}: model {frame['model'][at]!r} has two scores on {frame['group'][at]!r}: "
            f"{score[other]:g} (line {line[other]}) and {score[at]:g} (line {line[at]}). Keep one."
        )
    return frame.drop_duplicates(["model", "group"], ignore_index=True)


def load(path: pathlib.Path, columns: tuple[str, ...], needed: tuple[str, ...]) -> pa.Table:
    """The columns that the file has of `columns`, as written. `BadInput` if one of `needed` is not there."""
    head = files.head(path).removeprefix(b"\xef\xbb\xbf")
    if head.startswith(b"PAR1"):
        with files.parquet(path) as parquet:
            present = _present(path, parquet.schema_arrow.names, columns, needed)
            return parquet.read(columns=present)
    if head.lstrip().startswith(b"{"):
        quick = _load_quickly(path, columns, needed)
        return _load_objects(path, columns, needed) if quick is None else quick
    delimiter, header = _header(head.split(b"\n", 1)[0])
    present = _present(path, header, columns, needed)
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(present, pa.string()), include_columns=present, strings_can_be_null=False
    )
    parse = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with files.open_plain(path) as stream:
        try:
            reader = pa_csv.ReadOptions(use_threads=False)
            return pa_csv.read_csv(stream, read_options=reader, parse_options=parse, convert_options=convert)
        except pa.ArrowInvalid as error:
            text = str(error)[:200].replace("Row #", f"{path.name}:")
            raise BadFile(f"{path.name} is not a whole CSV: {text}") from error


def first_line(path: pathlib.Path) -> int:
    """The line of the first row: after the header of a CSV."""
    head = files.head(path)
    return 1 if head.startswith(b"PAR1") or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else 2


def names(
    path: pathlib.Path, table: pa.Table, name: str, first: int, *, empty: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(codes, names) of a column of names, each name once. An empty name is an error unless `empty`."""
    codes, values = _codes(table[name])
    texts = np.asarray([str(value) for value in values.to_pylist()] + [""], object)  # the last is null's
    same, known = pd.factorize(texts)
    codes = same[codes]
    used, codes = np.unique(codes, return_inverse=True)
    for at in np.flatnonzero(known[used] == "") if not empty else ():
        line = first + int(np.flatnonzero(codes == at)[0])
        raise BadInput(f"{path.name}:{line} has an empty {name}; each answer needs one")
    return codes, known[used]


def numbers(path: pathlib.Path, table: pa.Table, name: str, first: int) -> np.ndarray:
    """(cells,) a column of numbers; NaN where there is none. `BadInput` names a value that is no number."""
    codes, values = _codes(table[name])
    found = np.full(len(values) + 1, np.nan)  # the last is null's
    for at, value in enumerate(values.to_pylist()):
        try:
            found[at] = np.nan if is_unscored(value) else float(value)
        except (TypeError, ValueError) as error:
            line = first + int(np.flatnonzero(codes == at)[0])
            raise BadInput(f"{path.name}:{line}: {name} is {str(value)[:60]!r}; it must be a number") from error
    return found[codes]


def _load_quickly(path: pathlib.Path, columns: tuple[str, ...], needed: tuple[str, ...]) -> pa.Table | None:
    """JSON lines in bulk; None where any line is unusual, for `_load_objects` to read or to name it."""
    kinds = {name: pa.float64() if name in ("score", "weight") else pa.string() for name in columns}
    _, first = next(files.objects(path))
    schema = pa.schema([(name, kinds[name]) for name in _present(path, list(first), columns, needed)])
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        with files.open_plain(path) as stream:
            table = pa_json.read_json(stream, parse_options=options)
    except (pa.ArrowException, OSError, EOFError, zlib.error):
        return None
    usual = all(table[name].null_count == 0 for name in schema.names if name != "score")
    return table if usual else None


def _load_objects(path: pathlib.Path, columns: tuple[str, ...], needed: tuple[str, ...]) -> pa.Table:
    """JSON lines as columns of text; the first line says which columns there are."""
    found: dict[str, list] = {}
    for number, entry in files.objects(path):
        if not found:
            found = {name: [] for name in _present(path, list(entry), columns, needed)}
        for name, column in found.items():
            value = entry.get(name)
            if value is None and name in needed[:2]:
                have = ", ".join(map(repr, list(entry)[:12]))
                raise BadInput(f"{path.name}:{number} has no {name!r}; it has {have}")
            is_number = isinstance(value, int | float)
            good = value is None or is_number or isinstance(value, str)
            require(good, f"{path.name}:{number}: {name} is {str(value)[:60]!r}; it must be a text or a number")
            column.append(float(value) if isinstance(value, bool) else value)
    kinds = {name: "" if column and name not in ("score", "weight") else None for name, column in found.items()}
    text = {n: pa.array([kinds[n] if v is None else str(v) for v in c], pa.string()) for n, c in found.items()}
    return pa.table(text)


def _header(line: bytes) -> tuple[str, list[str]]:
    """(delimiter, column names) of the first line of a CSV."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    delimiter = max(",\t;", key=text.count)
    try:
        return delimiter, next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    except csv.Error:
        return delimiter, []


def _present(path: pathlib.Path, found: list[str], columns: tuple[str, ...], needed: tuple[str, ...]) -> list[str]:
    """Which of `columns` the file has, each once; `BadInput` if one of `needed` is not there."""
    for name in needed:
        have = ", ".join(map(repr, found[:12])) or "no columns"
        message = f"{path.name} has no column {name!r}; it has {have}. Answers need {', '.join(needed)}."
        require(name in found, message)
    present = [name for name in columns if name in found]
    for name in present:
        require(found.count(name) == 1, f"{path.name} has {found.count(name)} columns named {name!r}")
    return present


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """(codes, different values) of a column; -1 where it is null."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(encoded, pa.ChunkedArray):  # an empty column has no chunks to combine
        encoded = pa.array([], column.type)
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def _weight(path: pathlib.Path, table: pa.Table, first: int) -> np.ndarray | None:
    """(cells,) answers behind each score; 1 where the column is empty."""
    if "weight" not in table.column_names:
        return None
    weight = numbers(path, table, "weight", first)
    weight = np.where(np.isnan(weight), 1.0, weight)
    for at in np.flatnonzero(~((weight > 0) & np.isfinite(weight)))[:1]:
        raise BadInput(f"{path.name}:{first + at}: weight is {weight[at]:g}; it must be positive")
    return weight.astype(np.float32)


def _same(value: str, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """(codes, names) of a column that is `value` throughout."""
    return np.zeros(len(table), np.int64), np.array([value], object)


def _rows(
    model: tuple[np.ndarray, np.ndarray], prompt: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """(codes, names) of the rows: models, or pairs of model and prompt."""
    if prompt is None:
        return model
    pairs = model[0] * len(prompt[1]) + prompt[0]
    code, found = pd.factorize(pairs)
    at = zip(*np.divmod(found, max(1, len(prompt[1]))), strict=True)
    return code, np.asarray([row_name(str(model[1][m]), str(prompt[1][p]), "prompt") for m, p in at], object)


FORMAT = Format(
    name="table (.parquet, .csv, .jsonl with model, item, score)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(("rows",)),
)
