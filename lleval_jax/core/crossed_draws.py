"""Joint posterior draws of the rows' scores on a grid whose effects `core.crossed` knows."""

import jax
import jax.numpy as jnp

from lleval_jax.core.crossed import Cells, Design
from lleval_jax.core.crossed_scales import Scales
from lleval_jax.types import Array, Float

KNOTS = 24  # of a smooth sum over columns


def score_draws(
    design: Design,
    cells: Cells,
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

    Coefficients are drawn first, then the rows' own effects given them, then the columns' given both.
    """
    n, (columns, q) = len(given), design.columns.shape
    first, key = jax.random.split(key)
    places = (jnp.arange(draws, dtype=given.dtype) + jax.random.uniform(first, (), given.dtype)) / draws
    which = jnp.clip(jnp.searchsorted(jnp.cumsum(found.mass), places), 0, len(found.mass) - 1)
    seen = (cells.weight > 0).astype(given.dtype)
    row, column = cells.row, cells.column
    roots = jax.lax.map(lambda now: (jnp.linalg.cholesky(now.spread), jnp.linalg.cholesky(now.alone)), found.given)

    def one(drawn: tuple[Array, Array]) -> Array:
        point, key = drawn
        here, (root, own_root) = jax.tree.map(lambda x: x[point], (found.given, roots))
        for_coef, for_own, for_column, for_answers = jax.random.split(key, 4)
        away = root @ jax.random.normal(for_coef, here.coef.shape, given.dtype)
        own = own_root @ jax.random.normal(for_own, (n,), given.dtype) - here.lean @ away
        effect = (here.effect + here.loading @ away).at[:n].add(own)
        free = jnp.sqrt(here.loose) * jax.random.normal(for_column, (columns,), given.dtype)
        side = here.base - here.loose * (effect @ here.pull) + free
        if q:
            side = side + design.columns @ effect[n:]
        logit, side = jax.lax.optimization_barrier((design.offset + effect[:n], side))  # drawn once, not once a cell
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
