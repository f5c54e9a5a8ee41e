"""Loadings that data identify: triangular on a few items with positive diagonal (Geweke & Zhou 1996).

Abilities and loadings can be turned together without any change to the answers' probabilities. If loadings are
independent normals, a turn that makes those of `dims` anchor items lower triangular leaves entries below the diagonal
normal, and makes the k-th on the diagonal (from 0) a chi variable with dims - k degrees of freedom (Bartlett 1933).
With these priors all that does not depend on the turn has exactly the posterior of the model without anchors.
"""

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from numpyro import distributions as dist

from lleval_jax.bayes.models.sites import site
from lleval_jax.types import Array

LEAST = 0.1  # of a diagonal where sampling starts


def diagonal(dims: int) -> Array:
    """(dims,) the site `slope_diagonal`: the anchors' loadings on their own dimension, chi distributed."""
    freedom = jnp.arange(dims, 0, -1, dtype=jnp.result_type(float))
    square = dist.Gamma(freedom / 2, 0.5)
    chi = dist.TransformedDistribution(square, dist.transforms.PowerTransform(0.5))
    return site("slope_diagonal", chi.to_event(1))


def triangular(own: Array, diagonal: Array, anchors: Array) -> Array:
    """(items, dims) loadings: those of the anchors lower triangular. What they do without in `own` has no effect."""
    dims = own.shape[1]
    place = jnp.arange(dims)
    below = place[:, None] > place[None, :]
    return jnp.asarray(own).at[anchors].set(jnp.where(below, own[anchors], 0) + jnp.diag(diagonal))


def anchored(slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(dims,) items whose loadings point most apart, and the turn (dims, dims) that makes theirs lower triangular.

    Of one dimension the turn is 1: its sign is known from the prior of slopes.
    """
    dims = slope.shape[1]
    if dims == 1 or len(slope) < dims:
        return np.zeros(dims, int), np.eye(dims)
    anchors = scipy.linalg.qr(slope.T, mode="r", pivoting=True)[1][:dims]
    q, r = np.linalg.qr(slope[anchors].T)  # slope[anchors] = r' q'
    return anchors, q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
