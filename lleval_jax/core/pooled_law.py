"""A scaling law whose families are drawn around what all share: Sloth (Maia Polo et al. 2024) as a normal process.

The score of model m on benchmark j is, with the logits z through a link that is learned,

    y_mj = floor_j + (1 - floor_j) sigmoid(h_j(z_mj)) + noise,    z_mj = centre_j + sum over effects e of c_ej x_em.

Effects are slopes in size, tokens and tuning that all models share, and the intercepts and size slopes of a lineage, of
a family and of the model alone. Each effect is normal over benchmarks with the covariance

    shared_e^2 L L' + own_e^2 diag(L L'),        L (benchmarks, skills) the loadings,

so that it acts through the skills, as in the paper, and a little beside them. Given L and the sizes of effects all is
normal but for the link, which is taken linear where the posterior lies (Gauss-Newton, Laplace's method); L, the sizes,
the links and the noise maximise the evidence. Scores far off count less (Student's t with `FREEDOM` degrees).

Lineages are independent given the shared slopes, so the cost is that of one small block a lineage. Blocks are inverted
by sweeps, not by LAPACK. Float64: call inside `jax.enable_x64(True)`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core import sweep
from lleval_jax.types import Array, Float

INPUTS = ("size", "tokens", "size x tokens", "size squared", "instruct", "instruct x size")  # slopes that all share
NESTED = ("lineage", "lineage x size", "family", "family x size", "model")
FREEDOM = 4.0  # of the noise's t distribution
REACH = 1.0  # a logit moves at most so far in a step

# What is believed beforehand of sizes of effects, in logits: likeliest values, each times or over e with sd 1.
SHARED = (0.7, 0.7, 0.15, 0.15, 0.3, 0.15)
OWNED = (0.5, 0.15, 0.3, 0.15, 0.15)
BESIDE = 0.5  # effects beside the skills, relative to those through them
NOISE, NOISE_SD = 0.015, 0.5  # of scores; sd of its log
CENTRE_SD, LOADING_SD, BEND_SD = 2.0, 1.0, 0.5


class Block(NamedTuple):
    """Models of several lineages, each padded to the same number of rows.

    inputs  (lineages, rows, inputs)      those of `INPUTS`, standardised, size first
    family  (lineages, rows)              whole numbers
    real    (lineages, rows)              1, or 0 for padding
    score   (lineages, rows, benchmarks)  in [0, 1]
    seen    (lineages, rows, benchmarks)  whether known
    """

    inputs: Array
    family: Array
    real: Array
    score: Array
    seen: Array


class Law(NamedTuple):
    """What is learned beside the effects themselves.

    loading  (benchmarks, skills)
    shared   (effects,)       log sizes of effects through the skills, those of `INPUTS` and then of `NESTED`
    own      (effects,)       beside them
    noise    (benchmarks,)    log sd of a score
    centre   (benchmarks,)    logit of an average model
    bend     (benchmarks,)    of the link: log slope far below zero
    """

    loading: Array
    shared: Array
    own: Array
    noise: Array
    centre: Array
    bend: Array


class At(NamedTuple):
    """Where the link is taken linear, and how much a score counts: (lineages, rows, benchmarks) for each block."""

    logit: tuple[Array, ...]
    worth: tuple[Array, ...]


class Posterior(NamedTuple):
    """Of the logits of one block: mean (lineages, rows, benchmarks), cov (lineages, rows, benchmarks, benchmarks)."""

    mean: Array
    cov: Array


def start(rate: Float[Array, " benchmarks"], skills: int, key: Array) -> Law:
    """A law before anything is learned: `rate` is the mean score above the floor, as a share of what is possible."""
    benchmarks, sizes = len(rate), jnp.log(jnp.asarray(SHARED + OWNED))
    first = jnp.zeros((benchmarks, skills)).at[:, 0].set(1)
    return Law(
        loading=first + 0.2 * jax.random.normal(key, first.shape),
        shared=sizes,
        own=sizes + math.log(BESIDE),
        noise=jnp.full(benchmarks, math.log(NOISE)),
        centre=jax.scipy.special.logit(jnp.clip(rate, 0.03, 0.9)),
        bend=jnp.zeros(benchmarks),
    )


def log_prior(law: Law, begin: Law, bends: float = BEND_SD) -> Array:
    """Of a law, up to a constant; `begin` is what `start` made."""
    first = jnp.zeros_like(law.loading).at[:, 0].set(1)
    parts = (
        ((law.loading - first) / LOADING_SD),
        law.shared - begin.shared,
        law.own - begin.own,
        (law.noise - math.log(NOISE)) / NOISE_SD,
        (law.centre - begin.centre) / CENTRE_SD,
        law.bend / bends,
    )
    return -0.5 * sum((jnp.sum(part**2) for part in parts), start=jnp.zeros(()))


def link(logit: Array, floor: Array, bend: Array) -> tuple[Array, Array]:
    """Scores and their slopes. The logits are bent: their slope goes from exp(bend) far below zero to exp(-bend).

    So scores can stay at the floor and then rise all at once. The bend is increasing, and has no ceiling below one.
    """
    floor, bend = (jnp.broadcast_to(part, logit.shape) for part in (floor, bend))
    low, high = jnp.exp(bend), jnp.exp(-bend)
    bent = high * jax.nn.softplus(logit) - low * jax.nn.softplus(-logit)
    rise = high * jax.nn.sigmoid(logit) + low * jax.nn.sigmoid(-logit)
    share = jax.nn.sigmoid(bent)
    return floor + (1 - floor) * share, (1 - floor) * share * (1 - share) * rise


@jax.custom_jvp
def inverse(matrix: Float[Array, "k k"]) -> tuple[Array, Array]:
    """Inverse and log determinant of a symmetric positive definite matrix, with the derivatives in closed form."""
    return sweep.inverse(matrix)


@inverse.defjvp
def _(at: tuple[Array], by: tuple[Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    found, log_det = inverse(*at)
    return (found, log_det), (-found @ by[0] @ found, jnp.sum(found * by[0]))


class _Part(NamedTuple):
    """One block, as `_part` works it out; cells are rows x benchmarks.

    inverse    (lineages, cells, cells)  of the covariance of scores, without the shared slopes
    log_det    (lineages,)
    prior      (lineages, cells, cells)  covariance of logits, without the shared slopes
    steep      (lineages, cells)         slope of the link where seen
    inputs     (lineages, cells, inputs x benchmarks)  by which shared slopes enter a logit
    solved     (lineages, cells)         inverse times the residual scores
    scaled     like inputs               inverse times (steep inputs)
    square     ()                        of the residual scores
    """

    inverse: Array
    log_det: Array
    prior: Array
    steep: Array
    inputs: Array
    solved: Array
    scaled: Array
    square: Array


def _part(block: Block, law: Law, logit: Array, worth: Array, floor: Array) -> _Part:
    lineages, rows, benchmarks = block.score.shape
    cells = rows * benchmarks
    score, slope = link(logit, floor, law.bend)
    steep = jnp.where(block.seen, slope, 0).reshape(lineages, cells)
    away = logit - law.centre[None, None]
    residual = jnp.where(block.seen, block.score - score + slope * away, 0).reshape(lineages, cells)
    noise = jnp.where(block.seen, jnp.exp(2 * law.noise)[None, None] / worth, 1).reshape(lineages, cells)
    prior = _nested(block, law).reshape(lineages, cells, cells)
    whole = steep[:, :, None] * prior * steep[:, None, :] + noise[:, :, None] * jnp.eye(cells)[None]
    found, log_det = jax.vmap(inverse)(whole)
    inputs = jnp.einsum("grx,jk->grjxk", block.inputs, jnp.eye(benchmarks)).reshape(lineages, cells, -1)
    solved = jnp.einsum("gmn,gn->gm", found, residual)
    scaled = found @ (steep[:, :, None] * inputs)
    return _Part(found, log_det, prior, steep, inputs, solved, scaled, jnp.sum(solved * residual))


def _nested(block: Block, law: Law) -> Array:
    """Covariance of the logits of a lineage, without the shared slopes."""
    together = block.real[:, :, None] * block.real[:, None, :]
    family = jnp.where(block.family[:, :, None] == block.family[:, None, :], together, 0)
    size = block.inputs[:, :, 0]
    sizes = size[:, :, None] * size[:, None, :]
    alone = together * jnp.eye(together.shape[1], dtype=together.dtype)[None]
    over_rows = jnp.stack([together, together * sizes, family, family * sizes, alone])
    square = law.loading @ law.loading.T
    nested = slice(len(INPUTS), None)
    through = jnp.einsum("e,egmn->gmn", jnp.exp(2 * law.shared[nested]), over_rows)
    beside = jnp.einsum("e,egmn->gmn", jnp.exp(2 * law.own[nested]), over_rows)
    return jnp.einsum("gmn,jk->gmjnk", through, square) + jnp.einsum(
        "gmn,jk->gmjnk", beside, jnp.diag(jnp.diagonal(square))
    )


def _slopes(parts: Sequence[_Part], law: Law) -> tuple[Array, Array, Array]:
    """Of the shared slopes: covariance (k, k) and mean (k,) given all scores; and the log determinant they add."""
    precision = sum(jnp.einsum("gnp,gn,gnq->pq", p.inputs, p.steep, p.scaled) for p in parts)
    pull = sum(jnp.einsum("gnp,gn,gn->p", p.inputs, p.steep, p.solved) for p in parts)
    length = jnp.sqrt(jnp.sum(law.loading**2, 1))
    roots = [
        jnp.concatenate([jnp.exp(through) * law.loading, jnp.exp(beside) * jnp.diag(length)], 1)
        for through, beside in zip(law.shared[: len(INPUTS)], law.own[: len(INPUTS)], strict=True)
    ]
    root = jax.scipy.linalg.block_diag(*roots)
    found, log_det = inverse(jnp.eye(root.shape[1]) + root.T @ precision @ root)
    cov = root @ found @ root.T
    return cov, cov @ pull, log_det - pull @ cov @ pull


def log_evidence(law: Law, blocks: Sequence[Block], at: At, floor: Array) -> Array:
    """Log marginal density of the scores, the link linear about `at`, up to a constant."""
    parts = [_part(b, law, z, w, floor) for b, z, w in zip(blocks, *at, strict=True)]
    each = sum((jnp.sum(p.log_det) + p.square for p in parts), start=jnp.zeros(()))
    return -0.5 * (each + _slopes(parts, law)[2])


def log_laplace(law: Law, blocks: Sequence[Block], at: At, floor: Array) -> Array:
    """The same with the link linear where the posterior lies for this very law, one Gauss-Newton step from `at`.

    Near a settled `at` that step is exact to first order, so that the gradient knows how the posterior moves with the
    law; a search that holds `at` fixed does not, and chases its own tail.
    """
    return log_evidence(law, blocks, At(_stepped(at, posterior(law, blocks, at, floor)), at.worth), floor)


def posterior(law: Law, blocks: Sequence[Block], at: At, floor: Array) -> tuple[Posterior, ...]:
    """Of the logits of all cells, seen or not."""
    parts = [_part(b, law, z, w, floor) for b, z, w in zip(blocks, *at, strict=True)]
    cov, slope, _ = _slopes(parts, law)
    return tuple(_of_cells(p, b, cov, slope, law.centre) for p, b in zip(parts, blocks, strict=True))


def _of_cells(part: _Part, block: Block, cov: Array, slope: Array, centre: Array) -> Posterior:
    lineages, rows, benchmarks = block.score.shape
    across = part.steep[:, :, None] * part.prior  # seen scores by logits
    mean = part.inputs @ slope + jnp.einsum("gnm,gn->gm", across, part.solved - part.scaled @ slope)
    left = part.inputs - jnp.einsum("gnm,gnp->gmp", across, part.scaled)

    def of_rows(left: Array, right: Array) -> Array:
        return jnp.einsum(
            "grjp,grkp->grjk", *(x.reshape(lineages, rows, benchmarks, x.shape[2]) for x in (left, right))
        )

    turned = jnp.swapaxes(across, 1, 2)
    at = jnp.arange(rows)
    prior = part.prior.reshape(lineages, rows, benchmarks, rows, benchmarks)[:, at, :, at].swapaxes(0, 1)
    spread = prior - of_rows(turned, turned @ part.inverse) + of_rows(left, left @ cov)
    return Posterior(centre[None, None] + mean.reshape(block.score.shape), spread)


def begin(law: Law, blocks: Sequence[Block]) -> At:
    """Logits of average models, all scores trusted."""
    logit = tuple(jnp.broadcast_to(law.centre, b.score.shape) for b in blocks)
    return At(logit, tuple(jnp.ones_like(z) for z in logit))


def settle(law: Law, blocks: Sequence[Block], at: At, floor: Array, steps: int) -> At:
    """`at` moved to the posterior of the logits, and scores far from it trusted less."""

    def step(_: int, at: At) -> At:
        worths, found = [], posterior(law, blocks, at, floor)
        logits = _stepped(at, found)
        for block, logit, one in zip(blocks, logits, found, strict=True):
            score, slope = link(logit, floor, law.bend)
            variance = slope**2 * jnp.diagonal(one.cov, axis1=2, axis2=3)
            off = ((block.score - score) ** 2 + variance) / jnp.exp(2 * law.noise)[None, None]
            worths.append(jnp.where(block.seen, (FREEDOM + 1) / (FREEDOM + off), 1))
        return At(logits, tuple(worths))

    return jax.lax.fori_loop(0, steps, step, at)


def _stepped(at: At, found: Sequence[Posterior]) -> tuple[Array, ...]:
    """Logits moved to the posterior's, no further than `REACH`."""
    return tuple(now + jnp.clip(one.mean - now, -REACH, REACH) for now, one in zip(at.logit, found, strict=True))


def layout(
    inputs: np.ndarray, family: np.ndarray, lineage: np.ndarray, score: np.ndarray, seen: np.ndarray
) -> tuple[tuple[Block, ...], np.ndarray]:
    """Rows put into blocks, few padded, and where each went: (rows, 3) block, lineage and row there."""
    count = np.bincount(lineage)[lineage]
    bucket = np.digitize(count, (4,))  # up to three models, more
    where, blocks = np.zeros((len(lineage), 3), int), []
    for one in np.unique(bucket):
        here = np.flatnonzero(bucket == one)
        group = np.unique(lineage[here], return_inverse=True)[1]
        row = np.array([np.sum(group[:i] == group[i]) for i in range(len(group))])
        where[here] = np.stack([np.full(len(here), len(blocks)), group, row], 1)
        shape = group.max() + 1, row.max() + 1

        def put(values: np.ndarray, here=here, group=group, row=row, shape=shape) -> np.ndarray:
            full = np.zeros((*shape, *values.shape[1:]), values.dtype)
            full[group, row] = values[here]
            return full

        columns = (inputs, family, np.ones(len(lineage)), score, seen)
        blocks.append(Block(*(jnp.asarray(put(column)) for column in columns)))
    return tuple(blocks), where
