"""BFGS in single evaluations: against SciPy, and many at once against one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled
from scipy import optimize

from lleval_jax.core.solvers.bfgs import BFGS
from lleval_jax.core.solvers.loop import solve
from lleval_jax.types import Status


def valley(x, steep=100.0):
    """Rosenbrock's."""
    return jnp.sum(steep * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def ended(solver, fn, x, **settings):
    """The search from x, as one program."""
    return compiled(lambda x: solve(solver, fn, x, **settings))(x)


def test_it_ends_where_scipy_does():
    start = np.array([-1.2, 1.0, 0.5])
    end = ended(BFGS(), valley, start, tol=1e-6, max_steps=500)
    both = compiled(jax.value_and_grad(valley))
    scipy = optimize.minimize(both, start, jac=True, method="BFGS", options={"gtol": 1e-6})
    assert int(end.status) == Status.CONVERGED
    np.testing.assert_allclose(end.x, scipy.x, atol=1e-6)
    assert int(end.steps) < 5 * scipy.nfev


@pytest.mark.parametrize("condition", [1.0, 1e4])
def test_a_quadratic_is_solved_in_closed_form(condition):
    random = np.random.default_rng(1)
    axes = np.linalg.qr(random.normal(size=(6, 6)))[0]
    curve = jnp.asarray(axes @ np.diag(np.geomspace(1, condition, 6)) @ axes.T)
    pull = jnp.asarray(random.normal(size=6))
    end = ended(BFGS(), lambda x: 0.5 * x @ curve @ x - pull @ x, np.zeros(6), tol=1e-8, max_steps=500)
    np.testing.assert_allclose(end.x, np.linalg.solve(curve, pull), atol=1e-7)


def test_many_at_once_are_those_one_by_one():
    starts = np.random.default_rng(2).normal(size=(4, 3))

    def search(start):
        return solve(BFGS(), valley, start, tol=1e-6, max_steps=500)

    one, many = compiled(search), compiled(jax.vmap(search))(starts)
    for lane, start in enumerate(starts):
        np.testing.assert_allclose(many.x[lane], one(start).x, atol=1e-8)


def test_a_value_that_is_not_finite_is_stepped_back_from():
    end = ended(BFGS(), lambda x: jnp.sum(x - jnp.log(x)), np.array([30.0, 0.01]), tol=1e-8, max_steps=200)
    np.testing.assert_allclose(end.x, 1, atol=1e-7)


def test_a_quadratic_takes_one_step_from_its_inverse_hessian():
    curve = jnp.asarray(np.diag(np.geomspace(1, 1e4, 6)) + 0.1)
    pull = np.arange(6.0)
    exact = BFGS(lambda x: jnp.linalg.inv(curve))
    end = ended(exact, lambda x: 0.5 * x @ curve @ x - pull @ x, np.ones(6), tol=1e-8)
    assert int(end.steps) == 1
    np.testing.assert_allclose(end.x, np.linalg.solve(curve, pull), atol=1e-10)
