"""Each adapter's own leading singular vectors: what there is to save without sharing anything (Eckart and Young)."""

import jax.numpy as jnp

from lleval_jax.core.precision import jit
from lleval_jax.training.compress.stack import Stack
from lleval_jax.types import Array, Float


@jit
def truncated(stack: Stack, rank: int) -> tuple[Stack, Float[Array, "m n"]]:
    """The adapters cut to a rank, and the energy that each keeps."""
    outer, upper = _qr(stack.out)
    inner, lower = _qr(stack.inn)
    left, values, right = jnp.linalg.svd(jnp.einsum("mnkr,mnlr->mnkl", upper, lower), full_matrices=False)
    kept = jnp.where(jnp.arange(values.shape[-1]) < rank, values, 0.0)
    out = jnp.einsum("mndk,mnkr->mnrd", outer, left * kept[..., None, :])
    inn = jnp.einsum("mndk,mnrk->mnrd", inner, right)
    return Stack(out, inn), jnp.sum(jnp.square(kept), -1)


def _qr(rows: Array) -> tuple[Array, Array]:
    """Orthonormal columns (m, n, d, r) and (m, n, r, r) with rows' = columns @ upper."""
    return jnp.linalg.qr(jnp.swapaxes(rows, -1, -2))
