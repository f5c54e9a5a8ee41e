"""Damped Newton steps: a curved valley, a saddle, and a function that is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
from compiled import compiled

from lleval_jax.core.solvers.loop import solve
from lleval_jax.core.solvers.marquardt import Local, Marquardt
from lleval_jax.types import Status


def near(fn):
    return lambda x: Local(fn(x), jax.grad(fn)(x), jax.hessian(fn)(x))


def ended(fn, x, **settings):
    """The search from x, as one program."""
    return compiled(lambda x: solve(Marquardt(), near(fn), x, **settings))(x)


def valley(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def test_it_follows_rosenbrocks_valley_from_every_side():
    starts = np.array([[-1.2, 1.0], [3.0, -2.0], [0.0, 5.0], [1.0, 1.0]])
    lanes = compiled(jax.vmap(lambda x: solve(Marquardt(), near(valley), x, tol=1e-8)))(starts)
    assert set(lanes.status) == {int(Status.CONVERGED)}
    np.testing.assert_allclose(lanes.x, 1, rtol=1e-6)
    assert int(lanes.steps.max()) < 60
    assert int(lanes.steps[3]) == 1


def test_it_leaves_a_saddle_where_the_hessian_has_both_signs():
    end = ended(lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, np.array([0.1, 1.0]), tol=1e-8)
    assert Status(int(end.status)) == Status.CONVERGED
    np.testing.assert_allclose(end.x, [1, 0], atol=1e-7)


def test_it_says_what_is_not_finite():
    end = ended(lambda x: jnp.log(x[0]), np.array([-1.0]))
    assert Status(int(end.status)) == Status.NOT_FINITE
