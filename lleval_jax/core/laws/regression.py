"""A score that is regressed on skills which are themselves uncertain: logistic link, heavy tails, groups of models.

    score_m = floor + (1 - floor) sigmoid(z_m) + noise,     z_m = b0 + b'x_m + lineage_m + family_m

Known of x_m are a mean and a covariance V_m. They come from a posterior, so that errors are independent of means
(Berkson's kind) and do not flatten slopes; they add slope(z)^2 b'V_m b to the noise of a cell, which is Student's t
with `FREEDOM` degrees. Coefficients and the effects of lineages and families are normal beforehand. Given the scale of
the noise and of the groups all is a mode and a curvature (Laplace); those two scales are integrated over a grid.
Float64: call inside `jax.enable_x64(True)`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.precision import full_precision
from lleval_jax.core.solvers.loop import solve
from lleval_jax.core.solvers.marquardt import Local, Marquardt
from lleval_jax.types import Array, Float

FREEDOM = 4.0  # of the noise's t distribution


class Cells(NamedTuple):
    """What is known of models.

    design  (rows, k)           skills, in units in which a slope of one is likely, a one, and groups, one-hot
    cov     (rows, dims, dims)  of the skills, which come first
    score   (rows,)             in [0, 1]
    floor   ()                  the score of guessing
    """

    design: Array
    cov: Array
    score: Array
    floor: Array


class Fit(NamedTuple):
    """At one scale of the noise and of the groups.

    mean      (k,)
    cov       (k, k)
    evidence  ()  log marginal density of the scores, by Laplace's method
    status    ()
    steps     ()
    error     ()  largest gradient entry where the search ended
    """

    mean: Array
    cov: Array
    evidence: Array
    status: Array
    steps: Array
    error: Array


def link(logit: Array, floor: Array) -> tuple[Array, Array]:
    """Scores and their slopes."""
    share = jax.nn.sigmoid(logit)
    return floor + (1 - floor) * share, (1 - floor) * share * (1 - share)


def _square(x: Array, cells: Cells, noise: Array, slope: Array) -> Array:
    """(rows,) squared scale of scores about those of mean skills."""
    by_skill = x[: cells.cov.shape[1]]
    return noise**2 + slope**2 * jnp.einsum("i,mij,j->m", by_skill, cells.cov, by_skill)


@full_precision
def log_joint(x: Float[Array, " k"], cells: Cells, noise: Array, precision: Float[Array, " k"]) -> Array:
    """Log joint density of scores and coefficients, the skills integrated out to first order.

    y_m | x ~ StudentT(FREEDOM, floor + (1 - floor) sigmoid(design_m . x), s_m)
    s_m^2 = noise^2 + slope_m^2 b' V_m b,   b the coefficients of the skills,   x ~ N(0, diag(1 / precision))
    """
    heavy = math.lgamma((FREEDOM + 1) / 2) - math.lgamma(FREEDOM / 2) - 0.5 * math.log(FREEDOM * math.pi)
    constant = len(cells.score) * heavy - 0.5 * len(x) * math.log(2 * math.pi)
    return constant - minus_log_posterior(x, cells, noise, precision)


def minus_log_posterior(x: Float[Array, " k"], cells: Cells, noise: Array, precision: Float[Array, " k"]) -> Array:
    """Up to a constant that neither x, noise nor precision changes."""
    score, slope = link(cells.design @ x, cells.floor)
    square = _square(x, cells, noise, slope)
    off = (cells.score - score) ** 2 / square
    heavy = 0.5 * jnp.log(square) + 0.5 * (FREEDOM + 1) * jnp.log1p(off / FREEDOM)
    return jnp.sum(heavy) + 0.5 * precision @ x**2 - 0.5 * jnp.sum(jnp.log(precision))


def curvature(x: Float[Array, " k"], cells: Cells, noise: Array, precision: Float[Array, " k"]) -> Array:
    """(k, k) information expected of the scores, and of what is known beforehand."""
    _, slope = link(cells.design @ x, cells.floor)
    square = _square(x, cells, noise, slope)
    weight = (FREEDOM + 1) / (FREEDOM + 3) * slope**2 / square
    return (cells.design * weight[:, None]).T @ cells.design + jnp.diag(precision)


@full_precision
def fit(cells: Cells, noise: Array, precision: Float[Array, " k"], first: Float[Array, " k"]) -> Fit:
    """The mode from `first`, its curvature, and the evidence.

    The search takes the Hessian as it is: with expected information, steps at heavy tails halve the error at best. The
    covariance takes the information, which is positive wherever the search ends.
    """

    def local(x: Array) -> Local:
        at = x, cells, noise, precision
        value, slope = jax.value_and_grad(minus_log_posterior)(*at)
        return Local(value, slope, jax.hessian(minus_log_posterior)(*at))

    end = solve(Marquardt(), local, first, tol=1e-3, max_steps=200)
    bow = curvature(end.x, cells, noise, precision)
    root = jnp.linalg.cholesky(bow)
    half = jax.scipy.linalg.solve_triangular(root, jnp.eye(len(first), dtype=first.dtype), lower=True)
    evidence = -end.value - jnp.sum(jnp.log(jnp.diagonal(root)))
    return Fit(end.x, half.T @ half, evidence, end.status, end.steps, end.error)


def quantiles(
    chances: np.ndarray, weight: np.ndarray, score: np.ndarray, noise: np.ndarray, cdf, halvings: int = 40
) -> np.ndarray:
    """Of a score in [0, 1] that is drawn from a mixture: (chances,), by halving.

    weight  (parts,)         of a part of the mixture
    score   (parts, points)  equally likely true scores in it
    noise   (parts,)         scale there of what is added, whose distribution function is `cdf`
    """
    low, high = np.zeros(len(chances)), np.ones(len(chances))
    for _ in range(halvings):
        middle = (low + high) / 2
        below = weight @ cdf((middle - score[..., None]) / noise[:, None, None]).mean(1)
        low, high = np.where(below < chances, middle, low), np.where(below < chances, high, middle)
    return (low + high) / 2
