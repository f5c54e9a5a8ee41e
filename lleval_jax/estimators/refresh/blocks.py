"""Within one version: stretches on which a row is all wrong or all right, and rows that are one row twice."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lleval_jax.values.responses import Responses

CHUNKS = 10  # stretches that show how unevenly rows do
LOOKS = 3  # longest stretches of a kind that are looked at
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)


class Block(NamedTuple):
    """A constant stretch of one row.

    row    position
    value  0 or 1
    items  positions of the items it was seen on
    p      chance of it, over all rows, starts, values and orders
    """

    row: int
    value: int
    items: NDArray
    p: float


def blocks(responses: Responses) -> Iterator[Block]:
    """The least likely constant stretch of each row, in the order of the items or with scenarios side by side.

    The chance of a score on a stretch follows the row's mean elsewhere and the other rows' means there and elsewhere,
    additive in logits; rows do unevenly by a normal deviation whose spread the rows show. Items of unequal difficulty
    are less likely to be all wrong than their mean says (Jensen), so the mean bounds the chance. A row with no
    other answers may be as far from the others as they are from each other.
    """
    rows, items = responses.scores.shape
    orders = [np.arange(items)]
    if len(responses.groups) > 1:
        orders.append(np.argsort(responses.group, kind="stable"))
    looks = [(order, _uneven(responses, order)) for order in orders]
    totals = (responses.scores * responses.seen).sum(0), responses.seen.sum(0)
    for row in range(rows):
        seen = responses.seen[row] & (totals[1] > responses.seen[row])  # how hard the others' items are is unknown
        stretches = [
            Block(row, value, stretch, float(np.exp(_chance(responses, totals, row, stretch, value, spread))))
            for order, spread in looks
            for value in (0, 1)
            for stretch in _longest(responses.scores[row], order[seen[order]], value)
        ]
        best = min(stretches, key=lambda one: one.p, default=None)
        if best is not None:
            yield best._replace(p=min(1.0, best.p * 2 * rows * items * len(orders)))


def copies(responses: Responses) -> Iterator[tuple[int, int, float]]:
    """(row, earlier row, p) of rows with the same answers wherever both have one, unless these are constant.

    p is the chance that two rows as alike as the most alike of the others agree on every item, over all pairs.
    """
    seen = responses.seen.astype(float)
    right, wrong = responses.scores * seen, (1 - responses.scores) * seen
    both = seen @ seen.T
    apart = np.stack(
        [(seen * seen[i] * np.abs(responses.scores - responses.scores[i])).sum(1) for i in range(len(seen))]
    )
    same = np.triu((apart < 1e-6) & (both > 0), 1)
    agree = 1 - (apart + 0.5) / (both + 1)
    others = agree[np.triu((apart >= 1e-6) & (both > 0), 1)]
    chance = others.max() if len(others) else (right @ right.T + wrong @ wrong.T)[same].max(initial=0)
    pairs = len(seen) * (len(seen) - 1) / 2
    for i, j in np.argwhere(same):
        common = responses.scores[i][responses.seen[i] & responses.seen[j]]
        if common.min() < common.max():
            yield int(j), int(i), float(min(1.0, pairs * chance ** both[i, j]))


def _longest(scores: NDArray, order: NDArray, value: int) -> list[NDArray]:
    """The few longest stretches of `order` on which all scores are `value`."""
    hit = np.concatenate([[0], scores[order] == value, [0]]).astype(int)
    start, end = (np.flatnonzero(np.diff(hit) == step) for step in (1, -1))
    return [order[start[k] : end[k]] for k in np.argsort(start - end, kind="stable")[:LOOKS]]


def _uneven(responses: Responses, order: NDArray) -> tuple[float, float]:
    """Spread in logits, of rows on stretches beyond row and stretch, and of whole rows; both by the median."""
    parts = np.array_split(order, min(CHUNKS, len(order)))
    means = [_mean(responses.scores[:, p], responses.seen[:, p]) for p in parts]
    logits = special.logit(np.stack(means, 1))
    rest = logits - np.median(logits, 1, keepdims=True)
    rest = rest - np.median(rest, 0, keepdims=True)
    level = special.logit(_mean(responses.scores, responses.seen))
    return tuple(1.4826 * float(np.median(np.abs(x))) for x in (rest, level - np.median(level)))  # type: ignore[return-value]


def _chance(
    responses: Responses, totals: tuple[NDArray, NDArray], row: int, stretch: NDArray, value: int, spread: tuple
) -> float:
    """Log of the chance that a row's answers on a stretch all have one value."""
    scores, seen = responses.scores[row], responses.seen[row]
    rest = seen.copy()
    rest[stretch] = False
    outside = np.flatnonzero(rest)
    right, asked = (x - x_row for x, x_row in zip(totals, (scores * seen, seen), strict=True))
    there, elsewhere = (special.logit((right[at].sum() + 0.5) / (asked[at].sum() + 1)) for at in (stretch, outside))
    shift = special.logit(_mean(scores[outside], seen[outside])) - elsewhere if len(outside) else 0.0
    logit = there + shift + NODES * (spread[0] if len(outside) else np.hypot(*spread))
    log_p = special.log_expit(logit if value else -logit)
    return float(special.logsumexp(len(stretch) * log_p, b=WEIGHTS / WEIGHTS.sum()))


def _mean(scores: NDArray, seen: NDArray) -> NDArray:
    """Mean over the last axis, half a right and half a wrong answer added."""
    return ((scores * seen).sum(-1) + 0.5) / (seen.sum(-1) + 1)
