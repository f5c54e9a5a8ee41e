"""Draws of the rows' scores from the sites of `core.crossed.messages`: joint posterior of the rows, few scales.

Sites are held and the rows' own scale is looked at on a few points (adaptive Gauss-Hermite quadrature, Naylor and Smith
1982); the columns' scale stays at its mode. Given scales and sites, rows are jointly normal. A row's score is a smooth
function of its effect alone, the same for all rows: it is tabulated at knots, and moves from draw to draw as the
columns do, to first order in what the rows' effects tell of them and normally in the rest, which is a sum over columns.

LAPACK is called for one matrix at a time: several calls with batches side by side wait for each other for good.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.crossed.messages import Sites, loads
from lleval_jax.core.crossed.model import Cells, Design, Numbers, believed
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

POINTS = 4  # of the rows' own scale
WIDER = 1.4  # held sites make the scale look better known than it is: points and masses as if it were known less
EACH = 8  # draws from one point
KNOTS = 16  # of the score as a function of the effect
WAVES = (2, 8, 13, 5)  # knots at which the columns' common scatter is taken up, one after the other
SMALL = 1e-4  # least of it that is taken up, of the largest


def points(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal points and the logarithm of their mass over the density there.  -> (points,) twice."""
    node, mass = np.polynomial.hermite_e.hermegauss(POINTS)
    return node.astype(dtype), (np.log(mass) + 0.5 * node**2).astype(dtype)


class Seen(NamedTuple):
    """Sites as a grid.

    weight     (rows, columns)  precisions
    by_row     (rows,)          sums of precision times mean
    by_column  (columns,)
    """

    weight: Array
    by_row: Array
    by_column: Array


class Columns(NamedTuple):
    """Columns given rows: v ~ N(base - loose (weight' a), loose); what they tell of the rows once summed out.

    base, loose  (columns,)
    information  (rows, rows)
    toward       (rows,)       information times mean
    """

    base: Array
    loose: Array
    information: Array
    toward: Array


class Rows(NamedTuple):
    """Effects given scales: a = exp(scale) x, x ~ N(root'^-1 half, (root root')^-1).

    root      (rows, rows)  lower triangular
    half      (rows,)
    scale     (scales,)
    log_mass  ()            log evidence and prior, up to a constant
    """

    root: Array
    half: Array
    scale: Array
    log_mass: Array


class Table(NamedTuple):
    """Scores at knots of the effect, low + step (0, 1, ...), over the columns of the grid.

    cell    (knots, columns)  mean of an answer
    total   (knots,)          sum of these
    steep   (knots,)          its slope, which is the sum of p (1 - p) too
    follow  (knots, rows)     how it moves with the rows' effects, through the columns
    waves   (knots, waves)    how else it moves, with standard normal variables
    """

    low: Array
    step: Array
    cell: Array
    total: Array
    steep: Array
    follow: Array
    waves: Array


