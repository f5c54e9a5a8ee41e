"""One of k tries is right (pass@k), or all k are (pass^k), from n tries at each question.

With c of n tries right, k of them drawn without replacement hold no right one with chance C(n - c, k) / C(n, k), and
only right ones with chance C(c, k) / C(n, k). Both are unbiased for a question's own chance (Chen et al. 2021,
arXiv:2107.03374, eq. 1; Yao et al. 2024, arXiv:2406.12045). They are scores of questions as any other, so what is
estimated, compared and gated from scores is from these: questions vary, and that is all that the intervals need.
"""

import dataclasses
from typing import Literal

import numpy as np
from scipy.special import gammaln

from lleval_jax.errors import BadInput, require, require_known
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses, as_dense

NEAR = 1e-3  # of a whole number of right tries
Need = Literal["one", "all"]


def tries(responses: Responses | SparseResponses, *, k: int, need: Need = "one") -> Responses:
    """The same answers, each question's score being the chance that k tries at it succeed.

    Args:
        responses: k right of n repeats, as `ll.read` finds them: scores c / n with weight n.
        k: how many tries.
        need: "one": one of them must be right (pass@k); "all": all of them (pass^k).

    Raises:
        BadInput: a question with fewer than k tries, or tries that are neither right nor wrong; the message names it.

    Example:
        >>> import lleval_jax as ll
        >>> answers = ll.Responses.build([[0.5, 1.0]], weight=[[4, 4]], rows=["agent"])
        >>> print(ll.plain.tries(answers, k=2).scores.round(3))
        [[0.833 1.   ]]
        >>> print(ll.plain.tries(answers, k=2, need="all").scores.round(3))
        [[0.167 1.   ]]
    """
    require(k >= 1, f"k is {k}; at least one try is needed")
    require_known(need, ("one", "all"), "need")
    answers = as_dense(responses)
    n, right = answers.weight.astype(float), answers.scores.astype(float) * answers.weight
    whole = np.abs(right - right.round()) <= NEAR * np.maximum(n, 1)
    for row, item in np.argwhere(answers.seen & ~((n >= k) & whole))[:1]:
        where = f"{answers.rows[row]!r} on question {answers.items[item]!r}"
        if n[row, item] < k:
            raise BadInput(
                f"{where} has {n[row, item]:g} tries; {k} are needed. Ask for at most so many, or repeat it."
            )
        raise BadInput(f"{where} has a score of {answers.scores[row, item]:g}; tries must be right or wrong.")
    right = right.round()
    hit = right if need == "all" else n - right
    chance = np.where(hit >= k, np.exp(_log_choose(np.maximum(hit, k), k) - _log_choose(np.maximum(n, k), k)), 0.0)
    score = chance if need == "all" else 1 - chance
    return dataclasses.replace(
        answers, scores=np.where(answers.seen, score, 0.0), weight=np.ones(answers.scores.shape, np.float32)
    )


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
