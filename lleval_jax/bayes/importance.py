"""Draws of an approximation made draws of the posterior, where importance weights allow it (Vehtari et al. 2024)."""

from typing import Any

import jax
import numpy as np
from arviz_stats.base.array import BaseArray

from lleval_jax.bayes.engines import Draws

ARVIZ: Any = BaseArray()
LARGEST_K = 0.7  # of the tail of weights: beyond it they cannot be used
LEAST_WORTH = 100  # independent draws, for each chain


def pareto_k(log_weight: np.ndarray) -> float:
    """Shape of the weights' tail; infinite where one is not finite, 0 where all are equal, NaN where none is known."""
    flat = np.asarray(log_weight, float).ravel()
    if np.isnan(flat).all():
        return float("nan")
    if not np.isfinite(flat).all():
        return float("inf")
    return float(ARVIZ.psislw(-flat)[1]) if np.ptp(flat) > 0 else 0.0  # it takes minus the logs


def resampled(draws: Draws, seed: int) -> tuple[Draws, float]:
    """Draws of one task taken again by their smoothed weights, and how many independent ones they are worth.

    Where weights cannot be used, by their Pareto k or because they are worth too few draws, all stay as they are: draws
    of the approximation, and worth NaN.
    """
    weight = draws.log_weight
    if weight is None:
        return draws, float("inf")
    if not pareto_k(weight) <= LARGEST_K:
        return draws, float("nan")
    smooth = np.asarray(ARVIZ.psislw(-np.asarray(weight, float).ravel())[0])
    share = np.exp(smooth - smooth.max())
    share /= share.sum()
    worth = float(1 / np.sum(share**2))
    if worth < LEAST_WORTH * len(weight):
        return draws, float("nan")
    here = np.random.default_rng(seed).choice(len(share), len(share), p=share)
    at = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[here].reshape(x.shape), draws.at)
    return draws._replace(at=at), worth
