"""The regression head: bounds, copies of known models, and left-out errors against explicit folds."""

import jax
import numpy as np

from lleval_jax.core import gp
from lleval_jax.estimators.tiny import regression


def models(n=24, k=10, seed=0):
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal((n, 1))
    p = 1 / (1 + np.exp(-(ability + rng.standard_normal(k))))
    return (rng.random((n, k)) < p).astype(float), p.mean(1)


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
            fitted = gp.fit(x[~out], full[~out], seed=3, queries=2)
            value = np.asarray(gp.predict(fitted, x[out], 0.95)[0])
        np.testing.assert_allclose(got[out], full[out] - value, atol=1e-9)


def test_answers_teach_more_than_the_mean_score():
    """Ten answers hold information 10 * 0.2 on an ability of variance 1: at most half of its variance is left over."""
    x, full = models(32)
    error = regression.left_out_errors(x, full, 0, folds=4)
    assert (error**2).mean() < full.var()
