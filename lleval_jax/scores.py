"""The scores of models from their answers: with an item bank from few of them, without one from their own."""

import os
from typing import Any

from lleval_jax.data import load_bank, read
from lleval_jax.estimators import plain, tiny
from lleval_jax.values import Comparison, Estimate, ItemBank, Responses, SparseResponses


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


def _read(responses: Any) -> Responses | SparseResponses:
    return responses if isinstance(responses, Responses | SparseResponses) else read(responses)


def _bank(bank: ItemBank | str | os.PathLike[str]) -> ItemBank:
    return bank if isinstance(bank, ItemBank) else load_bank(bank)
