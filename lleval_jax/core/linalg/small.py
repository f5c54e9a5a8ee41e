"""Linear algebra for thousands of tiny matrices at once: unrolled, so that a batch is plain array arithmetic."""

import jax.numpy as jnp

from lleval_jax.types import Array

UNROLL = 6  # wider systems go to LAPACK


def inverse(matrix: Array) -> Array:
    """Inverse of one symmetric positive definite matrix (k, k) by Cholesky."""
    k = matrix.shape[-1]
    if k > UNROLL:
        return jnp.linalg.inv(matrix)
    lower = _cholesky(matrix)
    columns = [_solve_lower(lower, _unit(k, j, matrix.dtype)) for j in range(k)]
    # (L L')^-1 = L^-T L^-1: entry (i, j) is the product of columns i and j of L^-1
    return jnp.stack([jnp.stack([sum(a * b for a, b in zip(x, y, strict=True)) for y in columns]) for x in columns])


def solve(matrix: Array, vector: Array) -> Array:
    """matrix^-1 vector for one symmetric positive definite (k, k) and (k,)."""
    k = matrix.shape[-1]
    if k > UNROLL:
        return jnp.linalg.solve(matrix, vector)
    lower = _cholesky(matrix)
    half = _solve_lower(lower, [vector[i] for i in range(k)])
    out: list[Array] = [None] * k  # type: ignore[list-item]
    for i in reversed(range(k)):
        out[i] = (half[i] - sum((lower[j][i] * out[j] for j in range(i + 1, k)), start=0.0)) / lower[i][i]
    return jnp.stack(out)


def _cholesky(matrix: Array) -> list[list[Array]]:
    k = matrix.shape[-1]
    lower: list[list[Array]] = [[None] * k for _ in range(k)]  # type: ignore[list-item]
    for i in range(k):
        for j in range(i + 1):
            rest = matrix[i, j] - sum((lower[i][m] * lower[j][m] for m in range(j)), start=0.0)
            lower[i][j] = jnp.sqrt(jnp.maximum(rest, jnp.finfo(matrix.dtype).tiny)) if i == j else rest / lower[j][j]
    return lower


def _solve_lower(lower: list[list[Array]], vector: list[Array]) -> list[Array]:
    out: list[Array] = []
    for i, value in enumerate(vector):
        out.append((value - sum((lower[i][j] * out[j] for j in range(i)), start=0.0)) / lower[i][i])
    return out


def _unit(k: int, j: int, dtype) -> list[Array]:
    return [jnp.asarray(float(i == j), dtype) for i in range(k)]
