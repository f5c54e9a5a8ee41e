"""Answers of one file before they are a matrix: one cell a line, names as codes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lleval_jax.data.notes import Left, Note
from lleval_jax.data.unscored import NOT_SCORED
from lleval_jax.errors import BadFile, BadInput, require

Repeats = Literal["count", "first", "error"]
Join = Literal["content", "number"]
BY_ALL = frozenset(("scale", "repeats"))  # options that hold for every format, whatever its reader does
CHOICE_PROBABILITY = "choice_probability"  # the metric that is made from the log-probabilities of the choices


@dataclasses.dataclass(frozen=True)
class Options:
    """What the caller asked of every reader.

    metric     the metric or scorer to read; None: the only one, or the documented choice
    filter     the answer filter (lm-eval) or test condition (torch_measure) to read
    rows       what a row is: a "model", or a "prompt"
    scale      (lowest, highest) score the file can hold; answers are moved to [0, 1] linearly
    no_answer  what Inspect's "N" (no answer) means: a "zero", or "missing"
    repeats    several answers to one question: "count" (k of n), the "first" of them, or an "error"
    join       by what questions of several logs are the same: their "content" (its hash), or their "number" in the data
               set, where a log has both
    columns    what a column of a table is -> its name: {"model": "model_name"}; None: as the names tell
    matrix     whether a table is a matrix without names, a model a line
    """

    metric: str | None = None
    filter: str | None = None
    rows: Literal["model", "prompt"] = "model"
    scale: tuple[float, float] | None = None
    no_answer: Literal["zero", "missing"] = "zero"
    repeats: Repeats = "count"
    join: Join = "content"
    columns: Mapping[str, str] | None = None
    matrix: bool = False

    def given(self) -> dict[str, object]:
        """What differs from the default, by name, of what a reader may use ("scale", "repeats" hold for all)."""
        fields = [field for field in dataclasses.fields(self) if field.name not in BY_ALL]
        found = {field.name: (getattr(self, field.name), field.default) for field in fields}
        return {name: value for name, (value, default) in found.items() if value != default}

    def __post_init__(self) -> None:
        require(self.rows in ("model", "prompt"), f"rows is {self.rows!r}; it must be 'model' or 'prompt'")
        known = self.no_answer in ("zero", "missing")
        require(known, f"no_answer is {self.no_answer!r}; it must be 'zero' or 'missing'")
        known = self.repeats in ("count", "first", "error")
        require(known, f"repeats is {self.repeats!r}; it must be 'count', 'first' or 'error'")
        known = self.join in ("content", "number")
        require(known, f"join is {self.join!r}; it must be 'content' or 'number'")
        if self.scale is not None:
            low, high = self.scale
            good = bool(np.isfinite([low, high]).all()) and low < high
            require(good, f"the scale is {self.scale}; it must be the lowest and the highest score possible")


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one file, cell by cell.

    file    name of the file, for messages
    rows    (rows,)  names, each once
    items   (items,) names, each once
    group   (items,) name of each item's scenario; "" where the file has none
    row, item  (cells,) positions in `rows` and `items`; a cell may stand more than once
    score   (cells,) as in the file; NaN is no answer
    weight  (cells,) answers behind a score
    line    (cells,) where each stands in the file, from 1; None where that means nothing
    notes   what the reader wants to be known
    guesses what was guessed of how the file is written
    left    answers that were left out, and why
    content, number  (items,) digests of what an item asks, and of its number in the data set, where the log says so
            and the name does not; `sameness.py` compares them between files
    between what stands between file and line in messages
    """

    file: str
    rows: np.ndarray
    items: np.ndarray
    group: np.ndarray
    row: np.ndarray
    item: np.ndarray
    score: np.ndarray
    weight: np.ndarray | None = None
    line: np.ndarray | None = None
    notes: tuple[Note, ...] = ()
    guesses: tuple[Note, ...] = ()
    left: tuple[Left, ...] = ()
    content: np.ndarray | None = None
    number: np.ndarray | None = None
    between: str = ":"

    def place(self, cell: int) -> str:
        """Where a cell stands: `file:line`, or the file and the names."""
        if self.line is not None:
            return f"{self.file}{self.between}{self.line[cell]}"
        return f"{self.file}: model {self.rows[self.row[cell]]!r}, item {self.items[self.item[cell]]!r}"

    def scaled(self, scale: tuple[float, float] | None) -> "Answers":
        """Scores moved to [0, 1]; cells without a score left out, and counted. `BadInput` for a score outside."""
        score = self.check(scale)
        answered = ~np.isnan(score)
        if answered.all():
            return dataclasses.replace(self, score=score)
        left = (*self.left, unscored(score, self.left))
        cells = {name: getattr(self, name) for name in ("row", "item", "weight", "line")}
        kept = {name: None if column is None else column[answered] for name, column in cells.items()}
        return dataclasses.replace(self, score=score[answered], left=left, **kept)

    def check(self, scale: tuple[float, float] | None) -> np.ndarray:
        """(cells,) the scores moved to [0, 1]. `BadInput` for one outside."""
        low, high = (0.0, 1.0) if scale is None else scale
        with np.errstate(invalid="ignore", over="ignore"):
            score = (self.score.astype(np.float64) - low) / (high - low)
        answered = ~np.isnan(score)
        for cell in np.flatnonzero(answered & ~((score >= 0) & (score <= 1)))[:1]:
            found = self.score[answered]
            raise BadInput(
                f"{self.place(cell)}: score {self.score[cell]:g} lies outside [{low:g}, {high:g}]; "
                f"this file's scores run from {found.min():g} to {found.max():g}.",
                python="Pass scale=(lowest, highest), such as scale=(1, 10), to rescale them.",
                shell="Give the lowest and highest possible, such as --scale 1 10, to rescale them.",
            )
        return score


