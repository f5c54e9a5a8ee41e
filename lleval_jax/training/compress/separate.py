"""Each adapter's own leading singular vectors: what there is to save without sharing anything (Eckart and Young)."""

import jax.numpy as jnp

from lleval_jax.core.precision import full_precision
from lleval_jax.training.compress.stack import Stack, qr
from lleval_jax.types import Array, Float


@full_precision
def truncated(
    stack: Stack, rank: int
) -> tuple[Float[Array, "m n d k"], Float[Array, "m n k"], Float[Array, "m n e k"], Float[Array, "m n"]]:
    """The leading singular vectors of each adapter.

    Returns:
        u, singular values, v, zeros where an adapter has fewer than `rank`; and the energy that each adapter keeps.
    """
    (outer, upper), (inner, lower) = (qr(jnp.swapaxes(rows, -1, -2)) for rows in stack)
    left, values, right = jnp.linalg.svd(jnp.einsum("mnkr,mnlr->mnkl", upper, lower), full_matrices=False)
    u, v = outer @ left, inner @ jnp.swapaxes(right, -1, -2)
    u, values, v = (_wide(each[..., :rank], rank) for each in (u, values, v))
    return u, values, v, jnp.sum(jnp.square(values), -1)


def _wide(x: Array, rank: int) -> Array:
    return jnp.pad(x, (*((0, 0) for _ in x.shape[:-1]), (0, rank - x.shape[-1])))
