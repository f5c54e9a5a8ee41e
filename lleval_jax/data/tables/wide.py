"""Wide tables: models by items or items by models, with the names of the others as columns; matrices without names."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from lleval_jax.data.answers import Answers, Options, group_of_items, row_name
from lleval_jax.data.notes import Note
from lleval_jax.data.repeats import reduced
from lleval_jax.data.tables import columns, long, scores
from lleval_jax.data.tables.columns import ANSWERS, SEVERAL, Found, plain
from lleval_jax.data.tables.sheet import Sheet
from lleval_jax.errors import BadInput

INDEX = "indexlevel0"  # how pandas calls the index in a parquet; it comes last there
NAMELESS = (INDEX, "", "id", "name", "names", "index", "unnamed:0", "rownames", "row", "key")  # of rows
ITEMS = re.compile(r"(item|question|q|problem|task|example|i|x|v)[ _.#-]*\d+", re.IGNORECASE)
MODELS = re.compile(
    r"(model|system|llm|person|student)[ _.#-]*(\d+|[a-z])|[mps][ _.#-]*\d+|(.*[/ ])?"
    r"(gpt|o\d|llama|claude|gemini|gemma|mistral|mixtral|qwen|phi|deepseek|falcon|olmo|grok|command)\b.*",
    re.IGNORECASE,
)
FEWEST = 2  # columns of scores that make a table wide
LETTERS = frozenset().union(*scores.LETTERS)
SHOWN = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """How a wide table is written.

    grid     (rows, columns) scores, NaN where there is none
    down     (codes (rows,), names) of the rows
    across   names of the columns
    by_item  whether a row is an item
    names    the column with the names of the rows; None where they are made up
    left     columns that hold no scores
    """

    grid: np.ndarray
    down: long.Codes
    across: list[str]
    by_item: bool
    names: str | None
    left: list[str]


def is_wide(have: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a header and the first rows look like names and scores. Rows of another length are passed over."""
    whole = [row for row in rows if len(row) == len(have)]
    return sum(_has_scores([row[at].removesuffix("%") for row in whole]) for at in range(len(have))) >= FEWEST


def read(sheet: Sheet, options: Options) -> Answers:
    """The answers of a table with a row a model and a column an item, or the other way round.

    What a row is says the name of the column with the names of rows: it is a name for models or one for items. Where
    it is "id" or nothing, the names themselves tell, such as "item1" or "gpt-4". A column without a score is left out.

    Raises:
        BadInput: it cannot be told what a row is; a value is no score; there are not two columns of scores.
    """
    _require_names(sheet)
    found, _ = columns.answers(sheet.name, sheet.columns, options.columns, options.rows, columns.SURE)
    table = sheet.take(None)
    layout = _layout(sheet, table, found, options)
    row, rows, item, items, cell = _cells(sheet, table, layout, found, options)
    group, groups = long.same("", len(table))
    left = [*layout.left, *(found[use] for use in ("weight", "score", "group") if use in found)]
    if "group" in found and layout.by_item:
        group, groups = scores.names(sheet, table, left.pop(), "group", empty=True)
    answers = Answers(
        file=sheet.name,
        rows=rows,
        items=items,
        group=group_of_items(sheet.name, items, item, groups, group[cell]),
        row=row,
        item=item,
        score=layout.grid[~np.isnan(layout.grid)],
        line=sheet.start + cell,
        notes=(Note(f"columns without scores were left out: {_shown(left)}"),) if left else (),
        between=sheet.between,
        guesses=_guess(layout, options, len(rows), len(items)),
    )
    if "repeat" not in found:
        return answers
    repeat = long.numbered(sheet, table, found["repeat"])[cell]
    return reduced(answers, repeat, options.repeats, options.scale)


