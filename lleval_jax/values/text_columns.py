"""Columns of texts in a table, and names for rows that have none."""

import collections
import hashlib
import numbers
from collections.abc import Sequence

import pandas as pd

from lleval_jax.errors import require
from lleval_jax.values.preferences import Place


def texts(column: pd.Series, name: str, place: Place) -> tuple[str, ...]:
    """A column's texts; numbers are texts too.

    Raises:
        BadInput: a cell is empty or no text; the message names the row.
    """
    found = []
    for row, cell in enumerate(column):
        empty = cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())
        require(not empty, f"{place(row)}: '{name}' is empty; leave the row out")
        good = isinstance(cell, str | numbers.Real) and not isinstance(cell, bool)
        require(good, f"{place(row)}: '{name}' is {cell!r}; it must be a text")
        found.append(str(cell))
    return tuple(found)


def named(questions: Sequence[str]) -> tuple[str, ...]:
    """A name for each question: a hash, with a number where it stands again."""
    seen: collections.Counter[str] = collections.Counter()
    names = []
    for question in questions:
        name = hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return tuple(names)


def require_once(ids: Sequence[str]) -> None:
    """`BadInput` where an id is that of several rows."""
    twice = [name for name, count in collections.Counter(ids).items() if count > 1]
    require(not twice, f"the id {twice and twice[0]!r} is that of several rows; each needs its own")
