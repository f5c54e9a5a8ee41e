"""Skill laws: derivatives, recovery of simulated laws, the learned link, missing cells, losses, lanes of a vmap."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.core.laws import published
from lleval_jax.core.laws.published import Form, Law, Table
from lleval_jax.types import Status

TRAINED = Form(skills=2, link="monotone", floors="learned")
FORMS = (TRAINED, Form(skills=2, loss="binomial"), Form(skills=1, loss="gaussian"))
KEY = jax.random.key(3)


def simulated(families=8, each=4, benchmarks=5, noise=0.02, seed=0):
    """A table from a law with two skills, and the true scores."""
    random = np.random.default_rng(seed)
    rows = families * each
    size, tokens = np.exp(random.normal(size=(2, rows)))
    x = published.inputs(jnp.asarray(size), jnp.asarray(tokens), jnp.ones(rows))
    family = jnp.asarray(np.eye(families)[np.repeat(np.arange(families), each)])
    chance = jnp.asarray(np.linspace(0, 0.25, benchmarks))
    law = Law(
        jnp.asarray([[0.6, 0.1], [0.7, 0.4], [0.1, -0.2]]),
        jnp.asarray(0.5 * random.normal(size=(families, 2))),
        jnp.asarray(random.uniform(0.3, 1, (benchmarks, 2))),
        jnp.asarray(random.normal(size=benchmarks) / 2),
        jax.scipy.special.logit(chance),
        jnp.zeros((benchmarks, 0)),
    )
    truth = published.predict(Form(), law, x, family)
    scores = jnp.clip(truth + noise * random.normal(size=truth.shape), 0, 1)
    items = jnp.full(benchmarks, 100.0)
    return Table(x, family, scores, jnp.ones_like(truth), chance, items), truth


@functools.partial(jax.jit, static_argnames=("form", "starts"))
def fitted(form, table, key, starts=3):
    fit = published.fit(form, table, key, starts=starts)
    return fit, published.foretell(form, fit, table.inputs, table.intercept)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.link}-{form.loss}")
def test_derivatives_are_those_of_the_value(form):
    table, _ = simulated(3, 3, 3)
    fn = published.objective(form, table)
    x = published.start(form, table, KEY) + 0.1
    slope = jax.grad(lambda x: fn(x).value)
    local, gradient, hessian = jax.jit(lambda x: (fn(x), slope(x), jax.jacfwd(slope)(x)))(x)
    np.testing.assert_allclose(local.gradient, gradient, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(local.curvature, hessian, rtol=1e-9, atol=1e-8)


def test_every_start_finds_the_same_mode():
    fit, _ = fitted(Form(skills=2), simulated()[0], KEY)
    assert set(np.asarray(fit.status)) == {int(Status.CONVERGED)}
    assert np.ptp(np.asarray(fit.value)) < 1e-4
    np.testing.assert_allclose(fit.weight, 1 / 3, atol=1e-4)


def test_errors_fall_like_the_root_of_the_rows():
    """Models 4, 16 and 64 of each family seen, 3 tables each, all in one call; the law foretells all rows."""
    form, most, cases, truths = Form(skills=2, noise=0.05, delta=0.1), 64, [], []
    for seed in range(3):
        table, truth = simulated(4, most, 4, noise=0.05, seed=seed)
        for each in (4, 16, 64):
            seen = jnp.asarray(np.tile(np.arange(most) < each, 4) * 1.0)
            cases.append(table._replace(seen=table.seen * seen[:, None]))
            truths.append(truth)
    many = jax.tree.map(lambda *parts: jnp.stack(parts), *cases)
    found = jax.jit(jax.vmap(lambda table: fitted(form, table, KEY, 1)[1]))(many)
    error = np.sqrt(((np.asarray(found) - np.stack(truths)) ** 2).mean((1, 2))).reshape(3, 3).mean(0)
    slope = np.polyfit(np.log([4, 16, 64]), np.log(error), 1)[0]
    assert -0.7 < slope < -0.3


def test_the_learned_link_increases_and_has_no_ceiling():
    bends = 3 * jax.random.normal(KEY, (50, len(published.KNOTS)))
    z = jnp.linspace(-30, 30, 2001)
    h = jax.vmap(lambda bend: jax.vmap(lambda z: published.bent(bend, z))(z))(bends)
    assert np.diff(h, axis=1).min() > 0
    far = jax.vmap(lambda bend: published.bent(bend, jnp.asarray(1e12)) / 1e12)(bends)
    np.testing.assert_allclose(far, np.exp(bends[:, -1]), rtol=1e-3)
    np.testing.assert_allclose(published.bent(jnp.zeros(3), z[7]), z[7])


def test_a_cell_not_seen_changes_nothing():
    table, _ = simulated()
    seen = table.seen.at[3, 2].set(0).at[7].set(0)
    plain = fitted(Form(), table._replace(seen=seen), KEY)[1]
    other = fitted(Form(), table._replace(seen=seen, scores=table.scores.at[3, 2].set(0.9).at[7].set(0.1)), KEY)[1]
    np.testing.assert_array_equal(plain, other)


def test_binomial_loss_of_one_number_is_the_mean():
    """Nothing but a shift without a prior to speak of: the fitted score is the mean of the scores."""
    form = Form(skills=1, loss="binomial", noise=0.0, spread=(1e-4, 1e4, 1.0, 1.0))
    scores = jnp.asarray([[0.2], [0.4], [0.75]])
    ones = jnp.ones_like(scores)
    table = Table(ones, ones, scores, ones, jnp.zeros(1), jnp.asarray([40.0]))
    fit, found = fitted(form, table, KEY)
    np.testing.assert_allclose(found, scores.mean(), rtol=1e-5)
    p = float(scores.mean())
    np.testing.assert_allclose(fit.value[0], -40 * 3 * (p * np.log(p) + (1 - p) * np.log1p(-p)), rtol=1e-5)


def test_lanes_are_the_loop():
    tables = [simulated(seed=seed)[0] for seed in range(3)]
    together = jax.jit(jax.vmap(lambda t: published.fit(Form(), t, KEY, starts=3)))(
        jax.tree.map(lambda *parts: jnp.stack(parts), *tables)
    )
    for i, table in enumerate(tables):
        alone, _ = fitted(Form(), table, KEY)
        np.testing.assert_array_equal(together.steps[i], alone.steps)
        np.testing.assert_allclose(together.value[i], alone.value, rtol=1e-9)


def test_what_is_not_known_does_not_depend_on_how_skills_are_turned():
    form, (table, _) = Form(skills=2, noise=0.02), simulated(noise=0.02)
    fit, _ = fitted(form, table, KEY)
    rows, width = table.inputs.shape[1] + table.intercept.shape[1], 3

    @jax.jit
    def known(x):
        normal = published.laplace(form, table, x)
        design = jnp.concatenate([table.inputs, table.intercept], axis=1)[5]
        return (
            normal,
            published.foreseen(form, table, x, normal.cov, design),
            published.sandwich(form, table, x, normal.cov),
        )

    x, angle = fit.x[0], 0.7
    turn = jnp.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    columns = x[2 * rows :].reshape(-1, width)
    columns = jnp.concatenate([columns[:, :2] @ turn, columns[:, 2:]], axis=1)
    turned = jnp.concatenate([(x[: 2 * rows].reshape(-1, 2) @ turn).ravel(), columns.ravel()])
    (first, seen, (_, noise, free)), (second, again, _) = known(x), known(turned)
    np.testing.assert_allclose(first.evidence, second.evidence, rtol=1e-6)
    np.testing.assert_allclose(seen[1], again[1], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(np.asarray(noise), 0.02, rtol=0.35)  # four sd of a spread from 15 to 32 scores
    assert ((np.asarray(free) > 10) & (np.asarray(free) < 32)).all()


def test_the_sandwich_is_the_posterior_where_the_noise_is_as_assumed():
    """One shift, squared loss, and scores in pairs that differ from the mean by the assumed noise."""
    form = Form(skills=1, loss="gaussian", noise=0.05, spread=(1e-4, 10.0, 1.0, 1.0))
    ones = jnp.ones((20, 1))
    scores = 0.5 + 0.05 * np.sqrt(19 / 20) * jnp.asarray(np.tile([1.0, -1.0], 10))[:, None]
    table = Table(ones, ones, scores, ones, jnp.zeros(1), jnp.ones(1))
    x = jnp.zeros(4)
    normal = published.laplace(form, table, x)
    cov, noise, free = published.sandwich(form, table, x, normal.cov)
    np.testing.assert_allclose(noise, 0.05, rtol=1e-4)
    np.testing.assert_allclose(free, 19, rtol=1e-4)
    np.testing.assert_allclose(cov[3, 3], normal.cov[3, 3], rtol=1e-3)
    np.testing.assert_allclose(normal.cov[3, 3], (0.05 / 0.25) ** 2 / 20, rtol=1e-3)
