"""Optimal transport on the line: distributions as sorted numbers."""

import jax.numpy as jnp

from lleval_jax.types import Array, Float


def wasserstein(a: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, ""]:
    """W1 distance of two samples of one size: the mean distance of their order statistics.  (n,), (n,) -> ()."""
    return jnp.mean(jnp.abs(jnp.sort(a) - jnp.sort(b)))
