"""Inverse and log determinant of a symmetric positive definite matrix by matrix products alone.

Gauss-Jordan elimination a block at a time: under `vmap` each step is one batched product, where LAPACK would go through
the matrices one by one, and it runs as it stands on every device.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

BLOCKS = (32, 8, 1)  # a block's own inverse is found by blocks of the next size
LARGE = 128  # rows from which blocks of the first size pay


@jax.custom_jvp
@full_precision
def inverse(matrix: Float[Array, "k k"]) -> tuple[Float[Array, "k k"], Float[Array, ""]]:
    """(k, k) -> its inverse (k, k) and the log of its determinant (), with the derivatives in closed form."""
    return _sweep(matrix, BLOCKS if len(matrix) > LARGE else BLOCKS[1:])


@inverse.defjvp
@full_precision
def _(at: tuple[Array], by: tuple[Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    found, log_det = inverse(*at)
    return (found, log_det), (-found @ by[0] @ found, jnp.sum(found * by[0]))


def _sweep(matrix: Array, blocks: Sequence[int]) -> tuple[Array, Array]:
    size, (block, *finer) = len(matrix), blocks
    short = -size % block
    whole = jax.scipy.linalg.block_diag(matrix, jnp.eye(short, dtype=matrix.dtype)) if short else matrix

    def eliminate(now: tuple[Array, Array], start: Array) -> tuple[tuple[Array, Array], None]:
        m, logdet = now
        at = jax.lax.dynamic_slice_in_dim
        put = jax.lax.dynamic_update_slice_in_dim
        rows, columns = at(m, start, block, 0), at(m, start, block, 1)
        pivot = at(rows, start, block, 1)
        found, grown = _sweep(pivot, finer) if finer else (1 / pivot, jnp.log(pivot[0, 0]))
        side = found @ rows
        m = put(m - columns @ side, side, start, 0)
        m = put(m, -columns @ found, start, 1)
        m = jax.lax.dynamic_update_slice(m, found, (start, start))
        return (m, logdet + grown), None

    starts = jnp.arange(0, len(whole), block)
    (found, logdet), _ = jax.lax.scan(eliminate, (whole, jnp.zeros((), matrix.dtype)), starts)
    return found[:size, :size], logdet
