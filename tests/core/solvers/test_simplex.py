"""Problems on the simplex against scipy and closed forms; ratios against all subsets and Fieller's equation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from lleval_jax.core.solvers import fractional, simplex
from lleval_jax.types import Status

FALSE_ALARM = 1e-5
MANY = 200


@jax.jit
@jax.vmap
def lowest(gram, linear):
    """The minimum of many quadratics."""
    return simplex.minimise(simplex.Quadratic(gram, linear), jnp.full(len(linear), 1 / len(linear), linear.dtype))


def slsqp(value, gradient, k):
    """The same problem by another program."""
    sums = {"type": "eq", "fun": lambda x: x.sum() - 1, "jac": lambda x: np.ones(k)}
    found = optimize.minimize(
        value,
        np.full(k, 1 / k),
        jac=gradient,
        bounds=[(0, 1)] * k,
        constraints=sums,
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x, found.fun


@jax.jit
def best_subsets(weight, value, size):
    return jax.vmap(fractional.best_subset, (0, 0, None))(weight, value, size)


def quadratics(k, many, seed=0):
    """Least-squares problems, some with nearly equal columns: grams (many, k, k) and linear parts (many, k)."""
    rng = np.random.default_rng(seed)
    scale = 10 ** rng.uniform(-1.5, 0.3, (many, 1, k))
    design = rng.normal(size=(many, k + 4, k)) * scale + rng.normal(size=(many, k + 4, 1))
    target = rng.normal(size=(many, k + 4))
    gram, linear = np.einsum("fnk,fnj->fkj", design, design), np.einsum("fnk,fn->fk", design, target)
    size = np.trace(gram, axis1=1, axis2=2)[:, None] / k
    return gram / size[:, :, None], linear / size


@pytest.mark.parametrize("k", [6, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 20))])
def test_least_squares_on_the_simplex_is_that_of_slsqp(k):
    gram, linear = quadratics(k, 25)
    found = jax.tree.map(np.asarray, lowest(gram, linear))
    assert (found.status == Status.CONVERGED).all()
    assert float(found.error.max()) < 1e-9
    x = found.x
    assert (x >= 0).all()
    np.testing.assert_allclose(x.sum(1), 1, atol=1e-12)
    for g, c, got, value in zip(gram, linear, x, found.value, strict=True):
        want, least = slsqp(lambda x: 0.5 * x @ g @ x - c @ x, lambda x: g @ x - c, k)  # noqa: B023
        assert float(value) <= least + 1e-10  # eps^0.65, by which it is held at the start
        np.testing.assert_allclose(got, want, atol=1e-5)  # SLSQP stops where its value stands still: a root of 1e-15


def test_a_gap_bounds_what_is_left_to_gain():
    gram, linear = quadratics(6, 25, seed=3)
    fn, least = simplex.Quadratic(gram[0], linear[0]), float(np.asarray(lowest(gram, linear).value)[0])
    x = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    value, gap = jax.jit(jax.vmap(lambda x: (fn.value(x), simplex.gap(x, fn.gradient(x)))))(x)
    assert (np.asarray(value) - least <= np.asarray(gap) + 1e-12).all()


def test_the_projection_is_that_by_sorting():
    """Held, Wolfe & Crowder (1974): what is above zero after as much is taken off all as brings the sum to one."""
    rng = np.random.default_rng(1)
    points = rng.normal(0, 2, (25, 6))
    for point, nearest in zip(points, np.asarray(lowest(np.tile(np.eye(6), (25, 1, 1)), points).x), strict=True):
        down = np.sort(point)[::-1]
        level = (np.cumsum(down) - 1) / np.arange(1, 7)
        np.testing.assert_allclose(nearest, np.maximum(point - level[down > level][-1], 0), atol=1e-12)


def logistic(seed=2, n=60, k=5):
    """The log loss of a logistic regression as a `Smooth`, and as plain numpy functions."""
    rng = np.random.default_rng(seed)
    d = rng.normal(0, 2, (n, k)) + np.array([2, 1, 0, -1, -2])
    columns = jnp.asarray(d)

    def quadratic(x):
        p = jax.nn.sigmoid(columns @ x)
        gram = (columns * (p * (1 - p))[:, None]).T @ columns / n
        return simplex.Quadratic(gram, gram @ x + columns.T @ (1 - p) / n)

    smooth = simplex.Smooth(lambda x: jnp.mean(jax.nn.softplus(-columns @ x)), quadratic)
    return smooth, lambda x: np.logaddexp(0, -d @ x).mean(), lambda x: -d.T @ (1 / (1 + np.exp(d @ x))) / n


@pytest.mark.slow
def test_newton_on_the_simplex_is_slsqp():
    smooth, value, gradient = logistic()
    found = jax.jit(lambda start: simplex.minimise(smooth, start))(jnp.full(5, 0.2))
    want, least = slsqp(value, gradient, 5)
    assert int(found.status) == Status.CONVERGED
    assert int(found.steps) < 12
    assert float(found.value) <= least + 1e-12
    np.testing.assert_allclose(found.x, want, atol=1e-5)


@pytest.mark.slow
def test_float32_is_near_float64():
    gram, linear = quadratics(6, 25, seed=5)
    gram = gram + 0.05 * np.eye(6)
    exact = lowest(jnp.asarray(gram), jnp.asarray(linear))
    rough = lowest(jnp.asarray(gram, jnp.float32), jnp.asarray(linear, jnp.float32))
    assert rough.x.dtype == jnp.float32
    np.testing.assert_allclose(rough.x, exact.x, atol=2e-3)  # error of the gap 4e-6 over a curvature of 0.05


# --- ratios ---------------------------------------------------------------------------------------------------------


def brute(weight, value, sizes):
    """The largest ratio over all subsets of these sizes, and its members."""
    k, best = len(weight), (-np.inf, ())
    for size in sizes:
        for members in map(list, itertools.combinations(range(k), size)):
            ratio = (weight[members] * value[members]).sum() / weight[members].sum()
            best = max(best, (ratio, tuple(members)))
    return best


@pytest.mark.parametrize("size", [2, 3, 4])
def test_dinkelbach_is_brute_force(size):
    rng = np.random.default_rng(size)
    weight, value = rng.dirichlet(np.ones(6), MANY), rng.normal(-50, 3, (MANY, 6))
    found = jax.tree.map(np.asarray, best_subsets(weight, value, size))
    assert (found.status == Status.CONVERGED).all()
    assert int(found.steps.max()) < 10
    for w, v, got, members in zip(weight, value, found.value, found.x, strict=True):
        want, which = brute(w, v, [size])
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert tuple(np.flatnonzero(members)) == which


def test_at_most_b_elements_is_always_one():
    """The Charnes-Cooper linear programme of the problem with |I| <= b: y_k = t I_k, t = 1 / sum of weights taken."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        weight, value = rng.dirichlet(np.ones(6)), rng.normal(-50, 3, 6)
        for most in (2, 3, 4):
            bounded = np.concatenate([np.eye(6), np.ones((1, 6))]), -np.append(np.ones(6), most)
            found = optimize.linprog(
                -np.append(weight * value, 0),
                A_ub=np.column_stack(bounded),
                b_ub=np.zeros(7),
                A_eq=np.append(weight, 0)[None],
                b_eq=[1],
                bounds=[(0, None)] * 7,
            )
            best, which = brute(weight, value, range(1, most + 1))
            np.testing.assert_allclose(-found.fun, best, rtol=1e-8)
            assert which == (int(value.argmax()),)


