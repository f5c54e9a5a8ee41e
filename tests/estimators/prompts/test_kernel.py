"""Fits of grids side by side are what each is alone."""

import jax
import numpy as np
import pytest

from lleval_jax.core.precision import precise
from lleval_jax.estimators import contract
from lleval_jax.estimators.prompts import kernel
from lleval_jax.layout import grid

GRIDS, ROWS, ITEMS, SIZE = 2, 6, 10, 32
NO_FEATURES = np.zeros((ROWS, 0)), ()


def answers():
    rng = np.random.default_rng(0)
    shape = GRIDS, ROWS, ITEMS
    return [*zip((rng.random(shape) < 0.6).astype(float), rng.random(shape) < 0.4, strict=True)]


def alone(data, g):
    """One grid of a stack."""
    own = jax.tree.map(lambda x: x[g], data._replace(design=None, real=None))
    design = data.design._replace(offset=data.design.offset[g])
    return own._replace(design=design, real=data.real)


@pytest.mark.slow  # `test_registry_properties.py` asks the same of one small world
@pytest.mark.parametrize(
    ("solver", "at_once"),
    [(kernel.Effects(8, points=4), 1), (kernel.Messages(8, one_by_one=True), None)],
    ids=["effects", "messages"],
)
def test_fits_of_one_call_are_those_of_a_loop(solver, at_once):
    """As a CPU takes them: LAPACK with batches may wait there for itself."""
    with precise("float64"):
        data = grid.lay_out_many(answers(), NO_FEATURES, "float64", SIZE)
        keys = jax.random.split(jax.random.key(0), GRIDS)
        many = contract.solve_many(solver, data, keys, axes=grid.SAME_DESIGN, at_once=at_once)
        loop = [contract.solve(solver, alone(data, g), keys[g]) for g in range(GRIDS)]
    for g, one in enumerate(loop):
        assert (int(many.steps[g]), int(many.status[g])) == (int(one.steps), int(one.status))
        np.testing.assert_allclose(many.log_scale[g], one.log_scale, rtol=1e-9)
        np.testing.assert_allclose(many.sums[g], one.sums, atol=1e-6)


def test_what_is_learned_of_fractions_side_by_side_is_that_of_a_loop():
    """Fixed points and rounds under `vmap`: a lane that has ended stays as it is."""
    rng, solver = np.random.default_rng(1), kernel.Effects(8, rounds=2)
    fractions = [(np.clip(scores + rng.normal(0, 0.1, scores.shape), 0.01, 0.99), seen) for scores, seen in answers()]
    with precise("float64"):
        data = grid.lay_out_many(fractions, NO_FEATURES, "float64", SIZE)
        many = jax.jit(jax.vmap(solver.dispersion, (grid.SAME_DESIGN,)))(data)
        loop = [jax.jit(solver.dispersion)(alone(data, g)) for g in range(GRIDS)]
    np.testing.assert_allclose(many, loop, rtol=1e-9)
    assert (kernel.LEAST_SCATTER <= np.asarray(many)).all()
    assert (np.asarray(many) < 1).all()


def test_a_stack_of_grids_is_laid_out_as_each():
    stack, nothing = grid.lay_out_many(answers(), NO_FEATURES, "float32", 64), np.zeros((ITEMS, 0))
    for g, (scores, seen) in enumerate(answers()):
        one, axes = grid.lay_out(scores, seen, np.ones((ROWS, ITEMS)), NO_FEATURES, nothing, None, None, "float32")
        jax.tree.map(np.testing.assert_array_equal, one, alone(stack, g))
        np.testing.assert_array_equal(one.given, np.where(seen, scores, 0).sum(1))
    assert axes == (("prompt", "example"), ())


def test_equal_settings_are_one_kernel():
    """So that they share a compilation."""
    assert kernel.Effects(8) == kernel.Effects(8, points=kernel.POINTS)
    assert hash(kernel.Messages(8)) == hash(kernel.Messages(8, light=True))
