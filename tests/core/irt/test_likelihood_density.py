"""The joint density of an item response model against sums of scipy.stats, and its mode against EM's scoring."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lleval_jax.core.irt import irf, likelihood
from lleval_jax.core.irt.likelihood import Answers, Params, Prior

ROWS, ITEMS = 5, 6


@functools.partial(jax.jit, static_argnames="curve")
def log_joint(params, data, prior, curve):
    return likelihood.log_joint(params, data, prior, curve=curve)


def world(name, seed=0):
    random = np.random.default_rng(seed)
    curve = irf.CURVES[name]
    free = random.normal(size=(ITEMS, curve.width))
    if curve.shared_slope:
        free[:, 0] = free[0, 0]
    weight = (random.random((ROWS, ITEMS)) < 0.7).astype(float)
    data = Answers(*map(jnp.asarray, ((random.random((ROWS, ITEMS)) < 0.5).astype(float), weight)))
    prior = Prior(*map(jnp.asarray, (random.normal(size=curve.width), random.uniform(0.5, 3, curve.width))))
    return curve, Params(*map(jnp.asarray, (random.normal(size=(ROWS, curve.dims)), free))), data, prior


@pytest.mark.parametrize("name", irf.CURVES)
def test_it_is_the_sum_of_the_densities_of_its_parts(name):
    curve, params, data, prior = world(name)
    items = jax.tree.map(np.asarray, irf.constrain(curve, params.free))
    ability, free = map(np.asarray, params)
    p = items.floor + (items.ceiling - items.floor) * stats.logistic.cdf(ability @ items.slope.T + items.intercept)
    seen = np.asarray(data.weight) > 0
    expected = stats.bernoulli.logpmf(np.asarray(data.scores)[seen], p[seen]).sum() + stats.norm.logpdf(ability).sum()
    each = stats.norm.logpdf(free, np.asarray(prior.mean), np.asarray(prior.precision) ** -0.5)
    if curve.shared_slope:
        each[1:, 0] = 0
    np.testing.assert_allclose(log_joint(params, data, prior, curve), expected + each.sum(), rtol=1e-12)


def test_a_mean_of_answers_is_as_those_answers():
    curve, params, _, prior = world("2pl")
    flat = Prior(prior.mean, jnp.zeros_like(prior.precision))
    twice = Answers(jnp.full((ROWS, ITEMS), 0.5), jnp.full((ROWS, ITEMS), 2.0))
    right, wrong = (Answers(jnp.full((ROWS, ITEMS), score), jnp.ones((ROWS, ITEMS))) for score in (1.0, 0.0))
    prior_alone = stats.norm.logpdf(np.asarray(params.ability)).sum()
    each = sum(float(log_joint(params, data, flat, curve)) - prior_alone for data in (right, wrong))
    np.testing.assert_allclose(log_joint(params, twice, flat, curve) - prior_alone, each, rtol=1e-12)


def test_what_is_not_seen_leaves_derivatives_finite_in_float32():
    curve, params, data, prior = world("4pl")
    data = data._replace(scores=jnp.where(data.weight > 0, data.scores, 0.5))
    low = jax.tree.map(lambda x: x.astype(jnp.float32), (params, data, prior))
    far = low[0]._replace(ability=20 * low[0].ability)
    value, slope = jax.jit(jax.value_and_grad(lambda params: log_joint(params, *low[1:], curve)))(far)
    assert value.dtype == jnp.float32
    assert all(bool(jnp.isfinite(part).all()) for part in (value, *slope))


def test_lanes_of_a_vmap_are_single_calls():
    curve, params, data, prior = world("2pl")
    lanes = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), params)
    found = jax.jit(jax.vmap(lambda params: log_joint(params, data, prior, curve)))(lanes)
    for lane in range(2):
        one = jax.tree.map(lambda x, lane=lane: x[lane], lanes)
        np.testing.assert_allclose(found[lane], log_joint(one, data, prior, curve), rtol=1e-12)
