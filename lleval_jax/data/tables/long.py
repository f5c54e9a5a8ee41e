"""Long tables: a row an answer."""

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa

from lleval_jax.data.answers import Answers, Options, group_of_items, row_name
from lleval_jax.data.notes import Note
from lleval_jax.data.repeats import reduced
from lleval_jax.data.tables import columns, scores
from lleval_jax.data.tables.columns import Found
from lleval_jax.data.tables.sheet import Sheet
from lleval_jax.errors import BadInput

NO_MODEL = "no column is the model; it is called"
Codes = tuple[np.ndarray, np.ndarray]  # codes, names


def read(sheet: Sheet, found: Found, guesses: Found, options: Options) -> Answers:
    """The answers of a table whose columns are known.

    Raises:
        BadInput: a value that is no score, an empty name, a weight that is not positive, a number of a repeat with two
            scores, or a guess that cannot be right.
    """
    table = sheet.take(list(dict.fromkeys(found.values())))

    def names(role: str, *, empty: bool = False) -> Codes | None:
        return scores.names(sheet, table, found[role], role, empty=empty) if role in found else None

    by_prompt = options.rows == "prompt"
    model = names("model") or same("" if by_prompt else sheet.stem, len(table))
    row, rows = rows_of(model, names("prompt") if by_prompt else None)
    item, items = names("item") or same("", len(table))
    group, groups = names("group", empty=True) or same("", len(table))
    score = scores.scores(sheet, table, found["score"], options.scale, options.no_answer)
    answers = Answers(
        file=sheet.name,
        rows=rows,
        items=items,
        group=group_of_items(sheet.name, items, item, groups, group),
        row=row,
        item=item,
        score=score,
        weight=weights(sheet, table, found),
        line=np.arange(sheet.start, sheet.start + len(table)),
        between=sheet.between,
    )
    _require_shared(answers, guesses)
    said = {role: name for role, name in guesses.items() if role != "repeat"}
    if "repeat" in found and ("repeat" not in guesses or _again(answers)):
        repeat = numbered(sheet, table, found["repeat"])
        answers = reduced(answers, repeat, options.repeats, options.scale)
        said = guesses
    told = [Note(f"{columns.said(said)}.", **columns.hints(said, otherwise="to say so"))] if said else []
    if "model" not in found and not by_prompt:
        told.append(no_model(sheet.stem))
    return dataclasses.replace(answers, guesses=tuple(told))


def no_model(name: str) -> Note:
    """What to tell where no column is the model."""
    return Note(f"{NO_MODEL} {name!r}.", **columns.hints({"model": "NAME"}, otherwise="if a column is"))


def same(value: str, rows: int) -> Codes:
    """A column that is `value` throughout."""
    return np.zeros(rows, np.int64), np.array([value], object)


def rows_of(model: Codes, prompt: Codes | None) -> Codes:
    """The rows: models, or pairs of model and prompt."""
    if prompt is None:
        return model
    pairs = model[0] * len(prompt[1]) + prompt[0]
    code, found = pd.factorize(pairs)
    at = zip(*np.divmod(found, max(1, len(prompt[1]))), strict=True)
    return code, np.asarray([row_name(str(model[1][m]), str(prompt[1][p]), "prompt") for m, p in at], object)


def weights(sheet: Sheet, table: pa.Table, found: Found) -> np.ndarray | None:
    """(rows,) answers behind each score; 1 where the column is empty."""
    if "weight" not in found:
        return None
    weight = scores.numbers(sheet, table, found["weight"])
    weight = np.where(np.isnan(weight), 1.0, weight)
    for at in np.flatnonzero(~((weight > 0) & np.isfinite(weight)))[:1]:
        raise BadInput(f"{sheet.place(at)}: weight is {weight[at]:g}; it must be positive")
    return weight.astype(np.float32)


def numbered(sheet: Sheet, table: pa.Table, column: str) -> np.ndarray:
    """(rows,) which repeat each row is, in their order: of numbers, else of names as they are first met."""
    code, names = scores.names(sheet, table, column, "repeat")
    numbers = pd.to_numeric(pd.Series(names), errors="coerce").to_numpy(float)
    return code if np.isnan(numbers).any() else numbers[code]


def _again(answers: Answers) -> bool:
    """Whether a model answered an item more than once."""
    key = answers.row.astype(np.int64) * len(answers.items) + answers.item
    return len(np.unique(key)) < len(key)


def _require_shared(answers: Answers, guesses: Found) -> None:
    """`BadInput` for an unsure guess by which no two models share an item, or each model has one answer."""
    unsure = [role for role in ("model", "item") if role in guesses and not columns.is_sure(role, guesses[role])]
    if not unsure or len(answers.rows) < 2 or len(answers.items) < 2:
        return
    first = np.zeros(len(answers.items), np.int64)
    first[answers.item] = answers.row
    shared = bool((first[answers.item] != answers.row).any())
    if not shared or np.bincount(answers.row).max() == 1:
        names = {role: guesses[role] for role in unsure}
        why = "no two models share an item" if not shared else "each model has one answer"
        what = f"{answers.file}: {columns.said(names)}, {why}; so that guess is not made."
        raise BadInput(what, **columns.hints({role: "NAME" for role in ("model", "item")}))