@full_precision
def score_draws(
    design: Design,
    cells: Cells,
    sites: Sites,
    points: tuple[Numbers, Numbers],
    nodes: Float[Array, " nodes"],
    mass: Float[Array, " nodes"],
    real: Float[Array, " columns"],
    key: Array,
    draws: int,
) -> tuple[Float[Array, "draws rows"], Float[Array, " scales"]]:
    """Joint draws of the rows' sums over the grid, known answers as they are; and the mean log scales.

    real  1 for the columns of the grid, 0 for padding
    """
    dtype, rounds = sites.scale.dtype, -(-draws // EACH)
    for_points, for_rows, for_columns, for_answers = jax.random.split(key, 4)
    seen = as_grid(design, cells, sites)
    columns = columns_given(seen, sites.scale[-1])
    far = WIDER / jnp.sqrt(sites.sharp[-2]) * points[0]
    found = jax.lax.map(lambda by: rows_given(design, columns, sites.scale.at[-2].add(by)), far)
    chance = jax.nn.softmax(found.log_mass + points[1])

    places = (jnp.arange(rounds, dtype=dtype) + jax.random.uniform(for_points, (), dtype)) / rounds
    which = jnp.clip(jnp.searchsorted(jnp.cumsum(chance), places), 0, len(chance) - 1)
    n = len(design.rows)

    def drawn(now: tuple[Array, Array]) -> Array:
        here = jax.tree.map(lambda x: x[now[0]], found)
        return jnp.exp(here.scale[-2]) * _solve(here.root, here.half[:, None] + now[1], transpose=True).T

    noise = jax.random.normal(for_rows, (rounds, n, EACH), dtype)
    effect = jax.lax.map(drawn, (which, noise)).reshape(-1, n)

    middle = effect.mean(0)
    table = tabulated(design, seen, columns, middle, effect, nodes, mass, real)
    moved = (effect - middle[None, :]) @ table.follow.T
    moved += jax.random.normal(for_columns, (len(effect), len(WAVES)), dtype) @ table.waves.T
    sum_, variance = read(table, effect, moved)
    known, count, given = of_known(table, cells, middle)
    left = 1 - known[None, :]  # share of the row's sum that is not known
    noise = jax.random.normal(for_answers, effect.shape, dtype)
    answers = jnp.round(left * sum_ + jnp.sqrt(jnp.maximum(left * variance, 0)) * noise)
    scores = given[None, :] + jnp.clip(answers, 0, (real.sum() - count)[None, :])
    return scores[:draws], chance @ found.scale


def as_grid(design: Design, cells: Cells, sites: Sites) -> Seen:
    """Sites where they belong; padding has none."""
    n, width, dtype = len(design.rows), len(design.columns), sites.scale.dtype
    weight = jnp.zeros((n, width), dtype).at[cells.row, cells.column].add(sites.precision)
    by_row = jnp.zeros(n, dtype).at[cells.row].add(sites.shift)
    return Seen(weight, by_row, jnp.zeros(width, dtype).at[cells.column].add(sites.shift))


def columns_given(seen: Seen, log_scale: Float[Array, ""]) -> Columns:
    """The columns, and the rows' information without them: the one product of rows x rows x columns."""
    variance = jnp.exp(2 * log_scale)
    loose = variance / (1 + variance * seen.weight.sum(0))
    lifted = seen.weight * loose[None, :]
    information = jnp.diag(seen.weight.sum(1)) - lifted @ seen.weight.T
    return Columns(loose * seen.by_column, loose, information, seen.by_row - lifted @ seen.by_column)


def rows_given(design: Design, columns: Columns, scale: Float[Array, " scales"]) -> Rows:
    """The rows' effects in units of s, the own scale. Their prior precision is I - L (s^2 + L' L)^-1 L', L = B size.

    The evidence leaves out what does not depend on that scale.
    """
    own, loading = jnp.exp(scale[-2]), loads(design, scale)
    n, k = loading.shape
    inner = jnp.linalg.cholesky(own**2 * jnp.eye(k, dtype=own.dtype) + loading.T @ loading)
    common = _solve(inner, loading.T)
    precision = jnp.eye(n, dtype=own.dtype) - common.T @ common + own**2 * columns.information
    root = jax.lax.linalg.cholesky(precision, symmetrize_input=False)
    half = _solve(root, own * columns.toward[:, None])[:, 0]
    grown = jnp.sum(jnp.log(jnp.diagonal(root))) + jnp.sum(jnp.log(jnp.diagonal(inner))) - k * scale[-2]
    return Rows(root, half, scale, 0.5 * half @ half - grown + jnp.sum(believed(design, scale)[0]))


def tabulated(
    design: Design,
    seen: Seen,
    columns: Columns,
    middle: Float[Array, " rows"],
    effect: Float[Array, "draws rows"],
    nodes: Float[Array, " nodes"],
    mass: Float[Array, " nodes"],
    real: Float[Array, " columns"],
) -> Table:
    """Scores at knots that span the effects, about the columns as the rows' middle has them."""
    low = jnp.min(effect)
    step = (jnp.max(effect) - low) / (KNOTS - 1) + 1e-3
    knot = low + step * jnp.arange(KNOTS, dtype=low.dtype)
    centre = design.offset + columns.base - columns.loose * (middle @ seen.weight)
    logit = centre[:, None] + jnp.sqrt(columns.loose)[:, None] * nodes[None, :]
    p = jax.nn.sigmoid(knot[:, None, None] + logit[None, :, :])
    share = p * (real[:, None] * mass[None, :])[None, :, :]
    cell, steep = share.sum(2), (share * (1 - p)).sum(2)
    away = p - (p @ mass)[:, :, None]  # before squares are taken, which near 0 and 1 differ in their last digits only
    scatter = (away * (real[:, None] * mass[None, :])[None, :, :]).reshape(KNOTS, -1) @ away.reshape(KNOTS, -1).T
    least = SMALL * jnp.max(jnp.diagonal(scatter)) + SMALL**2
    waves = []
    for k in WAVES:  # a Cholesky root, as far as these knots tell
        waves.append(scatter[:, k] / jnp.sqrt(jnp.maximum(scatter[k, k], least)))
        scatter = scatter - waves[-1][:, None] * waves[-1][None, :]
    follow = -(steep * columns.loose[None, :]) @ seen.weight.T
    return Table(low, step, cell, cell.sum(1), steep.sum(1), follow, jnp.stack(waves, 1))


def read(
    table: Table, effect: Float[Array, "draws rows"], moved: Float[Array, "draws knots"]
) -> tuple[Float[Array, "draws rows"], Float[Array, "draws rows"]]:
    """Sums of p and of p (1 - p) at these effects: a cubic of the knots' values and slopes; lines for what moved."""
    below, t = _place(table, effect)
    y0, y1 = table.total[below], table.total[below + 1]
    s0, s1 = table.steep[below], table.steep[below + 1]
    d0, d1 = table.step * s0, table.step * s1
    cubic = y0 + t * (d0 + t * (3 * (y1 - y0) - 2 * d0 - d1 + t * (d0 + d1 - 2 * (y1 - y0))))
    m0, m1 = (jnp.take_along_axis(moved, below + i, 1) for i in (0, 1))
    return cubic + m0 + t * (m1 - m0), s0 + t * (s1 - s0)


def of_known(table: Table, cells: Cells, middle: Float[Array, " rows"]) -> tuple[Array, Array, Array]:
    """Of each row, (rows,) each: the known answers' expected share of its sum, how many they are, how many right."""
    below, t = _place(table, middle)
    row, column, weight = cells.row, cells.column, jnp.asarray(cells.weight)
    p0, p1 = table.cell[below[row], column], table.cell[below[row] + 1, column]
    each = weight[:, None] * jnp.stack([p0 + t[row] * (p1 - p0), jnp.ones_like(weight), cells.score], 1)
    expected, count, given = jnp.zeros((len(middle), 3), t.dtype).at[row].add(each).T
    whole = table.total[below] + t * (table.total[below + 1] - table.total[below])
    return jnp.minimum(expected / whole, 1), count, given


def _place(table: Table, effect: Array) -> tuple[Array, Array]:
    """The knot below, and how far it is to the next, 0 to 1."""
    along = (effect - table.low) / table.step
    below = jnp.clip(along.astype(jnp.int32), 0, KNOTS - 2)
    return below, along - below.astype(along.dtype)


def _solve(root: Array, toward: Array, transpose: bool = False) -> Array:
    """root^-1 toward, or root'^-1 toward, of a lower triangle."""
    return jax.lax.linalg.triangular_solve(root, toward, left_side=True, lower=True, transpose_a=transpose)
