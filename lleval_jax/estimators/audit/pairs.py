"""Paired differences of all models, and tests of all pairs that hold together.

d_iju is what model i scores above model j on unit u (a question, or the sum over a cluster of questions). Under the
hypothesis that the two are equally good, each d_iju could have had the other sign:

    T_ij = sum_u d_iju / sqrt(sum_u d_iju^2),        T*_ij = sum_u w_u d_iju / sqrt(sum_u d_iju^2),   w_u = -1 or 1.

For one pair of right or wrong answers |T| against |T*| is McNemar's test. The same signs for all pairs keep how the
pairs go together, so the largest |T*| among them is the largest that chance makes (max-T). Step-down (Westfall and
Young 1993, algorithm 2.8; Romano and Wolf 2005): the k-th largest |T| is compared with the largest |T*| among the
pairs that are not more extreme. The chance of calling any two equal models different is then 1 - level at most.

With complete answers sum_u w_u d_iju = z_i - z_j with z = sum_u w_u x_u: a draw costs a sum a model, not one a pair.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 2**23  # numbers in memory
SLACK = 1e-5  # |T*| that is as large as |T| but for rounding counts as larger


class Board(NamedTuple):
    """Answers of models, best first.

    scores  (models, questions) in [0, 1]; 0 where not seen
    seen    (models, questions)
    label   (questions,) cluster of each, numbered from 0
    """

    scores: NDArray
    seen: NDArray
    label: NDArray

    @property
    def complete(self) -> bool:
        """Whether each model answered each question."""
        return bool(self.seen.all())

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return int(self.label.max()) + 1

    @property
    def single(self) -> bool:
        """Whether each question is a cluster."""
        return self.clusters == len(self.label)

    def sums(self, values: NDArray) -> NDArray:
        """(models, clusters) sums of values (models, questions)."""
        if self.single:
            return values
        order = np.argsort(self.label, kind="stable")
        starts = np.searchsorted(self.label[order], np.arange(self.clusters))
        return np.add.reduceat(values[:, order], starts, axis=1)


class Gaps(NamedTuple):
    """All pairs, each (models, models).

    common  questions that both answered
    mean    difference of scores on them, row minus column
    size    sqrt(sum_u d^2)
    error   standard error of `mean`
    """

    common: NDArray
    mean: NDArray
    size: NDArray
    error: NDArray

    @property
    def statistic(self) -> NDArray:
        """|T| of each pair; 0 where the two never differ."""
        total = np.abs(self.mean) * self.common
        return np.divide(total, self.size, out=np.zeros_like(total), where=self.size > 0)


def gaps(board: Board) -> Gaps:
    """What all pairs differ by."""
    x, seen = board.scores, board.seen.astype(float)
    if board.complete:
        sums = board.sums(x - x.mean(0))
        own = (sums**2).sum(1)
        squares = own[:, None] + own - 2 * sums @ sums.T
        common = np.full((len(x), len(x)), float(x.shape[1]))
        total = x.sum(1)[:, None] - x.sum(1)
    else:
        common = seen @ seen.T
        total = x @ seen.T - seen @ x.T
        squares = _squares(board, seen)
    squares = np.where(squares < 1e-9, 0.0, squares)
    mean = np.divide(total, common, out=np.zeros_like(total), where=common > 0)
    units = board.clusters
    about = np.maximum(squares - total**2 / units, 0) * units / max(units - 1, 1)
    error = np.divide(np.sqrt(about), common, out=np.full_like(total, np.inf), where=common > 0)
    return Gaps(common, mean, np.sqrt(squares), error)


def _squares(board: Board, seen: NDArray) -> NDArray:
    """(models, models) sum of d^2 over units, where some answers are missing."""
    x = board.scores
    if board.single:
        squares = x**2
        return squares @ seen.T + seen @ squares.T - 2 * x @ x.T
    found = np.zeros((len(x), len(x)))
    for cluster in range(board.clusters):
        mine = board.label == cluster
        part = x[:, mine] @ seen[:, mine].T
        found += (part - part.T) ** 2
    return found


def p_values(board: Board, found: Gaps, draws: int, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
    """Adjusted p values of all pairs, p values of each pair by itself, and the largest |T*| of each draw.

    Returns:
        (models, models), (models, models), (draws,).
    """
    one, two = np.triu_indices(len(board.scores), 1)
    order = np.argsort(found.statistic[one, two], kind="stable")  # the least extreme first
    one, two = one[order], two[order]
    size = found.size[one, two].astype(np.float32)
    per = np.divide(1, size, out=np.zeros_like(size), where=size > 0)
    bar = found.statistic[one, two].astype(np.float32) * (1 - SLACK)
    beyond, alone, largest = np.zeros(len(one)), np.zeros(len(one)), []
    for totals in _flipped(board, draws, max(1, AT_ONCE // len(one)), rng):
        t = np.abs(totals[:, one] - totals[:, two]) if board.complete else np.abs(totals[:, one, two])
        t *= per
        alone += (t >= bar).sum(0)
        np.maximum.accumulate(t, axis=1, out=t)
        beyond += (t >= bar).sum(0)
        largest.append(t[:, -1])
    adjusted = np.maximum.accumulate(((1 + beyond) / (1 + draws))[::-1])[::-1]  # never below that of a larger |T|
    full = [np.ones((len(board.scores),) * 2) for _ in range(2)]
    for matrix, values in zip(full, (adjusted, (1 + alone) / (1 + draws)), strict=True):
        matrix[one, two] = matrix[two, one] = values
    return full[0], full[1], np.concatenate(largest)


def _flipped(board: Board, draws: int, at_once: int, rng: np.random.Generator):
    """Sums over units with random signs: (draws, models) of complete answers, else (draws, models, models)."""
    if board.complete:
        sums = board.sums(board.scores - board.scores.mean(0)).astype(np.float32)
        for start in range(0, draws, at_once):
            signs = _signs(rng, (min(at_once, draws - start), board.clusters))
            yield signs @ sums.T
        return
    x, seen = board.scores.astype(np.float32), board.seen.astype(np.float32)
    for start in range(0, draws, at_once):
        signs = _signs(rng, (min(at_once, draws - start), board.clusters))[:, board.label]
        parts = np.stack([(x * sign) @ seen.T for sign in signs])
        yield parts - parts.transpose(0, 2, 1)


def _signs(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray:
    """-1 or 1."""
    return 2 * rng.integers(0, 2, shape, np.int8).astype(np.float32) - 1
