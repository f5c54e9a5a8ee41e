"""What a task can do. A verb gets an input and all tasks of a chunk that read it, so that fits can go side by side."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lleval_jax import scores
from lleval_jax.data import load_bank
from lleval_jax.estimators import irt, plain, prompts, tiny
from lleval_jax.estimators.irt import ability
from lleval_jax.studies.task import Task
from lleval_jax.values import ItemBank, Responses, SparseResponses
from lleval_jax.values.sparse import as_dense

Answers = Responses | SparseResponses
Found = pd.DataFrame | Exception


class Verb(NamedTuple):
    """What is done with an input.

    run       (answers, tasks) -> the table of each task, or the error with which it failed
    settings  that a task may have
    lanes     whether tasks go side by side, so that a program is for so many
    """

    run: Callable[[Answers, Sequence[Task]], Iterator[Found]]
    settings: tuple[str, ...]
    lanes: bool = False


def one_by_one(call: Callable[[Answers, Task], pd.DataFrame]) -> Callable[[Answers, Sequence[Task]], Iterator[Found]]:
    """Tasks one after another; one that fails holds none of the others up."""

    def run(answers: Answers, tasks: Sequence[Task]) -> Iterator[Found]:
        for task in tasks:
            try:
                yield call(answers, task)
            except Exception as error:  # noqa: BLE001  named in the study's table
                yield error

    return run


def _estimated(answers: Answers, task: Task) -> pd.DataFrame:
    words = dict(task.settings)
    bank = words.pop("bank", None)
    return scores.estimate(answers, bank=None if bank is None else _bank(bank), **words).to_frame()


def _able(answers: Answers, task: Task) -> pd.DataFrame:
    words = dict(task.settings)
    return ability.estimate(answers, bank=_bank(words.pop("bank")), **words).to_frame()


def _prompted(answers: Answers, task: Task) -> pd.DataFrame:
    words = dict(task.settings)
    level = words.pop("level", 0.95)
    return prompts.estimate(prompts.fit(answers, seed=task.seed, **words), level=level).to_frame()


def _calibrated(answers: Answers, tasks: Sequence[Task]) -> Iterator[Found]:
    """IRT fits, each of models drawn with replacement by its seed; equal settings go side by side as one program."""
    dense = as_dense(answers)
    for _, some in itertools.groupby(tasks, key=lambda task: sorted(task.settings.items(), key=repr)):
        lanes = list(some)
        try:
            weight = np.stack([_drawn(len(dense.rows), task.seed) for task in lanes])
            fits = irt.fit_many(dense, row_weight=weight, **lanes[0].settings)
        except Exception as error:  # noqa: BLE001  named in the study's table
            yield from itertools.repeat(error, len(lanes))
            continue
        yield from map(_items, fits)


def _drawn(count: int, seed: int) -> np.ndarray:
    """How often each row is drawn; seed 0 draws each once: the fit itself."""
    if seed == 0:
        return np.ones(count)
    return np.bincount(np.random.default_rng(seed).integers(0, count, count), minlength=count).astype(float)


def _items(fit: Any) -> pd.DataFrame:
    columns = {"row": fit.items, "slope": fit.params.slope[:, 0], "intercept": fit.params.intercept}
    columns |= {"floor": fit.params.floor, "ceiling": fit.params.ceiling, "status": fit.status}
    return pd.DataFrame(columns)


@functools.lru_cache(maxsize=4)
def _bank(name: str) -> ItemBank:
    return load_bank(name)


def _words(*functions: Callable, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The keywords of these functions that a study may set."""
    about = [one for each in functions for one in inspect.signature(each).parameters.values()]
    found = dict.fromkeys(one.name for one in about if one.kind is one.KEYWORD_ONLY)
    return tuple(name for name in found if name not in ("tell", "plan", *without))


VERBS: Mapping[str, Verb] = {
    "estimate": Verb(one_by_one(_estimated), _words(plain.estimate, tiny.estimate)),
    "ability": Verb(one_by_one(_able), _words(ability.estimate)),
    "calibrate": Verb(_calibrated, _words(irt.fit_many, without=("row_weight",)), lanes=True),
    "prompts": Verb(one_by_one(_prompted), ("level", *_words(prompts.fit, without=("seed",)))),
}
