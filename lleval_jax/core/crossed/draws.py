"""Joint posterior draws of the rows' scores on a grid whose effects `core.crossed.model` knows."""

import math

import jax
import jax.numpy as jnp

from lleval_jax.core.crossed import mixture as crossed_shape
from lleval_jax.core.crossed.mixture import Mixture
from lleval_jax.core.crossed.model import Cells, Design, Posterior
from lleval_jax.core.crossed.scales import Scales
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

KNOTS = 24  # of a smooth sum over columns
EACH = 4  # draws of the rows for one of the columns
CHAINS = 16  # for the rows' distribution
FIRST_STEPS, STEPS_A_DRAW = 48, 4  # their Metropolis steps before the first draw, and for each draw of the columns


@full_precision
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
    dispersion  of an unknown answer's variance, in units of p (1 - p); 1 where answers are right or wrong

    Coefficients and columns come from the normal posterior; the rows' own effects, given them, from the exact
    likelihood of their answers and a distribution that is learned on the way (`core.crossed.mixture`).
    """
    rounds = -(-draws // EACH)
    for_points, for_start, for_first, key = jax.random.split(key, 4)
    places = (jnp.arange(rounds, dtype=given.dtype) + jax.random.uniform(for_points, (), given.dtype)) / rounds
    which = jnp.clip(jnp.searchsorted(jnp.cumsum(found.mass), places), 0, len(found.mass) - 1)
    which = jax.random.permutation(for_points, which)
    covariances = found.given.spread, found.given.residual_cov_given
    roots = jax.lax.map(lambda pair: jax.tree.map(jnp.linalg.cholesky, pair), covariances)
    seen = (cells.weight > 0).astype(given.dtype)
    row, column = cells.row, cells.column

    def others(point: Array, key: Array) -> tuple[Array, Array, Array]:
        """Logits of the rows without their own effects, those of the columns, and likelihoods of own effects."""
        here, (root, own_root) = jax.tree.map(lambda x: x[point], (found.given, roots))
        drawn = others_drawn(design, here, root, own_root, key)
        base, side = jax.lax.optimization_barrier(drawn)  # once, not once a cell
        return base, side, crossed_shape.likelihood(cells, base, side)

    def one(now: tuple[Mixture, Array], drawn: tuple[Array, Array]) -> tuple[tuple[Mixture, Array], Array]:
        (at, before), (point, key) = now, drawn
        for_others, for_shape, for_chains, for_rows = jax.random.split(key, 4)
        base, side, like = others(point, for_others)
        here = crossed_shape.centre(like)  # rows lie lower where this draw's columns lie higher: the chains go along
        at = crossed_shape.learn(crossed_shape.moved(at, here - before), like, design, for_shape, STEPS_A_DRAW)

        def scores(drawn: tuple[Array, Array]) -> Array:
            chain, key = drawn
            for_effects, for_answers = jax.random.split(key)
            mixture = jax.tree.map(lambda x: x[chain], at)
            logit = jax.lax.optimization_barrier(base + crossed_shape.effects(mixture, like, for_effects))
            p = seen * jax.nn.sigmoid(logit[row] + side[column])
            known = jnp.zeros((2, len(given)), p.dtype).at[:, row].add(jnp.stack([p, p * (1 - p)]))
            mean, variance = column_sums(side, real, logit) - known
            return given + answers_drawn(mean, variance, open_, dispersion, for_answers)

        some = jax.random.choice(for_chains, CHAINS, (EACH,), replace=False)
        return (at, here), jax.lax.map(scores, (some, jax.random.split(for_rows, EACH)))

    keys = jax.random.split(key, rounds)
    level = jnp.sum(found.mass * found.given.loading[:, 0, 0] * found.given.coef[:, 0])
    at = crossed_shape.start(level, found.mass @ found.point[:, -2], for_start, CHAINS)
    *_, like = others(which[0], keys[0])
    at = crossed_shape.learn(at, like, design, for_first, FIRST_STEPS)
    _, drawn = jax.lax.scan(one, (at, crossed_shape.centre(like)), (which, keys))
    return drawn.reshape(-1, len(given))[:draws]


def others_drawn(
    design: Design, here: Posterior, root: Float[Array, "k k"], own_root: Float[Array, "rows rows"], key: Array
) -> tuple[Float[Array, " rows"], Float[Array, " columns"]]:
    """A draw of the rows' logits without level and own effects, and of the columns' logits.

    Coefficients are drawn first, then the rows' own effects given them, then the columns' given both.
    """
    n, (columns, q) = len(here.residual), design.columns.shape
    for_coef, for_own, for_column = jax.random.split(key, 3)
    away = root @ jax.random.normal(for_coef, here.coef.shape, root.dtype)
    own = own_root @ jax.random.normal(for_own, (n,), root.dtype) - here.residual_on_coef @ away
    effect = (here.effect + here.loading @ away).at[:n].add(own)
    free = jnp.sqrt(here.column_var_given) * jax.random.normal(for_column, (columns,), root.dtype)
    side = here.column_at_zero - here.column_var_given * (effect @ here.effects_on_column) + free
    if q:
        side = side + jnp.asarray(design.columns) @ effect[n:]
    return jnp.asarray(design.offset) + here.loading[:n, 1:] @ (here.coef + away)[1:], side


def answers_drawn(
    mean: Float[Array, " rows"],
    variance: Float[Array, " rows"],
    count: Float[Array, " rows"],
    dispersion: Array,
    key: Array,
) -> Float[Array, " rows"]:
    """A draw of the sum of so many answers with this mean and variance: a whole number where they are right or wrong.

    Normal on the scale where a binomial count has a constant variance (Anscombe 1948), so that it is about right next
    to 0 and to `count` too; up to an eighth of an answer on either side makes up for the scale's bend.
    """
    many = jnp.maximum(count, 1)
    right, wrong = jnp.clip(mean, 1e-6 * many, many), jnp.clip(many - mean, 1e-6 * many, many)
    wide = jnp.sqrt(dispersion * jnp.maximum(variance, 0) * many / (right * wrong))
    sides = [jnp.sqrt(side + jnp.minimum(side, 1) / 8) for side in (right, wrong)]
    angle = jnp.arctan2(*sides) + wide * jax.random.normal(key, mean.shape, mean.dtype) / (2 * jnp.sqrt(many + 0.5))
    total = (many + 0.75) * jnp.sin(jnp.clip(angle, 0, math.pi / 2)) ** 2 - 0.375
    return jnp.clip(jnp.where(dispersion == 1, jnp.round(total), total), 0, count)


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
