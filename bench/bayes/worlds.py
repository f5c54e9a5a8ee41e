"""Answers with known truth, and how much chains are worth."""

from __future__ import annotations

import numpy as np
from arviz_stats.base.array import BaseArray

import lleval_jax as ll


def two_parameter(seed: int, models: int, items: int) -> tuple[ll.Responses, np.ndarray]:
    """Answers of a world drawn from the prior of `bayes.irt("2pl")`, and the abilities (models,) behind them."""
    random = np.random.default_rng([12, seed])
    ability = random.normal(size=models)
    slope, intercept = 1 + 0.6 * random.normal(size=items), 2 * random.normal(size=items)
    return _answered(random, slope * ability[:, None] + intercept), ability


def least_effective(draws: dict[str, np.ndarray]) -> float:
    """The smallest bulk effective sample size of sites (chains, draws, ...)."""
    flat = np.concatenate([x.reshape(*x.shape[:2], -1) for x in draws.values()], 2).astype(float)
    return float(np.min(effective(flat)))


def effective(draws: np.ndarray) -> np.ndarray:
    """Bulk effective sample size of each entry, of draws (chains, draws, ...)."""
    return np.asarray(BaseArray().ess(draws.astype(float), chain_axis=0, draw_axis=1, method="bulk"))


def _answered(random: np.random.Generator, logit: np.ndarray) -> ll.Responses:
    return ll.Responses.build((random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float))
