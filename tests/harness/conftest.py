"""A bank whose items are the samples or documents of a small task, and models that answer by its curves."""

import numpy as np
import pytest

from lleval_jax.data import simulate
from lleval_jax.values import ItemBank

ITEMS = 120


@pytest.fixture(scope="session")
def bank_of():
    """Names of the items -> a bank of simulated 2PL items."""

    def make(items, name="test-bank"):
        _, truth = simulate(1, len(items), seed=3)
        n = len(items)
        return ItemBank(
            name=name,
            version="1",
            items=tuple(items),
            slope=truth.slope.astype(np.float32) * 1.5,
            intercept=truth.intercept.astype(np.float32),
            floor=np.zeros(n, np.float32),
            ceiling=np.ones(n, np.float32),
            weight=np.full(n, 1 / n, np.float32),
            group=np.zeros(n, np.int32),
            groups=("all",),
            covariance=np.zeros((n, 2, 2), np.float32),
            prior_mean=np.zeros(1, np.float32),
            prior_cov=np.eye(1, dtype=np.float32),
        )

    return make


@pytest.fixture(scope="session")
def answers_of():
    """(bank, ability, seed) -> {item: 0.0 or 1.0}."""

    def draw(bank, ability=0.5, seed=0):
        p = 1 / (1 + np.exp(-(bank.slope[:, 0] * ability + bank.intercept)))
        right = np.random.default_rng(seed).random(len(p)) < p
        return dict(zip(bank.items, right.astype(float).tolist(), strict=True))

    return draw
