"""How rows' own effects are distributed: a mixture of two normals, learned by Metropolis steps beside the effects.

Templates of real benchmarks do not differ normally: most are about as good, and some fail. Of 325 pairs of a task and a
model of Mizrahi et al. (2024, *State of what art?*, arXiv:2401.00595) 287 are told better by two normals than by one
(BIC), with a quarter of the templates in the smaller. Under one normal, quantiles over prompts come out wrong there.

Given the columns, a row's answers depend on its own effect alone, so its likelihood is a line of a table over nodes,
and the mixture's posterior costs one product of that table with a density at a time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline

from lleval_jax.core.crossed import Cells
from lleval_jax.types import Array, Float

REACH = 12.0  # logits that an effect lies from the common logit at most
KNOTS = np.linspace(-REACH, REACH, 33)  # where likelihoods are computed; their logarithms are smooth on a logit's scale
NODES = np.linspace(-REACH, REACH, 385)  # where they are needed
SPACE = NODES[1] - NODES[0]
BETWEEN = CubicSpline(KNOTS, np.eye(len(KNOTS)))(NODES).T  # (knots, nodes): values at knots to values at nodes
LEAST_SD = SPACE  # of a normal
TINY = 1e-30  # of a row's likelihood relative to its largest

# What is believed beforehand, in logits: the 325 pairs in round numbers, with a smaller part of 1 to 48% (median 23)
# of the templates and standard deviations of .02 to 1.8 (.33) in the larger part and .03 to 2.4 (.74) in the smaller.
BULK = 0.6  # likeliest sd of the first part, in sds of a single normal
LEVEL = 5.0  # sd of its middle
APART = 3.0  # sd of how far the other part lies from the first
OTHER_SD, OTHER_WORTH = 1.1, 1.5  # likeliest sd of the other part, and how many effects that belief is worth
RARE = (0.5, 2.0)  # beta density of the other part's share
STEPS = np.array([0.3, 0.3, 1.0, 1.0, 0.4])  # longest usual moves


class Mixture(NamedTuple):
    """Two normals over the rows' own effects, the common level included.

    middle, log_sd              () of the first
    odds                        () log odds of the other
    other_middle, other_log_sd  () of the other
    """

    middle: Array
    log_sd: Array
    odds: Array
    other_middle: Array
    other_log_sd: Array


def start(middle: Array, log_sd: Array) -> Mixture:
    """Mostly the first."""
    one = jnp.ones_like(middle)
    return Mixture(middle, log_sd, -2 * one, middle - 2, np.log(OTHER_SD).astype(one.dtype) * one)


def log_prior(at: Mixture, own: Float[Array, " 2"]) -> Array:
    """Of a mixture, up to a constant.  own: log size and worth of the belief about a single normal, `Design.prior`."""
    first = _chi(at.log_sd, own[0] + np.log(BULK), own[1])
    other = _chi(at.other_log_sd, np.log(OTHER_SD), OTHER_WORTH)
    share = RARE[0] * jax.nn.log_sigmoid(at.odds) + RARE[1] * jax.nn.log_sigmoid(-at.odds)
    far = ((at.other_middle - at.middle) / APART) ** 2 + (at.middle / LEVEL) ** 2
    return first + other + share - 0.5 * far


def _chi(log_sd: Array, log_size: Array | float, worth: Array | float) -> Array:
    """Log density of a log scale, as `crossed.believed`."""
    far = log_sd - log_size
    return worth * (far - 0.5 * jnp.exp(2 * far))


def density(at: Mixture) -> Float[Array, " nodes"]:
    """Mass of the mixture about each node."""
    x, share = jnp.asarray(NODES, at.odds.dtype), jax.nn.sigmoid(at.odds)

    def normal(middle: Array, log_sd: Array) -> Array:
        log_sd = jnp.maximum(log_sd, np.log(LEAST_SD))
        return jnp.exp(-0.5 * ((x - middle) * jnp.exp(-log_sd)) ** 2 - log_sd)

    both = (1 - share) * normal(at.middle, at.log_sd) + share * normal(at.other_middle, at.other_log_sd)
    return both * (SPACE / np.sqrt(2 * np.pi))


def likelihood(
    cells: Cells, base: Float[Array, " rows"], side: Float[Array, " columns"], dispersion: Array
) -> Float[Array, "rows nodes"]:
    """Of each row's own effect at the nodes, relative to its largest.

    base  logits of the rows without their own effects
    side  logits of the columns
    """
    row, column = cells.row, cells.column
    logit = (base[row] + side[column])[:, None] + jnp.asarray(KNOTS, base.dtype)[None, :]
    said = (cells.weight / dispersion)[:, None] * (cells.score[:, None] * logit - jax.nn.softplus(logit))
    total = jnp.zeros((len(base), len(KNOTS)), base.dtype).at[row].add(said) @ jnp.asarray(BETWEEN, base.dtype)
    return jnp.exp(total - total.max(1, keepdims=True))


def learn(at: Mixture, like: Float[Array, "rows nodes"], own: Float[Array, " 2"], key: Array, steps: int) -> Mixture:
    """The mixture after some Metropolis steps: some of its numbers at a time, short and long moves."""
    dtype = like.dtype

    def log_density(at: Mixture) -> Array:
        return jnp.sum(jnp.log(like @ density(at) + TINY)) + log_prior(at, own)

    for_size, for_some, for_move, for_luck = jax.random.split(key, 4)
    size = jnp.exp(jax.random.uniform(for_size, (steps, 1), dtype, -3, 0.5)) * jnp.asarray(STEPS, dtype)[None, :]
    some = jax.random.bernoulli(for_some, 0.5, size.shape)
    moves = jnp.where(some, size * jax.random.normal(for_move, size.shape, dtype), 0)
    luck = jnp.log(jax.random.uniform(for_luck, (steps,), dtype))

    def step(now: tuple[Mixture, Array], chance: tuple[Array, Array]) -> tuple[tuple[Mixture, Array], None]:
        (here, height), (move, luck) = now, chance
        there = Mixture(*(number + by for number, by in zip(here, move, strict=True)))
        found = log_density(there)
        taken = luck < found - height
        return jax.tree.map(lambda a, b: jnp.where(taken, a, b), (there, found), (here, height)), None

    (at, _), _ = jax.lax.scan(step, (at, log_density(at)), (moves, luck))
    return at


def effects(at: Mixture, like: Float[Array, "rows nodes"], key: Array) -> Float[Array, " rows"]:
    """A draw of the own effects."""
    for_node, for_place = jax.random.split(key)
    below = jnp.cumsum(like * density(at)[None, :], 1)
    level = jax.random.uniform(for_node, (len(like), 1), like.dtype) * below[:, -1:]
    node = jnp.sum(below < level, 1).astype(like.dtype)
    return SPACE * (node + jax.random.uniform(for_place, (len(like),), like.dtype) - 0.5) - REACH
