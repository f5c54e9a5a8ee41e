"""The kernel of a Gaussian process, its evidence and posteriors against direct numpy; all in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.core import gp

predict = jax.jit(gp.predict)
LOG = np.array([0.3, 0.2, -1.5, -1.0, 0.5, -4.0])


def models(n=30, k=12, seed=0):
    """Answers of n models to k items, and a score that depends on them."""
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal((n, 1))
    x = (rng.random((n, k)) < 1 / (1 + np.exp(-ability + 0.5 * rng.standard_normal(k)))).astype(float)
    return x, 1 / (1 + np.exp(-ability[:, 0])) + 0.02 * rng.standard_normal(n)


def kernel(x, y, log=LOG):
    x = jnp.asarray(x)
    return gp.Kernel(x.mean(0), gp.ability_slope(x, jnp.asarray(y - y.mean())), jnp.asarray(log))


def direct_gram(kernel, x, z):
    """The covariance, one pair of models at a time."""
    centre, slope, log = (np.asarray(part) for part in kernel)
    curve, length, linear, pattern, rate, _ = np.exp(log)
    out = np.empty((len(x), len(z)))
    for i, a in enumerate(x):
        for j, b in enumerate(z):
            s = (a - centre) @ slope - (b - centre) @ slope
            r = rate * math.sqrt(3 * ((a - b) ** 2).mean())
            dot = (a - centre) @ (b - centre) / len(a)
            out[i, j] = 4 + curve * np.exp(-(s**2) / (2 * length**2)) + 4 * linear * dot
            out[i, j] += pattern * (1 + r) * np.exp(-r)
    return out


def known(kernel, x, y):
    return gp.Posterior(jnp.asarray(x), *jax.jit(gp.exact)(kernel, jnp.asarray(x), jnp.asarray(y)))


@pytest.mark.slow
def test_the_gram_matrix_is_the_formula():
    x, y = models()
    k = kernel(x, y)
    # sqrt(3 d + 1e-12) instead of sqrt(3 d): at most 1e-6 in r, and the Matern is flat there
    np.testing.assert_allclose(gp.gram(k, jnp.asarray(x), jnp.asarray(x[:4])), direct_gram(k, x, x[:4]), atol=1e-9)
    diagonal = np.diagonal(np.asarray(gp.gram(k, jnp.asarray(x), jnp.asarray(x))))
    np.testing.assert_allclose(gp.variance(k, jnp.asarray(x)), diagonal, atol=1e-9)


def test_distance_of_binary_answers_is_the_share_that_differs():
    x, _ = models()
    got = gp.distance(jnp.asarray(x), jnp.asarray(x[:5]))
    np.testing.assert_allclose(got, (x[:, None] != x[None, :5]).mean(2), atol=1e-12)


def direct_posterior(k, x, y, new):
    """Mean and standard deviation, noise included (R&W 2.25, 2.26)."""
    noise = np.exp(LOG[5])
    full, cross = direct_gram(k, x, x) + noise * np.eye(len(x)), direct_gram(k, new, x)
    var = np.diagonal(direct_gram(k, new, new) - cross @ np.linalg.solve(full, cross.T)) + noise
    return cross @ np.linalg.solve(full, y), np.sqrt(var)


def test_the_posterior_is_that_of_direct_algebra():
    x, y = models()
    new, _ = models(7, seed=1)
    k = kernel(x, y)
    mean, sd = direct_posterior(k, x, y, new)
    got_mean, got_sd = predict(k, known(k, x, y), jnp.asarray(new))
    np.testing.assert_allclose(got_mean, mean, atol=1e-7)
    np.testing.assert_allclose(got_sd, sd, rtol=1e-6)


def test_fitc_with_all_rows_inducing_is_exact():
    x, y = models()
    new, _ = models(6, seed=2)
    k = kernel(x, y)
    exact = known(k, x, y)
    alpha, drop, dual, lam, half = jax.jit(gp.fitc)(k, jnp.asarray(x), jnp.asarray(y), jnp.asarray(x))
    sparse = exact._replace(alpha=alpha, drop=drop)
    for a, b in zip(predict(k, sparse, jnp.asarray(new)), predict(k, exact, jnp.asarray(new)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # jitter 1e-8 over the smallest eigenvalue
    inverse = np.diag(1 / np.asarray(lam)) - np.asarray(half @ half.T)
    np.testing.assert_allclose(inverse, exact.drop, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(dual, exact.alpha, rtol=1e-3, atol=1e-5)


def test_the_gradient_of_the_evidence_is_the_finite_difference():
    x, y = models()
    k = kernel(x, y)
    rest = k.centre, k.slope, jnp.asarray(x), jnp.asarray(y)
    loss = jax.jit(jax.value_and_grad(gp.minus_log_posterior))
    _, grad = loss(jnp.asarray(LOG), *rest)
    for d in range(len(LOG)):
        step = 1e-5 * np.eye(len(LOG))[d]
        high, low = (float(loss(jnp.asarray(LOG + s), *rest)[0]) for s in (step, -step))
        np.testing.assert_allclose(grad[d], (high - low) / 2e-5, rtol=1e-4, atol=1e-5)


def test_the_exclusion_path_is_conditioning_on_the_rest():
    x, y = models()
    k = kernel(x, y)
    alpha, inverse = jax.jit(gp.exact)(k, jnp.asarray(x), jnp.asarray(y))
    order = np.array([5, 2, 11, 7])
    residual, var = jax.jit(gp.exclusion_path)(inverse[np.ix_(order, order)], alpha[order])
    for g in range(4):
        kept = np.setdiff1d(np.arange(len(x)), order[: g + 1])
        mean, sd = direct_posterior(k, x[kept], y[kept], x[order[:1]])
        np.testing.assert_allclose(residual[g], y[5] - mean[0], rtol=1e-6)
        np.testing.assert_allclose(var[g], sd[0] ** 2, rtol=1e-6)
