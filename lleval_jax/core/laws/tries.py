"""Questions that models try many times: each model's chance on each question, through skills that are uncertain.

    successes_mq ~ Binomial(tries_mq, sigmoid(z_mq + e_mq)),     z_mq = slope_q'skill_m + intercept_q + residual_m

after Sloth (Maia Polo et al. 2024, section 5.4), with all that is unknown normal: skills about what a law says of them,
slopes and intercepts of questions about their mean over questions, a model's residual beyond its skills, and a cell's
residual (without e, ten thousand tries would fix a chance as if skills explained all of it).

A step is Gauss-Newton's for all unknowns at once. Questions meet only in what they share (skills, `residual`, the
mean of questions), so that each has a small system of its own, and e a closed form; the variances follow by EM.
Float64: call inside `jax.enable_x64(True)`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jax.scipy.stats import norm

from lleval_jax.core.linalg.normal import log_normal
from lleval_jax.core.precision import full_precision
from lleval_jax.core.solvers.fixed_point import FixedPoint
from lleval_jax.core.solvers.loop import solve
from lleval_jax.types import Array, Float

SPREAD = (2.0, 0.7)  # likely sd over questions of an intercept and of a slope, in logits
MEAN_SD = (3.0, 1.0)  # of their means, beforehand
RESIDUAL, RESIDUAL_WORTH = 0.3, 4.0  # prior sd of models' residuals, and how many models that prior counts as
CELL, CELL_WORTH = 0.2, 10.0  # the same of a cell
REACH = 2.0  # a logit moves at most so far in a step


class Tried(NamedTuple):
    """What is known.

    successes, tries  (models, questions)
    skill             (models, dims)        what a law says
    precision         (models, dims, dims)  their precision
    """

    successes: Array
    tries: Array
    skill: Array
    precision: Array


class Scales(NamedTuple):
    """questions (k, k) covariance of (intercept, slopes) over questions; variances residual () and cell ()."""

    questions: Array
    residual: Array
    cell: Array


class Params(NamedTuple):
    """All unknowns, given `Scales`.

    skill     (models, dims)
    residual  (models,)
    mean      (k,)                 over questions of (intercept, slopes)
    question  (questions, k)
    cell      (questions, models)  what a cell has of its own
    """

    skill: Array
    residual: Array
    mean: Array
    question: Array
    cell: Array


@full_precision
def log_joint(params: Params, tried: Tried, scales: Scales) -> Array:
    """Log joint density of successes and of all unknowns, given the scales.

    successes_mq | z ~ Binomial(tries_mq, sigmoid(z_mq)),  z_mq = slope_q . skill_m + intercept_q + residual_m + cell_qm
    skill_m ~ N(law's mean_m, precision_m^-1),   (intercept, slopes)_q ~ N(mean, scales.questions)
    mean ~ N(0, MEAN_SD^2),   residual_m ~ N(0, scales.residual),   cell_qm ~ N(0, scales.cell)
    """
    skill, residual, mean, question, cell = params
    z = question[:, 1:] @ skill.T + question[:, :1] + residual[None] + cell
    won, tries = tried.successes.T, tried.tries.T
    ways = gammaln(tries + 1) - gammaln(won + 1) - gammaln(tries - won + 1)
    fits = jnp.sum(ways + won * z - tries * jax.nn.softplus(z))
    spread = jnp.broadcast_to(scales.questions, (len(question), *scales.questions.shape))
    of_mean = jnp.array([MEAN_SD[0], *[MEAN_SD[1]] * (len(mean) - 1)], mean.dtype)
    of_skill = jnp.linalg.inv(tried.precision)
    effects = log_normal(skill - tried.skill, of_skill) + log_normal(question - mean[None], spread)
    alone = ((mean, of_mean), (residual, jnp.sqrt(scales.residual)), (cell, jnp.sqrt(scales.cell)))
    return fits + effects + sum((jnp.sum(norm.logpdf(x, 0.0, sd)) for x, sd in alone), start=jnp.zeros((), z.dtype))


class State(NamedTuple):
    """Where the search is.

    skill     (models, dims)
    residual  (models,)
    mean      (k,)            over questions of (intercept, slopes)
    question  (questions, k)
    logit     (questions, models)  of chances, cells' own part included
    scales    standard deviations that are learned
    moved     ()              largest move of a logit or of a log sd in the last step
    """

    skill: Array
    residual: Array
    mean: Array
    question: Array
    logit: Array
    scales: Scales
    moved: Array


class Posterior(NamedTuple):
    """Posterior covariances. Shared are skills, model by model, then `residual`, then `mean`.

    shared  (shared, shared)        covariance
    alone   (questions, k, k)       covariance of a question given what is shared
    pull    (questions, k, shared)  a question's mean moves by minus this times a move of what is shared
    """

    shared: Array
    alone: Array
    pull: Array


def begin(tried: Tried) -> State:
    """Skills as the law says, questions alike."""
    models, dims = tried.skill.shape
    questions, dtype = tried.tries.shape[1], tried.skill.dtype
    all_tries = jnp.maximum(jnp.sum(tried.tries), 1)
    share = (jnp.sum(tried.successes) + 1) / (all_tries + 2)
    mean = jnp.zeros(1 + dims, dtype).at[0].set(jax.scipy.special.logit(share))
    scales = Scales(_likely(dims, dtype), jnp.asarray(RESIDUAL**2, dtype), jnp.asarray(CELL**2, dtype))
    return State(
        tried.skill,
        jnp.zeros(models, dtype),
        mean,
        jnp.broadcast_to(mean, (questions, 1 + dims)),
        jnp.full((questions, models), mean[0]),
        scales,
        jnp.asarray(jnp.inf, dtype),
    )


def _likely(dims: int, dtype) -> Array:  # noqa: ANN001  a type
    return jnp.diag(jnp.array([SPREAD[0], *[SPREAD[1]] * dims], dtype) ** 2)


def _reach(now: State, question: Array) -> tuple[Array, Array, Array]:
    """Of one question: logits by skills (models,), and how they move with what is shared and with the question."""
    models, dims = now.skill.shape
    eye, ones = jnp.eye(models, dtype=question.dtype), jnp.ones((models, 1), question.dtype)
    z = now.skill @ question[1:] + question[0] + now.residual
    by_skill = (eye[:, :, None] * question[None, None, 1:]).reshape(models, -1)
    shared = jnp.concatenate([by_skill, eye, jnp.zeros((models, 1 + dims), question.dtype)], 1)
    return z, shared, jnp.concatenate([ones, now.skill], 1)


class _Question(NamedTuple):
    """What one question says: its own posterior given what is shared, and what it tells of that."""

    alone: Array
    pull: Array
    step: Array
    information: Array
    message: Array


def _weights(now: State, z: Array, logit: Array, successes: Array, tries: Array) -> tuple[Array, Array, Array]:
    """Of one question: how much each cell says of z (models,), that times what it says, and the same of its logit."""
    chance = jax.nn.sigmoid(logit)
    sharp = tries * chance * (1 - chance)
    weight = sharp / (1 + now.scales.cell * sharp)
    miss = (sharp * (logit - z) + successes - tries * chance) / (1 + now.scales.cell * sharp)
    return weight, miss, sharp


def _question(now: State, inner: Array, question: Array, logit: Array, successes: Array, tries: Array) -> _Question:
    z, shared, own = _reach(now, question)
    weight, miss, _ = _weights(now, z, logit, successes, tries)
    count, k = shared.shape[1], own.shape[1]
    off = jnp.eye(k, count, k=count - k, dtype=z.dtype)  # the mean over questions, among what is shared
    alone = jnp.linalg.inv((own * weight[:, None]).T @ own + inner)
    cross = (own * weight[:, None]).T @ shared - inner @ off
    pull = alone @ cross
    away = inner @ (question - now.mean)
    by_own, by_shared = own.T @ miss - away, shared.T @ miss + off.T @ away
    information = (shared * weight[:, None]).T @ shared + off.T @ inner @ off - cross.T @ pull
    return _Question(alone, pull, alone @ by_own, information, by_shared - pull.T @ by_own)


def _whole(tried: Tried, now: State) -> tuple[_Question, Array, Array]:
    """All questions, covariance of what is shared, and its step."""
    models, dims = now.skill.shape
    inner = jnp.linalg.inv(now.scales.questions)
    asked = now.question, now.logit, tried.successes.T, tried.tries.T
    found = jax.vmap(_question, (None, None, 0, 0, 0, 0))(now, inner, *asked)
    means = jnp.array([MEAN_SD[0], *[MEAN_SD[1]] * dims], inner.dtype) ** -2
    before = jax.scipy.linalg.block_diag(
        *tried.precision, jnp.eye(models, dtype=inner.dtype) / now.scales.residual, jnp.diag(means)
    )
    gone = jnp.concatenate([(now.skill - tried.skill).ravel(), now.residual, now.mean])
    cov = jnp.linalg.inv(jnp.sum(found.information, 0) + before)
    return found, (cov + cov.T) / 2, cov @ (jnp.sum(found.message, 0) - before @ gone)


def step(tried: Tried, now: State) -> State:
    """All unknowns by one Gauss-Newton step, and the variances by EM."""
    models, dims = now.skill.shape
    found, shared, move = _whole(tried, now)
    own = found.step - jnp.einsum("qks,s->qk", found.pull, move)
    skill = now.skill + move[: models * dims].reshape(models, dims)
    residual = now.residual + move[models * dims : models * (dims + 1)]
    mean, question = now.mean + move[models * (dims + 1) :], now.question + own
    moved = now._replace(skill=skill, residual=residual, mean=mean, question=question)

    def cells(old: Array, new: Array, logit: Array, *known: Array) -> tuple[Array, ...]:
        """New logits of a question, and mean squares of what cells have of their own."""
        by_law, by_shared, by_own = _reach(now, old)
        weight, miss, sharp = _weights(now, by_law, logit, *known[:2])
        shift, alone, pull = known[2:]
        left = miss - weight * (by_shared @ move + by_own @ shift)
        aim = _reach(moved, new)[0] + now.scales.cell * left
        wide = by_shared - by_own @ pull
        var = jnp.sum((by_own @ alone) * by_own, 1) + jnp.sum((wide @ shared) * wide, 1)
        square = (now.scales.cell * left) ** 2 + now.scales.cell / (1 + now.scales.cell * sharp)
        square = square + (now.scales.cell * weight) ** 2 * var
        return logit + jnp.clip(aim - logit, -REACH, REACH), square

    known = tried.successes.T, tried.tries.T, own, found.alone, found.pull
    logit, square = jax.vmap(cells)(now.question, question, now.logit, *known)
    scales = _scales(tried, moved, Posterior(shared, found.alone, found.pull), square)
    before, after = (jnp.stack([*jnp.diagonal(one.questions), one.residual, one.cell]) for one in (now.scales, scales))
    largest = jnp.maximum(jnp.max(jnp.abs(logit - now.logit)), jnp.max(jnp.abs(jnp.log(after / before))) / 2)
    return moved._replace(logit=logit, scales=scales, moved=largest)


def _scales(tried: Tried, now: State, sure: Posterior, square: Array) -> Scales:
    models, dims = now.skill.shape
    questions, k = now.question.shape
    away = now.question - now.mean[None]
    wide = sure.pull + jnp.eye(k, len(sure.shared), k=len(sure.shared) - k, dtype=away.dtype)[None]
    spread = away.T @ away + jnp.sum(sure.alone, 0) + jnp.einsum("qks,st,qlt->kl", wide, sure.shared, wide)
    worth = k + 2
    at = slice(models * dims, models * (dims + 1))
    residual = jnp.sum(now.residual**2) + jnp.sum(jnp.diagonal(sure.shared)[at])
    seen = (tried.tries.T > 0).astype(away.dtype)
    return Scales(
        (worth * _likely(dims, away.dtype) + (spread + spread.T) / 2) / (worth + questions),
        (RESIDUAL_WORTH * RESIDUAL**2 + residual) / (RESIDUAL_WORTH + models),
        (CELL_WORTH * CELL**2 + jnp.sum(seen * square)) / (CELL_WORTH + jnp.sum(seen)),
    )


@full_precision
def fit(tried: Tried, *, tol: float = 1e-4, max_steps: int = 2000) -> tuple[State, Posterior, Array]:
    """The posterior, its covariances and the steps taken; converged if `moved` is below `tol`."""

    def next_of(now: State) -> tuple[State, Array]:
        after = step(tried, now)
        return after, after.moved

    end = solve(FixedPoint(), next_of, begin(tried), tol=tol, max_steps=max_steps)
    found, shared, _ = _whole(tried, end.x)
    return end.x, Posterior(shared, found.alone, found.pull), end.steps


class Drawn(NamedTuple):
    """What a new model's chances are drawn from.

    question       (questions, k)          mean
    pull           (questions, k, shared)  as in `Posterior`
    shared, alone  roots of the covariances of `Posterior`
    skill, root    (dims,), (dims, dims)   mean, and root of the covariance, of the model's skills
    residual, cell   ()  sds of what a model, and a cell, has of its own
    """

    question: Array
    pull: Array
    shared: Array
    alone: Array
    skill: Array
    root: Array
    residual: Array
    cell: Array


def logits(key: Array, of: Drawn) -> Float[Array, " questions"]:
    """Logits of the chances of a new model, drawn with all that is unsure."""
    keys, dtype = jax.random.split(key, 5), of.question.dtype
    shared = of.shared @ jax.random.normal(keys[0], of.shared.shape[:1], dtype)
    alone = jnp.einsum("qkl,ql->qk", of.alone, jax.random.normal(keys[1], of.question.shape, dtype))
    question = of.question - jnp.einsum("qks,s->qk", of.pull, shared) + alone
    skill = of.skill + of.root @ jax.random.normal(keys[2], of.skill.shape, dtype)
    residual = of.residual * jax.random.normal(keys[3], (), dtype)
    return (
        question[:, 1:] @ skill
        + question[:, 0]
        + residual
        + of.cell * jax.random.normal(keys[4], alone.shape[:1], dtype)
    )
