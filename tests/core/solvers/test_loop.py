"""The one loop: how it ends, and that pieces make the whole."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import Step, advance, begin, solve
from lleval_jax.types import Status


@dataclasses.dataclass(frozen=True)
class Halve:
    """Walks half the way to zero."""

    def init(self, fn, x):
        return Step(x, fn(x), jnp.abs(x), None)

    def step(self, fn, now):
        return Step(now.x / 2, fn(now.x / 2), jnp.abs(now.x / 2), None)


def ended(solver, fn, x, **settings):
    """The search from x, as one program."""
    return compiled(lambda x: solve(solver, fn, x, **settings))(x)


def square(x):
    return x**2


@pytest.mark.parametrize(
    ("x", "fn", "max_steps", "status", "steps"),
    [
        (1.0, square, 50, Status.CONVERGED, 10),
        (1.0, square, 3, Status.MAX_STEPS, 3),
        (1e-9, square, 50, Status.CONVERGED, 0),
        (1.0, lambda x: jnp.log(x - 0.1), 50, Status.NOT_FINITE, 4),
    ],
)
def test_it_says_how_it_ended(x, fn, max_steps, status, steps):
    end = ended(Halve(), fn, x, tol=1e-3, max_steps=max_steps)
    assert Status(int(end.status)) == status
    assert int(end.steps) == steps


def test_pieces_make_the_whole():
    whole = ended(Halve(), square, 1.0, tol=1e-6)
    piece = compiled(lambda now: advance(Halve(), square, now, tol=1e-6, at_most=3, max_steps=200))
    progress = compiled(lambda x: begin(Halve(), square, x))(1.0)
    for _ in range(20):
        progress = piece(progress)
    assert int(progress.steps) == int(whole.steps)
    assert float(progress.now.x) == float(whole.x)


def test_a_lane_that_has_ended_stays():
    def search(x):
        return solve(Halve(), square, x, tol=1e-2)

    starts = np.array([1.0, 1e-3, 64.0])
    one, lanes = compiled(search), compiled(jax.vmap(search))(starts)
    for i, x in enumerate(starts):
        alone = one(x)
        assert int(lanes.steps[i]) == int(alone.steps)
        assert float(lanes.x[i]) == float(alone.x)


def contraction(x):
    """A linear fixed point map with a slow direction, and the concave quadratic it climbs."""
    target, rate = jnp.asarray([1.0, -2.0, 3.0]), jnp.asarray([0.99, 0.7, 0.2])
    gap = x - target
    return target + rate * gap, -jnp.sum(gap**2 * (1 - rate))


def test_anderson_solves_a_linear_map_in_as_many_steps_as_it_has_unknowns():
    fast = ended(Anderson(), contraction, np.zeros(3), tol=1e-8)
    plain = ended(Anderson(memory=0), contraction, np.zeros(3), tol=1e-8, max_steps=3000)
    assert int(fast.status) == int(plain.status) == Status.CONVERGED
    assert int(fast.steps) <= 8  # GMRES in exact arithmetic: 3, and one to see it; the ridge costs a few
    assert int(plain.steps) > 500
    for end in (fast, plain):
        np.testing.assert_allclose(end.x, [1, -2, 3], atol=1e-8 / (1 - 0.99))


def test_anderson_never_loses_value():
    def hostile(x):
        """Its image is good, any extrapolation beyond 1 is not."""
        return 0.9 * x + 0.1 * jnp.tanh(x), -jnp.sum(jnp.where(jnp.abs(x) > 1, jnp.exp(jnp.abs(x)), x**2))

    one = compiled(lambda x: advance(Anderson(), hostile, x, tol=0.0, at_most=1, max_steps=999))
    x, values = compiled(lambda x: begin(Anderson(), hostile, x))(np.array([0.9, -0.7])), []
    for _ in range(30):
        x = one(x)
        values.append(float(x.now.value))
    assert (np.diff(values) >= -1e-6 * np.abs(values[:-1])).all()


def test_anderson_says_not_finite():
    end = ended(Anderson(), lambda x: (x * jnp.nan, jnp.asarray(0.0)), np.ones(2))
    assert int(end.status) == Status.NOT_FINITE
