"""Likelihoods by enumeration, sums by exact arithmetic."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.irt import irf, likelihood
from lleval_jax.core.irt.cells import Dense
from lleval_jax.core.irt.likelihood import Prior

accurate_sum = compiled(likelihood.accurate_sum)


@pytest.mark.parametrize("size", [1, 2, 1000, 4097])
def test_accurate_sum_is_fsum(size):
    draw = np.random.default_rng(size)
    x = (draw.standard_normal(size) * 10.0 ** draw.uniform(-6, 6, size)).astype(np.float32)
    exact = math.fsum(x.astype(float))
    eps = float(np.finfo(np.float32).eps)
    # two-sum: one rounding of the result, and the errors' own sum, whose rounding is of second order
    bound = eps * abs(exact) + 2 * size * eps**2 * np.abs(x).sum(dtype=float)
    got = accurate_sum(x)
    assert got.dtype == np.float32
    assert abs(float(got) - exact) <= bound


def test_accurate_sum_survives_cancellation():
    x = np.asarray([1e8, 1.0, -1e8, 1.0] * 64, np.float32)
    assert float(accurate_sum(x)) == 128


def test_bernoulli_matches_the_product_and_ignores_the_unseen():
    curve = irf.CURVES["4pl"]
    scores, weight = np.array([1.0, 0, 1, 0, 0.5, 1]), np.array([1.0, 1, 0, 0, 4, 1])
    ability = np.array([0.3])

    @compiled
    def all_of(free, ability, scores, weight):
        items = irf.constrain(curve, free)
        by_weight = jax.value_and_grad(lambda w: likelihood.bernoulli(curve, items, ability, scores, w))(weight)
        cells = Dense((weight * scores)[None], weight[None], jnp.ones(6))
        return irf.probability(ability, items), by_weight, likelihood.at_nodes(curve, cells, items, ability[None])

    p, (got, grad), at = all_of(np.random.default_rng(0).standard_normal((6, 4)), ability, scores, weight)
    want = np.log(p[0] * (1 - p[1]) * p[4] ** 2 * (1 - p[4]) ** 2 * p[5])
    np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_allclose(at[0, 0], want, rtol=1e-12)
    assert np.isfinite(grad).all()


def test_log_prior_is_the_normal_up_to_its_constant():
    prior = Prior(np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    found = compiled(likelihood.log_prior)(prior, np.array([1.5, 99.0]))
    np.testing.assert_allclose(found, math.log(2) - 0.5 * 4 * 0.25)
