"""Quantiles of mixtures of t distributions, against SciPy's distribution functions."""

import numpy as np
import pytest
from scipy import stats

from lleval_jax.core import mixture


@pytest.mark.parametrize("share", [0.001, 0.025, 0.5, 0.9, 0.975])
def test_the_mean_of_the_distribution_functions_is_the_share(share):
    random = np.random.default_rng(0)
    middle = random.normal(size=(16, 5, 3))
    scale = np.exp(2 * random.normal(size=middle.shape))
    freedom = 1 + 20 * random.random(middle.shape)
    found = mixture.quantile(share, middle, scale, freedom)
    assert found.shape == (5, 3)
    np.testing.assert_allclose(stats.t.cdf((found - middle) / scale, freedom).mean(0), share, atol=1e-8)


def test_one_component_has_its_own_quantile_and_parts_far_apart_are_bridged():
    middle, scale, freedom = np.full((1, 2), 3.0), np.full((1, 2), 2.0), np.array([[4.0, 30.0]])
    np.testing.assert_allclose(
        mixture.quantile(0.9, middle, scale, freedom), stats.t.ppf(0.9, freedom[0], 3.0, 2.0), rtol=1e-9
    )
    apart = np.array([[-1e3], [1e3], [1e3], [1e3]])
    ends = mixture.quantile(0.25, apart, np.ones((4, 1)), np.full((4, 1), 5.0))
    assert -1e3 < ends[0] < 1e3
