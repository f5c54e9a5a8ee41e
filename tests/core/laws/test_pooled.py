"""The pooled law: its evidence and posterior against dense normal algebra, its link, its gradient."""

import jax
import numpy as np
import pytest
from compiled import compiled
from jax.flatten_util import ravel_pytree
from scipy import stats
from scipy.special import expit

from lleval_jax.core.laws import pooled
from lleval_jax.core.laws.pooled import INPUTS, NESTED, At, Law

FLOOR = np.array([0.25, 0.0, 0.1])
evidence, link = compiled(pooled.log_evidence), compiled(pooled.link)


@compiled
def posterior(law, rows, at, floor):
    return pooled.posterior(law, rows, at, floor, pooled.slopes(law, rows, at, floor))


@compiled
def skills(law, rows, at, floor):
    return pooled.skills(law, rows, at, floor, pooled.slopes(law, rows, at, floor))


def made(count=9, seed=0):
    """A law, models by lineage, a point, and the same as plain rows."""
    random = np.random.default_rng(seed)
    lineage = np.array([0, 0, 0, 0, 1, 1, 2, 3, 3])[:count]
    family = np.array([0, 0, 1, 1, 2, 2, 3, 4, 5])[:count]
    inputs = random.normal(size=(count, len(INPUTS)))
    score, seen = random.uniform(0.2, 0.9, (count, 3)), random.random((count, 3)) < 0.8
    rows, where = pooled.layout(inputs, family, lineage, score, seen)
    effects = len(INPUTS) + len(NESTED)
    law = Law(
        random.normal(size=(3, 2)),
        random.normal(size=effects) / 3 - 1,
        random.normal(size=effects) / 3 - 2,
        np.log([0.02, 0.05, 0.03]),
        np.array([0.3, -0.5, 0.1]),
        np.array([0.4, -0.3, 0.0]),
    )
    logit, worth = random.normal(size=(count, 3)) / 2, random.uniform(0.5, 1, (count, 3))
    return law, rows, where, (inputs, family, lineage, score, seen, logit, worth)


def spread(values, rows, where):
    """Values of models where the rows have them."""
    full = np.ones((*rows.real.shape, *values.shape[1:]))
    full[*where.T] = values
    return full


def dense(law, inputs, family, lineage, score, seen, logit, worth):
    """Covariance of all logits, and mean, slope and noise of the scores with the link linear, cell by cell."""
    same_lineage, same_family = lineage[:, None] == lineage, family[:, None] == family
    size = np.outer(inputs[:, 0], inputs[:, 0])
    over_rows = [np.outer(x, x) for x in inputs.T]
    over_rows += [same_lineage, same_lineage * size, same_family, same_family * size, np.eye(len(inputs))]
    square = law.loading @ law.loading.T
    each = [
        np.kron(rows, np.exp(2 * a) * square + np.exp(2 * b) * np.diag(np.diag(square)))
        for rows, a, b in zip(over_rows, law.shared, law.own, strict=True)
    ]
    cov = np.sum(each, axis=0)
    value, slope = link(logit, FLOOR, law.bend)
    mean = value + slope * (law.centre - logit)
    return cov, mean.ravel(), slope.ravel(), (np.exp(2 * law.noise) / worth).ravel(), np.tile(law.centre, len(score))


def test_evidence_and_posterior_are_those_of_the_joint_normal():
    law, rows, where, plain = made()
    _, _, _, score, seen, logit, worth = plain
    at = At(spread(logit, rows, where), spread(worth, rows, where))
    cov, mean, slope, noise, centre = dense(law, *plain)
    use = seen.ravel()
    across = slope[use, None] * cov[use]
    whole = across[:, use] * slope[None, use] + np.diag(noise[use])
    expected = stats.multivariate_normal(mean[use], whole).logpdf(score.ravel()[use])
    found = evidence(law, rows, at, FLOOR)
    constant = 0.5 * use.sum() * np.log(2 * np.pi)
    np.testing.assert_allclose(found, expected + constant, rtol=1e-9)
    gain = np.linalg.solve(whole, across).T
    expected = centre + gain @ (score.ravel()[use] - mean[use])
    spread_of = (cov - gain @ across).reshape(len(score), 3, len(score), 3)
    part = posterior(law, rows, at, FLOOR)
    for i, place in enumerate(map(tuple, where)):
        np.testing.assert_allclose(part.mean[*place], expected.reshape(-1, 3)[i], atol=1e-8)
        np.testing.assert_allclose(part.cov[*place], spread_of[i, :, i], atol=1e-8)


