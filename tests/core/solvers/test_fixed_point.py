"""The plain iteration: to the fixed point, in the steps that a contraction needs, and told apart from what diverges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.core.solvers.fixed_point import FixedPoint
from lleval_jax.core.solvers.loop import solve
from lleval_jax.types import Status


def halving(x):
    """Goes half of the way to (1, 2)."""
    a, b = x
    after = (a + 1) / 2, (b + 2) / 2
    return after, jnp.maximum(jnp.abs(after[0] - a), jnp.abs(after[1] - b))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_it_ends_at_the_fixed_point_when_it_moves_less_than_the_tolerance(dtype):
    start = jnp.zeros((), dtype), jnp.zeros((), dtype)
    end = jax.jit(lambda x: solve(FixedPoint(), halving, x, tol=2.0**-10))(start)
    assert int(end.status) == Status.CONVERGED
    assert int(end.steps) == 11  # step n moves the second number by 2^(1 - n)
    np.testing.assert_allclose(end.x, (1, 2), atol=2.0**-9)
    assert end.x[0].dtype == end.error.dtype == dtype


@pytest.mark.parametrize(
    ("factor", "status"), [(1.5, Status.MAX_STEPS), (jnp.nan, Status.NOT_FINITE)], ids=["grows", "nan"]
)
def test_what_settles_nowhere_is_said_to(factor, status):
    end = jax.jit(lambda x: solve(FixedPoint(), lambda x: (factor * x, jnp.abs(factor * x)), x, max_steps=20))(
        jnp.ones(())
    )
    assert int(end.status) == status
