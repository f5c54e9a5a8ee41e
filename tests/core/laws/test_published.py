"""Skill laws: derivatives, recovery of simulated laws, the learned link, missing cells, losses, lanes of a vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled
from scipy.special import logit

from lleval_jax.core.laws import published
from lleval_jax.core.laws.published import Form, Law, Table
from lleval_jax.types import Status

TRAINED = Form(skills=2, link="monotone", floors="learned")
FORMS = (TRAINED, Form(skills=2, loss="binomial"), Form(skills=1, loss="gaussian"))
KEY = jax.random.key(3)
inputs, predict = compiled(published.inputs), compiled(published.predict, static_argnames="form")


def simulated(families=8, each=4, benchmarks=5, noise=0.02, seed=0):
    """A table from a law with two skills, and the true scores."""
    random = np.random.default_rng(seed)
    rows = families * each
    size, tokens = np.exp(random.normal(size=(2, rows)))
    x = inputs(size, tokens, np.ones(rows))
    family = np.eye(families)[np.repeat(np.arange(families), each)]
    chance = np.linspace(0, 0.25, benchmarks)
    law = Law(
        np.array([[0.6, 0.1], [0.7, 0.4], [0.1, -0.2]]),
        0.5 * random.normal(size=(families, 2)),
        random.uniform(0.3, 1, (benchmarks, 2)),
        random.normal(size=benchmarks) / 2,
        logit(chance),
        np.zeros((benchmarks, 0)),
    )
    truth = predict(Form(), law, x, family)
    scores = np.clip(truth + noise * random.normal(size=truth.shape), 0, 1)
    items = np.full(benchmarks, 100.0)
    return Table(x, family, scores, np.ones_like(truth), chance, items), truth


def fit_and_scores(form, table, key, starts=3):
    fit = published.fit(form, table, key, starts=starts)
    return fit, published.scores(form, fit, table.inputs, table.intercept)


fitted = compiled(fit_and_scores, static_argnames=("form", "starts"))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.link}-{form.loss}")
def test_derivatives_are_those_of_the_value(form):
    table, _ = simulated(3, 3, 3)

    @compiled
    def derivatives(table):
        fn, x = published.objective(form, table), published.start(form, table, KEY) + 0.1
        slope = jax.grad(lambda x: fn(x).value)
        return fn(x), slope(x), jax.jacfwd(slope)(x)

    local, gradient, hessian = derivatives(table)
    np.testing.assert_allclose(local.gradient, gradient, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(local.curvature, hessian, rtol=1e-9, atol=1e-8)


def test_every_start_finds_the_same_mode():
    fit, _ = fitted(Form(skills=2), simulated()[0], KEY)
    assert set(fit.status) == {int(Status.CONVERGED)}
    assert np.ptp(fit.value) < 1e-4
    np.testing.assert_allclose(fit.weight, 1 / 3, atol=1e-4)


def test_errors_fall_like_the_root_of_the_rows():
    """Models 4, 16 and 64 of each family seen, 3 tables each, all in one call; the law foretells all rows."""
    form, most, cases, truths = Form(skills=2, noise=0.05, delta=0.1), 64, [], []
    for seed in range(3):
        table, truth = simulated(4, most, 4, noise=0.05, seed=seed)
        for each in (4, 16, 64):
            seen = np.tile(np.arange(most) < each, 4) * 1.0
            cases.append(table._replace(seen=table.seen * seen[:, None]))
            truths.append(truth)
    many = jax.tree.map(lambda *parts: np.stack(parts), *cases)
    found = compiled(jax.vmap(lambda table: fit_and_scores(form, table, KEY, 1)[1]))(many)
    error = np.sqrt(((found - np.stack(truths)) ** 2).mean((1, 2))).reshape(3, 3).mean(0)
    slope = np.polyfit(np.log([4, 16, 64]), np.log(error), 1)[0]
    assert -0.7 < slope < -0.3


def test_the_learned_link_increases_and_has_no_ceiling():
    bends = 3 * np.random.default_rng(3).normal(size=(50, len(published.KNOTS)))
    z = np.linspace(-30, 30, 2001)
    bent = compiled(jax.vmap(jax.vmap(published.bent, (None, 0)), (0, None)))
    assert np.diff(bent(bends, z), axis=1).min() > 0
    far = bent(bends, np.full_like(z, 1e12))[:, 0] / 1e12
    np.testing.assert_allclose(far, np.exp(bends[:, -1]), rtol=1e-3)
    np.testing.assert_allclose(bent(np.zeros_like(bends), z)[:, 7], z[7])


def test_a_cell_not_seen_changes_nothing():
    table, _ = simulated()
    seen, scores = table.seen.copy(), table.scores.copy()
    seen[3, 2], seen[7] = 0, 0
    scores[3, 2], scores[7] = 0.9, 0.1
    plain = fitted(Form(), table._replace(seen=seen), KEY)[1]
    other = fitted(Form(), table._replace(seen=seen, scores=scores), KEY)[1]
    np.testing.assert_array_equal(plain, other)


def test_binomial_loss_of_one_number_is_the_mean():
    """Nothing but a shift without a prior to speak of: the fitted score is the mean of the scores."""
    form = Form(skills=1, loss="binomial", noise=0.0, spread=(1e-4, 1e4, 1.0, 1.0))
    scores = np.array([[0.2], [0.4], [0.75]])
    ones = np.ones_like(scores)
    table = Table(ones, ones, scores, ones, np.zeros(1), np.array([40.0]))
    fit, found = fitted(form, table, KEY)
    np.testing.assert_allclose(found, scores.mean(), rtol=1e-5)
    p = scores.mean()
    np.testing.assert_allclose(fit.value[0], -40 * 3 * (p * np.log(p) + (1 - p) * np.log1p(-p)), rtol=1e-5)


def test_lanes_are_the_loop():
    tables = [simulated(seed=seed)[0] for seed in range(3)]
    each = compiled(jax.vmap(lambda table: published.fit(Form(), table, KEY, starts=3)))
    together = each(jax.tree.map(lambda *parts: np.stack(parts), *tables))
    for i, table in enumerate(tables):
        alone, _ = fitted(Form(), table, KEY)
        np.testing.assert_array_equal(together.steps[i], alone.steps)
        np.testing.assert_allclose(together.value[i], alone.value, rtol=1e-9)


def test_what_is_not_known_does_not_depend_on_how_skills_are_turned():
    form, (table, _) = Form(skills=2, noise=0.02), simulated(noise=0.02)
    fit, _ = fitted(form, table, KEY)
    rows, width = table.inputs.shape[1] + table.intercept.shape[1], 3

    @compiled
    def known(x):
        normal = published.laplace(form, table, x)
        design = jnp.concatenate([table.inputs, table.intercept], axis=1)[5]
        return (
            normal,
            published.foreseen(form, table, x, normal.cov, design),
            published.sandwich(form, table, x, normal.cov),
        )

    x, angle = fit.x[0], 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    columns = x[2 * rows :].reshape(-1, width)
    columns = np.concatenate([columns[:, :2] @ turn, columns[:, 2:]], axis=1)
    turned = np.concatenate([(x[: 2 * rows].reshape(-1, 2) @ turn).ravel(), columns.ravel()])
    (first, seen, (_, noise, free)), (second, again, _) = known(x), known(turned)
    np.testing.assert_allclose(first.evidence, second.evidence, rtol=1e-6)
    np.testing.assert_allclose(seen[1], again[1], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(noise, 0.02, rtol=0.35)  # four sd of a spread from 15 to 32 scores
    assert ((free > 10) & (free < 32)).all()


def test_the_sandwich_is_the_posterior_where_the_noise_is_as_assumed():
    """One shift, squared loss, and scores in pairs that differ from the mean by the assumed noise."""
    form = Form(skills=1, loss="gaussian", noise=0.05, spread=(1e-4, 10.0, 1.0, 1.0))
    ones = np.ones((20, 1))
    scores = 0.5 + 0.05 * np.sqrt(19 / 20) * np.tile([1.0, -1.0], 10)[:, None]
    table = Table(ones, ones, scores, ones, np.zeros(1), np.ones(1))
    x = np.zeros(4)
    normal = compiled(published.laplace, static_argnums=0)(form, table, x)
    cov, noise, free = compiled(published.sandwich, static_argnums=0)(form, table, x, normal.cov)
    np.testing.assert_allclose(noise, 0.05, rtol=1e-4)
    np.testing.assert_allclose(free, 19, rtol=1e-4)
    np.testing.assert_allclose(cov[3, 3], normal.cov[3, 3], rtol=1e-3)
    np.testing.assert_allclose(normal.cov[3, 3], (0.05 / 0.25) ** 2 / 20, rtol=1e-3)
