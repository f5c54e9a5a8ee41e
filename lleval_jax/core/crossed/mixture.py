"""How rows' own effects are distributed: a mixture of two normals, learned with them by many short Markov chains.

Templates of real benchmarks do not differ normally: most are about as good, and some fail. Of 325 pairs of a task and a
model of Mizrahi et al. (2024, *State of what art?*, arXiv:2401.00595) 287 are fitted better by two normals than by one
(BIC), with a quarter of the templates in the smaller. Under one normal, quantiles over prompts come out wrong there.

Given the columns, a row's answers depend on its own effect alone, so its likelihood is a line of a table over nodes,
and the mixture's posterior costs one product of that table with a density at a time.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import betaln

from lleval_jax.core.crossed.model import Cells, Design, log_chi, log_chi_constant
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

REACH = 12.0  # logits that an effect lies from the common logit at most
KNOTS = np.linspace(-REACH, REACH, 33)  # where likelihoods are computed; their logarithms are smooth on a logit's scale
NODES = np.linspace(-REACH, REACH, 385)  # where they are needed
SPACE = float(NODES[1] - NODES[0])
BETWEEN = CubicSpline(KNOTS, np.eye(len(KNOTS)))(NODES).T  # (knots, nodes): values at knots to values at nodes
LEAST_SD = SPACE  # of a normal
TINY = 1e-30  # of a row's likelihood relative to its largest

# What is believed beforehand, in logits: the 325 pairs in round numbers, with a smaller part of 1 to 48% (median 23)
# of the templates and standard deviations of .02 to 1.8 (.33) in the larger part and .03 to 2.4 (.74) in the smaller.
BULK = 0.6  # likeliest sd of the first part, in sds of a single normal
CERTAIN = 0.5  # the common level's logistic is beta distributed with this, twice (Jeffreys)
APART = 3.0  # sd of how far the other part lies from the first
OTHER_SD, OTHER_WORTH = 1.1, 1.5  # likeliest sd of the other part, and how many effects that prior is worth
RARE = (0.7, 2.5)  # beta density of the other part's share
NONE, NO_ODDS = 0.2, -8.0  # how probably there is no other part: log odds about these, one prompt in 3,000
BEGIN = -4.0  # log odds of the other part where chains begin
SPREAD = (0.5, 0.5, 3.0, 1.5, 0.5)  # of the chains where they begin
PACE, LEAP, NOISE = 2.38 / math.sqrt(2 * len(SPREAD)), 0.1, 1e-2  # of a difference; how often a whole one; added noise


class Mixture(NamedTuple):
    """Two normals over the rows' own effects, the common level included; numbers, or one for each of several chains.

    middle, log_sd              of the first
    odds                        log odds of the other
    other_middle, other_log_sd  of the other
    """

    middle: Array
    log_sd: Array
    odds: Array
    other_middle: Array
    other_log_sd: Array


class Params(NamedTuple):
    """Unknowns of the rows, the columns given: own effects (rows,), the common level included, and their mixture."""

    own: Array
    mixture: Mixture


def log_joint(
    params: Params, design: Design, cells: Cells, base: Float[Array, " rows"], side: Float[Array, " columns"]
) -> Float[Array, ""]:
    """Log joint density of answers, own effects and their mixture, given all else.

        y_ij | own ~ Bernoulli(sigmoid(base_i + own_i + side_j))
        own_i ~ (1 - p) N(middle, exp(2 log_sd)) + p N(other_middle, exp(2 other_log_sd)),   p = sigmoid(odds)
        mixture ~ `log_prior`

    base  logits of the rows without their own effects
    side  logits of the columns
    """
    own, at = params
    logit = (base + own)[cells.row] + side[cells.column]
    weight, score = jnp.asarray(cells.weight), jnp.asarray(cells.score)
    answers = jnp.sum(weight * (score * logit - jax.nn.softplus(logit)))
    first = _log_normal(own, at.middle, at.log_sd) + jax.nn.log_sigmoid(-at.odds)
    other = _log_normal(own, at.other_middle, at.other_log_sd) + jax.nn.log_sigmoid(at.odds)
    constant = jnp.sum(log_chi_constant(jnp.stack([jnp.asarray(design.prior)[1, -2], OTHER_WORTH + 0 * at.odds])))
    constant -= float(betaln(CERTAIN, CERTAIN)) + math.log(APART * math.sqrt(2 * math.pi))
    return answers + jnp.sum(jnp.logaddexp(first, other)) + log_prior(at, design) + constant


def _log_normal(x: Float[Array, " rows"], middle: Array, log_sd: Array) -> Float[Array, " rows"]:
    return -0.5 * ((x - middle) * jnp.exp(-log_sd)) ** 2 - log_sd - 0.5 * math.log(2 * math.pi)


def start(middle: Array, log_sd: Array, key: Array, chains: int) -> Mixture:
    """Chains, an even number, about a mixture that is mostly the first normal."""
    about = jnp.stack([middle, log_sd, BEGIN + 0 * middle, middle - 2, math.log(OTHER_SD) + 0 * middle])
    away = jnp.asarray(SPREAD, about.dtype)[:, None] * jax.random.normal(key, (len(SPREAD), chains), about.dtype)
    return Mixture(*(about[:, None] + away))


def log_prior(at: Mixture, design: Design) -> Array:
    """Of a mixture, up to a constant."""
    size, worth = jnp.asarray(design.prior)[:, -2]
    first = log_chi(at.log_sd - (size + math.log(BULK)), worth)
    other = log_chi(at.other_log_sd - math.log(OTHER_SD), OTHER_WORTH)
    share = jnp.logaddexp(
        math.log1p(-NONE) - float(betaln(*RARE)) + _beta(at.odds, *RARE),
        math.log(NONE / math.sqrt(2 * math.pi)) - 0.5 * (at.odds - NO_ODDS) ** 2,
    )
    level = _beta(jnp.asarray(design.offset) + at.middle, CERTAIN, CERTAIN)
    return first + other + share + level - 0.5 * ((at.other_middle - at.middle) / APART) ** 2


def _beta(logit: Array, for_: float, against: float) -> Array:
    """Log density of the log odds of a beta variable."""
    return for_ * jax.nn.log_sigmoid(logit) + against * jax.nn.log_sigmoid(-logit)


def density(at: Mixture) -> Float[Array, " nodes"]:
    """Mass of the mixture about each node."""
    x, share = jnp.asarray(NODES, at.odds.dtype), jax.nn.sigmoid(at.odds)

    def normal(middle: Array, log_sd: Array) -> Array:
        log_sd = jnp.maximum(log_sd, math.log(LEAST_SD))
        return jnp.exp(-0.5 * ((x - middle) * jnp.exp(-log_sd)) ** 2 - log_sd)

    both = (1 - share) * normal(at.middle, at.log_sd) + share * normal(at.other_middle, at.other_log_sd)
    return both * (SPACE / math.sqrt(2 * math.pi))


@full_precision
def likelihood(cells: Cells, base: Float[Array, " rows"], side: Float[Array, " columns"]) -> Float[Array, "rows nodes"]:
    """Of each row's own effect at the nodes, relative to its largest.

    base  logits of the rows without their own effects
    side  logits of the columns
    """
    row, column = cells.row, cells.column
    logit = (base[row] + side[column])[:, None] + jnp.asarray(KNOTS, base.dtype)[None, :]
    said = cells.weight[:, None] * (cells.score[:, None] * logit - jax.nn.softplus(logit))
    total = jnp.zeros((len(base), len(KNOTS)), base.dtype).at[row].add(said) @ jnp.asarray(BETWEEN, base.dtype)
    return jnp.exp(total - total.max(1, keepdims=True))


def learn(at: Mixture, like: Float[Array, "rows nodes"], design: Design, key: Array, steps: int) -> Mixture:
    """Mixtures, (chains,) of each number, after some Metropolis steps.

    Half of the chains move at a time, along differences of two of the other half, which are as long and as inclined as
    the posterior is (ter Braak 2006); now and then a whole difference, from one mode to another.
    """
    chains, dtype = len(at.odds), like.dtype

    def height(at: Array) -> Array:
        mixture = Mixture(*at)
        return jnp.sum(jnp.log(like @ density(mixture) + TINY)) + log_prior(mixture, design)

    def half_step(now: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
        (moving, still), high = now
        for_pair, for_length, for_noise, for_luck = jax.random.split(key, 4)
        first = jax.random.randint(for_pair, (2, chains // 2), 0, jnp.array([chains // 2, chains // 2 - 1])[:, None])
        second = first[0] + 1 + first[1]
        length = jnp.where(jax.random.bernoulli(for_length, LEAP), 1.0, PACE).astype(dtype)
        noise = NOISE * jax.random.normal(for_noise, moving.shape, dtype)
        there = moving + length * (still[first[0]] - still[second % (chains // 2)]) + noise
        found = jax.vmap(height)(there)
        taken = jnp.log(jax.random.uniform(for_luck, (chains // 2,), dtype)) < found - high[0]
        moved = jnp.where(taken[:, None], there, moving), jnp.where(taken, found, high[0])
        return (jnp.stack([still, moved[0]]), jnp.stack([high[1], moved[1]])), None  # the other half comes next

    begun = jnp.stack(at, 1).reshape(2, chains // 2, len(at))
    (ended, _), _ = jax.lax.scan(
        half_step, (begun, jax.vmap(jax.vmap(height))(begun)), jax.random.split(key, 2 * steps)
    )
    return Mixture(*ended.reshape(chains, len(at)).T)


def centre(like: Float[Array, "rows nodes"]) -> Array:
    """About where the rows' own effects lie, on the whole."""
    x = jnp.asarray(NODES, like.dtype)
    share = like * jnp.exp(-0.5 * (x / APART) ** 2)[None, :]
    return jnp.mean(share @ x / share.sum(1))


def moved(at: Mixture, by: Array) -> Mixture:
    """The same mixtures elsewhere."""
    return at._replace(middle=at.middle + by, other_middle=at.other_middle + by)


def effects(at: Mixture, like: Float[Array, "rows nodes"], key: Array) -> Float[Array, " rows"]:
    """A draw of the own effects."""
    for_node, for_place = jax.random.split(key)
    below = jnp.cumsum(like * density(at)[None, :], 1)
    level = jax.random.uniform(for_node, (len(like), 1), like.dtype) * below[:, -1:]
    node = jnp.sum(below < level, 1).astype(like.dtype)
    return SPACE * (node + jax.random.uniform(for_place, (len(like),), like.dtype) - 0.5) - REACH
