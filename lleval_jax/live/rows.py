"""Values as rows of a parquet table and back: the columns follow from the fields of the dataclass."""

import dataclasses
import io
import types
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union

import msgspec

from lleval_jax.errors import BadFile

if TYPE_CHECKING:
    import pyarrow as pa

Value = TypeVar("Value")


def schema(kind: type) -> "pa.Schema":
    """The columns of a dataclass: texts, numbers, lists of them, other dataclasses as structs."""
    import pyarrow as pa

    hints = typing.get_type_hints(kind)
    return pa.schema([(field.name, _type(hints[field.name])) for field in dataclasses.fields(kind)])


def table(values: Sequence[Any], kind: type) -> "pa.Table":
    """One row a value."""
    import pyarrow as pa

    return pa.Table.from_pylist([dataclasses.asdict(each) for each in values], schema=schema(kind))


def packed(values: Sequence[Any], kind: type) -> bytes:
    """The bytes of a parquet file: the same values give the same bytes."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table(values, kind), out, compression="zstd")
    return out.getvalue()


def unpacked(content: bytes, kind: type[Value]) -> list[Value]:
    """The values in a parquet file that `packed` made. `BadFile` where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        return [msgspec.convert(row, kind) for row in rows]
    except (pa.ArrowException, msgspec.ValidationError) as error:
        raise BadFile(f"this is no table of {kind.__name__}: {error}") from error


def _type(hint: Any) -> "pa.DataType":
    import pyarrow as pa

    simple = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in simple:
        return simple[hint]
    if dataclasses.is_dataclass(hint):
        return pa.struct(list(schema(hint)))  # type: ignore[arg-type]
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return simple[type(inside[0])]
    if origin in (Union, types.UnionType):
        (one,) = (each for each in inside if each is not type(None))
        return _type(one)
    if origin is tuple:
        return pa.list_(_type(inside[0]))
    raise TypeError(f"{hint} has no column")
