"""Marginal maximum likelihood by EM where items have answers of several kinds (`kinds`), with one ability.

    y_ri | ability ~ kind_i(slope_i ability_r + intercept_i, shape_i),   ability_r ~ N(0, 1)

The parameters of a block's items have a normal prior with learned mean and variance (empirical Bayes): an item that
few models answered takes slope and shape from its kind.

The rest is as in `em`: two scoring steps an iteration, and parameter expansion.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.irt import em, uncertainty
from lleval_jax.core.irt.kinds import Kind
from lleval_jax.core.irt.likelihood import Prior, accurate_sum, log_prior
from lleval_jax.core.irt.posterior import Block, Data, Expected, expect, information, natural, statistics
from lleval_jax.core.linalg import small
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

USUAL, WORTH = 1.0, 2.0  # a prior that the spread of a coordinate is 1, worth two items
SHARES = (0.1, 1.0)  # of a scoring step that are tried; an item whose likelihood is not concave may overshoot
FAR, WHISPER = 1.0, 1e-6  # sd of the prior of a kind's mean shape; ridge of its scoring step
STEEP = 1.0  # slope at which a fit begins


class Unknowns(NamedTuple):
    """What EM moves, an entry a block.

    free    (items, width)  slope, intercept, shape
    mean    (width,)        of the block's prior
    log_sd  (width,)
    """

    free: tuple[Array, ...]
    mean: tuple[Array, ...]
    log_sd: tuple[Array, ...]

    def prior(self, block: int) -> Prior:
        """Of one block."""
        return Prior(self.mean[block], jnp.exp(-2 * self.log_sd[block]))


@dataclasses.dataclass(frozen=True)
class Task:
    """Settings of a fit: the kind of each block."""

    kinds: tuple[Kind, ...]
    scoring_steps: int = 1


class Counts(NamedTuple):
    """What the E step finds of a block, at all nodes of all rows: nodes = rows * PER_ROW.

    right  (items, nodes, statistics)  statistics of the row's answer, times the node's mass
    asked  (items, nodes)              its weight, times the node's mass
    """

    right: Array
    asked: Array


def count(kind: Kind, block: Block, mass: Float[Array, "rows own"]) -> Counts:
    """Statistics and answers of a block's items at the rows' nodes."""
    items = len(block.item_weight)
    right = jnp.einsum("ris,rq->irqs", statistics(kind, block), mass)
    asked = jnp.einsum("ri,rq->irq", block.weight, mass)
    return Counts(right.reshape(items, mass.size, -1), asked.reshape(items, mass.size))


def curvature(
    kind: Kind,
    free: Float[Array, " width"],
    right: Float[Array, "nodes statistics"],
    asked: Float[Array, " nodes"],
    nodes: Float[Array, " nodes"],
) -> tuple[Float[Array, " width"], Float[Array, "width width"]]:
    """Score vector and Fisher information of one item's coordinates."""
    score = jax.grad(lambda x: jnp.sum(right * natural(kind, x, nodes)))(free)
    about = asked[:, None, None] * information(kind, free, nodes)
    line = jnp.stack([nodes, jnp.ones_like(nodes)], 1)
    lines = (about[:, 0, 0, None] * line).T @ line
    side = line.T @ about[:, 0, 1:]
    return score, jnp.block([[lines, side], [side.T, jnp.sum(about[:, 1:, 1:], 0)]])


def maximise(
    kind: Kind, steps: int, prior: Prior, free: Float[Array, "items width"], counts: Counts, nodes: Array
) -> tuple[Float[Array, "items width"], Float[Array, "items width width"]]:
    """M step of a block.  -> new coordinates, and their posterior covariances before the last move."""
    each = jax.vmap(curvature, (None, 0, 0, 0, None))

    def worth(free: Array) -> Array:
        """(items,) expected log likelihood and log prior of each item."""
        eta = jax.vmap(natural, (None, 0, None))(kind, free, nodes)
        return jnp.sum(counts.right * eta, (1, 2)) + jax.vmap(log_prior, (None, 0))(prior, free)

    def scoring(free: Array, _) -> tuple[Array, Array]:
        score, info = each(kind, free, counts.right, counts.asked, nodes)
        score = score - prior.precision[None, :] * (free - prior.mean[None, :])
        info = em.posterior_information(info, prior)
        move = jnp.clip(jax.vmap(small.solve)(info, score), -em.LONGEST, em.LONGEST)
        here = worth(free)
        least = here - 4 * jnp.finfo(free.dtype).eps * jnp.abs(here)
        taken = free
        for share in SHARES:  # the largest that does not lower the item's value
            trial = free + share * move
            taken = jnp.where((worth(trial) >= least)[:, None], trial, taken)
        return taken, info

    free, info = jax.lax.scan(scoring, free, None, length=steps)
    return free, jax.vmap(small.inverse)(info[-1])


