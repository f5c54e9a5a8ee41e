"""The beta-binomial against SciPy's, and its limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import betabinom, binom

from lleval_jax.core.irt import repeats

LATER = np.arange(1, 9)


def density(right, asked, z, share, dtype=np.float64):
    with jax.enable_x64(dtype == np.float64):
        parts = (jnp.asarray(x, dtype) for x in (right, asked, z, share, LATER))
        return np.asarray(repeats.log_density(*parts))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_is_scipys(dtype: type) -> None:
    asked = np.array([1, 2, 5, 9, 9, 9])
    right = np.array([0, 1, 5, 0, 4, 9])
    for mean in (0.03, 0.6, 0.999):
        for share in (0.001, 0.3, 0.9):
            size = (1 - share) / share
            true = betabinom.logpmf(right, asked, mean * size, (1 - mean) * size)
            found = density(right, asked, np.full(6, logit(mean)), share, dtype)
            np.testing.assert_allclose(found, true, rtol=1e-9 if dtype == np.float64 else 2e-4, atol=1e-5)


def test_probabilities_sum_to_one() -> None:
    found = density(np.arange(10), np.full(10, 9), np.full(10, -1.3), 0.4)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-12)


def test_without_correlation_it_is_the_binomial_and_of_one_repeat_the_bernoulli() -> None:
    right = np.arange(10)
    np.testing.assert_allclose(
        density(right, np.full(10, 9), np.zeros(10), 0.0), binom.logpmf(right, 9, 0.5), atol=1e-12
    )
    z = np.array([-30.0, 0.4, 30.0])
    for share in (0.0, 0.2, 0.9):
        np.testing.assert_allclose(density(np.ones(3), np.ones(3), z, share), -np.logaddexp(0, -z), atol=1e-12)
    assert density(np.zeros(1), np.zeros(1), np.array([0.7]), 0.5) == 0


def test_slopes_are_finite_at_the_ends() -> None:
    """Of one kind of answer only, at no correlation, and far from the middle."""
    for z in (-80.0, 0.0, 80.0):
        for right in (0.0, 9.0):
            by_z, by_share = jax.jit(jax.grad(repeats.log_density, (2, 3)))(
                jnp.float32(right), jnp.float32(9), jnp.float32(z), jnp.float32(1e-4), jnp.asarray(LATER, jnp.float32)
            )
            assert np.isfinite(by_z)
            assert np.isfinite(by_share)
