"""Shares of the linear estimators: what an answer counts, and what the prediction of an item counts (`linear`).

    T = sum_seen c_i y_i + sum_all h_i p_i(theta)

A plan gives (c, h), each (rows, targets, items), from answers in the bank's order and weight (targets, items), the
shares of the items in the targets.
"""

from collections.abc import Callable

import numpy as np

from lleval_jax.core.linalg import cluster
from lleval_jax.estimators.irt import kind_items
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.responses import Responses

GRID = np.linspace(-2, 2, 9)  # standard deviations of ability at which items of several kinds are compared
Plan = Callable[[Responses, ItemBank, np.ndarray], tuple[np.ndarray, np.ndarray]]


def weighted(here: Responses, bank: ItemBank, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean of what was answered.

    The anchors' own weights where a row answered them all and nothing else matters to the target; otherwise each
    answered item stands for the items nearest to it in slope and intercept. Where a target has no answered item the
    whole benchmark's shares are used.
    """
    features = parameters(bank)
    patterns, which = np.unique(here.seen, axis=0, return_inverse=True)
    share = np.zeros((len(patterns), len(weight), len(bank.items)))
    for j, pattern in enumerate(patterns):
        index = np.flatnonzero(pattern)
        for t, w in enumerate(weight):
            inside = index[w[index] > 0]
            inside = inside if len(inside) else index
            anchors = bank.anchors
            if t == 0 and anchors is not None and set(index) == set(anchors.index):
                share[j, t, anchors.index] = anchors.weight
            else:
                share[j, t, inside] = cluster.shares(features, w, inside)
    c = share[which.ravel()]
    return c, np.zeros_like(c)


def pirt(here: Responses, bank: ItemBank, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What was answered as it is, the rest as predicted."""
    seen = here.seen[:, None, :]
    return np.where(seen, weight[None], 0.0), np.where(seen, 0.0, weight[None])


PLANS: dict[str, Plan] = {"weighted": weighted, "pirt": pirt}


def parameters(bank: ItemBank) -> np.ndarray:
    """(items, k) slopes and intercept, or expected scores where answers are not right or wrong.

    Items near in them stand for each other.
    """
    if bank.answers is not None:
        grid = bank.prior_mean[0] + np.sqrt(bank.prior_cov[0, 0]) * GRID
        return kind_items.expected(bank, grid).mean.T.astype(float)
    return np.concatenate([bank.slope, bank.intercept[:, None]], axis=1).astype(float)


def filled(answers: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(models, items) answers with the item's mean where not seen."""
    mean = np.where(seen, answers, 0).sum(0) / np.maximum(seen.sum(0), 1)
    return np.where(seen, answers, mean)
