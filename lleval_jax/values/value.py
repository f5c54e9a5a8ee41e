"""What every value does: equal by what it holds, short in a prompt, a table in a notebook."""

import dataclasses
import html
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

LINES, WIDTH = 30, 60  # of a text in a notebook; of a word in a prompt
FIELDS = 4  # named in a prompt


class Value:
    """Base of frozen dataclasses that hold arrays: declare them with `eq=False, repr=False`.

    Equal values have equal fields, arrays by their shape and numbers (NaN equals NaN), whatever their number type; so
    copies, and what was saved and loaded, are equal. Equal values have equal hashes.
    """

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and same(_fields(self), _fields(other)))

    def __hash__(self) -> int:
        return hash((type(self), *map(_outline, _fields(self))))

    def brief(self) -> str:
        """One line, for a prompt."""
        names = [field.name for field in dataclasses.fields(self)][:FIELDS]  # type: ignore[arg-type]
        return ", ".join(f"{name} {_brief(getattr(self, name))}" for name in names)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.brief()}>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """The text of the value, for a notebook."""
        lines = str(self).splitlines()
        more = [f"… {len(lines) - LINES:,} more lines"] if len(lines) > LINES else []
        return f"<pre>{html.escape(chr(10).join([*lines[:LINES], *more]))}</pre>"


def same(one: Any, two: Any) -> bool:
    """Whether two fields hold the same."""
    if isinstance(one, np.ndarray) or isinstance(two, np.ndarray):
        one, two = np.asarray(one), np.asarray(two)
        return bool(np.array_equal(one, two, equal_nan=one.dtype.kind == two.dtype.kind == "f"))
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(same(one[name], two[name]) for name in one)
    if isinstance(one, tuple | list):
        return (
            type(one) is type(two)
            and len(one) == len(two)
            and all(a is b or same(a, b) for a, b in zip(one, two, strict=True))
        )
    if dataclasses.is_dataclass(one) and type(one) is type(two):
        return same(_fields(one), _fields(two))
    return bool(one == two) or (one != one and two != two)


def _fields(value: Any) -> list[Any]:
    return [getattr(value, field.name) for field in dataclasses.fields(value)]


def _outline(field: Any) -> Any:
    """Of equal fields the same, and quickly made: a word or a number as it is, of all else how much there is."""
    if isinstance(field, str):
        return field
    return np.shape(field) if isinstance(field, np.ndarray) else len(field) if isinstance(field, tuple) else None


def _brief(field: Any) -> str:
    """A field in a few words."""
    if isinstance(field, np.ndarray):
        return f"{field.dtype}{list(field.shape)}" if field.ndim else f"{field[()]:.4g}"
    if isinstance(field, float):
        return f"{field:.4g}"
    if isinstance(field, tuple | list | Mapping):
        return f"({len(field):,})"
    return textwrap.shorten(repr(field), WIDTH, placeholder=" …")
