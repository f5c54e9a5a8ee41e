"""Nodes integrate what they claim to."""

import numpy as np
import pytest

from lleval_jax.core.irt.quadrature import Grid, Points, default

MOMENTS = {0: 1, 1: 0, 2: 1, 3: 0, 4: 3, 5: 0, 6: 15}


@pytest.mark.parametrize("power", MOMENTS)
def test_a_wide_grid_has_the_moments_of_the_normal(power):
    nodes, log_weight = Grid(61, 6.0).nodes(1)
    # beyond +-6 lies int 2 x^6 phi = 2 (x^5 + 5 x^3 + 15 x + 15/x) phi(6) < 1.2e-4 for the sixth power
    np.testing.assert_allclose(np.exp(log_weight) @ nodes[:, 0] ** power, MOMENTS[power], atol=1.2e-4)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("rule", [default, lambda d: Points(2048)], ids=["default", "points"])
def test_weights_sum_to_one_and_the_prior_is_standard(rule, dims):
    nodes, log_weight = rule(dims).nodes(dims)
    assert nodes.shape[1] == dims
    weight = np.exp(log_weight)
    np.testing.assert_allclose(weight.sum(), 1)
    np.testing.assert_allclose(weight @ nodes, 0, atol=1e-9)
    # a grid cut at 4 loses 2 (4 phi(4) + Q(4)) = 1.1e-3 of the variance
    np.testing.assert_allclose(np.diagonal((nodes * weight[:, None]).T @ nodes), 1, atol=1.2e-3)


def test_rules_of_equal_settings_are_equal():
    assert Grid(41) == Grid()
    assert hash(Points(64)) == hash(Points(64))
