"""A scaling law whose families are drawn around what all share: Sloth (Maia Polo et al. 2024) as a normal process.

The score of model m on benchmark j is, with the logits z through a link that is learned,

    y_mj = floor_j + (1 - floor_j) sigmoid(h_j(z_mj)) + noise,    z_mj = centre_j + sum over effects e of c_ej x_em.

Effects are slopes in size, tokens and tuning that all models share, and the intercepts and size slopes of a lineage, of
a family and of the model alone. Each effect is normal over benchmarks with the covariance

    shared_e^2 L L' + own_e^2 diag(L L'),        L (benchmarks, skills) the loadings,

so that it acts through the skills, as in the paper, and a little directly. Given L and the sizes of effects all is
normal but for the link, which is taken linear where the posterior lies (Gauss-Newton, Laplace's method); L, the sizes,
the links and the noise maximise the evidence. Scores far off count less (Student's t with `FREEDOM` degrees).

Lineages are independent given the shared slopes, and a lineage's benchmarks given its models' skills. So no matrix is
larger than models by skills of one lineage, or inputs by benchmarks. All are inverted by sweeps, not by LAPACK.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.linalg.sweep import inverse
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

INPUTS = ("size", "tokens", "size x tokens", "size squared", "instruct", "instruct x size")  # slopes that all share
NESTED = ("lineage", "lineage x size", "family", "family x size", "model")
FREEDOM = 4.0  # of the noise's t distribution
REACH = 1.0  # a logit moves at most so far in a step

# What is believed beforehand of sizes of effects, in logits: likeliest values, each times or over e with sd 1.
SHARED = (0.7, 0.7, 0.15, 0.15, 0.3, 0.15)
OWNED = (0.5, 0.15, 0.3, 0.15, 0.15)
DIRECT = 0.5  # effects that bypass the skills, relative to those through them
NOISE, NOISE_SD = 0.015, 0.5  # of scores; sd of its log
CENTRE_SD, LOADING_SD, BEND_SD = 2.0, 1.0, 0.5


class Rows(NamedTuple):
    """Models by lineage, each lineage padded to the same number of rows.

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
    """What is learned apart from the effects themselves.

    loading  (benchmarks, skills)
    shared   (effects,)       log sizes of effects through the skills, those of `INPUTS` and then of `NESTED`
    own      (effects,)       directly
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
    """Where the link is taken linear, and how much a score counts: (lineages, rows, benchmarks) both."""

    logit: Array
    worth: Array


class Slopes(NamedTuple):
    """Those that all models share, given all scores: of each input through each skill, then on each benchmark.

    mean  (inputs x (skills + benchmarks),)
    cov   the same, squared
    """

    mean: Array
    cov: Array


class Posterior(NamedTuple):
    """Of logits: mean (lineages, rows, benchmarks), cov (lineages, rows, benchmarks, benchmarks)."""

    mean: Array
    cov: Array


def start(rate: Float[Array, " benchmarks"], skills: int, key: Array) -> Law:
    """A law before anything is learned: `rate` is the mean score above the floor, as a share of what is possible."""
    benchmarks, dtype = len(rate), rate.dtype
    sizes = jnp.log(jnp.asarray(SHARED + OWNED, dtype))
    first = jnp.zeros((benchmarks, skills), dtype).at[:, 0].set(1)
    return Law(
        loading=first + 0.2 * jax.random.normal(key, first.shape, dtype),
        shared=sizes,
        own=sizes + math.log(DIRECT),
        noise=jnp.full(benchmarks, math.log(NOISE), dtype),
        centre=jax.scipy.special.logit(jnp.clip(rate, 0.03, 0.9)),
        bend=jnp.zeros(benchmarks, dtype),
    )


def log_prior(law: Law, begin: Law, bends: float | Array = BEND_SD) -> Array:
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
    return -0.5 * sum((jnp.sum(part**2) for part in parts), start=jnp.zeros((), law.loading.dtype))


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


class Skills(NamedTuple):
    """Posterior of models' skills, and of what their families have beyond size and tokens (efficiency).

    mean, family_mean  (lineages, rows, skills)
    cov, family_cov    (lineages, rows, skills, skills)
    """

    mean: Array
    cov: Array
    family_mean: Array
    family_cov: Array


class _Lineages(NamedTuple):
    """What scores say of lineages, shared slopes apart; logits are counted from the centre.

    A logit is u + o: u through skills and shared slopes, o the residual, with covariance `residual`, independent
    over benchmarks. Skills are t + inputs x slopes.

    way      (benchmarks, m)                        by which skills and slopes enter a logit: loadings, then ones
    residual   (lineages, benchmarks, rows, rows)     covariance of o beforehand
    weight   (lineages, benchmarks, rows, rows)     precision of scores as measures of u
    pull     (lineages, benchmarks, rows)           weight times measures
    before   (lineages, rows, rows)                 precision of t beforehand, the same for each skill
    skill    (lineages, rows, skills, rows, skills) covariance of t given the shared slopes
    message     (lineages, rows, skills)               what scores say of t
    mixed    (lineages, rows, skills, inputs, m)    of t and the slopes
    fit      ()                                     -2 log density, shared slopes apart
    """

    way: Array
    residual: Array
    weight: Array
    pull: Array
    before: Array
    skill: Array
    message: Array
    mixed: Array
    fit: Array


def _lineages(rows: Rows, law: Law, at: At, floor: Array) -> _Lineages:
    lineages, count, benchmarks = rows.score.shape
    skills = law.loading.shape[1]
    score, slope = link(at.logit, floor, law.bend)
    sharp = 0.5 * jnp.log(at.worth) - law.noise[None, None]
    root = jnp.where(rows.seen, jnp.exp(sharp), 0)
    steep = jnp.swapaxes(root * slope, 1, 2)
    miss = jnp.swapaxes(root * (rows.score - score + slope * (at.logit - law.centre[None, None])), 1, 2)
    through, residual = nested(rows, law)
    length = jnp.sum(law.loading**2, 1)
    residual = length[None, :, None, None] * residual[:, None]
    dtype = law.loading.dtype
    eye = jnp.eye(count, dtype=dtype)
    kept, log_det = jax.vmap(jax.vmap(inverse))(eye[None, None] + steep[..., :, None] * residual * steep[..., None, :])
    weight = steep[..., :, None] * kept * steep[..., None, :]
    solved = jnp.einsum("gjrs,gjs->gjr", kept, miss)
    pull = steep * solved
    fit = jnp.sum(log_det) + jnp.sum(miss * solved) - 2 * jnp.sum(jnp.where(rows.seen, sharp, 0))
    before, log_before = jax.vmap(inverse)(through + (1 - rows.real)[:, :, None] * eye[None])
    precision = jnp.einsum("grs,kl->grksl", before, jnp.eye(skills, dtype=dtype))
    precision = precision + jnp.einsum("gjrs,jk,jl->grksl", weight, law.loading, law.loading)
    skill, log_after = jax.vmap(inverse)(precision.reshape(lineages, count * skills, -1))
    skill = skill.reshape(precision.shape)
    message = jnp.einsum("gjr,jk->grk", pull, law.loading)
    fit = (
        fit + skills * jnp.sum(log_before) + jnp.sum(log_after) - jnp.einsum("grk,grksl,gsl->", message, skill, message)
    )
    way = jnp.concatenate([law.loading, jnp.eye(benchmarks, dtype=dtype)], 1)
    mixed = jnp.einsum("gjrs,gsx,jk,jm->grkxm", weight, rows.inputs, law.loading, way)
    return _Lineages(way, residual, weight, pull, before, skill, message, mixed, fit)


def _kin(rows: Rows) -> tuple[Array, Array]:
    """Whether two rows of a lineage are both models, (lineages, rows, rows), and whether of one family."""
    together = rows.real[:, :, None] * rows.real[:, None, :]
    return together, jnp.where(rows.family[:, :, None] == rows.family[:, None, :], together, 0)


def nested(rows: Rows, law: Law) -> tuple[Array, Array]:
    """Covariances of a lineage's effects, (lineages, rows, rows): through a skill, and direct."""
    together, family = _kin(rows)
    size = rows.inputs[:, :, 0]
    sizes = size[:, :, None] * size[:, None, :]
    alone = together * jnp.eye(together.shape[1], dtype=together.dtype)[None]
    over_rows = jnp.stack([together, together * sizes, family, family * sizes, alone])
    after = slice(len(INPUTS), None)
    through, residual = (jnp.einsum("e,egrs->grs", jnp.exp(2 * x[after]), over_rows) for x in (law.shared, law.own))
    return through, residual


