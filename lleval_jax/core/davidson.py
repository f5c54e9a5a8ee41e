"""Bradley-Terry with ties: the model of Davidson (1970, JASA 65:317), which without ties is Bradley & Terry's (1952).

    P(first) : P(tie) : P(second) = exp(gap / 2) : exp(log_tie) : exp(-gap / 2)

`gap` is the difference of two ratings, in logits: of comparisons that are no tie the first wins with the log-odds gap.
Equal models tie with probability exp(log_tie) / (2 + exp(log_tie)).
"""

import math

import jax
import jax.numpy as jnp

from lleval_jax.types import Array, Float

ELO = 400 / math.log(10)  # points of Elo a logit
MIDDLE = 1000.0  # Elo of the mean rating


def log_probability(gap: Float[Array, "..."], log_tie: Float[Array, ""] | None) -> Float[Array, "... 3"]:
    """Of a win of the first, a tie and a loss; None: there are no ties, and theirs is minus infinity."""
    if log_tie is None:
        never = jnp.full_like(gap, -jnp.inf)
        return jnp.stack([-jax.nn.softplus(-gap), never, -jax.nn.softplus(gap)], -1)
    return jax.nn.log_softmax(jnp.stack([gap / 2, jnp.broadcast_to(log_tie, gap.shape), -gap / 2], -1))


def log_likelihood(
    rating: Float[Array, " models"],
    log_tie: Float[Array, ""] | None,
    first: Array,
    second: Array,
    counts: Float[Array, "pairs 3"],
) -> Float[Array, " pairs"]:
    """Of each pair's outcomes, as a sequence: without the number of their orders."""
    p = log_probability(rating[first] - rating[second], log_tie)
    return jnp.sum(jnp.where(counts > 0, counts * p, 0), 1)


def expected(gap: Float[Array, "..."], log_tie: Float[Array, ""] | None) -> Float[Array, "..."]:
    """Expected score of the first, a tie being half a win."""
    if log_tie is None:
        return jax.nn.sigmoid(gap)
    p = jnp.exp(log_probability(gap, log_tie))
    return p[..., 0] + p[..., 1] / 2
