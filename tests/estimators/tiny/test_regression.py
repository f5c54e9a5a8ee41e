"""The regression: bounds, intervals, and left-out errors against explicit folds and refits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from lleval_jax.core import gp
from lleval_jax.estimators.tiny import regression

LOG = np.array([0.3, 0.2, -1.5, -1.0, 0.5, -4.0])


def models(n=24, k=10, seed=0):
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal((n, 1))
    p = 1 / (1 + np.exp(-(ability + rng.standard_normal(k))))
    return (rng.random((n, k)) < p).astype(float), p.mean(1)


def scored(n=30, k=12, seed=0):
    """Answers of n models to k items, and a score that depends on them."""
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal((n, 1))
    x = (rng.random((n, k)) < expit(ability - 0.5 * rng.standard_normal(k))).astype(float)
    return x, expit(ability[:, 0]) + 0.02 * rng.standard_normal(n)


def test_estimates_lie_within_their_interval_and_the_unit_interval():
    x, full = models()
    new, _ = models(9, seed=1)
    value, sd, low, high = regression.estimate(x, full, new, 0.9)
    assert value.shape == sd.shape == (9,)
    assert ((low >= 0) & (low <= value) & (value <= high) & (high <= 1)).all()
    assert value.dtype == np.float64


def test_a_row_order_and_precision_outside_change_nothing():
    x, full = models()
    new, _ = models(9, seed=1)
    a = regression.estimate(x, full, new, 0.9)
    b = regression.estimate(x, full, new[::-1], 0.9)
    with jax.enable_x64(False):
        c = regression.estimate(x, full, new, 0.9)
    for one, two, three in zip(a, b, c, strict=True):
        np.testing.assert_allclose(one, two[::-1], atol=1e-9)
        np.testing.assert_allclose(one, three, atol=1e-9)


def test_left_out_errors_are_those_of_explicit_folds():
    x, full = models(32)
    got = regression.left_out_errors(x, full, 3, folds=4)
    fold = np.random.default_rng(3).permutation(32) % 4
    for f in (0, 3):
        out = fold == f
        with jax.enable_x64(True):
            fitted = regression.fit(x[~out], full[~out], seed=3, queries=2)
            value = np.asarray(regression.predict(fitted, x[out], 0.95)[0])
        np.testing.assert_allclose(got[out], full[out] - value, atol=1e-9)


def test_answers_teach_more_than_the_mean_score():
    """Ten answers hold information 10 * 0.2 on an ability of variance 1: at most half of its variance is left over."""
    x, full = models(32)
    error = regression.left_out_errors(x, full, 0, folds=4)
    assert (error**2).mean() < full.var()


def test_errors_are_those_of_refitting_without_the_neighbours():
    """Of both ways: by all rows, and by inducing rows that are all rows."""
    x, y = scored()
    at, rows = jnp.asarray(x), jnp.asarray(y)
    kernel = gp.Kernel(at.mean(0), gp.ability_slope(at, rows - rows.mean()), jnp.asarray(LOG))
    alpha, inverse = regression._exact(kernel, at, rows)
    _, order = regression._neighbours(at, jnp.asarray([0, 5, 29]), 6)
    got = regression._path_errors(regression._dense_block, inverse, alpha, order)
    cov = np.asarray(gp.noisy_gram(kernel, at))
    for q, idx in enumerate(np.asarray(order)):
        for g in range(6):
            kept = np.setdiff1d(np.arange(len(x)), idx[: g + 1])
            gain = np.linalg.solve(cov[np.ix_(kept, kept)], cov[kept, idx[0]])
            sd = np.sqrt(cov[idx[0], idx[0]] - gain @ cov[kept, idx[0]])
            np.testing.assert_allclose(got[q, g], abs(y[idx[0]] - gain @ y[kept]) / sd, rtol=1e-5)
    _, _, dual, lam, half = regression._fitc(kernel, at, rows, at)
    sparse = regression._path_errors(regression._fitc_block, (lam, half), dual, order)
    np.testing.assert_allclose(sparse, got, rtol=1e-3, atol=1e-5)  # jitter 1e-8 over the smallest eigenvalue


def test_neighbours_start_with_the_query_and_go_outwards():
    x, _ = scored()
    x[3] = x[9]  # a copy must not take the query's place
    gaps, order = regression._neighbours(jnp.asarray(x), jnp.asarray([3, 9, 0]), 6)
    assert np.asarray(order)[:, 0].tolist() == [3, 9, 0]
    assert (np.diff(np.asarray(gaps), axis=1) >= 0).all()
    brute = np.sort(((x[[3, 9, 0], None] - x[None]) ** 2).mean(2), axis=1)[:, :6]
    np.testing.assert_allclose(gaps, brute, atol=1e-12)


def test_the_multiplier_is_the_conformal_rank():
    errors = jnp.asarray(np.arange(1.0, 20.0)[None])  # 19 sorted errors: level 0.95 takes the 19th of 20 places
    pick = lambda level: float(regression.multiplier(jnp.zeros(1), errors, jnp.zeros(1), level)[0])  # noqa: E731
    assert pick(0.95) == 19
    assert pick(0.5) == 10
    assert pick(0.999) == 19  # there is no larger error to take


def test_matched_errors_leave_out_all_within_the_radius():
    gaps = jnp.asarray([[0.0, 0.1, 0.2, 0.4], [0.0, 0.3, 0.3, 0.5]])
    errors = jnp.asarray([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]])
    radii, got = regression._matched_errors(errors, gaps)
    for r, line in zip(np.asarray(radii), np.asarray(got), strict=True):
        brute = sorted(float(e[(g <= r).sum() - 1]) for e, g in zip(errors, gaps, strict=True))
        assert line.tolist() == brute


@pytest.mark.slow
def test_a_fit_predicts_within_the_unit_interval_and_a_constant_score_is_kept():
    x, y = scored(24, 8)
    new, _ = scored(5, 8, seed=3)
    fitted = regression.fit(x, y.clip(0, 1))
    wide, narrow = (regression.predict(fitted, new, level) for level in (0.95, 0.5))
    for score, sd, low, high in (wide, narrow):
        assert ((low >= 0) & (low <= score) & (score <= high) & (high <= 1)).all()
        assert (sd >= 0).all()
    assert ((wide[2] <= narrow[2]) & (narrow[3] <= wide[3])).all()
    flat = regression.predict(regression.fit(x, np.full(24, 0.4)), new, 0.95)
    np.testing.assert_allclose(flat[0], 0.4, atol=1e-4)


def test_fitc_is_taken_beyond_the_limit():
    x, y = scored(24, 8)
    exact, sparse = regression.fit(x, y), regression.fit(x, y, limit=10, inducing=24)
    assert sparse.posterior.support.shape == (24, 8)
    new, _ = scored(5, 8, seed=3)
    np.testing.assert_allclose(
        regression.predict(exact, new, 0.9)[0], regression.predict(sparse, new, 0.9)[0], atol=1e-3
    )