def _slopes(known: _Lineages, rows: Rows, law: Law) -> tuple[Slopes, Array]:
    """The shared slopes, and what they add to -2 log density."""
    inputs, way = rows.inputs, known.way
    turned = jnp.einsum("grksl,gslxm->grkxm", known.skill, known.mixed)
    seen = jnp.einsum("gjrs,grx,gsy->jxy", known.weight, inputs, inputs)
    precision = jnp.einsum("jxy,jm,jn->xmyn", seen, way, way) - jnp.einsum("grkxm,grkyn->xmyn", known.mixed, turned)
    pull = jnp.einsum("gjr,grx,jm->xm", known.pull, inputs, way) - jnp.einsum("grk,grkxm->xm", known.message, turned)
    shared, own = (jnp.exp(x[: len(INPUTS)]) for x in (law.shared, law.own))
    ones = jnp.ones_like(law.loading[0])
    length = jnp.sqrt(jnp.sum(law.loading**2, 1))
    root = jnp.concatenate([shared[:, None] * ones[None], own[:, None] * length[None]], 1).ravel()
    whole = precision.reshape(root.size, root.size)
    found, log_det = inverse(jnp.eye(root.size, dtype=root.dtype) + root[:, None] * whole * root[None, :])
    cov = root[:, None] * found * root[None, :]
    mean = cov @ pull.ravel()
    return Slopes(mean, cov), log_det - pull.ravel() @ mean


