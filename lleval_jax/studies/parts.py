"""What a task reads: an input whole, or some of its models; of a parquet table only the rows that hold them."""

import functools
import glob
import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lleval_jax.data import read
from lleval_jax.errors import BadInput, require
from lleval_jax.values import Responses, SparseResponses

MODEL = "model"  # the column by which a parquet table is sorted
NAMED = ("demo:", "bank:")


class Part(NamedTuple):
    """Of an input.

    path    what `read` takes
    first   the first row (model) or group of rows
    stop    behind the last; 0: the input whole
    groups  whether these are groups of rows of a parquet table
    """

    path: str
    first: int = 0
    stop: int = 0
    groups: bool = False


def of(text: str, folder: pathlib.Path, models: int | None, name: str) -> Iterator[Part]:
    """The parts of an input, each of about so many models; without a number the input whole.

    Raises:
        BadInput: nothing is there.
    """
    for path in _paths(text, folder, name):
        if models is None:
            yield Part(path)
        elif _in_groups(path):
            yield from _grouped(path, models)
        else:
            count = len(_whole(path).rows)
            for first in range(0, count, models):
                yield Part(path, first, min(first + models, count))


def value(part: Part) -> Responses | SparseResponses:
    """What a part holds."""
    if part.groups:
        return read(_rows(part))
    whole = _whole(part.path)
    return whole.take(range(part.first, part.stop)) if part.stop else whole


def fingerprint(path: str) -> str:
    """Of what an input holds: of files their hash."""
    if path.startswith(NAMED):
        return path
    digest = hashlib.sha256()
    inside = pathlib.Path(path)
    for each in sorted(inside.rglob("*")) if inside.is_dir() else [inside]:
        if each.is_file():
            with each.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _paths(text: str, folder: pathlib.Path, name: str) -> list[str]:
    require(isinstance(text, str) and bool(text), f"{name}: input is {text!r}; it must be a path, a glob or demo:NAME")
    if text.startswith(NAMED):
        return [text]
    where = str(folder / pathlib.Path(text).expanduser())
    found = [where] if pathlib.Path(where).exists() else sorted(glob.glob(where, recursive=True))
    require(bool(found), f"{name}: no such file, folder or glob: {where}")
    return found


@functools.lru_cache(maxsize=2)
def _whole(path: str) -> Responses | SparseResponses:
    return read(path)


def _in_groups(path: str) -> bool:
    """Whether this is a parquet table of several groups of rows with a column of models."""
    if not path.endswith(".parquet"):
        return False
    about = pq.read_metadata(path)
    return about.num_row_groups > 1 and MODEL in about.schema.names


def _grouped(path: str, models: int) -> Iterator[Part]:
    """Runs of groups of rows; the table must be sorted by model, as the statistics of its groups tell."""
    about = pq.read_metadata(path)
    ends = [_ends(about, group) for group in range(about.num_row_groups)]
    for group, ((_, last), (first, _)) in enumerate(zip(ends, ends[1:], strict=False)):
        if not last <= first:
            raise BadInput(
                f"{path} is not sorted by model: group of rows {group} ends with {last!r}, the next begins with "
                f"{first!r}. Sort it, or leave `models` out."
            )
    each = max(1, round(models / max(1, _models(path, about.num_row_groups // 2))))
    for first in range(0, about.num_row_groups, each):
        stop = min(first + each, about.num_row_groups)
        if not first or ends[stop - 1][1] != ends[first - 1][1]:  # else no model begins there
            yield Part(path, first, stop, groups=True)


def _ends(about: Any, group: int) -> tuple[Any, Any]:
    """The first and the last model of a group of rows."""
    column = next(
        column
        for column in map(about.row_group(group).column, range(about.num_columns))
        if column.path_in_schema == MODEL
    )
    about_rows = column.statistics
    if about_rows is None or not about_rows.has_min_max:
        raise BadInput("the table has no statistics of its rows; write it again, or leave `models` out")
    return about_rows.min, about_rows.max


def _models(path: str, group: int) -> int:
    return len(pq.ParquetFile(path).read_row_group(group, columns=[MODEL])[MODEL].unique())


def _rows(part: Part) -> pa.Table:
    """The rows of all models that begin in these groups: of the first perhaps not, of the last to its end."""
    file = pq.ParquetFile(part.path, read_dictionary=[MODEL, "item"])
    table = file.read_row_groups(range(part.first, part.stop))
    if part.first:
        before = _ends(file.metadata, part.first - 1)[1]
        table = table.filter(_model() != before)
    last = _ends(file.metadata, part.stop - 1)[1]
    pieces = [table]
    for group in range(part.stop, file.num_row_groups):
        if _ends(file.metadata, group)[0] != last:
            break
        more = file.read_row_group(group)
        pieces.append(more.filter(_model() == last))
    return pa.concat_tables(pieces) if len(pieces) > 1 else table


def _model() -> Any:
    return pc.field(MODEL).cast(pa.string())
