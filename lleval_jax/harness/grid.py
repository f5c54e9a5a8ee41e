"""What a grid of prompts and examples is made of: templates, questions with their right answers, cells to run."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lleval_jax.data.tables.rows import Row, Rows, read_rows
from lleval_jax.errors import nearest, require
from lleval_jax.harness import fields, matching
from lleval_jax.harness.library import read_toml, texts_in
from lleval_jax.harness.made import digest

OPTION = "option"  # how the names of columns begin that hold the options of a multiple-choice question
SYSTEM, USER = "system", "template"


class Question(NamedTuple):
    """An example. With options it is answered by the most probable one, else by what the model writes.

    cells   column -> text, for templates
    right   the right answer
    options what may be chosen; () where the answer is written
    place   where it is found
    """

    name: str
    cells: Row
    right: str
    options: tuple[str, ...]
    place: str

    @property
    def digest(self) -> str:
        """Of all that its answers depend on."""
        return digest(sorted(self.cells.items()))


class Template(NamedTuple):
    """A prompt: the text with places for an example's columns, and perhaps a system message."""

    text: str
    system: str = ""

    @property
    def digest(self) -> str:
        """Of its texts."""
        return digest(self.text, self.system)


class Cell(NamedTuple):
    """A prompt on an example."""

    prompt: str
    item: str


def read_prompts(path: str | os.PathLike[str] | Any) -> dict[str, Template]:
    r"""Prompts by name: a table with columns prompt, template and, if wanted, system; or TOML.

        [prompts]
        plain = "Q: {question}\nA:"
        terse = { template = "{question}", system = "Answer in one word." }

    Raises:
        BadInput: the file is none, a column is missing, or a template or name is empty or there twice.
    """
    if isinstance(path, str | os.PathLike) and pathlib.Path(path).suffix == ".toml":
        return _toml(path)
    rows = read_rows(path, ("prompt", USER, SYSTEM), ("prompt", USER))
    names = rows.named("prompt")
    for name, number in names.items():
        require(bool(rows.rows[number][USER].strip()), f"{rows.place(number)}: the template of {name!r} is empty")
    return {name: Template(rows.rows[i][USER], rows.rows[i].get(SYSTEM, "")) for name, i in names.items()}


def _toml(path: str | os.PathLike[str]) -> dict[str, Template]:
    found, file = read_toml(path)
    table = found.get("prompts")
    require(isinstance(table, dict) and bool(table), f"{file} has no table [prompts]: names and templates")
    out = {}
    for name, one in dict(table).items():  # type: ignore[arg-type]
        where = f"{file}: prompts.{name}"
        words = {USER: one} if isinstance(one, str) else texts_in(one, where)
        for key in words:
            known = (USER, SYSTEM)
            require(key in known, f"{where} has {key!r}; it may have {' and '.join(known)}{nearest(key, known)}")
        require(bool(words.get(USER, "").strip()), f"{where} has no {USER}, or an empty one")
        require(bool(name.strip()) and len(name.splitlines()) == 1, f"{where} needs a name on one line")
        out[name] = Template(words[USER], words.get(SYSTEM, ""))
    return out


def read_examples(given: str | os.PathLike[str] | Any, *, match: str = "exact") -> dict[str, Question]:
    """Examples by name: a table with columns item, answer, and others that templates name, such as question.

    Columns whose names begin with "option" hold the options of multiple-choice questions, of which `answer` is one;
    empty ones are left out. A row without options is answered in writing.

    Raises:
        BadInput: a column is missing, an answer is empty, is none of the options or, by `match`, is no pattern, or
            options are the same; with file and row.
    """
    rows = read_rows(given, ("item", "answer"), ("item", "answer"))
    options = [name for name in rows.columns if name.lower().startswith(OPTION)]
    return {name: _question(rows, number, options, match) for name, number in rows.named("item").items()}


def _question(rows: Rows, number: int, columns: Sequence[str], match: str) -> Question:
    row, place = rows.rows[number], rows.place(number)
    name, right = row["item"], row["answer"]
    options = tuple(row[column] for column in columns if row[column].strip())
    require(bool(right.strip()), f"{place}: the answer of {name!r} is empty")
    if not options:
        matching.require_answer(right, match, place)
        return Question(name, row, right, (), place)
    require(len(options) > 1, f"{place}: {name!r} has one option; a choice needs two")
    require(len(set(options)) == len(options), f"{place}: two options of {name!r} are the same")
    shown = ", ".join(map(repr, options))
    require(right in options, f"{place}: the answer of {name!r} is {right!r}, which is none of its options: {shown}")
    return Question(name, row, right, options, place)


def read_plan(
    given: str | os.PathLike[str] | Any,
    prompts: Mapping[str, Template],
    questions: Mapping[str, Question],
    model: str = "",
) -> tuple[list[Cell], int]:
    """(cells to run, how many more are another model's) of a plan: columns prompt, item and, of several models, model.

    Args:
        given: what `lleval prompts plan --out` writes, or a table in memory.
        prompts: the prompts there are.
        questions: the examples there are.
        model: whose cells to run, where the plan says whose they are.

    Raises:
        BadInput: the plan names a prompt or an example that there is not, with its row; or no cell is this model's.
    """
    rows = read_rows(given, ("prompt", "item", "model"), ("prompt", "item"))
    cells: dict[Cell, None] = {}
    for number, row in enumerate(rows.rows):
        _require_there(rows, number, "prompt", prompts)
        _require_there(rows, number, "item", questions)
        if row.get("model", model) == model:
            cells[Cell(row["prompt"], row["item"])] = None
    named = dict.fromkeys(row.get("model", model) for row in rows.rows)
    some = ", ".join(map(repr, list(named)[:12]))
    ours = f"{rows.name} has no cell of model {model!r}; it has those of {some}"
    require(model in named, ours, shell="Say with --as whose cells to run.", python="Say with model= whose to run.")
    return list(cells), sum(row.get("model", model) != model for row in rows.rows)


def _require_there(rows: Rows, number: int, kind: str, known: Mapping[str, object]) -> None:
    name = rows.rows[number][kind]
    some = ", ".join(map(repr, list(known)[:6]))
    what = f"{rows.place(number)}: there is no {kind} {name!r}; there are {some}{nearest(name, known)}"
    require(name in known, what)


def require_places(prompts: Mapping[str, Template], questions: Mapping[str, Question], cells: Sequence[Cell]) -> None:
    """`BadInput` for a template of these cells with a place that no column of the examples fills."""
    columns = list(next(iter(questions.values())).cells)
    for name in dict.fromkeys(cell.prompt for cell in cells):
        for part in prompts[name]:
            fields.require_fields(part, columns, f"the template of prompt {name!r}")