def log_evidence(law: Law, rows: Rows, at: At, floor: Array) -> Array:
    """Log marginal density of the scores, the link linear about `at`, up to a constant."""
    known = _lineages(rows, law, at, floor)
    return -0.5 * (known.fit + _slopes(known, rows, law)[1])


@full_precision
def log_laplace(law: Law, rows: Rows, at: At, floor: Array) -> Array:
    """The same with the link linear where the posterior lies for this very law, one Gauss-Newton step from `at`.

    Near a settled `at` that step is exact to first order, so that the gradient knows how the posterior moves with the
    law; a search that holds `at` fixed does not, and chases its own tail.
    """
    known = _lineages(rows, law, at, floor)
    mean = _mean(known, rows, law, _slopes(known, rows, law)[0])
    return log_evidence(law, rows, At(_stepped(at, mean), at.worth), floor)


def slopes(law: Law, rows: Rows, at: At, floor: Array) -> Slopes:
    """What all models share, given all scores."""
    return _slopes(_lineages(rows, law, at, floor), rows, law)[0]


def posterior(law: Law, rows: Rows, at: At, floor: Array, shared: Slopes) -> Posterior:
    """Of the logits of all cells, seen or not. `shared` may rest on other lineages too."""
    known = _lineages(rows, law, at, floor)
    alone, skill, slope = _roots(known, rows)
    benchmarks = jnp.eye(alone.shape[1], dtype=alone.dtype)
    cov = jnp.einsum("gjr,jk->grjk", alone, benchmarks)
    cov = cov + jnp.einsum("gjrsl,gslto,gkrto->grjk", skill, known.skill, skill)
    wide = slope.reshape(*slope.shape[:3], -1)
    cov = cov + jnp.einsum("gjrp,pq,gkrq->grjk", wide, shared.cov, wide)
    return Posterior(_mean(known, rows, law, shared), cov)


def skills(law: Law, rows: Rows, at: At, floor: Array, shared: Slopes) -> Skills:
    """Of the models given all scores; a family's is its lineage's and its own together, size slopes apart."""
    known = _lineages(rows, law, at, floor)
    mean = _skill(known, shared)
    turned = jnp.einsum("grksl,gslxm->grkxm", known.skill, known.mixed)
    dims = mean.shape[2]
    wide = jnp.einsum("grx,km->grkxm", rows.inputs, jnp.eye(dims, known.way.shape[1], dtype=mean.dtype)) - turned

    def spread(gain: Array, wide: Array) -> Array:
        wide = wide.reshape(*wide.shape[:3], -1)
        from_slopes = jnp.einsum("grkp,pq,grlq->grkl", wide, shared.cov, wide)
        return jnp.einsum("grs,gsktl,grt->grkl", gain, known.skill, gain) + from_slopes

    together, family = _kin(rows)
    places = [len(INPUTS) + NESTED.index(name) for name in ("lineage", "family")]
    sizes = jnp.exp(2 * law.shared[jnp.array(places)])
    across = sizes[0] * together + sizes[1] * family
    gain = across @ known.before
    left = jnp.diagonal(across - gain @ across, axis1=1, axis2=2)[:, :, None, None]
    left = left * jnp.eye(dims, dtype=mean.dtype)[None, None]
    return Skills(
        mean=mean + jnp.einsum("grx,xk->grk", rows.inputs, shared.mean.reshape(len(INPUTS), -1)[:, :dims]),
        cov=spread(jnp.broadcast_to(jnp.eye(mean.shape[1], dtype=mean.dtype), gain.shape), wide),
        family_mean=gain @ mean,
        family_cov=left + spread(gain, -jnp.einsum("grs,gskxm->grkxm", gain, turned)),
    )


def _skill(known: _Lineages, shared: Slopes) -> Array:
    """Mean of t, (lineages, rows, skills)."""
    slope = shared.mean.reshape(len(INPUTS), -1)
    return jnp.einsum("grksl,gsl->grk", known.skill, known.message - jnp.einsum("grkxm,xm->grk", known.mixed, slope))


def _mean(known: _Lineages, rows: Rows, law: Law, shared: Slopes) -> Array:
    """Of the logits, (lineages, rows, benchmarks)."""
    _, common, own = _means(known, rows, law, shared)
    return law.centre[None, None] + common + own


