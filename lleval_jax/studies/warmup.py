"""Compiling what a study needs before its workers start: a task of each shape is done, and what it finds is let go."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lleval_jax.core.shapes import few, few_columns
from lleval_jax.errors import BadInput
from lleval_jax.studies import parts, programs, runs
from lleval_jax.studies.parts import Part
from lleval_jax.studies.study import Study
from lleval_jax.studies.task import Task
from lleval_jax.studies.verbs import VERBS
from lleval_jax.values import Responses, SparseResponses
from lleval_jax.values.progress import Progress, Tell, silent

NOT_COMPILED = ("level",)  # settings that no program depends on


class Warmed(NamedTuple):
    """What a warm-up did.

    shapes     that tasks have, of each of which one was done
    failed     how many of these failed
    programs   that they asked for
    there      how many of them had been kept before
    compiling  seconds that these took
    seconds    of the warm-up
    place      where they are kept
    """

    shapes: int
    failed: int
    programs: int
    there: int
    compiling: float
    seconds: float
    place: str


def warmed(study: Study, *, tell: Tell = silent) -> Warmed:
    """Compile the programs of a study into its own folder, `programs`, where workers look for them from then on.

    All inputs are read once. Of the tasks with equal settings, and answers of one padded shape, one is done: where
    tasks go side by side, those of one chunk. Programs that depend on more than that (a size that is not padded, a
    choice that a method makes by the answers) may be left to the workers.

    Args:
        study: as of `read_study`; its folder holds this study afterwards, and no chunk of it.
        tell: called with the chunks looked at.

    Raises:
        BadInput: the folder holds another study, or there is none in which programs can be kept.

    Example:
        >>> warmed(read_study("levels.toml")).programs  # doctest: +SKIP
        14
    """
    began, met, failed = time.perf_counter(), set[str](), 0
    runs.begun(study)
    shapes: dict[Part, Any] = {}
    with programs.of_study(study, begin=True) as place, programs.Count() as count:
        for chunk in range(study.chunks):
            for some in _programs(study.tasks(chunk)):
                verb, part = some[0].verb, some[0].part
                if part not in shapes:
                    shapes[part] = _shape(part)
                key = shapes[part], verb, [_settings(task) for task in some]
                if shapes[part] is not None and repr(key) not in met:
                    met.add(repr(key))
                    failed += runs.done(some).failed > 0
            tell(Progress("compiling", chunk + 1, study.chunks, unit="chunks looked at"))
    seconds = time.perf_counter() - began
    return Warmed(len(met), failed, count.programs, count.there, count.seconds, seconds, place)


def _programs(tasks: list[Task]) -> Iterator[list[Task]]:
    """Tasks of a chunk that one call does: all that read the same where they go side by side, else each alone."""
    for some in runs.together(tasks):
        yield from [some] if VERBS[some[0].verb].lanes else ([task] for task in some)


def _settings(task: Task) -> list[tuple[str, Any]]:
    """On which its programs depend."""
    return sorted((key, value) for key, value in task.settings.items() if key not in NOT_COMPILED)


def _shape(part: Part) -> Any:
    """Of the answers of a part, as it is padded; None where they cannot be read, and no program is asked for."""
    try:
        answers = parts.value(part)
    except BadInput:
        return None
    return (
        type(answers),
        few(len(answers.rows)),
        few_columns(len(answers.items)),
        few(_asked(answers)),
        _is_whole(answers),
    )


def _asked(answers: Responses | SparseResponses) -> int:
    """Items that were asked at all."""
    return len(np.unique(answers.item)) if isinstance(answers, SparseResponses) else int(answers.seen.any(0).sum())


def _is_whole(answers: Responses | SparseResponses) -> bool:
    """Whether each row answered each item."""
    return int(np.sum(answers.n_seen)) == len(answers.rows) * len(answers.items)
