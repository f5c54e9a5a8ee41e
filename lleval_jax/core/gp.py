"""Gaussian-process regression on answer vectors: the kernel, its evidence, and exact and sparse posteriors.

A model's score is a smooth curve of its ability plus what its answers share with the answers of known models: the
curve carries the extrapolation to unlike models, the pattern part uses near-copies where there are any. The gram
matrix has condition numbers near 1e9, so float64 throughout: call inside `precise("float64")`.

R&W: Rasmussen & Williams (2006). FITC: Snelson & Ghahramani (2006), Quinonero-Candela & Rasmussen (2005, eq. 24).
"""

import functools
import math
from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular

from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array

# Normal prior on the logs of the hyperparameters, for standardised scores: N(START, SPREAD^2).
#        curve: variance, length  linear var.  pattern: variance, 1/length  noise variance
START = (1.0, 0.0, -2.0, -3.5, 0.7, -6.0)
SPREAD = 2.0
CONSTANT = 4.0  # prior variance of the mean score


class Kernel(NamedTuple):
    """Covariance of two models' scores.

    centre  (k,)  mean answer to each item
    slope   (k,)  weight of each item in the ability
    log     (6,)  log hyperparameters, in the order of `START`
    """

    centre: Array
    slope: Array
    log: Array


class Posterior(NamedTuple):
    """A score given known ones: mean = K(x, support) alpha, variance = k(x, x) - K(x, support) drop K(support, x).

    support  (b, k)  answers that carry the prediction: all rows, or the inducing ones
    alpha    (b,)
    drop     (b, b)
    """

    support: Array
    alpha: Array
    drop: Array


@full_precision
def distance(a: Array, b: Array) -> Array:
    """Mean squared difference of answer rows, the Hamming share for 0/1.  (n, k), (m, k) -> (n, m)."""
    gap = jnp.sum(a * a, -1)[:, None] + jnp.sum(b * b, -1)[None, :] - 2 * a @ b.T
    return jnp.maximum(gap, 0) / a.shape[-1]


def features(kernel: Kernel, x: Array) -> tuple[Array, Array]:
    """Centred answers over sqrt(k) (n, k), and the ability: answers weighted by discrimination (n,)."""
    x = x - kernel.centre[None, :]
    return x / math.sqrt(x.shape[-1]), x @ kernel.slope


@full_precision
def gram(kernel: Kernel, x: Array, z: Array) -> Array:
    """Covariance of noise-free scores: constant + curve of ability + linear + Matern-3/2 of the answers.

    Sums of R&W 4.9 and 4.17.  (n, k), (m, k) -> (n, m).
    """
    (a, s), (b, t) = features(kernel, x), features(kernel, z)
    curve, length, linear, pattern, rate, _ = jnp.exp(kernel.log)
    r = rate * jnp.sqrt(3 * distance(x, z) + 1e-12)
    smooth = curve * jnp.exp(-((s[:, None] - t[None, :]) ** 2) / (2 * length**2))
    return CONSTANT + smooth + 4 * linear * a @ b.T + pattern * (1 + r) * jnp.exp(-r)


def variance(kernel: Kernel, x: Array) -> Array:
    """Diagonal of gram(kernel, x, x).  (n, k) -> (n,)."""
    a, _ = features(kernel, x)
    curve, _, linear, pattern, _, _ = jnp.exp(kernel.log)
    return CONSTANT + curve + 4 * linear * jnp.sum(a * a, -1) + pattern


def noise(kernel: Kernel) -> Array:
    """Variance of a score around its covariance's curve."""
    return jnp.exp(kernel.log[5])


def noisy_gram(kernel: Kernel, x: Array) -> Array:
    """Covariance of scores with their noise.  (n, k) -> (n, n)."""
    return gram(kernel, x, x) + noise(kernel) * jnp.eye(len(x))


