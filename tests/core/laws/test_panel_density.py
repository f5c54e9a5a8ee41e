"""The joint density of a panel: against scipy.stats, and integrated over effects it is the evidence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from lleval_jax.core.laws import panel

MODELS, VERSION, DOMAIN, WIDTH = 4, np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1]), 2
CELLS = len(VERSION)
log_joint = jax.jit(panel.log_joint)


@pytest.fixture(scope="module")
def world():
    random = np.random.default_rng(0)
    seen = random.random((MODELS, CELLS)) < 0.7
    basis = np.concatenate([np.ones((MODELS, 1)), random.normal(size=(MODELS, WIDTH - 1))], 1)
    logit, noise = random.normal(size=(MODELS, CELLS)), random.uniform(0.01, 0.1, (MODELS, CELLS))
    known = panel.Panel(*map(jnp.asarray, (logit, np.where(seen, noise, 0), seen, VERSION, DOMAIN, basis)))
    sizes = panel.Sizes(*(jnp.asarray(random.normal(-1, 0.5, s)) for s in (5, (WIDTH, 4), MODELS)))
    shift, own = (jnp.asarray(random.normal(size=s)) for s in ((WIDTH, CELLS), (MODELS, CELLS)))
    return panel.Params(shift, own, sizes), known, panel.before(MODELS, WIDTH)


def covariances(sizes):
    """Of each shift and of each model's own part over cells, entry by entry."""
    e, g, spread = (np.exp(np.asarray(x) * by) for x, by in zip(sizes, (2, 2, 1), strict=True))
    version, domain = (of[:, None] == of[None] for of in (VERSION, DOMAIN))
    alone, after = np.eye(CELLS), np.minimum(VERSION[:, None], VERSION[None])
    shift = [k[0] + k[1] * version + k[2] * domain + k[3] * alone for k in g]
    own = [e[0] + e[1] * domain + s * (e[2] * version + e[3] * after) + e[4] * alone for s in spread]
    return shift, own


def test_it_is_the_sum_of_the_densities_of_its_parts(world):
    params, known, prior = world
    shift, own = covariances(params.sizes)
    logit = np.asarray(known.basis @ params.shift + params.own)
    seen = np.asarray(known.seen)
    sd = np.sqrt(np.asarray(known.noise)[seen])
    expected = stats.norm.logpdf(np.asarray(known.logit)[seen], logit[seen], sd).sum()
    for values, over in ((params.shift, shift), (params.own, own)):
        each = zip(np.asarray(values), over, strict=True)
        expected += sum(stats.multivariate_normal.logpdf(x, np.zeros(CELLS), cov) for x, cov in each)
    sizes, mode = params.sizes, prior.mode
    expected += stats.norm.logpdf(*map(np.asarray, (sizes.model, mode.model, prior.model_sd))).sum()
    expected += stats.norm.logpdf(*map(np.asarray, (sizes.shift, mode.shift, prior.shift_sd))).sum()
    half, spread = panel.FREEDOM / 2, np.asarray(sizes.spread)
    expected += (stats.invgamma.logpdf(np.exp(spread), half, scale=half) + spread).sum()
    np.testing.assert_allclose(log_joint(params, known, prior), expected, rtol=1e-11)


def test_without_shifts_and_own_parts_it_is_the_evidence(world):
    """In them it is a parabola, whose integral is closed: height at the mode and the determinant of the curvature."""
    params, known, prior = world
    flat, whole = ravel_pytree(params[:2])

    def density(x):
        return panel.log_joint(panel.Params(*whole(x), params.sizes), known, prior)

    slope, bow = jax.jit(lambda x: (jax.grad(density)(x), jax.hessian(density)(x)))(flat)
    mode = flat - jnp.asarray(np.linalg.solve(bow, slope))
    height = float(log_joint(panel.Params(*whole(mode), params.sizes), known, prior))
    integral = height + 0.5 * flat.size * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(-np.asarray(bow))[1]
    of_sizes = float(log_joint(params, known._replace(seen=known.seen & False), prior)) - sum(
        stats.multivariate_normal.logpdf(x, np.zeros(CELLS), cov)
        for values, over in zip(params[:2], covariances(params.sizes), strict=True)
        for x, cov in zip(np.asarray(values), over, strict=True)
    )
    evidence = float(jax.jit(panel.log_evidence)(params.sizes, known))
    evidence -= 0.5 * int(known.seen.sum()) * np.log(2 * np.pi)
    np.testing.assert_allclose(integral, evidence + of_sizes, rtol=1e-9)
    found = jax.jit(panel.posterior)(params.sizes, known)
    shift, own = whole(mode)
    np.testing.assert_allclose(known.basis @ shift + own, found.mean, atol=1e-8)


def test_cells_not_seen_leave_derivatives_finite(world):
    params, known, prior = world
    holes = known._replace(logit=jnp.where(known.seen, known.logit, jnp.nan))
    value, slope = jax.jit(jax.value_and_grad(panel.log_joint))(params, known, prior)
    assert all(bool(jnp.isfinite(part).all()) for part in (value, *jax.tree.leaves(slope)))
    np.testing.assert_allclose(log_joint(params, holes, prior), value)