def unnamed(sheet: Sheet, options: Options) -> Answers:
    """The answers of a matrix without names, a row a model: they are called "model-1", "item-1" and so on.

    Raises:
        BadInput: something in it is no score.
    """
    table = sheet.take(None)
    try:
        grid, across, others = _grid(sheet, table, list(sheet.columns), options)
        if others:
            raise scores.wrong(sheet, 0, others[0], table[others[0]][0].as_py())
    except BadInput as error:
        what = f"{error.what.removesuffix('.')}. It was to be read as a matrix without names."
        python, shell = (f"If it has names, leave out {option}." for option in ("matrix=True", "--matrix"))
        raise BadInput(what, python=python, shell=shell) from error
    _require_scores(sheet, grid, across, options.scale)
    rows, items = made_up(options.rows, len(grid)), np.asarray(across, object)
    line = sheet.start + np.nonzero(~np.isnan(grid))[0]
    return array(sheet.name, grid, rows, items, line=line, guesses=called(rows, items))


def array(
    name: str,
    grid: np.ndarray,
    rows: np.ndarray,
    items: np.ndarray,
    *,
    line: np.ndarray | None = None,
    guesses: tuple[Note, ...] = (),
) -> Answers:
    """The answers of a matrix (rows, items), NaN where there is none."""
    row, item = np.nonzero(~np.isnan(grid))
    group = np.full(len(items), "", object)
    return Answers(name, rows, items, group, row, item, grid[row, item], line=line, guesses=guesses)


def called(*names: np.ndarray) -> tuple[Note, ...]:
    """What to tell of names that were made up."""
    each = [f"{found[0]!r} to {found[-1]!r}" for found in names if len(found)]
    return (Note(f"names were made up: {' and '.join(each)}"),) if each else ()


def made_up(what: str, count: int) -> np.ndarray:
    """(count,) names for what has none."""
    return np.array([f"{what}-{at}" for at in range(1, count + 1)], object)


def _layout(sheet: Sheet, table: pa.Table, found: Found, options: Options) -> Layout:
    """How the table is written."""
    have = sorted(table.column_names, key=lambda name: plain(name) != INDEX)
    names, by_item = _named(found, have, options.rows)
    rest = [name for name in have if name != names and name not in found.values() and plain(name) != INDEX]
    grid, across, left = _grid(sheet, table, rest, options)
    if names is None and left and left[0] == have[0]:  # texts come first: names
        names = left.pop(0)
    if len(across) < FEWEST:
        raise columns.missing(sheet.name, sheet.columns, (options.rows, "item", "score"), found)
    _require_scores(sheet, grid, across, options.scale)
    if names is None:
        codes, down = np.arange(len(table)), made_up(options.rows, len(table))
    else:
        codes, down = scores.names(sheet, table, names, "item" if by_item else options.rows)
    if by_item is None:
        by_item = _turned(sheet, names, down.tolist(), across)
    return Layout(grid, (codes, down), across, by_item, names, left)


def _guess(layout: Layout, options: Options, rows: int, items: int) -> tuple[Note, ...]:
    """What to tell of the layout, unless the caller said what a row is."""
    if not {options.rows, "item"}.isdisjoint(options.columns or ()):
        return ()
    row = "an item" if layout.by_item else f"a {options.rows}"
    said = f"read as a matrix of {rows} {options.rows}s by {items} items; a row is {row}"
    if layout.names is None:
        return (Note(f"{said} without a name"),)
    turned = {options.rows if layout.by_item else "item": layout.names}
    return (Note(f"{said} named by column {layout.names!r}.", **columns.hints(turned, otherwise="if it is not")),)


def _named(found: Found, have: Sequence[str], rows: str) -> tuple[str | None, bool | None]:
    """(the column with the names of rows, whether they are items), None where that is not known by its name."""
    if "item" in found:
        return found["item"], True
    if rows in found:
        return found[rows], False
    first = plain(have[0]) if have else ""
    if any(first in group for group in ANSWERS["item"]):
        return have[0], True
    if first != SEVERAL and any(first in group for group in ANSWERS["model"]):
        return have[0], False
    return (have[0] if have and first in NAMELESS else None), None


