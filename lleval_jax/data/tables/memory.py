"""A table in memory as answers: a frame, a dict, a list of rows, or an array of models by items with its names."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lleval_jax.data.answers import Answers, Options
from lleval_jax.data.tables import answers, frames, long, wide
from lleval_jax.errors import BadInput, require

Names = Sequence[str] | None
NOT_ANSWERED = -1  # in an array of whole numbers


def split(given: Any) -> tuple[list[tuple[int | None, Any]], Any]:
    """([(number, table)] of what is given, the paths among it); a number where there are several tables."""
    if frames.is_table(given):
        return [(None, given)], []
    if isinstance(given, str | os.PathLike):
        return [], given
    kind = type(given).__name__
    require(not hasattr(given, "collect"), f"a {kind} has no rows yet; collect it first")
    axes = getattr(given, "ndim", 1)
    require(axes == 1, f"an array of {axes} axes is no matrix of models by items, which has two")
    if not isinstance(given, Iterable):
        raise _neither(given)
    each = list(given)
    tables = [one for one in each if frames.is_table(one)]
    numbered = [(None if len(tables) == 1 else at, table) for at, table in enumerate(tables, 1)]
    rest = [one for one in each if not frames.is_table(one)]
    for one in rest:
        if not isinstance(one, str | os.PathLike):
            raise _neither(one)
    return numbered, rest


def _neither(given: Any) -> BadInput:
    return BadInput(f"{type(given).__name__} {str(given)[:60]!r} is neither a path nor a table")


def read(value: Any, number: int | None, models: Names, items: Names, options: Options) -> Answers:
    """The answers of a table in memory, moved to [0, 1]; `number` tells it from others in messages.

    Raises:
        BadInput: as for a file, with the row; or names are given to what has names, or as many as do not fit.
    """
    if frames.is_matrix(value):
        return _matrix(value, number, models, items, options).scaled(options.scale)
    sheet = frames.sheet(value, number)
    if not models and not items:
        return answers.read(sheet, options).scaled(options.scale)
    one = list(models or ()) if items is None else []
    found = answers.read(dataclasses.replace(sheet, stem=str(one[0])) if len(one) == 1 else sheet, options)
    guesses = tuple(note for note in found.guesses if not note.what.startswith(long.NO_MODEL))
    used = len(one) == 1 and len(guesses) < len(found.guesses)
    require(used, f"{sheet.name} has its own names; `models` and `items` are the names of an array's rows and columns")
    return dataclasses.replace(found, guesses=guesses).scaled(options.scale)


def _matrix(value: Any, number: int | None, models: Names, items: Names, options: Options) -> Answers:
    """The answers of an array, a model a row."""
    name = "the array" if number is None else f"array {number}"
    grid = _floats(value, name, options)
    rows, columns = (_names(name, each, grid.shape, axis) for axis, each in enumerate((models, items)))
    made = [names for names, given in ((rows, models), (columns, items)) if given is None]
    return wide.array(name, grid, rows, columns, guesses=wide.called(*made))


def _floats(value: Any, name: str, options: Options) -> np.ndarray:
    """Scores (models, items), NaN where there is none: masked, NaN, None, or -1 among whole numbers."""
    found = np.ma.filled(value.astype(float), np.nan) if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
    low, high = options.scale or (0.0, 1.0)
    if found.dtype.kind == "b":
        return low + found * (high - low)
    require(found.dtype.kind != "c", f"{name} holds {found.dtype}; it must hold numbers that are real")
    try:
        grid = found.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} holds {found.dtype}; it must hold numbers") from error
    return np.where(grid == NOT_ANSWERED, np.nan, grid) if found.dtype.kind == "i" and low > NOT_ANSWERED else grid


def _names(name: str, given: Names, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """(rows,) or (columns,) names; made up where none are given."""
    kind, count = ("model", "item")[axis], shape[axis]
    if given is None:
        return wide.made_up(kind, count)
    found = np.asarray([str(each) for each in given], object)
    turned = " Turn it round: a row is a model." if len(found) == shape[1 - axis] else ""
    require(len(found) == count, f"{len(found)} {kind}s are named for {name} of shape {shape}.{turned}")
    for each in found[pd.Series(found).duplicated()][:1]:
        raise BadInput(f"{kind} {each!r} is named twice for {name}")
    return found
