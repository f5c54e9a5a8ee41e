"""The joint density of a regression on uncertain skills against sums of scipy.stats."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from lleval_jax.core.laws import regression


def test_it_is_the_sum_of_the_densities_of_its_parts():
    random = np.random.default_rng(0)
    rows, dims, k = 7, 2, 4
    design, score, x = random.normal(size=(rows, k)), random.random(rows), random.normal(size=k)
    cov = np.broadcast_to(np.eye(dims) * 0.2, (rows, dims, dims))
    cells = regression.Cells(*map(jnp.asarray, (design, cov, score, 0.25)))
    precision, noise = random.uniform(0.5, 2, k), 0.05
    p = stats.logistic.cdf(design @ x)
    steep = 0.75 * p * (1 - p)
    scale = np.sqrt(noise**2 + steep**2 * np.einsum("i,mij,j->m", x[:dims], cov, x[:dims]))
    expected = stats.t.logpdf(score, regression.FREEDOM, 0.25 + 0.75 * p, scale).sum()
    expected += stats.norm.logpdf(x, 0, precision**-0.5).sum()
    found = jax.jit(regression.log_joint)(jnp.asarray(x), cells, jnp.asarray(noise), jnp.asarray(precision))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
