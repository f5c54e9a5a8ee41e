"""The scores of models from their answers: with an item bank from few of them, without one from their own."""

import dataclasses
import os
from typing import Any

from lleval_jax.data import load_bank, read
from lleval_jax.errors import BadInput, nearest
from lleval_jax.estimators import audit as boards
from lleval_jax.estimators import plain, tiny
from lleval_jax.values import Audit, Comparison, Estimate, Gate, ItemBank, Responses, SparseResponses
from lleval_jax.values.sparse import as_dense


def estimate(
    responses: Responses | SparseResponses | Any,
    *,
    bank: ItemBank | str | os.PathLike[str] | None = None,
    **words: Any,
) -> Estimate:
    """Each model's score, with an interval.

    Without a bank: the mean over the questions that it answered (`ll.plain.estimate`). With a bank: the score on the
    whole benchmark, predicted from answers to some of its items (`ll.tiny.estimate`).

    Args:
        responses: answers, or what `ll.read` takes: a file, a folder, a frame.
        bank: an item bank, the name of one that ships, or its folder.
        words: settings of the method that is called, such as `level` and `groups` of either.

    Returns:
        An `Estimate`; its `method` says which was used.

    Example:
        >>> import lleval_jax as ll
        >>> answers = ll.Responses.build([[1, 1, 0, 1, 0, 1, 1, 1]], rows=["model-a"])
        >>> print(ll.estimate(answers))
        estimated accuracy, 95% intervals (method: wilson)
        model-a  0.750  [0.409, 0.929]  n = 8
    """
    answers = _read(responses)
    if bank is None:
        return plain.estimate(answers, **words)
    return tiny.estimate(answers, bank=_bank(bank), **words)


def compare(
    responses: Responses | SparseResponses | Any,
    *,
    first: str,
    second: str,
    bank: ItemBank | str | os.PathLike[str] | None = None,
    **words: Any,
) -> Comparison:
    """The score of `first` minus that of `second`, with interval and p value.

    Without a bank: on the questions that both answered (`ll.plain.compare`). With a bank: on the whole benchmark, as
    sharp as the common answers make it (`ll.tiny.compare`).

    Args:
        responses: answers, or what `ll.read` takes: a file, a folder, a frame.
        first: name of a model.
        second: name of another.
        bank: as in `estimate`.
        words: settings of the method that is called, such as `level` and `groups` of either.

    Returns:
        A `Comparison`.
    """
    answers = _read(responses)
    if bank is None:
        return plain.compare(answers, first=first, second=second, **words)
    return tiny.compare(answers, bank=_bank(bank), first=first, second=second, **words)


def gate(
    new: Responses | SparseResponses | Any,
    *,
    baseline: Responses | SparseResponses | Any,
    margin: float,
    model: str | None = None,
    baseline_model: str | None = None,
    **words: Any,
) -> Gate:
    """Pass, fail or inconclusive: is a new model worse than the baseline by more than a margin? (`ll.plain.gate`)

    Args:
        new: answers of the new model, or what `ll.read` takes.
        baseline: those of the old one.
        margin: the largest loss that is accepted, in the scores' unit: 0.02 is two points.
        model: name of the model in `new`, where there are several.
        baseline_model: the same in `baseline`.
        words: settings of `ll.plain.gate`: `level`, `cluster`, `population`.

    Returns:
        A `Gate`; `gate.passed` is its verdict for a script.

    Raises:
        BadInput: several models and none named, no questions in common, or what `ll.plain.gate` raises.
    """
    plain.require_margin(margin)
    one, two = _one(_read(new), model, "new"), _one(_read(baseline), baseline_model, "baseline")
    if one.rows == two.rows:
        one = dataclasses.replace(one, rows=(f"{one.rows[0]} (new)",), parts={})
        two = dataclasses.replace(two, rows=(f"{two.rows[0]} (baseline)",), parts={})
    return plain.gate(one.merge(two), new=one.rows[0], baseline=two.rows[0], margin=margin, **words)


def audit(board: Responses | SparseResponses | Any, **words: Any) -> Audit:
    """Who is really ahead on a board, from per-question results of many models (`ll.estimators.audit`).

    Args:
        board: answers, or what `ll.read` takes.
        words: `level`, `cluster`, `draws`, `times`, `seed`.

    Returns:
        An `Audit`: rank intervals, tiers, p values of all pairs, and what the questions can tell.
    """
    return boards.audit(_read(board), **words)


def _one(answers: Responses | SparseResponses, name: str | None, which: str) -> Responses:
    """The answers of one model of a file."""
    option = "model" if which == "new" else "baseline_model"
    few = ", ".join(map(repr, answers.rows[:6]))
    if name is None and len(answers.rows) != 1:
        what = f"the {which} answers are of {len(answers.rows):,} models: {few}."
        raise BadInput(what, python=f"Name one by {option}=.", shell=f"Name one by --{option.replace('_', '-')}.")
    if name is not None and name not in answers.rows:
        raise BadInput(f"the {which} answers have no model {name!r}; there are {few}{nearest(name, answers.rows)}")
    found = as_dense(answers.take([0 if name is None else answers.rows.index(name)]))
    return dataclasses.replace(found, origins=None)


def _read(responses: Any) -> Responses | SparseResponses:
    return responses if isinstance(responses, Responses | SparseResponses) else read(responses)


def _bank(bank: ItemBank | str | os.PathLike[str]) -> ItemBank:
    return bank if isinstance(bank, ItemBank) else load_bank(bank)