def unscored(score: np.ndarray, already: Sequence[Left] = ()) -> Left:
    """How many scores are NaN, which is what a reader gives for an answer that was not scored.

    `already` says what was left out before, of as many answers more.
    """
    return Left(NOT_SCORED, int(np.isnan(score).sum()), len(score) + sum(each.count for each in already))


def from_columns(
    file: str,
    *,
    row: Sequence[str],
    item: Sequence[str],
    score: Sequence[float] | np.ndarray,
    group: Sequence[str] | None = None,
    weight: Sequence[float] | None = None,
    line: Sequence[int] | np.ndarray | None = None,
    notes: tuple[Note, ...] = (),
    left: tuple[Left, ...] = (),
    content: Sequence[int] | np.ndarray | None = None,
    number: Sequence[int] | np.ndarray | None = None,
) -> Answers:
    """From plain columns, one entry a cell. Each item must have one group."""
    row_code, rows = pd.factorize(np.asarray(row, object))
    item_code, items = pd.factorize(np.asarray(item, object))
    group_code, groups = pd.factorize(np.asarray([""] * len(item) if group is None else group, object))
    return Answers(
        file=file,
        rows=rows,
        items=items,
        group=group_of_items(file, items, item_code, groups, group_code),
        row=row_code,
        item=item_code,
        score=np.asarray(score, np.float64),
        weight=None if weight is None else np.asarray(weight, np.float32),
        line=None if line is None else np.asarray(line, np.int64),
        notes=notes,
        left=left,
        content=_of_items(len(items), item_code, content),
        number=_of_items(len(items), item_code, number),
    )


def _of_items(n_items: int, item: np.ndarray, column: Sequence[int] | np.ndarray | None) -> np.ndarray | None:
    """(items,) the column's entry at the first cell of each item."""
    if column is None:
        return None
    found = np.zeros(n_items, np.int64)
    found[item[::-1]] = np.asarray(column, np.int64)[::-1]
    return found


def from_task(
    file: str,
    model: str,
    task: str,
    rows: str,
    *,
    item: Sequence[str],
    score: Sequence[float] | np.ndarray,
    prompt: str | None = None,
    line: Sequence[int] | np.ndarray | None = None,
    notes: tuple[Note, ...] = (),
    left: tuple[Left, ...] = (),
    content: Sequence[int] | np.ndarray | None = None,
    number: Sequence[int] | np.ndarray | None = None,
) -> Answers:
    """From a log of one model on one task: rows are models and the task groups its items, or rows are its prompts.

    What was not scored, NaN, is left out here and counted, so that an item without any score is none of the log's.

    Raises:
        BadFile: there is no answer, or none that was scored.
    """
    by_model, values = rows == "model", np.asarray(score, np.float64)
    if not len(values):
        raise BadFile(f"{file} holds no answers")
    scored = ~np.isnan(values)
    if not scored.any():
        raise BadFile(f"{file}: none of its {len(values)} answers was scored")
    at = np.flatnonzero(scored).tolist()
    names = [item[i] for i in at]
    line, content, number = (
        None if each is None else np.asarray(each, np.int64)[at] for each in (line, content, number)
    )
    return from_columns(
        file,
        row=[row_name(model, task if prompt is None else prompt, rows)] * len(names),
        item=[item_name(task, name) for name in names] if by_model else names,
        score=values[at],
        group=[task if by_model else ""] * len(names),
        line=line,
        notes=notes,
        left=left if scored.all() else (*left, unscored(values, left)),
        content=content,
        number=number,
    )


def item_name(task: str, name: str | int) -> str:
    """What a question of a task is called across logs."""
    return f"{task}/{name}"


def group_of_items(file: str, items: np.ndarray, item: np.ndarray, groups: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(items,) the one group of each item; `BadInput` where an item has two."""
    found = np.zeros(len(items), np.int64)
    found[item] = group
    for cell in np.flatnonzero(found[item] != group)[:1]:
        raise BadInput(
            f"{file}: item {items[item[cell]]!r} stands in two groups, {groups[group[cell]]!r} and "
            f"{groups[found[item[cell]]]!r}; an item belongs to one."
        )
    return groups[found] if len(groups) else np.full(len(items), "", object)


def numbered(names: Sequence[str], kind: Sequence[str] | None = None) -> list[str]:
    """The names, with "#2" and so on where a name comes again; with `kind`, where it comes again for another one."""
    seen: dict[tuple[str, str], str] = {}
    count: dict[str, int] = {}
    found = []
    for place, name in enumerate(names):
        key = (name, str(place) if kind is None else kind[place])
        if key not in seen:
            count[name] = count.get(name, 0) + 1
            seen[key] = name if count[name] == 1 else f"{name}#{count[name]}"
        found.append(seen[key])
    return found


def row_name(model: str, prompt: str, rows: str) -> str:
    """What a row is called: its model, or the prompt of that model."""
    return model if rows == "model" else f"{model}\n{prompt}"


def parts_of(rows: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """(rows,) the "model" of each name that `row_name` made and, where they are prompts, its "prompt"."""
    split = [name.split("\n", 1) for name in rows]
    found = {"model": tuple(model for model, *_ in split)}
    if any(len(parts) > 1 for parts in split):
        found["prompt"] = tuple("".join(prompt) for _, *prompt in split)
    return found


def labels(rows: Sequence[str]) -> list[str]:
    """Names of `row_name` for people: the prompt alone where there is one model, else model/prompt."""
    split = [name.split("\n", 1) for name in rows]
    if len({model for model, *_ in split}) <= 1:
        return [parts[-1] for parts in split]
    return ["/".join(parts) for parts in split]
