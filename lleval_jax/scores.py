"""The scores of models from their answers: with an item bank from few of them, without one from their own."""

import os
from typing import Any

from lleval_jax.data import load_bank, read
from lleval_jax.estimators import plain, tiny
from lleval_jax.values import Estimate, ItemBank, Responses, SparseResponses


def estimate(
    responses: Responses | SparseResponses | str | os.PathLike[str],
    *,
    bank: ItemBank | str | os.PathLike[str] | None = None,
    **words: Any,
) -> Estimate:
    """Each model's score, with an interval.

    Without a bank: the mean over the questions that it answered (`ll.plain.estimate`). With a bank: the score on the
    whole benchmark, predicted from answers to some of its items (`ll.tiny.estimate`).

    Args:
        responses: answers, or a file or folder of them.
        bank: an item bank, the name of one that ships, or its folder.
        words: settings of the method that is called, such as `level` and `groups` of either.

    Returns:
        An `Estimate`; its `method` says which was used.

    Example:
        >>> import lleval_jax as ll
        >>> answers = ll.Responses.build([[1, 1, 0, 1, 0, 1, 1, 1]], rows=["model-a"])
        >>> print(ll.estimate(answers))
        accuracy by wilson, 95% intervals
        model-a  0.750  [0.409, 0.929]  from 8 answers
    """
    if not isinstance(responses, Responses | SparseResponses):
        responses = read(responses)
    if bank is None:
        return plain.estimate(responses, **words)
    return tiny.estimate(responses, bank=bank if isinstance(bank, ItemBank) else load_bank(bank), **words)
