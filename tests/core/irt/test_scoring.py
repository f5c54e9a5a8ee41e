"""One row's ability against scipy's optimiser and dense integration."""

import functools

import jax
import numpy as np
import pytest
from compiled import compiled
from scipy import optimize

from lleval_jax.core.irt import irf, scoring
from lleval_jax.core.irt.scoring import Answers, Normal
from lleval_jax.types import Status

CURVE = {"2pl": irf.CURVES["2pl"], "4pl": irf.CURVES["4pl"]}
ITEMS = 30
constrain = compiled(irf.constrain, static_argnums=0)


def items_of(name, seed=0, items=ITEMS):
    draw = np.random.default_rng(seed)
    free = np.stack([np.exp(0.3 * draw.standard_normal(items)), draw.standard_normal(items)], 1)
    if name == "4pl":
        free = np.concatenate([free, np.full((items, 1), -1.5), np.full((items, 1), 3.0)], 1)
    return constrain(CURVE[name], free)


def answers(name, rows=5, seed=1):
    items, draw = items_of(name), np.random.default_rng(seed)
    p = compiled(jax.vmap(irf.probability, (0, None)))(draw.standard_normal((rows, 1)), items)
    weight = (draw.random((rows, ITEMS)) < 0.8).astype(float)
    return Answers((draw.random((rows, ITEMS)) < p).astype(float), weight)


def posterior(precision, mean=0.0):
    return Normal(np.full(1, mean), np.full((1, 1), precision))


@functools.partial(compiled, static_argnames=("curve", "warm"))
def modes(curve, items, answers, posterior, warm):
    return jax.vmap(lambda a: scoring.mode(curve, items, a, posterior, warm=warm))(answers)


def mode(name, answers, posterior, warm=False):
    return modes(CURVE[name], items_of(name), answers, posterior, warm=warm)


def objective(name, scores, weight, precision, mean, warm):
    slope, intercept, floor, ceiling = items_of(name)

    def value(x):
        p = floor + (ceiling - floor) / (1 + np.exp(-(slope[:, 0] * x + intercept)))
        total = (weight * (scores * np.log(p) + (1 - scores) * np.log1p(-p))).sum() - 0.5 * precision * (x - mean) ** 2
        if warm:
            s = (p - floor) / (ceiling - floor)
            by = (ceiling - floor) * s * (1 - s) * slope[:, 0]
            total += 0.5 * np.log((weight * by**2 / (p * (1 - p))).sum())
        return total

    return value


METHODS = {"map": (1.0, 0.3, False), "mle": (0.0, 0.0, False), "wle": (0.0, 0.0, True)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CURVE)
def test_modes_are_scipys(name, method):
    precision, mean, warm = METHODS[method]
    rows = answers(name)
    got = mode(name, rows, posterior(precision, mean), warm)
    assert (got.status == Status.CONVERGED).all()
    for r in range(len(rows.scores)):
        fn = objective(name, rows.scores[r], rows.weight[r], precision, mean, warm)
        end = optimize.minimize_scalar(
            lambda x, fn=fn: -fn(x), bounds=(-6, 6), method="bounded", options={"xatol": 1e-9}
        )
        # a value known to eps |value| fixes a maximiser to sqrt(2 eps |value| / information)
        known = np.sqrt(64 * np.finfo(float).eps * abs(end.fun) * got.covariance[r, 0, 0]) + 1e-6
        assert abs(got.value[r, 0] - end.x) < known


@pytest.mark.parametrize("name", CURVE)
def test_the_mean_is_the_integral(name):
    rows = answers(name)
    means = compiled(jax.vmap(scoring.mean, (None, None, 0, None)), static_argnums=0)
    got = means(CURVE[name], items_of(name), rows, posterior(1.0))
    grid = np.linspace(-8, 8, 4001)
    for r in range(len(rows.scores)):
        value = objective(name, rows.scores[r], rows.weight[r], 1.0, 0.0, False)
        log = np.array([value(x) for x in grid])
        mass = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
        want, sd = mass @ grid, np.sqrt(mass @ grid**2 - (mass @ grid) ** 2)
        # 21 Gauss-Hermite nodes integrate the posterior over its normal to polynomials of degree 41
        assert abs(got.value[r, 0] - want) < 1e-4 * sd
        assert abs(np.sqrt(got.covariance[r, 0, 0]) / sd - 1) < 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_right_and_all_wrong_are_finite_and_apart(method, dtype):
    precision, mean, warm = METHODS[method]
    scores = np.array([[1.0] * ITEMS, [0.0] * ITEMS], dtype)
    items = jax.tree.map(lambda x: x.astype(dtype), items_of("2pl"))
    prior = Normal(np.full(1, mean, dtype), np.full((1, 1), precision, dtype))
    got = modes(CURVE["2pl"], items, Answers(scores, np.ones_like(scores)), prior, warm=warm)
    assert got.value.dtype == got.covariance.dtype == dtype
    assert np.isfinite(got.value).all()
    assert np.isfinite(got.covariance).all()
    assert (got.covariance > 0).all()
    assert (got.status == Status.CONVERGED).all()
    assert got.value[0, 0] > 1 > -1 > got.value[1, 0]
    if method == "mle":
        # no finite maximum: held at the border, or where float32 sees no slope any more
        assert (np.abs(got.value) >= (scoring.FARTHEST if dtype == np.float64 else 6)).all()


def test_a_row_without_answers_keeps_its_belief():
    prior = Normal(np.array([0.7]), np.array([[4.0]]))
    nothing = Answers(np.zeros((1, ITEMS)), np.zeros((1, ITEMS)))
    got = mode("2pl", nothing, prior)
    np.testing.assert_allclose(got.value[0], 0.7, atol=1e-9)
    np.testing.assert_allclose(got.covariance[0], 0.25, rtol=1e-6)


def test_answers_counted_twice_are_answers_of_weight_two():
    rows = answers("2pl")
    twice = irf.Items(*(np.concatenate([x, x]) for x in items_of("2pl")))
    want = modes(CURVE["2pl"], twice, Answers(*(np.concatenate([x, x], 1) for x in rows)), posterior(0.0), warm=False)
    heavy = mode("2pl", rows._replace(weight=2 * rows.weight), posterior(0.0))
    once = mode("2pl", rows, posterior(0.0))
    np.testing.assert_allclose(heavy.value, want.value, atol=1e-6)
    np.testing.assert_allclose(heavy.covariance, want.covariance, rtol=1e-5)
    np.testing.assert_allclose(heavy.covariance * 2, once.covariance, rtol=1e-5)


def test_two_dimensions_are_scipys():
    draw = np.random.default_rng(3)
    curve = irf.Curve(dims=2)
    items = constrain(curve, draw.standard_normal((40, 3)))
    scores = (draw.random(40) < 0.6).astype(float)
    prior = Normal(np.zeros(2), np.eye(2))
    got = compiled(scoring.mode, static_argnums=0)(curve, items, Answers(scores, np.ones(40)), prior)
    slope, intercept = items.slope, items.intercept

    def loss(x):
        z = slope @ x + intercept
        return -(scores * z - np.logaddexp(0, z)).sum() + 0.5 * x @ x

    want = optimize.minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(got.value, want.x, atol=1e-5)