def test_members_without_any_weight_have_no_ratio():
    ratio = fractional.Ratio(jnp.asarray([0.0, 0.0, 1.0]), jnp.asarray([1.0, 2.0, -3.0]), jnp.asarray(2))
    assert float(ratio.of(jnp.asarray([True, True, False]))) == -np.inf
    weight, value = np.zeros((MANY, 6)), np.tile([1.0, 2, 3, 4, 5, -3], (MANY, 1))
    weight[:, 5] = 1
    found = jax.tree.map(np.asarray, best_subsets(weight, value, 2))
    assert (found.value == -3).all()
    assert (found.x.sum(1) == 2).all()


def test_an_interval_ends_where_the_sum_is_as_far_from_zero_as_its_error_allows():
    rng = np.random.default_rng(4)
    root = rng.normal(0, 0.02, (4, 4))
    weight, covariance, value = np.array([0.4, 0.3, 0.2, 0.1]), root @ root.T, np.array([-3.0, -1.0, 2.0, 5.0])
    members = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1]], bool)
    centre = members @ (weight * value) / (members @ weight)
    noise = np.array([0.0, 0.1, 0.0])
    spread = fractional.Spread(weight, covariance)
    ends = fractional.ratio_interval(spread, value, members, centre, 1.96, noise)
    for row, inside in enumerate(members):
        for end in (ends[0][row], ends[1][row]):
            away = np.where(inside, value - end, 0)
            error = np.sqrt(away @ covariance @ away + (weight @ inside) ** 2 * noise[row] ** 2)
            np.testing.assert_allclose(abs(away @ weight) / error, 1.96, rtol=1e-6)
    one = fractional.ratio_interval(spread, value, np.eye(4, dtype=bool), value, 1.96, np.zeros(4))
    np.testing.assert_allclose(one, [value, value], atol=1e-12)


def test_fieller_covers_ratios_of_weights_that_may_be_zero():
    """500 estimates of weights of which two are nearly nothing: a delta-method interval of their ratio would fail."""
    rng = np.random.default_rng(6)
    weight, value = np.array([0.97, 0.02, 0.01]), np.array([0.0, -1.0, 3.0])
    covariance = 0.02**2 * np.array([[2.0, -1, -1], [-1, 2, -1], [-1, -1, 2]])
    members = np.array([[0, 1, 1], [1, 1, 0]], bool)
    truth = members @ (weight * value) / (members @ weight)
    held = np.zeros(2, int)
    for drawn in rng.multivariate_normal(weight, covariance, 500):
        low, high = fractional.ratio_interval(
            fractional.Spread(drawn, covariance), value, members, np.array([1.0, -0.5]), 1.96, np.zeros(2)
        )
        held += (low <= truth) & (truth <= high)
    assert (held >= stats.binom.ppf(FALSE_ALARM, 500, 0.95)).all()
