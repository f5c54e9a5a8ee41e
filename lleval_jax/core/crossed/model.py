"""Crossed effects of rows (prompts) and columns (examples) on graded or yes-no answers, by expectation propagation.

    P(y_ij = 1) = sigmoid(offset + a_i + z_j' psi + v_j)      a = B c + u,   c, u, v ~ N(0, scale^2)

PromptEval's extended Rasch model (Maia Polo et al. 2024, section 3.2) with residual effects and covariates, each
kind of effect with a scale of its own. Given few answers a row or column, the posterior's mode says little of its
mean and less of its spread, and variances learned from it come out too small; expectation propagation (Minka 2001)
matches the mean and variance of each answer's logit instead. A site is the normal factor that stands for one answer,

    exp(b eta - w eta^2 / 2)

Given sites, all effects are jointly normal. Column effects are independent given the rest, so they are summed out
first; then the rows' residual effects; what is left is a small system in the coefficients. The cost is that of two
products of rows x rows x columns and one inverse of rows x rows.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from lleval_jax.core.linalg import sweep
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

LONGEST_MOVE = 0.5  # largest move of a log scale in one step
LEAST_CURVATURE = 0.5  # least curvature in a log scale, in units of the weakest prior's at its mode
PACE = 0.6  # of a Newton step in the scales
WIDEST = 4.0  # farthest that a log scale goes from its prior's mode
LEAST_PRECISION, MOST_PRECISION = 1e-4, 0.25  # of a site's precision, in answers
LEAST_VARIANCE = 1e-9  # least variance of a logit

Numbers = Array | np.ndarray  # a layout is made on the host


class Cells(NamedTuple):
    """Answers, one a cell; padding has weight 0.

    row, column  (cells,)
    score        (cells,)  in [0, 1]
    weight       (cells,)  answers behind the score
    """

    row: Numbers
    column: Numbers
    score: Numbers
    weight: Numbers


class Design(NamedTuple):
    """How coefficients act, and which share a scale. Scales: those of the coefficients, that of u, that of v.

    rows     (rows, k)       B: loadings of row coefficients
    columns  (columns, q)    Z: covariates of the columns; q may be 0
    kind     (k + q, kinds)  1 where the coefficient has that scale; a row of zeros: the coefficient's own, fixed
    fixed    (k + q,)        log of the fixed part of its scale
    prior    (2, kinds + 2)  of the scales: log s and n, where a scale has the density of a chi variable with n degrees
             of freedom times s / sqrt(n); half normal for n = 1
    offset   ()              logit about which all effects lie
    """

    rows: Numbers
    columns: Numbers
    kind: Numbers
    fixed: Numbers
    prior: Numbers
    offset: Numbers


class State(NamedTuple):
    """Sites of all answers, precision and precision times mean, (cells,) each, and log scales (kinds + 2,)."""

    precision: Array
    shift: Array
    scale: Array


class Posterior(NamedTuple):
    """All effects given sites and scales.

    coef                (k + q,)               mean of the standardised coefficients
    spread              (k + q, k + q)         their covariance
    residual            (rows,)                mean of u
    residual_cov_given  (rows, rows)           its covariance given the coefficients
    residual_cov        (rows, rows)           its covariance
    residual_on_coef    (rows, k + q)          E[u | c] falls by it times c: Cov(u, c) = - residual_on_coef @ spread
    effect              (rows + q,)            a and psi
    loading             (rows + q, k + q)      effect = loading @ coef, and the residual of rows
    covariance          (rows + q, rows + q)   of the effects
    column              (columns,)             mean of v
    column_var_given    (columns,)             variance of v_j given all else
    effects_on_column   (rows + q, columns)    information by which effects move v:
                                               E[v | effects] = column_at_zero - column_var_given (this' effects)
    column_at_zero      (columns,)             E[v | effects = 0]
    column_var          (columns,)
    mean, var           (cells,)               of each answer's logit, offset left out
    evidence            ()                     log density of the sites, up to a constant
    """

    coef: Array
    spread: Array
    residual: Array
    residual_cov_given: Array
    residual_cov: Array
    residual_on_coef: Array
    effect: Array
    loading: Array
    covariance: Array
    column: Array
    column_var_given: Array
    effects_on_column: Array
    column_at_zero: Array
    column_var: Array
    mean: Array
    var: Array
    evidence: Array


class Params(NamedTuple):
    """All unknowns of the model, in the units of `Posterior`.

    coef    (k + q,)    standardised coefficients of rows and columns
    own     (rows,)     u, in logits
    column  (columns,)  v, in logits
    scale   (scales,)   logs
    """

    coef: Array
    own: Array
    column: Array
    scale: Array


@full_precision
def log_joint(params: Params, design: Design, cells: Cells) -> Float[Array, ""]:
    """Log joint density of answers, effects and log scales.

        y_ij | coef, own, column, scale ~ Bernoulli(sigmoid(offset + a_i + z_j' psi + column_j))
        (a, psi) = loadings (size * coef) + own,   size = exp(fixed + kind scale),   coef ~ N(0, I)
        own_i ~ N(0, exp(2 scale_-2)),   column_j ~ N(0, exp(2 scale_-1))
        exp(scale_h) sqrt(n_h) / s_h ~ chi with n_h degrees of freedom

    A score that is the mean of n answers, with weight n, counts as those answers in their order.
    """
    coef, own, column, scale = params
    logit = cell_logits(params, design, cells)
    weight, score = jnp.asarray(cells.weight), jnp.asarray(cells.score)
    answers = jnp.sum(weight * (score * logit - jax.nn.softplus(logit)))
    effects = _log_normal(coef, jnp.zeros_like(scale[0])) + _log_normal(own, scale[-2]) + _log_normal(column, scale[-1])
    middle, count = jnp.asarray(design.prior)
    return answers + effects + jnp.sum(log_chi(scale - middle, count) + log_chi_constant(count))


def cell_logits(params: Params, design: Design, cells: Cells) -> Float[Array, " cells"]:
    """Logit of each cell's answer, offset included."""
    coef = jnp.exp(design.fixed + design.kind @ params.scale[:-2]) * params.coef
    k = design.rows.shape[1]
    row = jnp.asarray(design.rows) @ coef[:k] + params.own
    column = jnp.asarray(design.columns) @ coef[k:] + params.column
    return jnp.asarray(design.offset) + row[cells.row] + column[cells.column]


def _log_normal(x: Float[Array, " effects"], log_sd: Array) -> Array:
    """Log density of independent effects about zero."""
    return -0.5 * jnp.sum((x * jnp.exp(-log_sd)) ** 2) - x.size * (log_sd + 0.5 * math.log(2 * math.pi))


@full_precision
def start(design: Design, cells: Cells, nodes: Float[Array, " nodes"], mass: Float[Array, " nodes"]) -> State:
    """Scales at the mode of their prior, and each site from its own answer alone."""
    scale, none = jnp.asarray(design.prior[0]), jnp.zeros_like(jnp.asarray(cells.weight))
    far = jnp.sum(jnp.exp(2 * scale)) + none
    return State(*tilt(design.offset, nodes, mass, cells, none, far, none, none), scale)


@full_precision
def posterior(
    design: Design,
    cells: Cells,
    precision: Float[Array, " cells"],
    shift: Float[Array, " cells"],
    scale: Float[Array, " scales"],
) -> Posterior:
    """All effects, given the sites and the log scales."""
    n, q = len(design.rows), design.columns.shape[1]
    row, column, z = cells.row, cells.column, design.columns
    size = jnp.exp(design.fixed + design.kind @ scale[:-2])
    loads = jax.scipy.linalg.block_diag(design.rows, jnp.eye(q, dtype=size.dtype)) if q else jnp.asarray(design.rows)
    loading = loads * size[None, :]
    own_prior, variance = jnp.exp(2 * scale[-2]), jnp.exp(2 * scale[-1])

    weight = jnp.zeros((n, len(z)), size.dtype).at[row, column].add(precision)
    down, across = weight.sum(0), weight.sum(1)
    by_column = jnp.zeros(len(z), size.dtype).at[column].add(shift)
    message = jnp.concatenate([jnp.zeros(n, size.dtype).at[row].add(shift), z.T @ by_column])
    column_var_given = variance / (1 + variance * down)
    effects_on_column = jnp.concatenate([weight, z.T * down[None, :]]) if q else weight
    of_rows = jnp.diag(jnp.concatenate([across, jnp.zeros(q, size.dtype)]))
    if q:
        both = weight @ z
        of_rows = of_rows.at[:n, n:].set(both).at[n:, :n].set(both.T).at[n:, n:].set((z.T * down[None, :]) @ z)
    information = of_rows - (effects_on_column * column_var_given[None, :]) @ effects_on_column.T

    shrunk, logdet = sweep.inverse(jnp.eye(n, dtype=size.dtype) + own_prior * information[:n, :n])
    residual_cov_given = own_prior * shrunk  # covariance of u given the coefficients
    heard = information @ loading
    residual_on_coef = residual_cov_given @ heard[:n]
    through = loading.at[:n].add(-residual_on_coef)  # how the effects follow the coefficients once u has answered
    spread, grown = sweep.inverse(jnp.eye(len(size), dtype=size.dtype) + through.T @ heard)
    toward = message - effects_on_column @ (column_var_given * by_column)
    first = residual_cov_given @ toward[:n]
    coef = spread @ (through.T @ toward)
    residual = first - residual_on_coef @ coef
    effect = (loading @ coef).at[:n].add(residual)
    column_at_zero = column_var_given * by_column
    found = column_at_zero - column_var_given * (effect @ effects_on_column)

    residual_cov = residual_cov_given + residual_on_coef @ spread @ residual_on_coef.T
    covariance = (through @ spread @ through.T).at[:n, :n].add(residual_cov_given)
    reach = covariance @ effects_on_column
    column_var = column_var_given + column_var_given**2 * jnp.sum(effects_on_column * reach, 0)
    own_var, shared, mean = jnp.diagonal(covariance)[:n, None], reach[:n], effect[:n, None] + found[None, :]
    if q:
        side = covariance[:, n:] @ z.T
        own_var += 2 * side[:n] + jnp.sum(z.T * side[n:], 0)[None, :]
        shared += jnp.sum(z.T * reach[n:], 0)[None, :]
        mean += (z @ effect[n:])[None, :]
    var = jnp.maximum(own_var - 2 * column_var_given[None, :] * shared + column_var[None, :], LEAST_VARIANCE)
    gained = toward @ effect + by_column @ column_at_zero
    evidence = 0.5 * (gained - logdet - grown - jnp.sum(jnp.log1p(variance * down)))
    return Posterior(
        coef,
        spread,
        residual,
        residual_cov_given,
        residual_cov,
        residual_on_coef,
        effect,
        loading,
        covariance,
        found,
        column_var_given,
        effects_on_column,
        column_at_zero,
        column_var,
        mean[row, column],
        var[row, column],
        evidence,
    )


def slope(design: Design, scale: Float[Array, " scales"], now: Posterior) -> tuple[Array, Array]:
    """Gradient of log evidence plus log prior in the log scales, the sites held, and about how fast it falls.

    -> (scales,) twice. With m and S the mean and covariance of the standardised effects of a kind h, n of them,

        g_h = m' m + tr S - n        - H_hh = 2 (m' m + tr S) - 4 m' S m - 2 |S|^2

    The second is taken with the variances alone: that is mostly too large, and makes a step shorter.
    """
    own_unit, unit = jnp.exp(-2 * scale[-2:])
    by_kind = [
        (now.coef[:, None] ** 2, jnp.diagonal(now.spread)[:, None], jnp.asarray(design.kind)),
        (own_unit * now.residual[:, None] ** 2, own_unit * jnp.diagonal(now.residual_cov)[:, None], None),
        (unit * now.column[:, None] ** 2, unit * now.column_var[:, None], None),
    ]
    gradient, curvature = [], []
    for square, var, kind in by_kind:
        for into, value in ((gradient, square + var - 1), (curvature, square * (1 - 2 * var) + var * (1 - var))):
            into.append(jnp.sum(value if kind is None else value * kind, 0))
    _, rise, bend = believed(design, scale)
    return jnp.concatenate(gradient) + rise, 2 * jnp.concatenate(curvature) + bend


def believed(design: Design, scale: Float[Array, " scales"]) -> tuple[Array, Array, Array]:
    """Of the prior of each log scale: log density up to a constant, its slope, and how fast that falls."""
    middle, count = design.prior
    far = scale - middle
    square = jnp.exp(2 * far)
    return log_chi(far, count), count * (1 - square), 2 * count * square


def log_chi(far: Array, worth: Array | float) -> Array:
    """Log density of a log scale so far above its likeliest, up to a constant; see `Design.prior`."""
    return worth * (far - 0.5 * jnp.exp(2 * far))


def log_chi_constant(worth: Array) -> Array:
    """What `log_chi` leaves out: with it the density of a log scale integrates to one."""
    return (1 - worth / 2) * math.log(2.0) - gammaln(worth / 2) + worth / 2 * jnp.log(worth)


def tilt(
    offset: Numbers,
    nodes: Float[Array, " nodes"],
    mass: Float[Array, " nodes"],
    cells: Cells,
    mean: Float[Array, " cells"],
    var: Float[Array, " cells"],
    precision: Float[Array, " cells"],
    shift: Float[Array, " cells"],
) -> tuple[Array, Array]:
    """Sites that match mean and variance of each answer's logit.  -> (cells,) twice.

    Integrals are taken on Gauss-Hermite nodes about the present posterior of the logit, not about the cavity, so that
    answers of any weight are resolved. No site is sharper than an answer's curvature, p (1 - p), at most: by
    quadrature it may seem to be where nearly all lies at one node.
    """
    sd = jnp.sqrt(var)
    eta = mean[:, None] + sd[:, None] * nodes[None, :]
    z = offset + eta
    said = cells.weight[:, None] * (cells.score[:, None] * z - jax.nn.softplus(z))
    ratio = said - (shift[:, None] * eta - 0.5 * precision[:, None] * eta**2)
    share = jnp.exp(ratio - ratio.max(1, keepdims=True)) * mass[None, :]
    share = share / share.sum(1, keepdims=True)
    first = share @ nodes
    second = jnp.maximum(share @ nodes**2 - first**2, 1e-6)
    sharper = (1 / second - 1) / var
    seen = cells.weight > 0
    new = jnp.where(
        seen, jnp.clip(precision + sharper, LEAST_PRECISION * cells.weight, MOST_PRECISION * cells.weight), 0
    )
    gain = new - precision
    moved = jnp.where(seen, shift + mean * gain + first * (1 + var * gain) / sd, 0)
    return new, moved


@full_precision
def propagate(
    design: Design, cells: Cells, nodes: Float[Array, " nodes"], mass: Float[Array, " nodes"], at: State
) -> tuple[State, Array]:
    """One sweep: the posterior, then sites by moments and scales by Newton from it.  -> (the next, - largest move).

    A fixed point is a solution; `solvers.anderson` finds it in 10 to 20 sweeps, and goes back where the second number
    falls. Sites lag behind the scales by a sweep, so a whole Newton step overshoots; `PACE` of one does not.
    """
    middle = design.prior[0]
    scale = jnp.clip(at.scale, middle - WIDEST, middle + WIDEST)
    at = State(jnp.maximum(at.precision, LEAST_PRECISION * cells.weight), at.shift, scale)
    found = posterior(design, cells, *at)
    precision, shift = tilt(design.offset, nodes, mass, cells, found.mean, found.var, at.precision, at.shift)
    gradient, curvature = slope(design, at.scale, found)
    move = PACE * jnp.clip(gradient / jnp.maximum(curvature, least(design)), -LONGEST_MOVE, LONGEST_MOVE)
    moved = precision - at.precision, shift - at.shift, move
    return State(precision, shift, scale + move), -jnp.max(jnp.stack([jnp.max(jnp.abs(part)) for part in moved]))


def least(design: Design) -> Array:
    """The least curvature in a log scale that is believed: all have a prior."""
    return LEAST_CURVATURE * 2 * jnp.min(design.prior[1])
