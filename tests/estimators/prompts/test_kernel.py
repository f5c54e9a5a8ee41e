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


@pytest.mark.parametrize(
    "solver",
    [kernel.Effects(8, points=4), kernel.Messages(8), kernel.Messages(8, one_by_one=True)],
    ids=["effects", "messages", "messages one by one"],
)
def test_fits_side_by_side_are_those_of_a_loop(solver):
    with precise("float64"):
        data = grid.lay_out_many(answers(), NO_FEATURES, "float64", SIZE)
        keys = jax.random.split(jax.random.key(0), GRIDS)
        many = contract.solve_many(solver, data, keys, axes=grid.SAME_DESIGN)
        loop = [contract.solve(solver, alone(data, g), keys[g]) for g in range(GRIDS)]
    for g, one in enumerate(loop):
        assert (int(many.steps[g]), int(many.status[g])) == (int(one.steps), int(one.status))
        np.testing.assert_allclose(many.log_scale[g], one.log_scale, rtol=1e-9)
        np.testing.assert_allclose(many.sums[g], one.sums, atol=1e-6)


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
