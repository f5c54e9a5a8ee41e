"""Wilson's interval against SciPy's, and where rounding could put the share outside of it."""

import numpy as np
import pytest
from scipy import stats

from lleval_jax.core.share import wilson


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("trials", [1, 7, 60, 10_000])
def test_shares_of_trials_as_scipy(trials: int, level: float) -> None:
    right = np.unique(np.linspace(0, trials, 9).round().astype(int))
    low, high = wilson(right / trials, stats.norm.isf((1 - level) / 2) ** 2 / trials)
    told = [stats.binomtest(k, trials).proportion_ci(level, "wilson") for k in right.tolist()]
    np.testing.assert_allclose(np.stack([low, high], 1), told, atol=1e-12)
    assert (low <= right / trials).all()
    assert (right / trials <= high).all()
