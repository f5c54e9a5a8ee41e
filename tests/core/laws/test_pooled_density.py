"""The joint density of a pooled law: against scipy.stats, and what Laplace's method takes from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from lleval_jax.core.laws import pooled, pooled_joint
from lleval_jax.core.laws.pooled import INPUTS, NESTED, At, Law

BENCHMARKS, SKILLS = 3, 2
FLOOR = jnp.asarray([0.25, 0.0, 0.1])
LINEAGE, FAMILY = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 2, 3])
log_joint = jax.jit(pooled_joint.log_joint)


@pytest.fixture(scope="module")
def world():
    random = np.random.default_rng(0)
    count, effects = len(LINEAGE), len(INPUTS) + len(NESTED)
    inputs = random.normal(size=(count, len(INPUTS)))
    score, seen = random.uniform(0.2, 0.9, (count, BENCHMARKS)), random.random((count, BENCHMARKS)) < 0.8
    rows, where = pooled.layout(inputs, FAMILY, LINEAGE, score, seen)
    law = Law(
        jnp.asarray(random.normal(size=(BENCHMARKS, SKILLS))),
        jnp.asarray(random.normal(size=effects) / 3 - 1),
        jnp.asarray(random.normal(size=effects) / 3 - 2),
        jnp.asarray(np.log([0.02, 0.05, 0.03])),
        jnp.asarray([0.3, -0.5, 0.1]),
        jnp.asarray([0.4, -0.3, 0.0]),
    )
    begin = pooled.start(jnp.asarray([0.3, 0.5, 0.4]), SKILLS, jax.random.key(0))
    shape = rows.real.shape
    parts = ((len(INPUTS), SKILLS + BENCHMARKS), (*shape, SKILLS), (*shape, BENCHMARKS))
    params = pooled_joint.Params(*(jnp.asarray(random.normal(size=part) / 3) for part in parts), law)
    return params, rows, begin, where


def nested(law, inputs):
    """Covariances over models through a skill, and residual."""
    size = np.outer(inputs[:, 0], inputs[:, 0])
    lineage, family = LINEAGE[:, None] == LINEAGE, FAMILY[:, None] == FAMILY
    over = np.stack([lineage, lineage * size, family, family * size, np.eye(len(inputs))])
    return (np.einsum("e,ers->rs", np.exp(2 * np.asarray(x)[len(INPUTS) :]), over) for x in (law.shared, law.own))


def log_effects(params, rows, where):
    """Log density of all effects given the law, model by model."""
    law, at = jax.tree.map(np.asarray, params.law), tuple(where.T)
    length = (law.loading**2).sum(1)
    through, residual = nested(law, np.asarray(rows.inputs)[at])
    sd = np.concatenate(
        [np.exp(law.shared[:6, None]) * np.ones(SKILLS), np.exp(law.own[:6, None]) * np.sqrt(length)], 1
    )
    total = stats.norm.logpdf(np.asarray(params.slope), 0, sd).sum()
    for values, covs in ((params.skill, [through] * SKILLS), (params.residual, [x * residual for x in length])):
        for x, cov in zip(np.asarray(values)[at].T, covs, strict=True):
            total += stats.multivariate_normal.logpdf(x, np.zeros(len(x)), cov)
        total += stats.norm.logpdf(np.asarray(values)[np.asarray(rows.real) == 0]).sum()
    return total


def log_law(law, begin):
    first = np.zeros(law.loading.shape)
    first[:, 0] = 1
    pairs = (
        (law.loading, first, pooled.LOADING_SD),
        (law.shared, begin.shared, 1),
        (law.own, begin.own, 1),
        (law.noise, np.log(pooled.NOISE), pooled.NOISE_SD),
        (law.centre, begin.centre, pooled.CENTRE_SD),
        (law.bend, 0, pooled.BEND_SD),
    )
    return sum(stats.norm.logpdf(np.asarray(x), np.asarray(mean), sd).sum() for x, mean, sd in pairs)


def logits(params, rows):
    skill = rows.inputs @ params.slope[:, :SKILLS] + params.skill
    own = rows.inputs @ params.slope[:, SKILLS:] + params.residual
    return params.law.centre[None, None] + skill @ params.law.loading.T + own


def test_it_is_the_sum_of_the_densities_of_its_parts(world):
    params, rows, begin, where = world
    score, seen = pooled.link(logits(params, rows), FLOOR, params.law.bend)[0], np.asarray(rows.seen)
    sd = np.broadcast_to(np.exp(np.asarray(params.law.noise)), score.shape)
    each = stats.t.logpdf(np.asarray(rows.score), pooled.FREEDOM, np.asarray(score), sd)
    expected = each[seen].sum() + log_effects(params, rows, where) + log_law(params.law, begin)
    np.testing.assert_allclose(log_joint(params, rows, FLOOR, begin), expected, rtol=1e-11)


def test_the_evidence_is_its_integral_where_the_link_is_linear(world):
    """Scores that are the link's own leave no residual, so that Gauss and Newton's curvature is the whole one."""
    params, rows, begin, _ = world
    law, worth = params.law, jnp.asarray(np.random.default_rng(1).uniform(0.5, 1, rows.score.shape))
    flat, whole = ravel_pytree(params[:3])
    logit = logits(params, rows)
    rows = rows._replace(score=pooled.link(logit, FLOOR, law.bend)[0])
    at = At(logit, worth)

    def density(x):
        return pooled_joint.log_joint(pooled_joint.Params(*whole(x), law), rows, FLOOR, begin, worth=worth)

    @jax.jit
    def all_of_it(x):
        shared = pooled.slopes(law, rows, at, FLOOR)
        reach = jax.jacfwd(lambda x: logits(pooled_joint.Params(*whole(x), law), rows))(x)
        return (
            (density(x), jax.grad(density)(x), jax.hessian(density)(x), reach),
            pooled.posterior(law, rows, at, FLOOR, shared),
            pooled.log_evidence(law, rows, at, FLOOR),
        )

    (height, slope, bow, reach), found, evidence = jax.tree.map(np.asarray, all_of_it(flat))
    step = -np.linalg.solve(bow, slope)  # to the top of the parabola, which is the posterior's mean
    np.testing.assert_allclose(np.asarray(logit) + reach @ step, found.mean, atol=1e-8)
    cov = np.einsum("grja,ab,grkb->grjk", reach, np.linalg.inv(-bow), reach)
    real = np.asarray(rows.real) > 0  # effects of padding are standard normal here, and none there
    np.testing.assert_allclose(cov[real], found.cov[real], atol=1e-8)
    integral = height + 0.5 * slope @ step + 0.5 * flat.size * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(-bow)[1]
    expected = evidence - 0.5 * int(rows.seen.sum()) * np.log(2 * np.pi) + log_law(law, begin)
    np.testing.assert_allclose(integral, expected, rtol=1e-9)


def test_where_the_posterior_settles_it_is_flat(world):
    """Effects that follow from the slope of the scores' density in the logits give just those logits."""
    params, rows, begin, _ = world
    law, zero = params.law, jax.tree.map(jnp.zeros_like, params[:3])
    flat, whole = ravel_pytree(zero)
    worth = jnp.ones_like(rows.score)

    def density(x):
        return pooled_joint.log_joint(pooled_joint.Params(*whole(x), law), rows, FLOOR, begin, worth=worth)

    def settle(_, logit):
        at = At(logit, worth)
        mean = pooled.posterior(law, rows, at, FLOOR, pooled.slopes(law, rows, at, FLOOR)).mean
        return logit + jnp.clip(mean - logit, -pooled.REACH, pooled.REACH)

    def scores(logit):
        score, sd = pooled.link(logit, FLOOR, law.bend)[0], jnp.exp(law.noise)[None, None]
        return jnp.sum(jnp.where(rows.seen, -0.5 * ((rows.score - score) / sd) ** 2, 0))

    @jax.jit
    def run():
        logit = jax.lax.fori_loop(0, 60, settle, logits(params, rows))
        reach = jax.jacfwd(lambda x: logits(pooled_joint.Params(*whole(x), law), rows))(flat)
        alone = jax.hessian(lambda x: density(x) - scores(logits(pooled_joint.Params(*whole(x), law), rows)))(flat)
        x = jnp.linalg.solve(-alone, jnp.einsum("grja,grj->a", reach, jax.grad(scores)(logit)))
        return logit, logits(pooled_joint.Params(*whole(x), law), rows), jax.grad(density)(x)

    logit, again, slope = jax.tree.map(np.asarray, run())
    np.testing.assert_allclose(again, logit, atol=1e-6)
    np.testing.assert_allclose(slope, 0, atol=1e-4)
