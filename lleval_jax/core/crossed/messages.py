"""Crossed effects of rows and columns on right and wrong answers by messages: many grids in little time.

    P(y_ij = 1) = sigmoid(offset + a_i + v_j)      a = B c + u,   c, u, v ~ N(0, scale^2)

The model of `crossed.model`, for columns without covariates. There each sweep of expectation propagation (Minka 2001)
asks the joint posterior of all effects for the variance of each answer's logit, at the price of a product of rows x
rows x columns. Here a cell sends its row and its column a normal message each, and a sweep touches the answered cells
alone: what the row knows without this cell, a_i ~ N(m, V), and the column, v_j ~ N(m', V'), are taken as independent.
With Z the chance of the answer given a logit N(M, S), M = m + m', S = V + V', and g = d log Z / dM, h = - dg / dM,

    message to the row    precision  h / (1 - h V),   precision times mean  (g + h m) / (1 - h V)

and the column the same with m', V'. Where few cells are answered, ways from a cell back to itself are long, and the
independence is nearly true. `core.crossed.joint` takes the joint posterior once, from the sites that messages amount
to.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.crossed.model import Cells, Design, Numbers, believed
from lleval_jax.core.linalg import small, sweep
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

SWEEPS = 12
STEP_FRACTION = 0.8  # of the way that messages go to where a sweep puts them; all of it swings between rows and columns
LONGEST_MOVE = 0.7  # largest move of a log scale
FIRST_PRECISION, FIRST_SHIFT = 0.2, 0.4  # precision and shift of the site of a logit near zero
LEAST_H, MOST_H = 1e-4, 0.999  # bounds of h, and of h S
TINY = 1e-30  # of a chance


class Messages(NamedTuple):
    """What is passed on from sweep to sweep.

    to_row, to_column  (2, cells)   precision, and precision times mean
    scale              (scales,)    logarithms, as in `crossed.State`
    """

    to_row: Array
    to_column: Array
    scale: Array


class Sites(NamedTuple):
    """What messages amount to.

    precision, shift  (cells,)    of each answer's logit, as in `crossed.State`
    scale             (scales,)
    sharp             (scales,)   how much is known of each: expected information and prior
    move              ()          largest of a log scale in the last sweep
    """

    precision: Array
    shift: Array
    scale: Array
    sharp: Array
    move: Array


def start(design: Design, cells: Cells) -> Messages:
    """Sites of a logit near zero, scales at the mode of their prior."""
    scale, weight = jnp.asarray(design.prior)[0], jnp.asarray(cells.weight)
    site = weight[None, :] * jnp.stack([jnp.full_like(weight, FIRST_PRECISION), FIRST_SHIFT * (2 * cells.score - 1)])
    own, side = jnp.exp(2 * scale[-2:])
    return Messages(site / (1 + FIRST_PRECISION * side), site / (1 + FIRST_PRECISION * own), scale)


@full_precision
def settle(design: Design, cells: Cells, nodes: Float[Array, " nodes"], mass: Float[Array, " nodes"]) -> Sites:
    """A fixed number of sweeps: a grid's result does not depend on the other grids."""

    def one(now: tuple[Messages, Sites], _: None) -> tuple[tuple[Messages, Sites], None]:
        return pass_on(design, cells, nodes, mass, now[0]), None

    first = pass_on(design, cells, nodes, mass, start(design, cells))
    return jax.lax.scan(one, first, None, length=SWEEPS - 1)[0][1]


