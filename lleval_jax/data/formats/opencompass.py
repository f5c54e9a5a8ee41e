"""OpenCompass results with `--dump-eval-details`: `results/<model>/<dataset>.json`, with a list or dict `details`."""

import pathlib
from typing import Any

import msgspec
import numpy as np

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_task
from lleval_jax.data.formats.format import Format, never
from lleval_jax.data.repeats import reduced
from lleval_jax.errors import BadInput, require

CORRECT = ("correct", "is_correct", "cascade_correct")  # how its evaluators name that an answer is right


class _Result(msgspec.Struct):
    details: dict[str, Any] | list[Any]


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a result with details."""
    start = head.lstrip()[:1] == b"{" and "details" in files.top_keys(head)
    return start and any(b'"%s"' % name.encode() in head for name in CORRECT)


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """(dataset, model), which only the path tells."""
    return path.name.removesuffix(".gz").removesuffix(".json"), path.resolve().parent.name or "model"


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one data set: items are `dataset/example`, the group is the data set.

    A list of several `correct` is one of repeats (`n` runs of the data set). With rows="prompt" a data set's
    configuration is one prompt: the row is the data set, the item the example.
    """
    dataset, model = beside(path)
    details = files.record(path, _Result).details
    named = details.items() if isinstance(details, dict) else ((str(i), each) for i, each in enumerate(details))
    item, repeat, score = [], [], []
    for place, entry in named:
        if not isinstance(entry, dict):  # "type": "GEN" stands among the examples
            continue
        name = str(entry.get("example_abbr", place))
        for number, value in enumerate(_correct(f"{path.name}: example {name!r}", entry)):
            item.append(name)
            repeat.append(number)
            score.append(value)
    require(bool(item), f"{path.name} holds no answers in its details")
    answers = from_task(path.name, model, dataset, options.rows, item=item, score=score)
    return reduced(answers, np.asarray(repeat), options.repeats, options.scale)


def _correct(where: str, entry: dict[str, Any]) -> list[float]:
    """The scores of one example, one a repeat."""
    found = next((entry[name] for name in CORRECT if entry.get(name) is not None), None)
    values = found if isinstance(found, list) else [found]
    scores = [float(value) for value in values if isinstance(value, int | float)]
    if not values or len(scores) < len(values):
        raise BadInput(
            f"{where} does not say whether it is correct; it has {list(entry)[:8]}. Its evaluator gives no details; "
            "score the predictions and pass them as a table."
        )
    return scores


FORMAT = Format(
    name="OpenCompass results with details (.json)",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=never,
    options=frozenset(("rows",)),
)