def _means(known: _Lineages, rows: Rows, law: Law, shared: Slopes) -> tuple[Array, Array, Array]:
    """Of t (lineages, rows, skills), u and o (lineages, rows, benchmarks)."""
    slope, skill = shared.mean.reshape(len(INPUTS), -1), _skill(known, shared)
    common = jnp.einsum("grx,xm,jm->gjr", rows.inputs, slope, known.way) + jnp.einsum("grk,jk->gjr", skill, law.loading)
    left = known.pull - jnp.einsum("gjrs,gjs->gjr", known.weight, common)
    own = jnp.einsum("gjrs,gjs->gjr", known.residual, left)
    return skill, jnp.swapaxes(common, 1, 2), jnp.swapaxes(own, 1, 2)


def _roots(known: _Lineages, rows: Rows) -> tuple[Array, Array, Array]:
    """How logits vary: alone (lineages, benchmarks, rows), with t (.., rows, skills), with slopes (.., inputs, m)."""
    skills = known.message.shape[2]
    gain = jnp.einsum("gjrs,gjst->gjrt", known.residual, known.weight)
    alone = jnp.diagonal(known.residual, axis1=2, axis2=3) - jnp.einsum("gjrs,gjsr->gjr", gain, known.residual)
    rest = jnp.eye(gain.shape[2], dtype=gain.dtype)[None, None] - gain
    skill = jnp.einsum("gjrs,jk->gjrsk", rest, known.way[:, :skills])
    turned = jnp.einsum("grksl,gslxm->grkxm", known.skill, known.mixed)
    slope = jnp.einsum("gjrs,gsx,jm->gjrxm", rest, rows.inputs, known.way)
    return alone, skill, slope - jnp.einsum("gjrsk,gskxm->gjrxm", skill, turned)


@full_precision
def effects(law: Law, rows: Rows, at: At, floor: Array, shared: Slopes) -> tuple[Array, Array]:
    """Posterior means of skills, slopes apart (lineages, rows, skills), and of residuals (.., benchmarks)."""
    skill, _, own = _means(_lineages(rows, law, at, floor), rows, law, shared)
    return skill, own


def begin(law: Law, rows: Rows) -> At:
    """Logits of average models, all scores trusted."""
    logit = jnp.zeros_like(rows.score) + law.centre[None, None]
    return At(logit, jnp.ones_like(logit))


@full_precision
def settle(law: Law, rows: Rows, at: At, floor: Array, steps: int) -> tuple[At, Slopes]:
    """`at` moved to the posterior of the logits, scores far from it trusted less; and the slopes that all share."""

    def step(_: int, now: tuple[At, Slopes]) -> tuple[At, Slopes]:
        at = now[0]
        shared = slopes(law, rows, at, floor)
        found = posterior(law, rows, at, floor, shared)
        logit = _stepped(at, found.mean)
        score, slope = link(logit, floor, law.bend)
        variance = slope**2 * jnp.diagonal(found.cov, axis1=2, axis2=3)
        off = ((rows.score - score) ** 2 + variance) / jnp.exp(2 * law.noise)[None, None]
        return At(logit, jnp.where(rows.seen, (FREEDOM + 1) / (FREEDOM + off), 1)), shared

    return jax.lax.fori_loop(0, steps, step, (at, flat_slopes(law)))


def flat_slopes(law: Law) -> Slopes:
    """Slopes before anything is known of them: zeros."""
    size, dtype = len(INPUTS) * sum(law.loading.shape), law.loading.dtype
    return Slopes(jnp.zeros(size, dtype), jnp.zeros((size, size), dtype))


def _stepped(at: At, mean: Array) -> Array:
    """Logits moved to the posterior's, no further than `REACH`."""
    return at.logit + jnp.clip(mean - at.logit, -REACH, REACH)


def layout(
    inputs: np.ndarray,
    family: np.ndarray,
    lineage: np.ndarray,
    score: np.ndarray,
    seen: np.ndarray,
    rows: int = 0,
    lineages: int = 0,
) -> tuple[Rows, np.ndarray]:
    """Models by lineage, padded to so many `lineages` and `rows` to each at least; where each went, (models, 2)."""
    group = np.unique(lineage, return_inverse=True)[1]
    where = np.stack([group, [np.sum(group[:i] == group[i]) for i in range(len(group))]], 1)
    shape = max(lineages, group.max() + 1), max(rows, where[:, 1].max() + 1)

    def put(values: np.ndarray) -> Array:
        full = np.zeros((*shape, *values.shape[1:]), values.dtype)
        full[*where.T] = values
        return jnp.asarray(full)

    return Rows(*map(put, (inputs, family, np.ones(len(lineage), inputs.dtype), score, seen))), where
