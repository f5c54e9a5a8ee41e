"""Ratings of most likelihood, and their covariance: arrays alone, compiled in one piece."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core import davidson
from lleval_jax.core.solvers.loop import solve
from lleval_jax.core.solvers.marquardt import Local, Marquardt
from lleval_jax.types import Array

TOL = 1e-8  # of the gradient, in standard errors


class Met(NamedTuple):
    """Comparisons: (pairs,) which models met, and (pairs, 3) how often the first won, they tied, the second won."""

    first: Array
    second: Array
    counts: Array


class Found(NamedTuple):
    """What is found.

    x           (models,) ratings, and behind them the log of how often they tie, if they do
    covariance  of ratings told from their mean, and of that
    value       () minus the log likelihood
    steps, status, error  ()
    """

    x: Array
    covariance: Array
    value: Array
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class Ratings:
    """Newton's steps on a likelihood that is concave.

    models     how many
    ties       whether comparisons may tie
    max_steps  at most
    light      as in `contract.Kernel`
    """

    models: int
    ties: bool
    max_steps: int
    light: bool = False

    def solve(self, data: Met, key: Array) -> Found:  # noqa: ARG002  nothing is drawn
        """The maximum, and the covariance there."""
        n, counts = self.models, data.counts
        minus = functools.partial(_minus, data, n)

        def local(x: Array) -> Local:
            value, gradient = jax.value_and_grad(minus)(x)
            return Local(value, gradient, jax.hessian(minus)(x))

        middle = jnp.log(2 * jnp.sum(counts[:, 1]) / jnp.sum(counts[:, 0] + counts[:, 2])) if self.ties else 0.0
        start = jnp.zeros(n + self.ties, counts.dtype).at[n:].set(middle)
        found = solve(Marquardt(), local, start, tol=TOL, max_steps=self.max_steps)
        mean = jnp.pad(jnp.full((n, n), 1 / n, counts.dtype), (0, int(self.ties)))
        centre = jnp.eye(n + self.ties, dtype=counts.dtype) - mean
        covariance = centre @ jnp.linalg.inv(jax.hessian(minus)(found.x)) @ centre.T
        covariance = (covariance + covariance.T) / 2
        return Found(found.x, covariance, found.value, found.steps, found.status, found.error)


def _minus(data: Met, n: int, x: Array) -> Array:
    """Minus the log likelihood, and a square that holds the mean rating at 0: at the maximum it is nothing."""
    log_tie = x[n] if len(x) > n else None
    return jnp.sum(x[:n]) ** 2 / 2 - jnp.sum(davidson.log_likelihood(x[:n], log_tie, *data))
