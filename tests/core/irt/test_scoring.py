"""One row's ability against scipy's optimiser and dense integration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from lleval_jax.core.irt import irf, scoring
from lleval_jax.core.irt.scoring import Answers, Belief
from lleval_jax.types import Status

CURVE = {"2pl": irf.CURVES["2pl"], "4pl": irf.CURVES["4pl"]}
ITEMS = 30


def items_of(name, seed=0, items=ITEMS):
    draw = np.random.default_rng(seed)
    free = np.stack([np.exp(0.3 * draw.standard_normal(items)), draw.standard_normal(items)], 1)
    if name == "4pl":
        free = np.concatenate([free, np.full((items, 1), -1.5), np.full((items, 1), 3.0)], 1)
    return irf.constrain(CURVE[name], jnp.asarray(free))


def answers(name, rows=5, seed=1):
    items, draw = items_of(name), np.random.default_rng(seed)
    p = jax.vmap(irf.probability, (0, None))(jnp.asarray(draw.standard_normal((rows, 1))), items)
    weight = (draw.random((rows, ITEMS)) < 0.8).astype(float)
    return Answers(jnp.asarray((draw.random((rows, ITEMS)) < p).astype(float)), jnp.asarray(weight))


def belief(precision, mean=0.0):
    return Belief(jnp.full(1, mean), jnp.full((1, 1), precision))


def mode(name, answers, belief, warm=False):
    fn = lambda a: scoring.mode(CURVE[name], items_of(name), a, belief, warm=warm)  # noqa: E731
    return jax.jit(jax.vmap(fn))(answers)


def objective(name, scores, weight, precision, mean, warm):
    slope, intercept, floor, ceiling = (np.asarray(x) for x in items_of(name))

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
    got = mode(name, rows, belief(precision, mean), warm)
    assert (np.asarray(got.status) == Status.CONVERGED).all()
    for r in range(len(rows.scores)):
        fn = objective(name, np.asarray(rows.scores[r]), np.asarray(rows.weight[r]), precision, mean, warm)
        end = optimize.minimize_scalar(
            lambda x, fn=fn: -fn(x), bounds=(-6, 6), method="bounded", options={"xatol": 1e-9}
        )
        # a value known to eps |value| fixes a maximiser to sqrt(2 eps |value| / information)
        known = np.sqrt(64 * np.finfo(float).eps * abs(end.fun) * float(got.covariance[r, 0, 0])) + 1e-6
        assert abs(float(got.value[r, 0]) - end.x) < known


@pytest.mark.parametrize("name", CURVE)
def test_the_mean_is_the_integral(name):
    rows = answers(name)
    fn = lambda a: scoring.mean(CURVE[name], items_of(name), a, belief(1.0))  # noqa: E731
    got = jax.jit(jax.vmap(fn))(rows)
    grid = np.linspace(-8, 8, 4001)
    for r in range(len(rows.scores)):
        value = objective(name, np.asarray(rows.scores[r]), np.asarray(rows.weight[r]), 1.0, 0.0, False)
        log = np.array([value(x) for x in grid])
        mass = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
        want, sd = mass @ grid, np.sqrt(mass @ grid**2 - (mass @ grid) ** 2)
        # 21 Gauss-Hermite nodes integrate the posterior over its normal to polynomials of degree 41
        assert abs(float(got.value[r, 0]) - want) < 1e-4 * sd
        assert abs(np.sqrt(float(got.covariance[r, 0, 0])) / sd - 1) < 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_all_right_and_all_wrong_are_finite_and_apart(method, dtype):
    precision, mean, warm = METHODS[method]
    scores = jnp.asarray([[1.0] * ITEMS, [0.0] * ITEMS], dtype)
    items = jax.tree.map(lambda x: x.astype(dtype), items_of("2pl"))
    prior = Belief(jnp.full(1, mean, dtype), jnp.full((1, 1), precision, dtype))
    fn = lambda s: scoring.mode(CURVE["2pl"], items, Answers(s, jnp.ones(ITEMS, dtype)), prior, warm=warm)  # noqa: E731
    got = jax.jit(jax.vmap(fn))(scores)
    assert got.value.dtype == got.covariance.dtype == dtype
    assert bool(jnp.all(jnp.isfinite(got.value)))
    assert bool(jnp.all(jnp.isfinite(got.covariance)))
    assert bool(jnp.all(got.covariance > 0))
    assert (np.asarray(got.status) == Status.CONVERGED).all()
    assert float(got.value[0, 0]) > 1 > -1 > float(got.value[1, 0])
    if method == "mle":
        # no finite maximum: held at the border, or where float32 sees no slope any more
        assert bool(jnp.all(jnp.abs(got.value) >= (scoring.FARTHEST if dtype == jnp.float64 else 6)))


def test_a_row_without_answers_keeps_its_belief():
    prior = Belief(jnp.asarray([0.7]), jnp.asarray([[4.0]]))
    nothing = Answers(jnp.zeros((1, ITEMS)), jnp.zeros((1, ITEMS)))
    got = mode("2pl", nothing, prior)
    np.testing.assert_allclose(got.value[0], 0.7, atol=1e-9)
    np.testing.assert_allclose(got.covariance[0], 0.25, rtol=1e-6)


def test_answers_counted_twice_are_answers_of_weight_two():
    rows = answers("2pl")
    twice = irf.Items(*(jnp.concatenate([x, x]) for x in items_of("2pl")))
    fn = lambda a: scoring.mode(CURVE["2pl"], twice, a, belief(0.0))  # noqa: E731
    want = jax.jit(jax.vmap(fn))(Answers(*(jnp.concatenate([x, x], 1) for x in rows)))
    heavy = mode("2pl", rows._replace(weight=2 * rows.weight), belief(0.0))
    once = mode("2pl", rows, belief(0.0))
    np.testing.assert_allclose(heavy.value, want.value, atol=1e-6)
    np.testing.assert_allclose(heavy.covariance, want.covariance, rtol=1e-5)
    np.testing.assert_allclose(heavy.covariance * 2, once.covariance, rtol=1e-5)


def test_two_dimensions_are_scipys():
    draw = np.random.default_rng(3)
    curve = irf.Curve(dims=2)
    items = irf.constrain(curve, jnp.asarray(draw.standard_normal((40, 3))))
    scores = jnp.asarray((draw.random(40) < 0.6).astype(float))
    prior = Belief(jnp.zeros(2), jnp.eye(2))
    got = jax.jit(lambda s: scoring.mode(curve, items, Answers(s, jnp.ones(40)), prior))(scores)
    slope, intercept = np.asarray(items.slope), np.asarray(items.intercept)

    def loss(x):
        z = slope @ x + intercept
        return -(np.asarray(scores) * z - np.logaddexp(0, z)).sum() + 0.5 * x @ x

    want = optimize.minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(got.value, want.x, atol=1e-5)
