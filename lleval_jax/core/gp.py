"""Gaussian-process regression of a score on an answer vector, with the errors made when close relatives are left out.

A model's score is a smooth curve of its ability plus what its answers share with the answers of known models: the
curve carries the extrapolation to unlike models, the pattern part uses near-copies where there are any. The gram
matrix has condition numbers near 1e9, so float64 throughout: call inside `jax.enable_x64(True)`.

R&W: Rasmussen & Williams (2006). FITC: Snelson & Ghahramani (2006), Quinonero-Candela & Rasmussen (2005, eq. 24).
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from lleval_jax.core.precision import full_precision, jit
from lleval_jax.types import Array

# Normal prior on the logs of the hyperparameters, for standardised scores: N(START, SPREAD^2).
#                 curve: variance, length  linear var.  pattern: variance, 1/length  noise variance
START = np.array([1.0, 0.0, -2.0, -3.5, 0.7, -6.0])
SPREAD, LEAST = 2.0, -10.0
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


class Regression(NamedTuple):
    """A fitted regression on calibration answers.

    support   (b, k)  answers that carry the prediction: all rows, or the inducing ones
    alpha     (b,)    mean = K(x, support) alpha
    drop      (b, b)  variance = k(x, x) - K(x, support) drop K(support, x)
    known     (n, k)  all calibration answers, for the distance to the nearest
    location  ()      mean and
    scale     ()      sd of the calibration scores
    radii     (r,)    radii within which known models were left out
    errors    (r, q)  |residual| / sd made then, sorted along q
    """

    kernel: Kernel
    support: Array
    alpha: Array
    drop: Array
    known: Array
    location: Array
    scale: Array
    radii: Array
    errors: Array


@full_precision
def distance(a: Array, b: Array) -> Array:
    """Mean squared difference of answer rows, the Hamming share for 0/1.  (n, k), (m, k) -> (n, m)."""
    gap = jnp.sum(a * a, -1)[:, None] + jnp.sum(b * b, -1)[None, :] - 2 * a @ b.T
    return jnp.maximum(gap, 0) / a.shape[-1]


@full_precision
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


@full_precision
def fit(
    x: np.ndarray,
    full: np.ndarray,
    *,
    seed: int = 0,
    limit: int = 6000,
    inducing: int = 1500,
    queries: int = 1024,
    depth: int = 512,
) -> Regression:
    """Learn from calibration models: answers x (n, k) in [0, 1] and full scores (n,).

    Exact up to `limit` models, beyond on `inducing` random ones (FITC). Hyperparameters are at the posterior mode on
    at most 700 rows. The errors are made by `queries` of the calibration models with their nearest neighbours, up to
    `depth` of them, left out in turn.
    """
    known, target = jnp.asarray(x, float), jnp.asarray(full, float)
    location, scale = target.mean(), jnp.maximum(target.std(), 1e-6)
    y, n = (target - location) / scale, len(known)
    rng = np.random.default_rng(seed)
    kernel = _fit_kernel(known, y, rng.permutation(n)[:700])
    chosen = jnp.asarray(rng.permutation(n)[:queries])
    gaps, order = _neighbours(known, chosen, max(2, min(depth, n // 2)))
    if n <= limit:
        support, (alpha, drop) = known, _exact(kernel, known, y)
        errors = _path_errors(_dense_block, drop, alpha, order)
    else:
        support = known[rng.permutation(n)[:inducing]]
        alpha, drop, dual, lam, half = _fitc(kernel, known, y, support)
        errors = _path_errors(_fitc_block, (lam, half), dual, order)
    radii, errors = _matched_errors(errors, gaps)
    return Regression(kernel, support, alpha, drop, known, location, scale, radii, errors)


@full_precision
def predict(fitted: Regression, x: np.ndarray, level: float) -> tuple[Array, Array, Array, Array]:
    """Score, its standard error, low and high for models with answers x.  (m, k) -> four (m,), within [0, 1].

    The half width is a conformal quantile (Lei et al. 2018; normalised as in Papadopoulos et al. 2011) of the errors
    made when nothing was known closer than the nearest known model is to this one.
    """
    new = jnp.asarray(x, float)
    mean, sd = posterior(fitted, new)
    gap = distance(new, fitted.known).min(1)
    half = multiplier(fitted.radii, fitted.errors, gap, level) * sd
    one = multiplier(fitted.radii, fitted.errors, gap, 0.6827) * sd
    score = functools.partial(_unstandardise, fitted)
    return score(mean), fitted.scale * one, score(mean - half), score(mean + half)


@jit
def posterior(fitted: Regression, x: Array) -> tuple[Array, Array]:
    """Standardised predictive mean and sd, noise included (R&W 2.25, 2.26).  (m, k) -> (m,), (m,)."""
    cross = gram(fitted.kernel, x, fitted.support)
    kept = variance(fitted.kernel, x) + noise(fitted.kernel)
    var = kept - jnp.sum((cross @ fitted.drop) * cross, 1)
    return cross @ fitted.alpha, jnp.sqrt(jnp.maximum(var, noise(fitted.kernel)))


def _unstandardise(fitted: Regression, z: Array) -> Array:
    return jnp.clip(fitted.location + fitted.scale * z, 0, 1)


def _noisy_gram(kernel: Kernel, x: Array) -> Array:
    return gram(kernel, x, x) + noise(kernel) * jnp.eye(len(x))


def _ability_slope(x: Array, y: Array) -> Array:
    """Item weights proportional to the correlation with the score, so that the ability has unit order.  -> (k,)."""
    x, spread = x - x.mean(0)[None, :], x.std(0)
    slope = jnp.where(spread > 1e-6, x.T @ y / jnp.maximum(spread, 1e-6), 0.0)
    return slope / jnp.maximum(jnp.abs(slope) @ spread, 1e-9)


@jit
@jax.value_and_grad
def _loss(log: Array, centre: Array, slope: Array, x: Array, y: Array) -> Array:
    """Minus log evidence (R&W 2.30) minus log prior of the hyperparameters, and its gradient (R&W 5.9)."""
    root = jnp.linalg.cholesky(_noisy_gram(Kernel(centre, slope, log), x))
    white = solve_triangular(root, y, lower=True)
    prior = 0.5 * jnp.sum(((log - jnp.asarray(START)) / SPREAD) ** 2)
    return 0.5 * white @ white + jnp.sum(jnp.log(jnp.diagonal(root))) + prior


def _fit_kernel(x: Array, y: Array, rows: np.ndarray) -> Kernel:
    """Hyperparameters at the posterior mode on `rows`, by L-BFGS.  (n, k), (n,) -> Kernel."""
    centre, slope = x.mean(0), _ability_slope(x, y)
    x, y = x[rows], y[rows]

    def objective(log: np.ndarray) -> tuple[float, np.ndarray]:
        value, grad = _loss(jnp.asarray(log), centre, slope, x, y)
        return (float(value), np.asarray(grad)) if np.isfinite(value) else (1e12, np.zeros(len(START)))

    bounds = [(None, None)] * 5 + [(LEAST, None)]
    best = minimize(objective, START, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    return Kernel(centre, slope, jnp.asarray(best.x))


@jit
def _exact(kernel: Kernel, x: Array, y: Array) -> tuple[Array, Array]:
    """Weights alpha (n,) and inverse gram matrix (n, n) (R&W algorithm 2.1)."""
    root = jnp.linalg.cholesky(_noisy_gram(kernel, x))
    half = solve_triangular(root, jnp.eye(len(x)), lower=True)
    inverse = half.T @ half
    return inverse @ y, inverse


@jit
def _fitc(kernel: Kernel, x: Array, y: Array, support: Array) -> tuple[Array, Array, Array, Array, Array]:
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


def _exclusion_path(block: Array, alpha: Array) -> tuple[Array, Array]:
    """Residual and variance of the first row after leaving out rows 0..g, for every g at once.

    Leaving out a set G that holds row 0 gives residual [A^-1 alpha]_0 and variance [A^-1]_00 with A = (K^-1)_GG, the
    block form of R&W 5.12. With A = L L' and v = L^-1 e_0, w = L^-1 alpha, both are sums over the leading entries of
    v w and v v, so one Cholesky factor holds the whole path.  (g, g), (g,) -> (g,), (g,).
    """
    root = jnp.linalg.cholesky(block)
    v = solve_triangular(root, jnp.zeros(len(alpha)).at[0].set(1.0), lower=True)
    w = solve_triangular(root, alpha, lower=True)
    return jnp.cumsum(v * w), jnp.cumsum(v * v)


@functools.partial(jit, static_argnames="block")
def _path_errors(block: Callable, parts, alpha: Array, order: Array) -> Array:
    """|residual| / sd along the exclusion path of each query; block(parts, idx) is the inverse there.  -> (q, g)."""

    def one(idx: Array) -> Array:
        gap, var = _exclusion_path(block(parts, idx), alpha[idx])
        return jnp.abs(gap) / jnp.sqrt(var)

    return jax.lax.map(one, order, batch_size=8)


def _dense_block(inverse: Array, idx: Array) -> Array:
    return inverse[idx[:, None], idx[None, :]]


def _fitc_block(parts: tuple[Array, Array], idx: Array) -> Array:
    lam, half = parts
    return jnp.diag(1 / lam[idx]) - half[idx] @ half[idx].T


@functools.partial(jit, static_argnames="depth")
def _neighbours(x: Array, queries: Array, depth: int) -> tuple[Array, Array]:
    """Rows by distance from each query, itself first.  -> distances (q, depth), indices (q, depth)."""
    gap = distance(x[queries], x).at[jnp.arange(len(queries)), queries].set(-1.0)
    minus, idx = jax.lax.top_k(-gap, depth)
    return jnp.maximum(-minus, 0.0), idx


def _matched_errors(errors: Array, gaps: Array, count: int = 12) -> tuple[Array, Array]:
    """Error of each query with all rows within a radius left out, for a ladder of radii.  -> (r,), (r, q)."""
    radii = jnp.concatenate([jnp.zeros(1), jnp.quantile(gaps[:, 1:], jnp.linspace(0.02, 0.8, count))])
    last = jax.vmap(lambda r: jnp.sum(gaps <= r, 1) - 1)(radii)  # (r, q) the last row left out
    return radii, jnp.sort(jnp.take_along_axis(errors, last.T, 1).T, axis=1)


def multiplier(radii: Array, errors: Array, gap: Array, level: float) -> Array:
    """Conformal quantile of the errors made with nothing known closer than `gap`.  (m,) -> (m,)."""
    count = errors.shape[1]
    rank = min(count, math.ceil(level * (count + 1))) - 1
    return jnp.interp(gap, radii, errors[:, rank])
