"""OpenCompass results with `--dump-eval-details`: `results/<model>/<dataset>.json`, with a list or dict `details`."""

import json
import math
import pathlib
from typing import Any

import msgspec
import numpy as np

from lleval_jax.data import files, sameness
from lleval_jax.data.answers import Answers, Options, from_task
from lleval_jax.data.formats.format import Format, never
from lleval_jax.data.repeats import reduced
from lleval_jax.data.unscored import is_unscored
from lleval_jax.errors import BadFile, BadInput

ANSWER = ("references", "answer", "gold", "reference")  # how they name the right answer
CORRECT = ("correct", "is_correct", "cascade_correct")  # how its evaluators name that an answer is right


class _Result(msgspec.Struct):
    details: dict[str, Any] | list[Any]


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a result with details."""
    start = head.lstrip()[:1] == b"{" and "details" in files.top_keys(head)
    return start and any(b'"%s"' % name.encode() in head for name in CORRECT)


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """(dataset, model), which only the path tells."""
    return files.plain_name(path).removesuffix(".json"), path.resolve().parent.name or "model"


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one data set: items are `dataset/example`, the group is the data set.

    A list of several `correct` is one of repeats (`n` runs of the data set). With rows="prompt" a data set's
    configuration is one prompt: the row is the data set, the item the example.
    """
    dataset, model = beside(path)
    details = files.record(path, _Result).details
    named = details.items() if isinstance(details, dict) else ((str(i), each) for i, each in enumerate(details))
    item, repeat, score, content, silent = [], [], [], [], ""
    for place, entry in named:
        if not isinstance(entry, dict):  # "type": "GEN" stands among the examples
            continue
        name = str(entry.get("example_abbr", place))
        values, answer = _correct(f"{path.name}: example {name!r}", entry), _answer(entry)
        silent = silent or f"example {name!r} has {list(entry)[:8]}"
        for number, value in enumerate(values):
            item.append(name)
            repeat.append(number)
            score.append(value)
            content.append(answer)
    if score and np.isnan(score).all():
        raise BadFile(
            f"{path.name} does not say which answers are correct: {silent}. Its evaluator gives no details; score the "
            "predictions and pass them as a table."
        )
    answers = from_task(path.name, model, dataset, options.rows, item=item, score=score, content=content)
    return reduced(answers, np.asarray(repeat)[~np.isnan(score)], options.repeats, options.scale)


def _correct(where: str, entry: dict[str, Any]) -> list[float]:
    """The scores of one example, one a repeat; NaN where it was not scored."""
    found = next((entry[name] for name in CORRECT if entry.get(name) is not None), None)
    values = found if isinstance(found, list) else [found]
    for value in values:
        if not is_unscored(value) and not isinstance(value, int | float):
            raise BadInput(f"{where} says it is {str(value)[:60]!r}; it must be right or wrong, or a number")
    return [float(value) if isinstance(value, int | float) else math.nan for value in values]


def _answer(entry: dict[str, Any]) -> int:
    """The digest of the right answer: the prompt differs from model to model, and no id tells a shuffled data set."""
    found = next((entry[name] for name in ANSWER if entry.get(name) is not None), None)
    return sameness.UNKNOWN if found is None else sameness.digest(json.dumps(found, sort_keys=True))


FORMAT = Format(
    name="OpenCompass results with details (.json)",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=never,
    options=frozenset(("rows",)),
)