def ability_slope(x: Array, y: Array) -> Array:
    """Item weights proportional to the correlation with the score, so that the ability has unit order.  -> (k,)."""
    x, spread = x - x.mean(0)[None, :], x.std(0)
    slope = jnp.where(spread > 1e-6, x.T @ y / jnp.maximum(spread, 1e-6), 0.0)
    return slope / jnp.maximum(jnp.abs(slope) @ spread, 1e-9)


def minus_log_posterior(log: Array, centre: Array, slope: Array, x: Array, y: Array) -> Array:
    """Minus log evidence (R&W 2.30) minus log prior of the hyperparameters, up to a constant."""
    root = jnp.linalg.cholesky(noisy_gram(Kernel(centre, slope, log), x))
    white = solve_triangular(root, y, lower=True)
    prior = 0.5 * jnp.sum(((log - jnp.asarray(START, log.dtype)) / SPREAD) ** 2)
    return 0.5 * white @ white + jnp.sum(jnp.log(jnp.diagonal(root))) + prior


def exact(kernel: Kernel, x: Array, y: Array) -> tuple[Array, Array]:
    """Weights alpha (n,) and inverse gram matrix (n, n) (R&W algorithm 2.1)."""
    root = jnp.linalg.cholesky(noisy_gram(kernel, x))
    half = solve_triangular(root, jnp.eye(len(x)), lower=True)
    inverse = half.T @ half
    return inverse @ y, inverse


def fitc(kernel: Kernel, x: Array, y: Array, support: Array) -> tuple[Array, Array, Array, Array, Array]:
    """FITC: alpha (b,) and drop (b, b) over the support; for the rows alpha (n,), lam (n,), half (n, b).

    The rows' noisy inverse gram matrix is diag(1 / lam) - half half'.
    """
    eye = jnp.eye(len(support))
    root = jnp.linalg.cholesky(gram(kernel, support, support) + 1e-8 * eye)
    phi = solve_triangular(root, gram(kernel, support, x), lower=True).T
    lam = jnp.maximum(variance(kernel, x) - jnp.sum(phi * phi, 1), 0) + noise(kernel)
    core = jnp.linalg.cholesky(eye + phi.T @ (phi / lam[:, None]))
    half = solve_triangular(core, (phi / lam[:, None]).T, lower=True).T
    back = functools.partial(solve_triangular, root.T, lower=False)
    weights = cho_solve((core, True), phi.T @ (y / lam))
    inner = eye - cho_solve((core, True), eye)
    return back(weights), back(back(inner).T), y / lam - half @ (half.T @ y), lam, half


def predict(kernel: Kernel, known: Posterior, x: Array) -> tuple[Array, Array]:
    """Standardised predictive mean and sd, noise included (R&W 2.25, 2.26).  (m, k) -> (m,), (m,)."""
    cross = gram(kernel, x, known.support)
    kept = variance(kernel, x) + noise(kernel)
    var = kept - jnp.sum((cross @ known.drop) * cross, 1)
    return cross @ known.alpha, jnp.sqrt(jnp.maximum(var, noise(kernel)))


def exclusion_path(block: Array, alpha: Array) -> tuple[Array, Array]:
    """Residual and variance of the first row after leaving out rows 0..g, for every g at once.

    Leaving out a set G that holds row 0 gives residual [A^-1 alpha]_0 and variance [A^-1]_00 with A = (K^-1)_GG, the
    block form of R&W 5.12. With A = L L' and v = L^-1 e_0, w = L^-1 alpha, both are sums over the leading entries of
    v w and v v, so one Cholesky factor gives the whole path.  (g, g), (g,) -> (g,), (g,).
    """
    root = jnp.linalg.cholesky(block)
    v = solve_triangular(root, jnp.zeros(len(alpha)).at[0].set(1.0), lower=True)
    w = solve_triangular(root, alpha, lower=True)
    return jnp.cumsum(v * w), jnp.cumsum(v * v)
