"""What a shared basis can keep of adapters: at most, whatever it is, and at least, if it is the best."""

import jax.numpy as jnp

from lleval_jax.core.precision import jit
from lleval_jax.training.compress import separate
from lleval_jax.training.compress.stack import Stack
from lleval_jax.types import Array, Float


@jit
def inner_products(stack: Stack) -> Float[Array, "m n n"]:
    """tr(M_i' M_j) of all adapters, without the matrices."""
    out = jnp.einsum("mird,mjsd->mijrs", stack.out, stack.out)
    return jnp.einsum("mijrs,mijrs->mij", out, jnp.einsum("mird,mjsd->mijrs", stack.inn, stack.inn))


def upper(stack: Stack, rank: int) -> Float[Array, " m"]:
    """The energy that no basis of a rank exceeds (theorem 1): the rank^2 largest eigenvalues of `inner_products`."""
    values = jnp.linalg.eigvalsh(inner_products(stack))[..., ::-1]
    return jnp.sum(jnp.maximum(values[..., : rank**2], 0.0), -1)


def lower(stack: Stack, rank: int) -> Float[Array, " m"]:
    """The energy that the best basis reaches: that of the leading singular vectors of the adapters' sum, over n.

    The mean core of that basis holds this much, so the best basis cannot hold less.
    """
    m, n, r, d = stack.out.shape
    merged = Stack(stack.out.reshape(m, 1, n * r, d), stack.inn.reshape(m, 1, n * r, stack.inn.shape[-1]))
    return separate.truncated(merged, rank)[3][:, 0] / n
