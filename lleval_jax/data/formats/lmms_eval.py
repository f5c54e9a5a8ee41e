"""Sample logs of lmms-eval: `<date>_samples_<task>.jsonl`, one line a question, without the document (since 0.3).

Its `doc_hash` is that of a document whose images are written as where they lay in memory, another one in each run; so
questions are joined by `doc_id`, and compared by their targets.
"""

import json
import math
import pathlib
from typing import Any

import msgspec

from lleval_jax.data import files, sameness
from lleval_jax.data.answers import Answers, Options, from_task
from lleval_jax.data.cells import AGREE
from lleval_jax.data.formats import lm_eval, one_of
from lleval_jax.data.formats.format import Format
from lleval_jax.data.notes import Note
from lleval_jax.data.unscored import RATING, does_not_apply, is_unscored
from lleval_jax.errors import BadInput

KEYS = frozenset(("doc_id", "target", "filtered_resps"))
NOT_METRICS = KEYS | frozenset(
    "resps input arguments doc_hash prompt_hash target_hash token_counts input_media".split()
)
# A metric may be an object, from which a score of the whole is made; a question's own score in it is one of these.
SCORES = ("score", "correct", "is_correct", "acc", "accuracy", "true_false", RATING)
PART = "a part of a metric"  # stands for a number that is no score unless it is asked for
BETWEEN = "_samples_"


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a sample log; one of lm-eval has the document."""
    keys = files.top_keys(head) if head.lstrip()[:1] == b"{" else frozenset()
    return keys >= KEYS and "doc" not in keys


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is the file of totals that lies next to sample logs."""
    date = path.name.removesuffix("_results.json")
    return date != path.name and any(path.parent.glob(f"{date}{BETWEEN}*.jsonl*"))


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """(task, model), which the path and the totals next to the log tell."""
    date, _, task = path.name.removesuffix(".gz").removesuffix(".jsonl").rpartition(BETWEEN)
    try:
        totals = json.loads((path.parent / f"{date}_results.json").read_bytes())
    except (ValueError, OSError, RecursionError):
        totals = None
    model = lm_eval.name_in(totals) if isinstance(totals, dict) else ""
    return task or "task", model or path.resolve().parent.name or "model"


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one log: items are `task/doc_id`, the group is the task.

    A metric that is an object gives its `score`; `metric/part` names another number in it. With rows="prompt" a task is
    one prompt.

    Raises:
        BadInput: no such metric, a score that is no number, or two scores of one question.
    """
    task, model = beside(path)
    metric, notes = _metric(path, options.metric)
    root, _, part = metric.partition("/")
    fields = [("doc_id", Any), ("target", Any, None), ("score", Any, None)]
    line: type[Any] = msgspec.defstruct("Line", fields, rename={"score": root})
    item, score, content, at = [], [], [], []
    first: dict[str, float] = {}
    for number, entry in files.records(path, line):
        where = f"{path.name}:{number}"
        item.append(str(entry.doc_id))
        score.append(_score(where, entry.score, metric, part))
        content.append(sameness.UNKNOWN if entry.target is None else sameness.digest(str(entry.target)))
        at.append(number)
        _require_same(where, item[-1], first.setdefault(item[-1], score[-1]), score[-1])
    return from_task(
        path.name, model, task, options.rows, item=item, score=score, line=at, notes=notes, content=content
    )


def _metric(path: pathlib.Path, asked: str | None) -> tuple[str, tuple[Note, ...]]:
    """(metric to read, what to warn of)."""
    lines = (_metrics(entry) for _, entry in files.objects(path))
    return one_of.on_lines(path.name, lines, lm_eval.PRIORITY, asked)


def _metrics(entry: dict[str, Any]) -> dict[str, Any]:
    """The metrics on one line, of an object its score; and the other numbers in it."""
    found: dict[str, Any] = {}
    for name, value in entry.items():
        if name in NOT_METRICS:
            continue
        if not isinstance(value, dict):
            found[name] = value
            continue
        found |= next(({name: value[part]} for part in SCORES if part in value), {})
        found |= {f"{name}/{part}": PART for part, each in value.items() if isinstance(each, int | float)}
    return found


def _score(where: str, value: Any, metric: str, part: str) -> float:
    """The score on one line; NaN where it was not scored. `BadInput` where it is no number."""
    if isinstance(value, dict):
        part = part or next((each for each in SCORES if each in value), "")
        value = value.get(part)
    if is_unscored(value) or does_not_apply(part, value):
        return math.nan
    if not isinstance(value, int | float):
        raise BadInput(f"{where}: {metric} is {str(value)[:60]!r}; it must be a number")
    return float(value)


def _require_same(where: str, item: str, first: float, score: float) -> None:
    """`BadInput` for a second score of a question: lmms-eval writes the lines of all answer filters, without names."""
    if abs(first - score) > AGREE:  # not where one of them is NaN
        raise BadInput(
            f"{where}: doc_id {item} stands twice, with scores {first:g} and {score:g}. The log has the answers of "
            "several filters, which lmms-eval does not name; run the task with one."
        )


FORMAT = Format(
    name="lmms-eval samples (.jsonl)",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=is_companion,
    options=frozenset(("metric", "rows")),
)
