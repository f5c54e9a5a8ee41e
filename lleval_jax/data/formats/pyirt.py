"""Data sets of py-irt: `.jsonlines`, one line a subject: `{"subject_id": "...", "responses": {"item": 1}}`.

Several trials of one item are k of n: a response may be `{"successes": 3, "trials": 5}`, and a line may have, with or
without responses, `successes` and `trials` by item, the trials also as one number for all items.
"""

import math
import pathlib
from collections.abc import Iterator
from typing import Any

import msgspec

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_columns
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.data.unscored import is_unscored
from lleval_jax.errors import BadFile, BadInput, require


class _Subject(msgspec.Struct):
    subject_id: str | int
    responses: dict[str, Any] = {}
    successes: dict[str, Any] = {}
    trials: dict[str, Any] | int | None = None


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a py-irt data set."""
    keys = files.top_keys(head) if head.lstrip()[:1] == b"{" else frozenset()
    return "subject_id" in keys and ("responses" in keys or {"successes", "trials"} <= keys)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one data set: a row a subject; the weight of an answer is its number of trials.

    A response that is null, and an item without trials, is missing.
    """
    row, item, score, weight, line = [], [], [], [], []
    for number, subject in files.records(path, _Subject):
        for name, value, trials in _answers(f"{path.name}:{number}", subject):
            row.append(str(subject.subject_id))
            item.append(name)
            score.append(value)
            weight.append(trials)
            line.append(number)
    if not row:
        raise BadFile(f"{path.name} holds no answers")
    return from_columns(path.name, row=row, item=item, score=score, weight=weight, line=line)


def _answers(where: str, subject: _Subject) -> Iterator[tuple[str, float, float]]:
    """(item, score, trials) of each answer; a score of NaN is none."""
    for name, value in subject.responses.items():
        if isinstance(value, dict):
            yield name, *_share(f"{where}: item {name!r}", value.get("successes"), value.get("trials"))
        else:
            require(
                is_unscored(value) or isinstance(value, int | float),
                f"{where}: the response to {name!r} is {str(value)[:60]!r}; it must be a number",
            )
            yield name, math.nan if is_unscored(value) else float(value), 1.0
    for name, successes in subject.successes.items():
        trials = subject.trials.get(name) if isinstance(subject.trials, dict) else subject.trials
        yield name, *_share(f"{where}: item {name!r}", successes, trials)


def _share(where: str, successes: Any, trials: Any) -> tuple[float, float]:
    """(share of successes, trials); (NaN, 1) where nothing was tried or counted."""
    if is_unscored(successes) or is_unscored(trials) or trials == 0:
        return math.nan, 1.0
    good = all(isinstance(each, int | float) for each in (successes, trials))
    if not good or not 0 <= successes <= trials < math.inf:
        raise BadInput(f"{where} has {str(successes)[:40]} successes in {str(trials)[:40]} trials; k of n are needed")
    return successes / trials, float(trials)


FORMAT = Format(
    name="py-irt data (.jsonlines)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(),
)
