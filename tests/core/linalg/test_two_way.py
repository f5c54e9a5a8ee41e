"""Main effects of a table with holes, against least squares on its design."""

import numpy as np

from lleval_jax.core.linalg import two_way


def test_main_effects_are_least_squares_on_the_whole_design():
    random = np.random.default_rng(0)
    value, weight = random.normal(size=(7, 5)), random.uniform(0, 9, (7, 5)) * (random.random((7, 5)) < 0.7)
    row, column = two_way.main_effects(value, weight)
    i, j = np.nonzero(weight)
    design = np.concatenate([np.eye(7)[i], np.eye(5)[j]], 1) * np.sqrt(weight[i, j])[:, None]
    sums = np.linalg.lstsq(design, value[i, j] * np.sqrt(weight[i, j]), rcond=None)[0]
    np.testing.assert_allclose((row[:, None] + column)[i, j], (sums[:7, None] + sums[None, 7:])[i, j], atol=1e-10)


def test_a_row_or_column_of_which_nothing_is_known_is_zero():
    weight = np.ones((3, 4))
    weight[1], weight[:, 2] = 0, 0
    row, column = two_way.main_effects(np.arange(12.0).reshape(3, 4), weight)
    assert row[1] == 0
    assert abs(column[2]) < 1e-12