def em_map(task: Task, data: Data):
    """The EM step as a map  unknowns -> (next unknowns, objective at unknowns)  for `core.solvers.loop`.

    The objective is the marginal log likelihood plus the Laplace evidence of each block's prior, as in `em`.
    """

    @full_precision
    def step(now: Unknowns) -> tuple[Unknowns, Array]:
        found = expect(task.kinds, data, now.free)
        value, mass = accurate_sum(data.row_weight * found.loglik), found.mass * data.row_weight[:, None]
        after: list[tuple[Array, Array, Array]] = []
        for b, (kind, block) in enumerate(zip(task.kinds, data.blocks, strict=True)):
            prior, w = now.prior(b), block.item_weight
            counts, nodes = count(kind, block, mass), found.nodes.ravel()
            free, mean = _shift(kind, w, now.free[b], now.mean[b], counts, nodes)
            free, spread = maximise(kind, task.scoring_steps, prior._replace(mean=mean), free, counts, nodes)
            density = jax.vmap(log_prior, (None, 0))(prior, now.free[b])
            value += jnp.sum(w * (density + 0.5 * jnp.linalg.slogdet(spread)[1]))
            centre, precision = _far(kind, mean.dtype)
            value -= 0.5 * jnp.sum(precision * (now.mean[b] - centre) ** 2)
            after.append((free, *_learn(kind, w, free, spread)))
        return _expand(data, found, Unknowns(*(tuple(part) for part in zip(*after, strict=True)))), value

    return step


def _far(kind: Kind, dtype: jnp.dtype) -> tuple[Array, Array]:
    """(width,) centre and precision of a weak prior on the mean of a block's shapes: a grade may never be used."""
    centre = jnp.asarray([0.0, 0.0, *kind.usual], dtype)
    return centre, jnp.full_like(centre, FAR**-2).at[:2].set(0)


def _shift(kind: Kind, w: Array, free: Array, mean: Array, counts: Counts, nodes: Array) -> tuple[Array, Array]:
    """A scoring step of all items of a block and of their prior's mean together.

    The mean alone follows the items, which follow it: where they are many and each says little, that crawls.
    """
    score, info = jax.vmap(curvature, (None, 0, 0, 0, None))(kind, free, counts.right, counts.asked, nodes)
    centre, precision = _far(kind, mean.dtype)

    def value(by: Array) -> Array:
        eta = jax.vmap(natural, (None, 0, None))(kind, free + by[None, :], nodes)
        return jnp.sum(w[:, None, None] * counts.right * eta) - 0.5 * jnp.sum(precision * (mean + by - centre) ** 2)

    whole = jnp.sum(w[:, None, None] * info, 0) + jnp.diag(precision)
    by = small.solve(whole + WHISPER * jnp.diag(jnp.diagonal(whole) + 1), w @ score + precision * (centre - mean))
    by = jnp.clip(by, -em.LONGEST, em.LONGEST)
    by = jnp.where(value(by) > value(jnp.zeros_like(by)), by, 0)
    return free + by[None, :], mean + by


def _learn(kind: Kind, w: Array, free: Array, spread: Array) -> tuple[Array, Array]:
    """Mean and log sd of a block's prior: posterior moments of its items, with a weak pull to what is usual."""
    count = jnp.sum(w)
    mean = jnp.sum(w[:, None] * free, 0) / count
    variance = jnp.diagonal(spread, axis1=1, axis2=2)
    second = jnp.sum(w[:, None] * ((free - mean[None, :]) ** 2 + variance), 0)
    log_sd = 0.5 * jnp.log((second + WORTH * USUAL) / (count + WORTH))
    held = jnp.log(jnp.asarray([jnp.inf, jnp.inf] + [kind.most] * kind.shapes, log_sd.dtype))
    return mean, jnp.minimum(log_sd, held)


def _expand(data: Data, found: Expected, now: Unknowns) -> Unknowns:
    """Let abilities have the mean and spread that the rows show, then fold both into the items (PX-EM)."""
    share = data.row_weight / jnp.sum(data.row_weight)
    centre = share @ found.mean
    root = jnp.sqrt(share @ (found.variance + (found.mean - centre) ** 2))

    def folded(line: Array) -> Array:
        """(..., width), slope and intercept first."""
        return line.at[..., 1].add(line[..., 0] * centre).at[..., 0].multiply(root)

    sds = tuple(log_sd.at[0].add(jnp.log(root)) for log_sd in now.log_sd)
    return Unknowns(tuple(map(folded, now.free)), tuple(map(folded, now.mean)), sds)


