"""Unrolled algebra of tiny matrices against LAPACK."""

import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.linalg import small


def spd(k, condition, seed):
    draw = np.random.default_rng(seed)
    turn = np.linalg.qr(draw.standard_normal((k, k)))[0]
    return turn @ np.diag(np.geomspace(1, condition, k)) @ turn.T


@compiled
def inverse_and_solution(matrix, vector):
    return small.inverse(matrix), small.solve(matrix, vector)


@pytest.mark.parametrize("k", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("condition", [1.0, 1e6])
def test_solve_and_inverse_are_lapacks(k, condition):
    matrix, vector = spd(k, condition, k), np.random.default_rng(k).standard_normal(k)
    rounding = 64 * k * condition * np.finfo(float).eps  # forward error of Cholesky, Higham 2002, thm 10.4
    inverse, solution = inverse_and_solution(matrix, vector)
    np.testing.assert_allclose(inverse @ matrix, np.eye(k), atol=rounding)
    np.testing.assert_allclose(matrix @ solution, vector, atol=rounding * np.abs(vector).max())


@pytest.mark.parametrize("k", [2, 7])
def test_float32_stays_float32(k):
    matrix = spd(k, 10, 0).astype(np.float32)
    inverse, solution = inverse_and_solution(matrix, matrix[0])
    assert inverse.dtype == solution.dtype == np.float32
