"""What either engine finds, still padded and on the device."""

from typing import NamedTuple

from lleval_jax.core.irt.irf import Items
from lleval_jax.types import Array


class Found(NamedTuple):
    """Parameters and how the fit ended.

    items        oriented: better models have larger abilities
    covariance   (items, width, width)  of (slope, intercept, [floor, [ceiling]]); 0 if it was not asked for
    ability      (rows, dims)           posterior mean
    ability_cov  (rows, dims, dims)
    loglik       ()
    steps        ()
    status       ()  a `types.Status`
    error        ()  largest move in the last step
    """

    items: Items
    covariance: Array
    ability: Array
    ability_cov: Array
    loglik: Array
    steps: Array
    status: Array
    error: Array