def start(task: Task, data: Data) -> Unknowns:
    """Where a fit begins: scoring steps with the rows at their standing, as if abilities were known."""
    nodes, mass, frees, means, sds = standing(data), data.row_weight[:, None], [], [], []
    for kind, block in zip(task.kinds, data.blocks, strict=True):
        counts = count(kind, block, mass)
        mean = jnp.asarray([STEEP, 0.0, *kind.usual], data.nodes.dtype)
        sd = jnp.full_like(mean, USUAL).at[1].set(2.0).at[2:].min(kind.most)
        free = jnp.broadcast_to(mean[None, :], (len(counts.asked), len(mean)))
        frees.append(maximise(kind, 12, Prior(mean, sd**-2), free, counts, nodes)[0])
        means.append(jnp.mean(frees[-1], 0))
        sds.append(jnp.log(sd))
    return Unknowns(tuple(frees), tuple(means), tuple(sds))


def standing(data: Data) -> Float[Array, " rows"]:
    """How far above the items' means a row scores, standardised over the rows."""
    above = asked = jnp.zeros_like(data.row_weight)
    for block in data.blocks:
        weight = block.weight * data.row_weight[:, None]
        mean = jnp.sum(weight * block.scores, 0) / jnp.maximum(jnp.sum(weight, 0), 1e-9)
        gap = weight * (block.scores - mean[None, :])
        spread = jnp.sqrt(jnp.sum(gap**2, 0) / jnp.maximum(jnp.sum(weight, 0), 1e-9) + 1e-6)
        above += jnp.sum(gap / spread[None, :], 1)
        asked += jnp.sum(weight, 1)
    level = above / jnp.maximum(asked, 1e-9)
    total = jnp.maximum(jnp.sum(data.row_weight), 1e-9)
    level = level - jnp.sum(data.row_weight * level) / total
    return level / jnp.sqrt(jnp.maximum(jnp.sum(data.row_weight * level**2) / total, 1e-9))


@full_precision
def covariances(
    kinds: tuple[Kind, ...], data: Data, now: Unknowns, found: Expected
) -> tuple[Float[Array, "items width width"], ...]:
    """Covariance of each item's coordinates, the abilities' uncertainty included; an entry a block.

    The observed information of all items is A - G V G' (Louis 1982): A has a block an item, and a row takes away what
    its own ability, of variance V, is not known. Inverted by Woodbury, as in `uncertainty`, with a column of G a row.
    That takes abilities to be known well: errors of slopes come out up to 5% small with 60 items, 10% with 20.
    """
    mass = found.mass * data.row_weight[:, None]
    weight, parts = jnp.ones_like(found.mean), []
    for kind, block, free in zip(kinds, data.blocks, now.free, strict=True):
        about = jax.vmap(information, (None, 0, None))(kind, free, found.nodes.ravel())[:, :, 0, :]
        about = (
            about.reshape(len(free), *mass.shape, -1) * block.weight.T[:, :, None, None] * found.mass[None, :, :, None]
        )
        by_line = jnp.sum(about[..., :1] * found.nodes[None, :, :, None], 2)
        thin = jnp.concatenate([by_line, jnp.sum(about, 2)], 2) * free[:, :1, None]
        weight += jnp.sum(thin[:, :, 1] * free[:, :1], 0)
        parts.append(thin)
    root = jnp.sqrt(data.row_weight / weight)
    middle, blocks = jnp.eye(len(root), dtype=root.dtype), []
    for b, (kind, block, free, thin) in enumerate(zip(kinds, data.blocks, now.free, parts, strict=True)):
        counts = count(kind, block, mass)
        _, whole = jax.vmap(curvature, (None, 0, 0, 0, None))(
            kind, free, counts.right, counts.asked, found.nodes.ravel()
        )
        inner = jax.vmap(small.inverse)(em.posterior_information(whole, now.prior(b)))
        thin = thin * root[None, :, None]
        side = jnp.einsum("ijk,irk->ijr", inner, thin)
        middle -= jnp.einsum("irj,ijp->rp", thin, side)
        blocks.append((inner, side))
    rest = jnp.linalg.inv(middle)
    return tuple(
        uncertainty.proper(inner + jnp.einsum("ijr,rp,ikp->ijk", side, rest, side), now.prior(b))
        for b, (inner, side) in enumerate(blocks)
    )
