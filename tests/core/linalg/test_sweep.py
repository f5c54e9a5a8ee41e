"""Inverse and determinant by sweeps, against LAPACK."""

import jax
import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.linalg import sweep


@pytest.mark.parametrize("size", [1, 5, 16, 33, 73, 151])
def test_inverse_and_determinant_are_lapacks(size):
    a = np.random.default_rng(size).normal(size=(3, size, size))
    matrix = a @ np.swapaxes(a, 1, 2) + np.eye(size)
    inverse, logdet = compiled(jax.vmap(sweep.inverse))(matrix)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(matrix)[1], rtol=1e-10)


@pytest.mark.parametrize("size", [40, 150])
def test_float32_is_safe_at_a_condition_number_of_ten_thousand(size):
    a = np.random.default_rng(0).normal(size=(size, size))
    vectors = np.linalg.qr(a)[0]
    matrix = (vectors * np.geomspace(1, 1e4, size)[None, :]) @ vectors.T
    inverse, _ = compiled(sweep.inverse)(matrix.astype(np.float32))
    worst = np.abs(inverse.astype(float) - np.linalg.inv(matrix)).max()
    assert worst < 1e4 * np.finfo(np.float32).eps  # the backward error bound, for a largest entry near 1
