"""What a cell of a table says: a name, a number, or a score in numbers or words."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lleval_jax.data.tables.sheet import Sheet
from lleval_jax.data.unscored import is_unscored
from lleval_jax.errors import BadInput

RIGHT = ("true", "correct", "right", "yes", "pass", "passed", "success")
WRONG = ("false", "incorrect", "wrong", "no", "fail", "failed", "failure")
WORDS = dict.fromkeys(RIGHT, 1.0) | dict.fromkeys(WRONG, 0.0)
# A letter means what the other letters make of it. The first are Inspect's: correct, incorrect, partly, no answer.
LETTERS = ({"c": 1.0, "i": 0.0, "p": 0.5, "n": 0.0}, {"t": 1.0, "f": 0.0}, {"y": 1.0, "n": 0.0}, {"p": 1.0, "f": 0.0})
TELL = ({"c", "i"}, {"t"}, {"y"}, {"f"})  # one of these must be there for the letters to be read so
NO_ANSWER = "n"
PERCENT = (0.0, 100.0)


def coded(sheet: Sheet, table: pa.Table, name: str) -> tuple[np.ndarray, list]:
    """(codes, different values) of a column; -1 where there is none. `BadInput` where it is no text or numbers."""
    try:
        return _coded(table[name])
    except pa.ArrowException as error:
        what = f"{sheet.name}: column {name!r} holds {table[name].type}; it must hold texts in UTF-8, or numbers"
        raise BadInput(what) from error


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list]:
    """The same of a column that can be read."""
    kind = column.type
    if pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = column.cast(pa.string() if pa.types.is_binary(kind) else pa.large_string())
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # an empty column has no chunks to combine
        encoded = pa.array([], column.type)
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)  # polars': unsigned
    return codes, encoded.dictionary.to_pylist()


def names(
    sheet: Sheet, table: pa.Table, column: str, use: str, *, empty: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(codes, names) of a column, each name once. `BadInput` for an empty one unless `empty`; `use` is its word."""
    codes, values = coded(sheet, table, column)
    same, known = pd.factorize(np.asarray([*map(_name, values), ""], object))  # the last is null's
    codes = same[codes]
    used, codes = np.unique(codes, return_inverse=True)
    for at in np.flatnonzero(known[used] == "") if not empty else ():
        row = int(np.flatnonzero(codes == at)[0])
        raise BadInput(f"{sheet.place(row)} has an empty {use}; each answer needs one")
    return codes, known[used]


def numbers(sheet: Sheet, table: pa.Table, column: str) -> np.ndarray:
    """(rows,) a column of numbers; NaN where there is none. `BadInput` names a value that is no number."""
    if is_number(table[column].type):
        return floats(table[column])
    codes, values = coded(sheet, table, column)
    found = np.full(len(values) + 1, np.nan)  # the last is null's
    for at, value in enumerate(values):
        number = _number(value)
        if number is None:
            row = int(np.flatnonzero(codes == at)[0])
            raise BadInput(f"{sheet.place(row)}: {column} is {str(value)[:60]!r}; it must be a number")
        found[at] = number
    return found[codes]


def scores(
    sheet: Sheet, table: pa.Table, column: str, scale: tuple[float, float] | None, no_answer: Literal["zero", "missing"]
) -> np.ndarray:
    """(rows,) a column of scores on their scale, where words and letters mean its ends; NaN where there is none.

    Raises:
        BadInput: a value is no score; the row is named.
    """
    if is_number(table[column].type):
        return floats(table[column])
    codes, values = coded(sheet, table, column)
    meaning = meanings(values, scale, no_answer)
    for at, value in enumerate(values):
        if value not in meaning:
            raise wrong(sheet, int(np.flatnonzero(codes == at)[0]), column, value)
    return np.array([*(meaning[value] for value in values), np.nan])[codes]


def wrong(sheet: Sheet, row: int, column: str, value: object) -> BadInput:
    """What to say of a value that is no score."""
    found = f"{sheet.place(row)}: {column} is {str(value)[:60]!r}"
    what = f"{found}; a score is a number or a word such as true, correct, pass"
    if str(value).strip().endswith("%"):
        return BadInput(f"{what}.", python="Pass scale=(0, 100) for percent.", shell="Pass --scale 0 100 for percent.")
    return BadInput(f"{what}, or its opposite.")


def meanings(
    values: Iterable[object], scale: tuple[float, float] | None, no_answer: Literal["zero", "missing"]
) -> dict[object, float]:
    """Value -> its score, of all that are scores; NaN of one that says nothing."""
    low, high = scale or (0.0, 1.0)
    found: dict[object, float] = {}
    words: dict[object, str] = {}
    for value in values:
        number = float(value) * (high - low) + low if isinstance(value, bool) else _number(value)
        if number is None:
            words[value] = str(value).strip().casefold()
        else:
            found[value] = number
    known = WORDS | _letters({word for word in words.values() if len(word) == 1}, no_answer)
    found |= {value: low + known[word] * (high - low) for value, word in words.items() if word in known}
    if scale == PERCENT:
        percent = {value: _number(word.removesuffix("%")) for value, word in words.items() if word.endswith("%")}
        found |= {value: number for value, number in percent.items() if number is not None}
    return found


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this kind is numbers."""
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)


def _letters(found: set[str], no_answer: Literal["zero", "missing"]) -> dict[str, float]:
    """What single letters mean where all of them belong together; nothing where that is not so."""
    for letters, tell in zip(LETTERS, TELL, strict=True):
        if found <= letters.keys() and found & tell:
            inspect = letters is LETTERS[0]
            return letters | ({NO_ANSWER: np.nan} if inspect and no_answer == "missing" else {})
    return {}


def floats(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers, NaN where there is none."""
    return column.cast(pa.float64(), safe=False).to_numpy()


def _number(value: object) -> float | None:
    """A value as a number, NaN if it says nothing; None if it is no number."""
    try:
        return float("nan") if is_unscored(value) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _name(value: object) -> str:
    """A name; of a whole number kept as 3.0, as a frame with gaps keeps it, "3"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
