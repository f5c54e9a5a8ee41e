"""Texts to be scored under prompts: an input and an answer, or a preferred and a rejected one."""

import os
from typing import Any, NamedTuple

from lleval_jax.data.tables.rows import Rows, read_rows
from lleval_jax.errors import require
from lleval_jax.harness.made import digest
from lleval_jax.values.logprobs import SIDES, columns

KNOWN = ("text", "input", "answer", *SIDES, "desired")
Table = str | os.PathLike[str] | Any  # a file, or a table in memory
YES = {"1": "1", "true": "1", "1.0": "1", "0": "0", "false": "0", "0.0": "0"}


class Text(NamedTuple):
    """A text by its name. `answers` is one, or the preferred and the rejected; `desired` is "1", "0" or not said."""

    name: str
    input: str
    answers: tuple[str, ...]
    desired: str
    place: str

    @property
    def digest(self) -> str:
        """Of all that its scores depend on."""
        return digest(self.input, self.answers, self.desired)


class TextTable(NamedTuple):
    """All texts of a table."""

    texts: tuple[Text, ...]
    pairs: bool
    desired: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the table of their scores; the last is for the reader alone, see `data.growing`."""
        tokens = [f"tokens_{side}" for side in SIDES] if self.pairs else ["tokens"]
        desired = ["desired"] if self.desired else []
        return ("text", "element", *columns(self.pairs), *tokens, *desired, "prompt_tokens")

    @property
    def types(self) -> dict[str, type]:
        """Of those that are numbers."""
        return {name: float if name in columns(self.pairs) else int for name in self.columns[2:]}


def read_texts(given: Table) -> TextTable:
    """Texts from a table: columns text (a name), input, answer; or preferred and rejected in place of answer.

    Args:
        given: a `.csv`, `.parquet` or `.jsonl` file, or a table in memory. Column `desired`, if there is one, says
            1 of texts that shall be probable, 0 of others that only teach the weights.

    Raises:
        BadInput: a column is missing, an answer is empty, or a name is empty or there twice; with file and row.
    """
    rows = read_rows(given, KNOWN, ("text", "input"))
    pairs = "answer" not in rows.columns and any(side in rows.columns for side in SIDES)
    sides = SIDES if pairs else ("answer",)
    for side in sides:
        have = ", ".join(map(repr, rows.columns))
        hint = "texts need text, input and answer, or text, input, preferred and rejected"
        require(side in rows.columns, f"{rows.name} has no column {side!r}; it has {have}; {hint}")
    rows.named("text")
    texts = tuple(_text(rows, number, sides) for number in range(len(rows.rows)))
    return TextTable(texts, pairs, "desired" in rows.columns)


def _text(rows: Rows, number: int, sides: tuple[str, ...]) -> Text:
    row, place = rows.rows[number], rows.place(number)
    for side in sides:
        require(bool(row[side].strip()), f"{place}: {side} of text {row['text']!r} is empty; there is nothing to score")
    desired = row.get("desired", "1").strip().lower()
    require(desired in YES, f"{place}: desired is {row.get('desired')!r}; it must be 1 or 0")
    return Text(row["text"], row["input"], tuple(row[side] for side in sides), YES[desired], place)
