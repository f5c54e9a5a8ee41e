"""Long form of torch_measure's measurement-db: `.parquet` with `subject_id, item_id, response` and trials."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, group_of_items, row_name
from lleval_jax.data.formats import one_of
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.data.repeats import reduced
from lleval_jax.errors import require

NEEDED = ("subject_id", "item_id", "response")
OR_ELSE = (", or rows='prompt'", ", or use `lleval prompts`")
COLUMNS = (*NEEDED, "benchmark_id", "trial", "test_condition")


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether this is a parquet file with the columns of the long form."""
    return set(NEEDED) <= files.parquet_columns(path, head)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one table: the group is the benchmark; trials are repeats.

    A row is a subject. Test conditions (shots, temperature) are not repeats: `filter` chooses one, or rows="prompt"
    makes a row of each.
    """
    with files.parquet(path) as parquet:
        have = parquet.schema_arrow.names
        table = parquet.read(columns=[name for name in COLUMNS if name in have])
    condition = _texts(path, table, "test_condition")
    line = np.arange(1, len(table) + 1)
    if options.rows == "model":
        kept = condition[0] == _condition(path.name, condition, options.filter)
        table, line = table.filter(pa.array(kept)), line[kept]
    subject, item, group = (_texts(path, table, name) for name in ("subject_id", "item_id", "benchmark_id"))
    row, rows = subject
    if options.rows == "prompt":
        pair, row = np.unique(subject[0] * len(condition[1]) + condition[0], return_inverse=True)
        at = zip(*np.divmod(pair, max(1, len(condition[1]))), strict=True)
        rows = np.asarray([row_name(str(subject[1][s]), str(condition[1][c]), "prompt") for s, c in at], object)
    score = _numbers(path, table, "response")
    trial = _numbers(path, table, "trial") if "trial" in table.column_names else np.zeros(len(table))
    answers = Answers(
        file=path.name,
        rows=rows,
        items=item[1],
        group=group_of_items(path.name, item[1], item[0], group[1], group[0]),
        row=row,
        item=item[0],
        score=score,
        line=line,
    )
    return reduced(answers, np.nan_to_num(trial), options.repeats, options.scale)


def _condition(file: str, condition: tuple[np.ndarray, np.ndarray], asked: str | None) -> int:
    """The code of the test condition to read. A table without conditions answers to any name."""
    names = condition[1].tolist()
    if names in ([], [""]):
        return 0
    return names.index(one_of.only(file, "test condition", names, asked, "filter", or_else=OR_ELSE))


def _texts(path: pathlib.Path, table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(codes, names) of a column of names; "" where it is null or not there."""
    if name not in table.column_names:
        return np.zeros(len(table), np.int64), np.array([""], object)
    column = table[name].cast(pa.string()).combine_chunks() if len(table) else pa.array([], pa.string())
    empty = name in NEEDED
    require(not (empty and column.null_count), f"{path.name}: {name} is empty in {column.null_count} rows")
    found = pc.fill_null(column, "").dictionary_encode()
    return found.indices.to_numpy(zero_copy_only=False).astype(np.int64), np.asarray(
        found.dictionary.to_pylist(), object
    )


def _numbers(path: pathlib.Path, table: pa.Table, name: str) -> np.ndarray:
    """(cells,) a column of numbers; NaN where it is null."""
    kind = table[name].type
    good = (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    )
    require(good, f"{path.name}: {name} holds {kind}; it must be numbers")
    column = table[name].cast(pa.int8()) if pa.types.is_boolean(kind) else table[name]
    return column.cast(pa.float64(), safe=False).to_numpy()


FORMAT = Format(
    name="torch_measure long form (.parquet)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(("filter", "rows")),
)
