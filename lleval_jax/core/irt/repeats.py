"""Repeats of one question that are more alike than independent ones: the beta-binomial (Skellam 1948).

    p ~ Beta with mean m = sigmoid(z) and intraclass correlation r;   k ~ Binomial(n, p)

As a product (Griffiths 1973), with t = r / (1 - r): no term cancels another, t = 0 is the binomial, and n = 1 is the
Bernoulli whatever r is.

    P(k) = C(n, k) prod_{j<k} (m + j t) prod_{j<n-k} (1 - m + j t) / prod_{j<n} (1 + j t)
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from lleval_jax.types import Array, Float


def log_density(
    right: Float[Array, "..."],
    asked: Float[Array, "..."],
    z: Float[Array, "..."],
    share: Float[Array, ""],
    later: Float[Array, " repeats"],
) -> Float[Array, "..."]:
    """Log probability of `right` of `asked` repeats; 0 where none was asked.

    Args:
        right: whole numbers.
        asked: whole numbers.
        z: logit of the mean probability.
        share: intraclass correlation, 0 to below 1.
        later: 1, 2, ..., up to the largest number of repeats less one.
    """
    spread, wrong = share / (1 - share), asked - right
    yes, no = -jax.nn.softplus(-z), -jax.nn.softplus(z)

    def add(total: Array, j: Array) -> tuple[Array, None]:
        more = jnp.log(jnp.maximum(j * spread, jnp.finfo(z.dtype).tiny))
        total = total + jnp.where(right > j, jnp.logaddexp(yes, more), 0)
        total = total + jnp.where(wrong > j, jnp.logaddexp(no, more), 0)
        return total - jnp.where(asked > j, jnp.log1p(j * spread), 0), None

    orders = gammaln(asked + 1) - gammaln(right + 1) - gammaln(wrong + 1)
    first = jnp.where(right > 0, yes, 0) + jnp.where(wrong > 0, no, 0)
    return jax.lax.scan(add, orders + first, later)[0]
