"""A score straight from an answer vector, by Gaussian-process regression (`core.gp`) on calibration models.

Hyperparameters are found on the host; intervals are conformal, from the errors made when close relatives are left out.
Always float64, which the two functions that take and give numpy arrays decide: `estimate` and `left_out_errors`.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from lleval_jax.core import gp
from lleval_jax.core.precision import full_precision, jit, precise
from lleval_jax.core.shapes import few, pad
from lleval_jax.types import Array

LEAST_LOG_NOISE = -10.0  # of the noise variance
INITIAL = np.array(gp.START)


class Regression(NamedTuple):
    """A fitted regression on calibration answers.

    kernel, posterior  as in `core.gp`
    known     (n, k)  all calibration answers, for the distance to the nearest
    location  ()      mean and
    scale     ()      sd of the calibration scores
    radii     (r,)    radii within which known models were left out
    errors    (r, q)  |residual| / sd made then, sorted along q
    """

    kernel: gp.Kernel
    posterior: gp.Posterior
    known: Array
    location: Array
    scale: Array
    radii: Array
    errors: Array


def estimate(
    x: np.ndarray, full: np.ndarray, answers: np.ndarray, level: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Full score, standard error, low and high of models from their answers, all on the same k items.

    x        (calibration models, k)  their answers, full (calibration models,) their scores
    answers  (models, k)
    ->       four (models,), within [0, 1]
    """
    with precise("float64"):
        fitted = fit(_wide(x), full, seed=seed)
        rows = pad(_wide(answers), (few(len(answers)), few(answers.shape[1])))
        return tuple(np.asarray(part)[: len(answers)] for part in predict(fitted, rows, level))  # type: ignore[return-value]


def _wide(x: np.ndarray) -> np.ndarray:
    """The same regression on few different numbers of columns: with columns of zeros, and scaled by as much.

    The kernel knows answers by mean squared differences, and by an ability whose unit is that of the scores.
    """
    columns = few(x.shape[1])
    return pad(x * math.sqrt(columns / x.shape[1]), (len(x), columns))


def left_out_errors(x: np.ndarray, full: np.ndarray, seed: int, folds: int = 5) -> np.ndarray:
    """(models,) truth minus the head's estimate of each calibration model, its fold left out."""
    fold = np.random.default_rng(seed).permutation(len(full)) % folds
    error = np.zeros(len(full))
    with precise("float64"):
        for f in range(folds):
            out = fold == f
            fitted = fit(_wide(x[~out]), full[~out], seed=seed, queries=2)
            error[out] = full[out] - np.asarray(predict(fitted, _wide(x[out]), 0.95)[0])
    return error


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
    return Regression(kernel, gp.Posterior(support, alpha, drop), known, location, scale, radii, errors)


@full_precision
def predict(fitted: Regression, x: np.ndarray, level: float) -> tuple[Array, Array, Array, Array]:
    """Score, its standard error, low and high for models with answers x.  (m, k) -> four (m,), within [0, 1].

    The half width is a conformal quantile (Lei et al. 2018; normalised as in Papadopoulos et al. 2011) of the errors
    made when nothing was known closer than the nearest known model is to this one.
    """
    new = jnp.asarray(x, float)
    mean, sd = _posterior(fitted.kernel, fitted.posterior, new)
    gap = gp.distance(new, fitted.known).min(1)
    half = multiplier(fitted.radii, fitted.errors, gap, level) * sd
    one = multiplier(fitted.radii, fitted.errors, gap, 0.6827) * sd
    score = functools.partial(_unstandardise, fitted)
    return score(mean), fitted.scale * one, score(mean - half), score(mean + half)


_posterior, _exact, _fitc = jit(gp.predict), jit(gp.exact), jit(gp.fitc)
_loss = jit(jax.value_and_grad(gp.minus_log_posterior))  # and its gradient (R&W 5.9)


def _unstandardise(fitted: Regression, z: Array) -> Array:
    return jnp.clip(fitted.location + fitted.scale * z, 0, 1)


def _fit_kernel(x: Array, y: Array, rows: np.ndarray) -> gp.Kernel:
    """Hyperparameters at the posterior mode on `rows`, by L-BFGS.  (n, k), (n,) -> Kernel."""
    centre, slope = x.mean(0), gp.ability_slope(x, y)
    x, y = x[rows], y[rows]

    def objective(log: np.ndarray) -> tuple[float, np.ndarray]:
        value, grad = _loss(jnp.asarray(log), centre, slope, x, y)
        return (float(value), np.asarray(grad)) if np.isfinite(value) else (1e12, np.zeros(len(INITIAL)))

    bounds = [(None, None)] * 5 + [(LEAST_LOG_NOISE, None)]
    best = minimize(objective, INITIAL, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    return gp.Kernel(centre, slope, jnp.asarray(best.x))


@functools.partial(jit, static_argnames="block")
def _path_errors(block: Callable, parts, alpha: Array, order: Array) -> Array:
    """|residual| / sd along the exclusion path of each query; block(parts, idx) is the inverse there.  -> (q, g)."""

    def one(idx: Array) -> Array:
        gap, var = gp.exclusion_path(block(parts, idx), alpha[idx])
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
    gap = gp.distance(x[queries], x).at[jnp.arange(len(queries)), queries].set(-1.0)
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