def pass_on(
    design: Design, cells: Cells, nodes: Float[Array, " nodes"], mass: Float[Array, " nodes"], at: Messages
) -> tuple[Messages, Sites]:
    """Messages and scales once around."""
    n, columns, dtype = len(design.rows), len(design.columns), at.scale.dtype
    row, column, weight = cells.row, cells.column, jnp.asarray(cells.weight)
    own, side = jnp.exp(2 * at.scale[-2:])
    precision, shift = jnp.zeros((n, 2), dtype).at[row].add(at.to_row.T).T
    side_precision, side_shift = jnp.zeros((columns, 2), dtype).at[column].add(at.to_column.T).T

    loading = loads(design, at.scale)
    heard = 1 / (1 + own * precision)  # own effects summed out
    unit = jnp.eye(loading.shape[1], dtype=dtype)
    informed = unit + (loading * (heard * precision)[:, None]).T @ loading
    spread = small.inverse(informed) if len(unit) <= small.UNROLL else sweep.inverse(informed)[0]
    coef = spread @ (loading.T @ (heard * shift))
    middle, loose = loading @ coef, jnp.sum((loading @ spread) * loading, 1)

    prior = 1 / (own + loose)
    m, v = without(prior + precision, prior * middle + shift, row, at.to_row)
    m_side, v_side = without(1 / side + side_precision, side_shift, column, at.to_column)
    mean, var, sign = m + m_side, v + v_side, 2 * jnp.asarray(cells.score) - 1
    g, h = bends(sign * (design.offset + mean), jnp.sqrt(var), nodes, mass)
    g, h = sign * g, jnp.clip(h, LEAST_H, MOST_H / var)

    def message(mean: Array, var: Array) -> Array:
        part = weight / (1 - h * var)
        return jnp.stack([part * h, part * (g + h * mean)])

    u = own * heard * (shift - precision * middle)
    u_var = own * heard + (own * heard * precision) ** 2 * loose
    total = 1 / side + side_precision
    parts = [
        (coef**2, jnp.diagonal(spread), jnp.asarray(design.kind)),
        (u**2 / own, u_var / own, jnp.ones((n, 1), dtype)),
        ((side_shift / total) ** 2 / side, 1 / (total * side), jnp.ones((columns, 1), dtype)),
    ]
    _, rise, bend = believed(design, at.scale)
    slope = rise + jnp.concatenate([(square + var - 1) @ kind for square, var, kind in parts])
    known = jnp.maximum(bend, 2 * jnp.asarray(design.prior)[1])
    sharp = known + jnp.concatenate([2 * (1 - var) ** 2 @ kind for _, var, kind in parts])
    move = jnp.clip(slope / sharp, -LONGEST_MOVE, LONGEST_MOVE)
    to_row = at.to_row + STEP_FRACTION * (message(m, v) - at.to_row)
    to_column = at.to_column + STEP_FRACTION * (message(m_side, v_side) - at.to_column)
    precision, shift = message(mean, var)
    sites = Sites(precision, shift, at.scale, sharp, jnp.max(jnp.abs(move)))
    return Messages(to_row, to_column, at.scale + move), sites


def loads(design: Design, scale: Float[Array, " scales"]) -> Float[Array, "rows k"]:
    """How standardised coefficients act on rows."""
    size = jnp.exp(design.fixed + design.kind @ scale[:-2])
    return jnp.asarray(design.rows) * size[None, :]


def without(total: Array, toward: Array, index: Numbers, message: Array) -> tuple[Array, Array]:
    """Mean and variance of each cell's row (or column) with the cell's own message divided out (the cavity)."""
    var = 1 / (total[index] - message[0])
    return var * (toward[index] - message[1]), var


def bends(
    mean: Float[Array, " cells"],
    sd: Float[Array, " cells"],
    nodes: Float[Array, " nodes"],
    mass: Float[Array, " nodes"],
) -> tuple[Array, Array]:
    """First derivative of log Z in the mean, and the second with its sign turned; Z = E[sigmoid(z)], z ~ N(mean, sd^2).

    From derivatives of the sigmoid, so that nothing is divided by a small variance; node by node, which is one loop.
    """
    chance = slope = bend = jnp.zeros_like(mean)
    for node, share in zip(nodes, mass, strict=True):
        p = jax.nn.sigmoid(mean + sd * node)
        steep = share * p * (1 - p)
        chance, slope, bend = chance + share * p, slope + steep, bend + steep * (1 - 2 * p)
    chance = chance + TINY
    return slope / chance, (slope / chance) ** 2 - bend / chance
