"""The structured algebra of a panel against dense normal algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled
from jax.flatten_util import ravel_pytree
from scipy import stats

from lleval_jax.core.laws import panel
from lleval_jax.core.laws.panel import Panel, Sizes

MODELS, VERSION, DOMAIN, DIMS = 5, np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 2, 1]), 2
CELLS = len(VERSION)
log_evidence, posterior, information = map(compiled, (panel.log_evidence, panel.posterior, panel.information))


@pytest.fixture(scope="module")
def world():
    random = np.random.default_rng(0)
    seen = random.random((MODELS, CELLS)) < 0.7
    seen[0] = True
    known = Panel(
        random.normal(size=(MODELS, CELLS)),
        random.uniform(0.01, 0.1, (MODELS, CELLS)),
        seen,
        VERSION,
        DOMAIN,
        np.concatenate([np.ones((MODELS, 1)), random.normal(size=(MODELS, DIMS))], 1),
    )
    sizes = Sizes(
        random.normal(-1, 0.5, 5),
        random.normal(-1, 0.5, (1 + DIMS, 4)),
        random.normal(0, 0.5, MODELS),
    )
    return sizes, known


def dense(sizes, known):
    """Covariance of all logits without noise, entry by entry."""
    e, g, spread = (np.exp(np.asarray(part) * factor) for part, factor in zip(sizes, (2, 2, 1), strict=True))
    cov = np.zeros((MODELS, CELLS, MODELS, CELLS))
    for m, c, n, d in np.ndindex(cov.shape):
        same_version, same_domain = VERSION[c] == VERSION[d], DOMAIN[c] == DOMAIN[d]
        for k in range(1 + DIMS):
            shift = g[k, 0] + g[k, 1] * same_version + g[k, 2] * same_domain + g[k, 3] * (c == d)
            cov[m, c, n, d] += known.basis[m, k] * known.basis[n, k] * shift
        if m == n:
            drift = e[2] * same_version + e[3] * min(VERSION[c], VERSION[d])
            cov[m, c, n, d] += e[0] + e[1] * same_domain + spread[m] * drift + e[4] * (c == d)
    return cov.reshape(MODELS * CELLS, -1)


def test_the_evidence_is_that_of_dense_normal_algebra(world):
    sizes, known = world
    seen = known.seen.ravel()
    cov = (dense(sizes, known) + np.diag(known.noise.ravel()))[np.ix_(seen, seen)]
    logit = known.logit.ravel()[seen]
    expected = stats.multivariate_normal.logpdf(logit, np.zeros(seen.sum()), cov)
    found = log_evidence(sizes, known) - 0.5 * seen.sum() * np.log(2 * np.pi)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_posterior_is_that_of_dense_normal_algebra(world):
    sizes, known = world
    seen = known.seen.ravel()
    cov, logit = dense(sizes, known), known.logit.ravel()
    noisy = (cov + np.diag(known.noise.ravel()))[np.ix_(seen, seen)]
    gain = np.linalg.solve(noisy, cov[seen]).T
    told = posterior(sizes, known)
    np.testing.assert_allclose(told.mean.ravel(), gain @ logit[seen], atol=1e-9)
    shift, own = panel.effects(sizes, known)
    np.testing.assert_allclose(known.basis @ shift + own, told.mean, atol=1e-9)
    left = (cov - gain @ cov[seen]).reshape(MODELS, CELLS, MODELS, CELLS)
    found = np.einsum("mcs,sr,ndr->mcnd", told.design, told.shifts, told.design)
    for m in range(MODELS):
        found[m, :, m] += told.own[m]
    np.testing.assert_allclose(found, left, atol=1e-9)


def test_cells_never_seen_change_no_evidence_and_no_other_cell(world):
    sizes, known = world
    wide = known._replace(
        logit=np.pad(known.logit, ((0, 0), (0, 3)), constant_values=7.0),
        noise=np.pad(known.noise, ((0, 0), (0, 3)), constant_values=1.0),
        seen=np.pad(known.seen, ((0, 0), (0, 3))),
        version=np.append(known.version, np.arange(10, 13)),
        domain=np.append(known.domain, np.arange(10, 13)),
    )
    np.testing.assert_allclose(log_evidence(sizes, wide), log_evidence(sizes, known), rtol=1e-10)
    np.testing.assert_allclose(posterior(sizes, wide).mean[:, :CELLS], posterior(sizes, known).mean, atol=1e-9)


def test_the_gradient_is_that_of_finite_differences(world):
    sizes, known = world

    def loss(at):
        return panel.log_evidence(at, known) + panel.log_prior(at, panel.before(MODELS, 1 + DIMS))

    both, near = compiled(jax.value_and_grad(loss)), 1e-5
    slope = both(sizes)[1]
    for part in range(3):
        step = np.zeros(np.shape(sizes[part]))
        step.flat[-1] = near
        up, down = (sizes._replace(**{sizes._fields[part]: sizes[part] + side * step}) for side in (1, -1))
        expected = (both(up)[0] - both(down)[0]) / (2 * near)
        np.testing.assert_allclose(slope[part].ravel()[-1], expected, rtol=1e-5, atol=1e-6)


def dense_evidence(sizes, known):
    """Of the panel in jax, by automatic derivatives of one dense matrix."""
    seen = np.flatnonzero(known.seen.ravel())
    same_version, same_domain = (jnp.asarray(of[:, None] == of[None], float) for of in (VERSION, DOMAIN))
    parts = jnp.stack([jnp.ones((CELLS, CELLS)), same_version, same_domain, jnp.eye(CELLS)])
    after = jnp.asarray(np.minimum(VERSION[:, None], VERSION[None]), float)
    shift = jnp.einsum("kp,pcd,mk,nk->mcnd", jnp.exp(2 * sizes.shift), parts, known.basis, known.basis)
    e = jnp.exp(2 * sizes.model)
    drift = jnp.exp(sizes.spread)[:, None, None] * (e[2] * same_version + e[3] * after)[None]
    own = (e[0] + e[1] * same_domain + e[4] * jnp.eye(CELLS))[None] + drift
    cov = shift + jnp.einsum("mcd,mn->mcnd", own, jnp.eye(MODELS))
    cov = cov.reshape(MODELS * CELLS, -1) + jnp.diag(known.noise.ravel())
    cov, logit = cov[np.ix_(seen, seen)], known.logit.ravel()[seen]
    return -0.5 * (logit @ jnp.linalg.solve(cov, logit) + jnp.linalg.slogdet(cov)[1])


def test_the_gradient_is_that_of_dense_algebra_for_all_that_can_vary(world):
    sizes, known = world

    def of(evidence):
        def value(sizes, logit, noise, basis):
            return evidence(sizes, known._replace(logit=logit, noise=noise, basis=basis))

        return compiled(jax.grad(value, (0, 1, 2, 3)))(sizes, known.logit, known.noise, known.basis)

    for found, expected in zip(
        *(jax.tree.leaves(of(call)) for call in (panel.log_evidence, dense_evidence)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


def test_the_information_of_the_prior_is_its_curvature(world):
    sizes, _ = world
    flat, whole = ravel_pytree(sizes)
    prior = panel.before(MODELS, 1 + DIMS)
    expected = -compiled(jax.hessian(lambda x: panel.log_prior(whole(x), prior)))(flat)
    found = compiled(panel.prior_information)(sizes, prior)
    np.testing.assert_allclose(np.diag(found), expected, rtol=1e-12, atol=1e-12)


def test_the_information_is_the_mean_of_observed_and_expected(world):
    """Of variances: their covariances are linear in them, so the expected information is half a trace."""
    sizes, known = world
    flat, whole = ravel_pytree(sizes)
    seen = known.seen.ravel()
    noise = np.diag(known.noise.ravel())
    cov = (dense(sizes, known) + noise)[np.ix_(seen, seen)]
    near, steep = 1e-5, []
    for step in near * np.eye(len(flat)):
        up, down = (dense(whole(flat + side * step), known)[np.ix_(seen, seen)] for side in (1, -1))
        steep.append(np.linalg.solve(cov, (up - down) / (2 * near)))
    told = np.linalg.solve(cov, known.logit.ravel()[seen])
    pushed = [cov @ part @ told for part in steep]
    expected = 0.5 * np.array([[one @ np.linalg.solve(cov, other) for other in pushed] for one in pushed])
    np.testing.assert_allclose(information(sizes, known), expected, rtol=1e-6, atol=1e-7)
    assert np.linalg.eigvalsh(information(sizes, known)).min() > -1e-10
