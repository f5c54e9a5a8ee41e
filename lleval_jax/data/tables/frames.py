"""Tables in memory as sheets: frames of pandas, polars or pyarrow, dicts of columns, lists of rows, arrays of numpy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lleval_jax.data.tables.load import require_once
from lleval_jax.data.tables.sheet import Sheet
from lleval_jax.errors import BadInput, require

INDEX = ""  # what a column is called that was an index without a name
MODEL = "model"  # what the one model of a table in memory is called if nothing says so


def is_table(value: object) -> bool:
    """Whether this is a table in memory, and no path."""
    if isinstance(value, pd.DataFrame | Mapping) or hasattr(value, "__arrow_c_stream__"):
        return True
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value):
        return isinstance(value[0], Mapping) and not any(map(_is_column, value[0].values()))
    return is_matrix(value) or getattr(getattr(value, "dtype", None), "names", None) is not None


def is_matrix(value: object) -> bool:
    """Whether this is an array of models by items."""
    return getattr(value, "ndim", None) == 2 and hasattr(value, "__array__") and not isinstance(value, pd.DataFrame)


def sheet(value: Any, number: int | None = None) -> Sheet:
    """A table in memory; `number` tells it from others in messages. `BadInput` where it cannot be made columns."""
    kind = "DataFrame" if hasattr(value, "columns") else type(value).__name__
    name = f"the {kind}" if number is None else f"{kind} {number}"
    try:
        table = _arrow(value, name)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{name} cannot be read as a table: {' '.join(str(error)[:200].split())}") from error
    require_once(name, table.column_names)
    stem = MODEL if number is None else f"{MODEL}-{number}"
    return Sheet(name, stem, tuple(table.column_names), lambda names: _some(table, names), None)


def _arrow(value: Any, name: str) -> pa.Table:
    """Any table as pyarrow's."""
    column = getattr(value, "ndim", 2) == 1 and getattr(value.dtype, "names", None) is None
    is_series = column or type(value).__name__ == "Series"
    require(not is_series, f"{name} is one column; a table has several, such as model, item, score")
    if isinstance(value, pd.DataFrame):
        return _pandas(value)
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if hasattr(value, "__arrow_c_stream__"):
        return pa.table(value)
    if isinstance(value, Mapping):
        return _mapping(value, name)
    if isinstance(value, np.ndarray):
        return pa.table({field: _column(value[field]) for field in value.dtype.names or ()})
    rows = [row for row in value if isinstance(row, Mapping)]
    require(len(rows) == len(value), f"{name}: each row must be a dict")
    columns = dict.fromkeys(key for row in rows for key in row)
    return pa.table({str(key): _column([row.get(key) for row in rows]) for key in columns})


def _pandas(frame: pd.DataFrame) -> pa.Table:
    """A frame; an index that has a name or is text comes first, for it is a column to who made it."""
    levels = [frame.index.get_level_values(at) for at in range(frame.index.nlevels)]
    known = [(INDEX if level.name is None else str(level.name), level) for level in levels]
    kept = [(name, level) for name, level in known if name or not pd.api.types.is_numeric_dtype(level.dtype)]
    kept = [(name, level) for name, level in kept if name not in frame.columns]
    columns = [*kept, *((str(name), frame.iloc[:, at]) for at, name in enumerate(frame.columns))]
    return pa.Table.from_arrays([_column(column) for _, column in columns], [name for name, _ in columns])


def _mapping(value: Mapping, name: str) -> pa.Table:
    """A dict of columns, or a dict of models with a dict of items each."""
    require(bool(value), f"{name} is empty")
    inner = [isinstance(each, Mapping) for each in value.values()]
    if all(inner):
        cells = [(model, item, score) for model, row in value.items() for item, score in row.items()]
        columns = list(zip(*cells, strict=True)) or [(), (), ()]
        return pa.table(dict(zip(("model", "item", "score"), map(_column, columns), strict=True)))
    lengths = {str(key): len(each) for key, each in value.items() if _is_column(each)}
    alone = [str(key) for key in value if str(key) not in lengths]
    message = f"{name}: {', '.join(map(repr, alone[:5]))} is no column; each entry must be a list or an array"
    require(not alone, message)
    require(len(set(lengths.values())) == 1, f"{name}: columns of different lengths: {lengths}")
    return pa.table({str(key): _column(each) for key, each in value.items()})


def _is_column(value: object) -> bool:
    """Whether this is a list of values."""
    return not isinstance(value, str | bytes | Mapping) and hasattr(value, "__len__")


def _column(values: Any) -> pa.ChunkedArray:
    """Values as a column; as text where they are of several kinds."""
    if not isinstance(values, list | tuple | pd.Series | pd.Index | pa.Array | pa.ChunkedArray):
        values = np.asarray(values)
    try:
        found = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        texts = [None if value is None or value is pd.NA or value != value else str(value) for value in values]
        found = pa.array(texts, pa.string())
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _some(table: pa.Table, names: Sequence[str] | None) -> pa.Table:
    return table if names is None else table.select(list(names))
