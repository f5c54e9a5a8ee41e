"""Which answers to label next."""

import numpy as np

from lleval_jax.errors import require
from lleval_jax.estimators.judged import score
from lleval_jax.estimators.judged.pooled import FEWEST, aligned, pooled
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Choice, Source
from lleval_jax.values.sparse import SparseResponses


def choose(
    judge: Responses | SparseResponses,
    *,
    human: Responses | SparseResponses | None = None,
    k: int = 20,
    seed: int = 0,
) -> Choice:
    """The next answers to label: of the models whose labels lower the variance most, drawn at random.

    Answers are drawn at random within a model, since the intervals hold for labels of a random part alone; so label
    all that is named, and nothing else.

    Args:
        judge: scores of the judge.
        human: labels so far; None: none.
        k: how many answers, of all models together.
        seed: of the draws.

    Raises:
        BadInput: an impossible number; a label of an answer that the judge has not scored.
    """
    require(k > 0, f"k is {k}; label at least one answer")
    nothing = Responses.build(np.zeros((0, 0)), rows=(), items=())
    scored, labels = aligned(judge, nothing if human is None else human)
    count, free = labels.seen.sum(1).astype(float), scored.seen & ~labels.seen
    rest = np.ones(len(scored.rows))
    if (count >= FEWEST).any():
        found = pooled(*(part.take(np.flatnonzero(count >= FEWEST)) for part in (scored, labels)))
        rest[:] = found.rest.mean()
        rest[count >= FEWEST] = found.rest
    left, taken = free.sum(1), np.zeros(len(scored.rows), int)
    for _ in range(min(k, int(left.sum()))):
        lowers = np.where(count < FEWEST, 2 - count / FEWEST, rest / (np.maximum(count, 1) * (count + 1)))
        at = int(np.where(taken < left, lowers, -1).argmax())
        taken[at] += 1
        count[at] += 1
    rng = np.random.default_rng((seed, int(labels.seen.sum())))
    items = tuple(
        tuple(scored.items[i] for i in rng.permutation(np.flatnonzero(free[row]))[: taken[row]])
        for row in range(len(scored.rows))
    )
    why = tuple("lowers the variance of the score most" if each else "other labels tell more" for each in items)
    return Choice(scored.rows, items, why, scored.source.merge(Source(seed=seed, cite=score.CITE)))
