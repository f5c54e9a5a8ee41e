"""What a board says when it is made again: random halves of its questions, and its reliability."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lleval_jax.estimators.audit.pairs import Board
from lleval_jax.values.audit import Splits


def splits(board: Board, times: int, rng: np.random.Generator) -> Splits:
    """Random halves of the questions, or of the clusters, against each other."""
    half = np.zeros((times, board.clusters))
    half[:, : board.clusters // 2] = 1
    half = rng.permuted(half, axis=1)
    one, two = _means(board, half), _means(board, 1 - half)
    first = np.stack([one.argmax(1), two.argmax(1)])
    tied = [(part[:, 0] >= part.max(1) - 1e-12) for part in (one, two)]  # the models are in the board's order
    return Splits(
        times, float(np.mean(tied)), float(np.mean(first[0] == first[1])), float(_correlation(one, two).mean())
    )


def _means(board: Board, half: NDArray) -> NDArray:
    """(times, models) score of each model on the chosen clusters."""
    right, seen = half @ board.sums(board.scores).T, half @ board.sums(board.seen.astype(float)).T
    return np.divide(right, seen, out=np.zeros_like(right), where=seen > 0)


def _correlation(one: NDArray, two: NDArray) -> NDArray:
    """(times,) Spearman's rank correlation of the models' scores; 0 where all are equal."""
    a, b = (rankdata(part, axis=1) for part in (one, two))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), size, out=np.zeros_like(size), where=size > 0)


def reliability(board: Board) -> float:
    """Cronbach's alpha (KR-20 of right or wrong answers) over questions that all answered; NaN where undefined."""
    x = board.scores[:, board.seen.all(0)]
    if min(x.shape) < 2:
        return float("nan")
    total = x.sum(1).var(ddof=1)
    return float(x.shape[1] / (x.shape[1] - 1) * (1 - x.var(0, ddof=1).sum() / total)) if total > 0 else float("nan")


def shares(board: Board) -> NDArray:
    """(questions,) of the variance of the models' scores; they sum to 1, and are below 0 where a question goes against.

    var(sum_q x_q) = sum_q cov(x_q, sum x): the share of question q is its covariance with the total. Missing answers
    are taken at the question's mean.
    """
    seen = np.maximum(board.seen.sum(0), 1)
    away = np.where(board.seen, board.scores - board.scores.sum(0) / seen, 0.0)
    found = away.T @ away.sum(1)
    return found / found.sum() if found.sum() > 0 else np.zeros_like(found)
