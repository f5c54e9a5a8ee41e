"""Gaussian-process regression against direct numpy, explicit refits, and finite differences; all in float64."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core import gp

LOG = np.array([0.3, 0.2, -1.5, -1.0, 0.5, -4.0])


gram = compiled(gp.gram)


def models(n=30, k=12, seed=0):
    """Answers of n models to k items, and a score that depends on them."""
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal((n, 1))
    x = (rng.random((n, k)) < 1 / (1 + np.exp(-ability + 0.5 * rng.standard_normal(k)))).astype(float)
    return x, 1 / (1 + np.exp(-ability[:, 0])) + 0.02 * rng.standard_normal(n)


@compiled
def kernel(x, y, log=LOG):
    return gp.Kernel(x.mean(0), gp._ability_slope(x, y - y.mean()), jnp.asarray(log))


def direct_gram(kernel, x, z):
    """The covariance, one pair of models at a time."""
    centre, slope, log = kernel
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


def regression(kernel, x, y):
    alpha, drop = gp._exact(kernel, x, y)
    zero, one = np.zeros(()), np.ones(())
    return gp.Regression(kernel, x, alpha, drop, x, zero, one, np.zeros(1), np.ones((1, 1)))


@pytest.mark.slow
def test_the_gram_matrix_is_the_formula():
    x, y = models()
    k = kernel(x, y)
    # sqrt(3 d + 1e-12) instead of sqrt(3 d): at most 1e-6 in r, and the Matern is flat there
    np.testing.assert_allclose(gram(k, x, x[:4]), direct_gram(k, x, x[:4]), atol=1e-9)
    diagonal = np.diagonal(gram(k, x, x))
    np.testing.assert_allclose(compiled(gp.variance)(k, x), diagonal, atol=1e-9)


def test_distance_of_binary_answers_is_the_share_that_differs():
    x, _ = models()
    got = compiled(gp.distance)(x, x[:5])
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
    got_mean, got_sd = gp.posterior(regression(k, x, y), new)
    np.testing.assert_allclose(got_mean, mean, atol=1e-7)
    np.testing.assert_allclose(got_sd, sd, rtol=1e-6)


def test_the_exclusion_path_is_refitting_without_the_neighbours():
    x, y = models()
    k = kernel(x, y)
    alpha, inverse = gp._exact(k, x, y)
    _, order = gp._neighbours(x, np.array([0, 5, 29]), 6)
    got = gp._path_errors(gp._dense_block, inverse, alpha, order)
    for q, idx in enumerate(np.asarray(order)):
        for g in range(6):
            kept = np.setdiff1d(np.arange(len(x)), idx[: g + 1])
            mean, sd = direct_posterior(k, x[kept], y[kept], x[idx[:1]])
            np.testing.assert_allclose(got[q, g], abs(y[idx[0]] - mean[0]) / sd[0], rtol=1e-5)


def test_neighbours_start_with_the_query_and_go_outwards():
    x, _ = models()
    x[3] = x[9]  # a copy must not take the query's place
    gaps, order = gp._neighbours(x, np.array([3, 9, 0]), 6)
    assert np.asarray(order)[:, 0].tolist() == [3, 9, 0]
    assert (np.diff(np.asarray(gaps), axis=1) >= 0).all()
    brute = np.sort(((x[[3, 9, 0], None] - x[None]) ** 2).mean(2), axis=1)[:, :6]
    np.testing.assert_allclose(gaps, brute, atol=1e-12)


def test_fitc_with_all_rows_inducing_is_exact():
    x, y = models()
    new, _ = models(6, seed=2)
    k = kernel(x, y)
    exact = regression(k, x, y)
    alpha, drop, dual, lam, half = gp._fitc(k, x, y, x)
    sparse = exact._replace(alpha=alpha, drop=drop)
    for a, b in zip(gp.posterior(sparse, new), gp.posterior(exact, new), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # jitter 1e-8 over the smallest eigenvalue
    _, order = gp._neighbours(x, np.arange(4), 6)
    a = gp._path_errors(gp._fitc_block, (lam, half), dual, order)
    b = gp._path_errors(gp._dense_block, exact.drop, exact.alpha, order)
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_gradient_of_the_evidence_is_the_finite_difference():
    x, y = models()
    k = kernel(x, y)
    rest = k.centre, k.slope, x, y
    _, grad = gp._loss(LOG, *rest)
    for d in range(len(LOG)):
        step = 1e-5 * np.eye(len(LOG))[d]
        high, low = (float(gp._loss(LOG + s, *rest)[0]) for s in (step, -step))
        np.testing.assert_allclose(grad[d], (high - low) / 2e-5, rtol=1e-4, atol=1e-5)


def test_the_multiplier_is_the_conformal_rank():
    errors = np.arange(1.0, 20.0)[None]  # 19 sorted errors: level 0.95 takes the 19th of 20 places
    multiplier = compiled(gp.multiplier, static_argnames="level")
    pick = lambda level: multiplier(np.zeros(1), errors, np.zeros(1), level)[0]  # noqa: E731
    assert pick(0.95) == 19
    assert pick(0.5) == 10
    assert pick(0.999) == 19  # there is no larger error to take


def test_matched_errors_leave_out_all_within_the_radius():
    gaps = np.array([[0.0, 0.1, 0.2, 0.4], [0.0, 0.3, 0.3, 0.5]])
    errors = np.array([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]])
    radii, got = compiled(gp._matched_errors)(errors, gaps)
    for r, line in zip(radii, got, strict=True):
        brute = sorted(float(e[(g <= r).sum() - 1]) for e, g in zip(errors, gaps, strict=True))
        assert line.tolist() == brute


@pytest.mark.slow
def test_a_fit_predicts_within_the_unit_interval_and_a_constant_score_is_kept():
    x, y = models(24, 8)
    new, _ = models(5, 8, seed=3)
    fitted = gp.fit(x, y.clip(0, 1))
    wide, narrow = (gp.predict(fitted, new, level) for level in (0.95, 0.5))
    for score, sd, low, high in (wide, narrow):
        assert ((low >= 0) & (low <= score) & (score <= high) & (high <= 1)).all()
        assert (sd >= 0).all()
    assert ((wide[2] <= narrow[2]) & (narrow[3] <= wide[3])).all()
    flat = gp.predict(gp.fit(x, np.full(24, 0.4)), new, 0.95)
    np.testing.assert_allclose(flat[0], 0.4, atol=1e-4)


def test_fitc_is_taken_beyond_the_limit():
    x, y = models(24, 8)
    exact, sparse = gp.fit(x, y), gp.fit(x, y, limit=10, inducing=24)
    assert sparse.support.shape == (24, 8)
    new, _ = models(5, 8, seed=3)
    np.testing.assert_allclose(gp.predict(exact, new, 0.9)[0], gp.predict(sparse, new, 0.9)[0], atol=1e-3)
