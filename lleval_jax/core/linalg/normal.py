"""The log density of the multivariate normal, for many small vectors at once."""

import math

import jax
import jax.numpy as jnp

from lleval_jax.core.linalg.sweep import inverse
from lleval_jax.types import Array, Float


def log_normal(x: Float[Array, "*batch k"], cov: Float[Array, "*batch k k"]) -> Float[Array, ""]:
    """Sum of the log densities of vectors about zero, each with its own covariance."""
    size = x.shape[-1]
    weight, log_det = jax.vmap(inverse)(cov.reshape(-1, size, size))
    vectors = x.reshape(-1, size)
    square = jnp.einsum("nk,nkl,nl->", vectors, weight, vectors)
    return -0.5 * (square + jnp.sum(log_det) + x.size * math.log(2 * math.pi))
