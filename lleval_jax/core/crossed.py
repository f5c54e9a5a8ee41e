"""Crossed effects of rows (prompts) and columns (examples) on graded or yes-no answers, by expectation propagation.

    P(y_ij = 1) = sigmoid(offset + a_i + z_j' psi + v_j)        a = B c,   c ~ N(0, s^2),   v_j ~ N(0, t^2)

PromptEval's extended Rasch model (Maia Polo et al. 2024, section 3.2) with residual effects beside the covariates, each
kind of effect with a scale of its own. Given few answers a row or column, the posterior's mode says little of its
mean and less of its spread, and variances learned from it come out too small; expectation propagation (Minka 2001)
matches the mean and variance of each answer's logit instead. A site is the normal factor that stands for one answer,

    exp(b eta - w eta^2 / 2)

Given sites, all effects are jointly normal. Column effects are independent given the rest, so they are summed out first
and what is left is a system in the coefficients c alone: the cost is that of two products of rows x rows x columns.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core import sweep
from lleval_jax.types import Array, Float

CLIP = 0.5  # largest move of a log scale in one step
FLAT = 0.5  # least curvature in a log scale, in units of the weakest prior's at its mode
PACE = 0.6  # of a Newton step in the scales
WIDEST = 4.0  # farthest that a log scale goes from its prior's mode
LEAST = 1e-4  # of a site's precision, in answers
SMALL = 1e-9  # least variance of a logit
KNOTS = 24  # of a smooth sum over columns

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
    """How coefficients act, and which share a scale.

    rows     (rows, k)       B: loadings of row coefficients
    columns  (columns, q)    Z: covariates of the columns; q may be 0
    kind     (k + q, kinds)  1 where the coefficient has that scale; a row of zeros: the coefficient's own, fixed
    fixed    (k + q,)        log of the fixed part of its scale
    prior    (2, kinds + 1)  of the scales, the columns' residual effect last: log s and n, where a scale has the
             density of a chi variable with n degrees of freedom times s / sqrt(n); half normal for n = 1
    offset   ()              logit about which all effects lie
    """

    rows: Numbers
    columns: Numbers
    kind: Numbers
    fixed: Numbers
    prior: Numbers
    offset: Numbers


class Belief(NamedTuple):
    """Sites of all answers, precision and precision times mean, (cells,) each, and log scales (kinds + 1,)."""

    precision: Array
    shift: Array
    scale: Array


class Posterior(NamedTuple):
    """All effects given sites and scales.

    coef         (k + q,)            mean of the standardised coefficients
    spread       (k + q, k + q)      their covariance
    effect       (rows + q,)         a and psi
    loading      (rows + q, k + q)   effect = loading @ coef
    covariance   (rows + q, rows + q)  of the effects
    cross        (k + q, columns)    covariance of coefficients and v_j is -loose_j cross_j
    column       (columns,)          mean of v
    loose        (columns,)          variance of v_j given all else
    pull         (rows + q, columns) how the effects pull v: E[v | effects] = base - loose (pull' effects)
    base         (columns,)          E[v | effects = 0]
    column_var   (columns,)
    mean, var    (cells,)            of each answer's logit, offset left out
    evidence     ()                  log density of the sites, up to a constant
    """

    coef: Array
    spread: Array
    effect: Array
    loading: Array
    covariance: Array
    cross: Array
    column: Array
    loose: Array
    pull: Array
    base: Array
    column_var: Array
    mean: Array
    var: Array
    evidence: Array


def start(design: Design, cells: Cells) -> Belief:
    """Sites of a logit near zero, scales at the mode of their prior."""
    weight, sign = jnp.asarray(cells.weight), jnp.asarray(2 * cells.score - 1)
    return Belief(0.2 * weight, 0.4 * sign * weight, jnp.asarray(design.prior[0]))


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
    size = jnp.exp(design.fixed + design.kind @ scale[:-1])
    loads = jax.scipy.linalg.block_diag(design.rows, jnp.eye(q, dtype=size.dtype)) if q else jnp.asarray(design.rows)
    loading = loads * size[None, :]
    variance = jnp.exp(2 * scale[-1])

    sites = jnp.zeros((2, n, len(z)), size.dtype).at[:, row, column].add(jnp.stack([precision, shift]))
    weight, (down, by_column), across = sites[0], sites.sum(1), sites.sum(2)
    loose = variance / (1 + variance * down)
    pull = jnp.concatenate([weight, z.T * down[None, :]])
    told = jnp.concatenate([across[1], z.T @ by_column])
    own = jnp.diag(jnp.concatenate([across[0], jnp.zeros(q, size.dtype)]))
    if q:
        both = weight @ z
        own = own.at[:n, n:].set(both).at[n:, :n].set(both.T).at[n:, n:].set((z.T * down[None, :]) @ z)
    information = own - (pull * loose[None, :]) @ pull.T

    system = jnp.eye(len(size), dtype=size.dtype) + loading.T @ (information @ loading)
    spread, logdet = sweep.inverse(system)
    toward = loading.T @ (told - pull @ (loose * by_column))
    coef = spread @ toward
    effect = loading @ coef
    base = loose * by_column
    found = base - loose * (effect @ pull)

    cross = (spread @ loading.T) @ pull
    covariance, reach = loading @ (spread @ loading.T), loading @ cross
    lift = jnp.sum(pull * reach, 0)
    column_var = loose + loose**2 * lift
    own_var, shared, mean = jnp.diagonal(covariance)[:n, None], reach[:n], effect[:n, None] + found[None, :]
    if q:
        side = covariance[:, n:] @ z.T
        own_var += 2 * side[:n] + jnp.sum(z.T * side[n:], 0)[None, :]
        shared += jnp.sum(z.T * reach[n:], 0)[None, :]
        mean += (z @ effect[n:])[None, :]
    var = jnp.maximum(own_var - 2 * loose[None, :] * shared + column_var[None, :], SMALL)
    mean, var = jnp.stack([mean, var])[:, row, column]
    evidence = 0.5 * (toward @ coef - logdet + by_column @ base - jnp.sum(jnp.log1p(variance * down)))
    return Posterior(
        coef,
        spread,
        effect,
        loading,
        covariance,
        cross,
        found,
        loose,
        pull,
        base,
        column_var,
        mean,
        var,
        evidence,
    )


def slope(design: Design, scale: Float[Array, " scales"], now: Posterior) -> tuple[Array, Array]:
    """Gradient and Hessian of log evidence plus log prior in the log scales, the sites held.

    -> (scales,), (scales, scales). With m and S the mean and covariance of the standardised effects (v / t among them)
    and h, k two kinds of n effects each,

        g_h = m_h' m_h + tr S_hh - n_h        H_hk = 4 m_h' S_hk m_k + 2 |S_hk|^2 - 2 [h = k] (m_h' m_h + tr S_hh)
    """
    kind, unit = design.kind, jnp.exp(-2 * scale[-1])
    loose, column = now.loose, now.column
    free, square = unit * loose, now.coef**2
    var = jnp.diagonal(now.spread)
    lift = now.column_var - loose
    gained = jnp.append(square @ kind, unit * jnp.sum(column**2))
    kept = jnp.append((var - 1) @ kind, jnp.sum(free - 1) + unit * jnp.sum(lift))
    middle, count = design.prior
    square_of = jnp.exp(2 * (scale - middle))

    by_coef = kind * now.coef[:, None]
    inner = 4 * by_coef.T @ now.spread @ by_coef + 2 * kind.T @ now.spread**2 @ kind
    inner -= 2 * jnp.diag((square + var) @ kind)
    side = now.cross * loose[None, :]
    edge = unit * (2 * kind.T @ jnp.sum(side**2, 1) - 4 * by_coef.T @ (side @ column))
    leans = now.pull @ (loose * column)
    through = now.covariance @ ((now.pull * loose[None, :] ** 2) @ now.pull.T)
    corner = jnp.sum(4 * free * column**2 * unit - 2 * column**2 * unit - 2 * free * (1 - free))
    corner += unit * (4 * unit * leans @ now.covariance @ leans - 2 * jnp.sum(lift) + 4 * jnp.sum(free * lift))
    corner += 2 * unit**2 * jnp.sum(through * through.T)
    hessian = jnp.block([[inner, edge[:, None]], [edge[None, :], corner[None, None]]])
    return gained + kept + count * (1 - square_of), hessian - jnp.diag(2 * count * square_of)


def tilt(
    offset: Numbers,
    nodes: Float[Array, " nodes"],
    mass: Float[Array, " nodes"],
    cells: Cells,
    now: Posterior,
    precision: Float[Array, " cells"],
    shift: Float[Array, " cells"],
) -> tuple[Array, Array]:
    """Sites that match mean and variance of each answer's logit.  -> (cells,) twice.

    Integrals are taken on Gauss-Hermite nodes about the present posterior of the logit, not about the cavity, so that
    answers of any weight are resolved.
    """
    sd = jnp.sqrt(now.var)
    eta = now.mean[:, None] + sd[:, None] * nodes[None, :]
    z = offset + eta
    said = cells.weight[:, None] * (cells.score[:, None] * z - jax.nn.softplus(z))
    ratio = said - (shift[:, None] * eta - 0.5 * precision[:, None] * eta**2)
    share = jnp.exp(ratio - ratio.max(1, keepdims=True)) * mass[None, :]
    share = share / share.sum(1, keepdims=True)
    first = share @ nodes
    second = jnp.maximum(share @ nodes**2 - first**2, 1e-6)
    sharper = (1 / second - 1) / now.var
    seen = cells.weight > 0
    new = jnp.where(seen, jnp.maximum(precision + sharper, LEAST * cells.weight), 0)
    moved = jnp.where(seen, shift + now.mean * (new - precision) + first / (second * sd), 0)
    return new, moved


def propagate(
    design: Design, cells: Cells, nodes: Float[Array, " nodes"], mass: Float[Array, " nodes"], at: Belief
) -> tuple[Belief, Array]:
    """One sweep: the posterior, then sites by moments and scales by Newton from it.  -> (next belief, - largest move).

    A fixed point is a solution; `core.anderson` finds it in ten to twenty sweeps, and goes back where the second number
    falls. Sites lag behind the scales by a sweep, so a whole Newton step overshoots; `PACE` of one does not.
    """
    middle = design.prior[0]
    scale = jnp.clip(at.scale, middle - WIDEST, middle + WIDEST)
    at = Belief(jnp.maximum(at.precision, LEAST * cells.weight), at.shift, scale)
    found = posterior(design, cells, *at)
    precision, shift = tilt(design.offset, nodes, mass, cells, found, at.precision, at.shift)
    gradient, hessian = slope(design, at.scale, found)
    root = scale_root(design, hessian)
    move = PACE * jnp.clip(root @ (root.T @ gradient), -CLIP, CLIP)
    moved = precision - at.precision, shift - at.shift, move
    return Belief(precision, shift, scale + move), -jnp.max(jnp.stack([jnp.max(jnp.abs(part)) for part in moved]))


def scale_root(design: Design, hessian: Float[Array, "scales scales"]) -> Float[Array, "scales scales"]:
    """R with R R' the covariance of the log scales: the inverse curvature, where that is too small the prior's.

    By L D L' with pivots held positive, unrolled: there are few scales, and LAPACK under `vmap` takes turns.
    """
    size, least = len(hessian), FLAT * 2 * jnp.min(design.prior[1])
    rest, columns = -hessian, []
    for j in range(size):
        pivot = jnp.maximum(jnp.abs(rest[j, j]), least)
        below = jnp.where(jnp.arange(size) > j, rest[:, j] / pivot, 0)
        rest = rest - pivot * below[:, None] * below[None, :]
        columns.append((pivot, below))
    root = jnp.zeros_like(hessian)
    for j in reversed(range(size)):  # rows of L'^-1 from the last: x_j = e_j - sum of L_ij x_i
        pivot, below = columns[j]
        root = root.at[j].set((jnp.arange(size) == j).astype(root.dtype) - below @ root)
    pivots = jnp.stack([pivot for pivot, _ in columns])
    return root / jnp.sqrt(pivots)[None, :]


class Scales(NamedTuple):
    """The posterior of the log scales as weighted points, each with the posterior of the effects that it implies.

    point  (points, scales)
    mass   (points,)         sums to 1
    given  the posterior at each, (points, ...)
    """

    point: Array
    mass: Array
    given: Posterior


def scales(design: Design, cells: Cells, at: Belief, points: Float[Array, "points scales"]) -> Scales:
    """Look at the scales' posterior about its mode, where standard normal `points` lie; the sites are held.

    Without it intervals would rest on one guess of how much prompts differ, which few answers do not settle.
    """
    root = scale_root(design, slope(design, at.scale, posterior(design, cells, *at))[1])
    point = at.scale[None, :] + points @ root.T
    given = jax.lax.map(lambda scale: posterior(design, cells, at.precision, at.shift, scale), point)
    weight = given.evidence + log_prior(design, point) + 0.5 * jnp.sum(points**2, 1)
    return Scales(point, jax.nn.softmax(weight), given)


def log_prior(design: Design, scale: Float[Array, "*points scales"]) -> Float[Array, "*points"]:
    """Log density of log scales, up to a constant."""
    middle, count = design.prior
    far = scale - jnp.broadcast_to(middle, scale.shape)
    return jnp.sum(jnp.broadcast_to(count, scale.shape) * (far - 0.5 * jnp.exp(2 * far)), -1)


def score_draws(
    design: Design,
    cells: Cells,
    at: Belief,
    found: Scales,
    real: Float[Array, " columns"],
    given: Float[Array, " rows"],
    open_: Float[Array, " rows"],
    dispersion: Array,
    key: Array,
    draws: int,
) -> Float[Array, "draws rows"]:
    """Joint posterior draws of the rows' sums over the grid: what is known as it is, the rest as it may come.

    real        1 for the columns of the grid, 0 for padding
    given       sum of the known answers of each row
    open_       how many of its answers are not known
    dispersion  of an unknown answer's variance, in units of p (1 - p)

    Effects are drawn by Matheron's rule: from the prior, then moved by the posterior mean of what the sites miss.
    """
    n, (columns, q) = len(given), design.columns.shape
    first, key = jax.random.split(key)
    places = (jnp.arange(draws, dtype=given.dtype) + jax.random.uniform(first, (), given.dtype)) / draws
    which = jnp.clip(jnp.searchsorted(jnp.cumsum(found.mass), places), 0, len(found.mass) - 1)
    seen = (cells.weight > 0).astype(given.dtype)
    row, column = cells.row, cells.column

    def one(drawn: tuple[Array, Array]) -> Array:
        point, key = drawn
        here = jax.tree.map(lambda x: x[point], found.given)
        for_coef, for_column, for_sites, for_answers = jax.random.split(key, 4)
        prior = jax.random.normal(for_coef, here.coef.shape, given.dtype)
        side = jnp.exp(found.point[point, -1]) * jax.random.normal(for_column, (columns,), given.dtype)
        effect = here.loading @ prior
        eta = effect[row] + (side + design.columns @ effect[n:] if q else side)[column]
        noise = jnp.sqrt(at.precision) * jax.random.normal(for_sites, eta.shape, given.dtype)
        miss = jnp.zeros((n, columns), given.dtype).at[row, column].add(at.shift - at.precision * eta - noise)
        lost = miss.sum(0)
        told = jnp.concatenate([miss.sum(1), design.columns.T @ lost])
        gained = here.loading @ (here.spread @ (here.loading.T @ (told - here.pull @ (here.loose * lost))))
        effect, side = effect + gained, side + here.loose * (lost - gained @ here.pull)
        if q:
            side = side + design.columns @ effect[n:]
        logit = design.offset + effect[:n]
        p = seen * jax.nn.sigmoid(logit[row] + side[column])
        known = jnp.zeros((2, n), p.dtype).at[:, row].add(jnp.stack([p, p * (1 - p)]))
        mean, variance = column_sums(side, real, logit) - known
        luck = jnp.sqrt(dispersion * jnp.maximum(variance, 0)) * jax.random.normal(for_answers, (n,), given.dtype)
        return given + jnp.clip(mean + luck, 0, open_)

    return jax.lax.map(one, (which, jax.random.split(key, draws)))


def column_sums(
    column: Float[Array, " columns"], real: Float[Array, " columns"], row: Float[Array, " rows"]
) -> Float[Array, "2 rows"]:
    """Sums over the real columns of p and of p (1 - p), p = sigmoid(row + column).

    The first is a smooth function of the row's logit and the second its derivative, so both are taken at a few knots
    and in between from the cubic that has their values and slopes.
    """
    low = jnp.min(row)
    step = (jnp.max(row) - low) / (KNOTS - 1) + 1e-3
    knot = low + step * jnp.arange(KNOTS, dtype=row.dtype)
    p = jax.nn.sigmoid(knot[:, None] + column[None, :])
    value, slope = p @ real, step * ((p * (1 - p)) @ real)
    along = (row - low) / step
    place = jnp.clip(along.astype(jnp.int32), 0, KNOTS - 2)
    t = along - place.astype(row.dtype)
    y0, y1, d0, d1 = value[place], value[place + 1], slope[place], slope[place + 1]
    bend, twist = 3 * (y1 - y0) - 2 * d0 - d1, d0 + d1 - 2 * (y1 - y0)
    return jnp.stack([y0 + t * (d0 + t * (bend + t * twist)), (d0 + t * (2 * bend + 3 * t * twist)) / step])
