"""A sheet, long or wide, as answers."""

from lleval_jax.data.answers import Answers, Options
from lleval_jax.data.tables import columns, long, wide
from lleval_jax.data.tables.sheet import Sheet


def read(sheet: Sheet, options: Options) -> Answers:
    """The answers of a table.

    Raises:
        BadInput: no columns that tell of answers, more than one that could, or a value that is none; with its row.
    """
    found, guesses = columns.answers(sheet.name, sheet.columns, options.columns, options.rows)
    needed = (options.rows, "item", "score")
    by_itself = "item" in found and "score" in found and (options.rows == "model" or "prompt" in found)
    if by_itself:
        return long.read(sheet, found, guesses, options)
    sure, _ = columns.answers(sheet.name, sheet.columns, options.columns, options.rows, columns.SURE)
    if "score" in sure or {options.rows, "item"} <= sure.keys():
        raise columns.missing(sheet.name, sheet.columns, needed, sure)
    return wide.read(sheet, options)
