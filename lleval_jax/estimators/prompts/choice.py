"""Which cells of a grid to ask so that the interval of one quantile over prompts narrows fastest.

Near the posterior's mean a quantile f of the prompts' scores is linear in the effects: prompts count as often as they
are the quantile in posterior draws, examples as they move those prompts. An answer with logit eta_ij and information
w_ij lowers its variance by  Cov(f, eta_ij)^2 / (Var(eta_ij) + 1 / w_ij),  and all covariances follow from the posterior
of `core.crossed.model` by one rank-one update an answer, so a plan is greedy and exact for the normal posterior.
"""

from typing import NamedTuple

import numpy as np

NEAR = 0.25  # of the spread of scores: so near to the quantile a prompt counts
LEAST = 1e-9


class Picture(NamedTuple):
    """The normal posterior of a grid, on the host; names as in `core.crossed.model.Posterior`.

    covariance         (rows, rows)     of the prompts' effects
    effects_on_column  (rows, columns)  information of the answers so far
    column_var_given   (columns,)       variance of the examples' effects given the prompts'
    p                  (rows, columns)  probability of a right answer
    """

    covariance: np.ndarray
    effects_on_column: np.ndarray
    column_var_given: np.ndarray
    p: np.ndarray


def counts(draws: np.ndarray, quantile: float) -> np.ndarray:
    """(rows,) how much each prompt's score moves the quantile: its chance to lie there; sums to 1."""
    middle = np.quantile(draws, quantile, axis=1, keepdims=True)
    width = max(NEAR * float(draws.std(1).mean()), LEAST)
    near = np.exp(-0.5 * ((draws - middle) / width) ** 2)
    return (near / near.sum(1, keepdims=True)).mean(0)


def greedy(
    picture: Picture, share: np.ndarray, seen: np.ndarray, size: int, price: np.ndarray | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the `size` cells that lower the variance of  sum_i share_i score_i  most, in that order.

    share (rows,); seen (rows, columns) cells that cannot be asked; price (rows,) of an answer; seed breaks ties.
    """
    covariance, information, variance = (np.array(x, float) for x in picture[:3])
    worth = picture.p * (1 - picture.p)
    rows, columns = worth.shape
    cost = np.ones(rows) if price is None else price
    by_row, by_column = share * worth.mean(1), share @ worth / columns
    shared = covariance @ (by_row - information @ (variance * by_column))  # Cov(f, effects)
    reach, free = covariance @ information, ~seen
    jitter = 1 + 1e-6 * np.random.default_rng(seed).random(worth.shape)
    noise = 1 / np.maximum(worth, LEAST)
    picked = np.zeros((2, size), int)
    for s in range(size):
        lift = np.einsum("rc,rc->c", information, reach)
        var = (
            np.diagonal(covariance)[:, None] + (variance + variance**2 * lift)[None, :] - 2 * variance[None, :] * reach
        )
        with_column = variance * (by_column - shared @ information)  # Cov(f, v)
        gain = (shared[:, None] + with_column[None, :]) ** 2 / (var + noise) / cost[:, None] * jitter
        i, j = np.unravel_index(np.where(free, gain, -1).argmax(), gain.shape)
        picked[:, s], free[i, j] = (i, j), False
        side = covariance[:, i] - variance[j] * reach[:, j]  # Cov(effects, eta)
        share_of = 1 / (var[i, j] + noise[i, j])
        shared = shared - share_of * (shared[i] + with_column[j]) * side
        covariance -= share_of * np.outer(side, side)
        reach -= share_of * np.outer(side, side @ information)
        information[i, j] += worth[i, j]
        reach[:, j] += worth[i, j] * covariance[:, i]
        variance[j] = 1 / (1 / variance[j] + worth[i, j])
    return picked[0], picked[1]
