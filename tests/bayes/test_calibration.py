"""Simulation-based calibration (Talts et al. 2018): true values drawn from the prior have uniform ranks among draws."""

import numpy as np
import pytest
from scipy.stats import chi2

import lleval_jax as ll
from lleval_jax import bayes

FALSE_ALARM = 1e-5
BINS = 8


def ranks(model, engine, worlds: int, models: int, items: int, thin: int) -> np.ndarray:
    """(worlds, models) ranks of true abilities, scaled to [0, 1)."""
    found = []
    for seed in range(worlds):
        random = np.random.default_rng([11, seed])
        ability = random.normal(size=models)
        slope, intercept = np.exp(0.5 * random.normal()), 2 * random.normal(size=items)
        p = 1 / (1 + np.exp(-(slope * ability[:, None] + intercept)))
        responses = ll.Responses.build((random.random(p.shape) < p).astype(float))
        draws = bayes.sample(model, responses, engine=engine, key=seed).draws["ability"][..., 0]
        draws = draws[:, ::thin].reshape(-1, models)
        found.append((draws < ability).sum(0) / (len(draws) + 1))
    return np.array(found)


@pytest.mark.slow
def test_nuts_is_calibrated() -> None:
    """Ranks of one ability a world are independent; the others are correlated with it and tested alike."""
    worlds, models = 100, 3
    engine = bayes.NUTS(chains=1, warmup=150, draws=315, chains_by="vectorised")
    found = ranks(bayes.rasch(), engine, worlds, models, 6, thin=5)
    for column in found.T:
        count = np.bincount((column * BINS).astype(int), minlength=BINS)
        statistic = np.sum((count - worlds / BINS) ** 2 / (worlds / BINS))
        assert statistic < chi2.isf(FALSE_ALARM / models, BINS - 1), count