def test_skills_and_efficiencies_are_those_of_the_joint_normal():
    """Each is a linear function of the same normal effects as the logits: its covariance with them tells all."""
    law, rows, where, plain = made()
    inputs, family, lineage, score, seen, logit, worth = plain
    at = At(spread(logit, rows, where), spread(worth, rows, where))
    cov, mean, slope, noise, _ = dense(law, *plain)
    use = seen.ravel()
    whole = slope[use, None] * cov[np.ix_(use, use)] * slope[None, use] + np.diag(noise[use])
    size = np.outer(inputs[:, 0], inputs[:, 0])
    same, kin = lineage[:, None] == lineage, family[:, None] == family
    nested = [same, same * size, kin, kin * size, np.eye(len(inputs))]
    sizes = np.exp(2 * law.shared)
    shared = np.einsum("e,re,se->rs", sizes[: len(INPUTS)], inputs, inputs)
    t = np.einsum("e,ers->rs", sizes[len(INPUTS) :], np.stack(nested))
    standing = sizes[len(INPUTS)] * same + sizes[len(INPUTS) + 2] * kin
    loading = law.loading
    found = skills(law, rows, at, FLOOR)
    cases = ((found.mean, found.cov, shared + t, shared + t), (found.family_mean, found.family_cov, standing, standing))
    for got_mean, got_cov, before, across in cases:
        with_logits = np.einsum("rs,jk->rksj", across, loading).reshape(len(score), 2, -1)[:, :, use] * slope[use]
        gain = np.linalg.solve(whole, with_logits.reshape(-1, use.sum()).T).T.reshape(with_logits.shape)
        expected = gain @ (score.ravel()[use] - mean[use])
        left = np.einsum("rs,kl->rksl", before, np.eye(2)) - np.einsum("rkn,sln->rksl", gain, with_logits)
        for i, place in enumerate(map(tuple, where)):
            np.testing.assert_allclose(got_mean[place], expected[i], atol=1e-8)
            np.testing.assert_allclose(got_cov[place], left[i, :, i], atol=1e-8)


def test_gradient_of_the_evidence_by_differences():
    law, rows, where, plain = made()
    at = At(spread(plain[5], rows, where), spread(plain[6], rows, where))
    flat, whole = ravel_pytree(law)

    def value(flat, *args):
        return pooled.log_laplace(whole(flat), *args)

    run, flat = compiled(jax.value_and_grad(value)), np.asarray(flat)
    way = np.random.default_rng(1).normal(size=flat.size)
    given = rows, at, FLOOR
    slope = (run(flat + 1e-5 * way, *given)[0] - run(flat - 1e-5 * way, *given)[0]) / 2e-5
    np.testing.assert_allclose(run(flat, *given)[1] @ way, slope, rtol=1e-6)


def test_settling_finds_what_solves_itself():
    """Settled, one more step moves nothing: the link is linear where the posterior lies."""
    law, rows, _, _ = made()
    settle = compiled(lambda law, rows, floor: pooled.settle(law, rows, pooled.begin(law, rows), floor, 200)[0])
    at = settle(law, rows, FLOOR)
    np.testing.assert_allclose(posterior(law, rows, at, FLOOR).mean, at.logit, atol=1e-6)


@pytest.mark.parametrize("bend", [-1.5, 0.0, 0.7])
def test_link_increases_from_the_floor_towards_one(bend):
    z = np.linspace(-6, 6, 401)
    score, slope = link(z, np.asarray(0.25), np.asarray(bend))
    assert (np.diff(score) > 0).all()
    assert 0.25 < score[0] < score[-1] < 1
    np.testing.assert_allclose(slope[1:-1], (score[2:] - score[:-2]) / (z[2] - z[0]), atol=2e-4)
    if bend == 0:
        np.testing.assert_allclose(score, 0.25 + 0.75 * expit(z))


def test_padding_and_order_change_nothing():
    law, rows, where, plain = made()
    inputs, family, lineage, score, seen, logit, worth = plain
    turned = np.random.default_rng(2).permutation(len(score))
    others, there = pooled.layout(inputs[turned], family[turned], lineage[turned], score[turned], seen[turned], rows=7)
    first = At(spread(logit, rows, where), spread(worth, rows, where))
    second = At(spread(logit[turned], others, there), spread(worth[turned], others, there))
    np.testing.assert_allclose(evidence(law, rows, first, FLOOR), evidence(law, others, second, FLOOR))
