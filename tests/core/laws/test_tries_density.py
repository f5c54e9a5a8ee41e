"""The joint density of tries against sums of scipy.stats."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats
from scipy.special import expit

from lleval_jax.core.laws import tries

MODELS, QUESTIONS, DIMS = 4, 3, 2


def world(seed=0):
    random = np.random.default_rng(seed)
    counts = np.array([[30.0, 0, 8]] * MODELS)
    won = random.binomial(counts.astype(int), 0.3).astype(float)
    root = random.normal(size=(MODELS, DIMS, DIMS))
    precision = root @ np.swapaxes(root, 1, 2) + np.eye(DIMS)
    tried = tries.Tried(*map(jnp.asarray, (won, counts, random.normal(size=(MODELS, DIMS)), precision)))
    scales = tries.Scales(jnp.diag(jnp.asarray([2.0, 0.5, 0.4])) + 0.1, jnp.asarray(0.09), jnp.asarray(0.04))
    parts = ((MODELS, DIMS), MODELS, 1 + DIMS, (QUESTIONS, 1 + DIMS), (QUESTIONS, MODELS))
    return tries.Params(*(jnp.asarray(random.normal(size=part)) for part in parts)), tried, scales


def test_it_is_the_sum_of_the_densities_of_its_parts():
    params, tried, scales = world()
    skill, residual, mean, question, cell = map(np.asarray, params)
    z = question[:, 1:] @ skill.T + question[:, :1] + residual + cell
    expected = stats.binom.logpmf(np.asarray(tried.successes).T, np.asarray(tried.tries).T, expit(z)).sum()
    for x, middle, precision in zip(skill, *map(np.asarray, tried[2:]), strict=True):
        expected += stats.multivariate_normal.logpdf(x, middle, np.linalg.inv(precision))
    expected += stats.multivariate_normal.logpdf(question, mean, np.asarray(scales.questions)).sum()
    expected += stats.norm.logpdf(mean, 0, [tries.MEAN_SD[0]] + [tries.MEAN_SD[1]] * DIMS).sum()
    expected += stats.norm.logpdf(residual, 0, 0.3).sum() + stats.norm.logpdf(cell, 0, 0.2).sum()
    np.testing.assert_allclose(jax.jit(tries.log_joint)(params, tried, scales), expected, rtol=1e-11)


def test_questions_not_tried_leave_derivatives_finite():
    slope = jax.jit(jax.grad(tries.log_joint))(*world())
    assert all(bool(jnp.isfinite(part).all()) for part in slope)