def _turned(sheet: Sheet, names: str | None, down: list[str], across: list[str]) -> bool:
    """Whether the rows are items, as their names and those of the columns tell. `BadInput` where they do not."""
    models = _all(ITEMS, across) or (names is not None and _all(MODELS, down))
    items = names is not None and (_all(MODELS, across) or _all(ITEMS, down))
    if models != items:
        return items
    if names is None:
        what = f"{sheet.name} looks like a matrix of scores, but no column names its rows. Put their names first."
        raise BadInput(what, **columns.hints({"model": "NAME"}, {"item": "NAME"}))
    what = f"{sheet.name} looks like a matrix of scores, but is a row a model or an item?"
    raise BadInput(what, **columns.hints({"model": names}, {"item": names}))


def _all(pattern: re.Pattern[str], names: Sequence[str]) -> bool:
    return all(pattern.fullmatch(name) for name in names)


def _cells(
    sheet: Sheet, table: pa.Table, layout: Layout, found: Found, options: Options
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of the cells with a score: row, names of rows, item, names of items, and the row of the table."""
    down, across = np.nonzero(~np.isnan(layout.grid))
    codes, names = layout.down
    by_prompt, others = options.rows == "prompt", np.asarray(layout.across, object)
    if layout.by_item:
        rows = np.asarray([row_name("", name, "prompt") for name in others], object) if by_prompt else others
        return across, rows, codes[down], names, down
    if by_prompt:
        model = scores.names(sheet, table, found["model"], "model") if "model" in found else None
        codes, names = long.rows_of(model or long.same("", len(table)), (codes, names))
    return codes[down], names, across, others, down


def _grid(
    sheet: Sheet, table: pa.Table, names: Sequence[str], options: Options
) -> tuple[np.ndarray, list[str], list[str]]:
    """(scores (rows, columns), the columns of scores, the other columns). `BadInput` for a value that is no score."""
    floats = {name: scores.floats(table[name]) for name in names if scores.is_number(table[name].type)}
    words = {
        n: scores.coded(sheet, table, n) for n in names if n not in floats and not pa.types.is_nested(table[n].type)
    }
    words = {name: each for name, each in words.items() if _has_scores(each[1])}
    meaning = scores.meanings({v for _, each in words.values() for v in each}, options.scale, options.no_answer)
    for name, (codes, values) in words.items():
        for at, value in enumerate(values):
            if value not in meaning:
                raise scores.wrong(sheet, int(np.flatnonzero(codes == at)[0]), name, value)
        floats[name] = np.array([*(meaning[value] for value in values), np.nan])[codes]
    across = [
        name for name in names if name in floats and not (plain(name) in NAMELESS and np.isnan(floats[name]).all())
    ]
    grid = np.stack([floats[name] for name in across], 1) if across else np.zeros((len(table), 0))
    return grid, across, [name for name in names if name not in across]


def _require_names(sheet: Sheet) -> None:
    """`BadInput` where the first line is no header but scores."""
    if sheet.first is None or not sheet.columns:  # in memory it has names
        return
    meaning = scores.meanings(sheet.columns, None, "zero")
    if all(0 <= meaning.get(name, np.nan) <= 1 for name in sheet.columns):
        what = f"{sheet.name} begins with scores where names of columns belong."
        raise BadInput(what, python="Pass matrix=True if it has no names.", shell="Pass --matrix if it has no names.")


def _require_scores(sheet: Sheet, grid: np.ndarray, names: list[str], scale: tuple[float, float] | None) -> None:
    """`BadInput` for a number that is no score, with its column."""
    low, high = scale or (0.0, 1.0)
    for row, column in np.argwhere((grid < low) | (grid > high))[:1]:
        what = (
            f"{sheet.place(row)}: column {names[column]!r} has {grid[row, column]:g}, outside [{low:g}, {high:g}]. "
            "Leave out a column that is no score;"
        )
        raise BadInput(what, python="or pass scale=(lowest, highest).", shell="or pass --scale LOWEST HIGHEST.")


def _has_scores(values: Sequence[object]) -> bool:
    """Whether most of the different values are scores: numbers, words, or letters that can be scores."""
    known = scores.meanings(values, None, "zero")
    good = sum(value == value for value in known.values())
    letters = sum(value not in known and str(value).strip().casefold() in LETTERS for value in set(values))
    bad = len(set(values)) - len(known) - letters
    return good + letters > 0 and bad <= good


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
