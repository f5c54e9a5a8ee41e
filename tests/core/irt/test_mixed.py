"""Fits of several kinds of answers: brute force, the engine for right and wrong, and a likelihood that never falls."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from lleval_jax.core.irt import em, irf, kinds, mixed, posterior, quadrature
from lleval_jax.core.irt.likelihood import Prior
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import mixed as engine
from lleval_jax.layout import answers as layout
from lleval_jax.layout import irt as rows_of
from lleval_jax.values import Responses

NAMES = ("bernoulli", "graded-4", "beta", "normal")
EACH = 4


@functools.cache
def drawn(rows: int = 24, each: int = EACH, names: tuple[str, ...] = NAMES, seed: int = 0):
    """Responses of a world in which each kind has a few items, and its slopes, intercepts and abilities."""
    rng = np.random.default_rng(seed)
    ability, n = rng.normal(size=rows), each * len(names)
    slope, intercept = rng.uniform(0.7, 1.8, n), rng.normal(size=n)
    scores = np.zeros((rows, n))
    for k, name in enumerate(names):
        kind, items = kinds.of(name), slice(k * each, (k + 1) * each)
        z = jnp.asarray(ability[:, None] * slope[items] + intercept[items])
        keys = jax.random.split(jax.random.key(seed + k, impl="threefry2x32"), z.shape)
        draw = jax.jit(jax.vmap(jax.vmap(kind.draw, (0, 0, None)), (0, 0, None)))
        scores[:, items] = np.asarray(draw(keys, z, jnp.asarray(kind.usual)))
    beta = [i for i, name in enumerate(np.repeat(names, each)) if name in ("beta", "logit-normal")]
    scores[:, beta] = np.clip(scores[:, beta], 1e-6, 1 - 1e-6)
    seen = rng.random(scores.shape) < 0.9
    return Responses.build(scores, seen=seen), tuple(np.repeat(names, each)), slope, intercept, ability


@functools.cache
def arranged():
    responses, names, slope, intercept, _ = drawn()
    where = layout.columns(names)
    data = layout.arrange(responses, where, "float64", quadrature.default(1))
    free = tuple(
        jnp.asarray(
            np.pad(
                np.column_stack([slope[i], intercept[i], np.tile(kind.usual, (len(i), 1))]),
                ((0, len(block.item_weight) - len(i)), (0, 0)),
            )
        )
        for kind, i, block in zip(where.kinds, where.index, data.blocks, strict=True)
    )
    return where, data, free


def test_likelihood_of_the_rows_is_the_integral():
    """Adaptive quadrature against a sum over 4,001 abilities, each answer by `log_density`."""
    responses, names, slope, intercept, _ = drawn()
    where, data, free = arranged()
    found = jax.jit(posterior.expect, static_argnums=0)(where.kinds, data, free)
    grid = np.linspace(-8, 8, 4001)
    total = np.zeros((len(responses.rows), len(grid)))
    of_rows = jax.vmap(jax.vmap(kinds.log_density, (None, None, None, 0, None)), (None, 0, None, None, None))
    each = jax.jit(of_rows, static_argnums=0)
    for i, name in enumerate(names):
        kind, seen = kinds.of(name), responses.seen[:, i]
        scores = jnp.asarray(np.where(seen, responses.scores[:, i], 0.5))
        z = jnp.asarray(slope[i] * grid + intercept[i])
        density = np.asarray(each(kind, scores, jnp.asarray(1.0), z, jnp.asarray(kind.usual)))
        total += np.where(seen[:, None], density, 0)
    prior = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi) + np.log(grid[1] - grid[0])
    wanted = special.logsumexp(total + prior, axis=1)
    mass = np.exp(total + prior - wanted[:, None])
    rows = len(wanted)
    np.testing.assert_allclose(np.asarray(found.loglik)[:rows], wanted, atol=5e-3)
    np.testing.assert_allclose(np.asarray(found.mean)[:rows], mass @ grid, atol=5e-3)


def test_value_never_falls():
    """A theorem of EM, up to what quadrature of five nodes and the Laplace evidence leave."""
    where, data, free = arranged()
    task = mixed.Task(where.kinds)
    step = jax.jit(mixed.em_map(task, data))
    now, values = jax.jit(mixed.start, static_argnums=0)(task, data), []
    for _ in range(12):
        now, value = step(now)
        values.append(float(value))
    gaps = np.diff(values)
    assert values[-1] > values[0]
    assert (gaps > -2e-3 * max(gaps)).all(), values


def both_engines():
    """The same right and wrong answers as both engines take them, and items."""
    responses, _, slope, intercept, _ = drawn(60, 60, ("bernoulli",), 3)
    own = rows_of.arrange(responses, "float64")
    nodes, log_weight = quadrature.Grid(201, 6.0).nodes(1)
    theirs = em.Data(own.cells, jnp.asarray(nodes), jnp.asarray(log_weight), own.row_weight, own.item_weight)
    ours = layout.arrange(responses, layout.columns(("bernoulli",) * 60), "float64", quadrature.default(1))
    size = len(own.item_weight)
    return ours, theirs, jnp.asarray(np.pad(np.column_stack([slope, intercept]), ((0, size - 60), (0, 0))))


def test_steps_are_those_of_the_engine_for_right_and_wrong():
    """E step and M step from the same items under the same prior, but for quadrature."""
    ours, theirs, free = both_engines()
    kind, curve = kinds.of("bernoulli"), irf.Curve()
    found = jax.jit(posterior.expect, static_argnums=0)((kind,), ours, (free,))
    wanted = jax.jit(em.expect, static_argnums=0)(curve, theirs, free)
    np.testing.assert_allclose(found.loglik[:60], wanted.loglik[:60], atol=2e-3)
    np.testing.assert_allclose(found.mean[:60], (wanted.mass @ theirs.nodes[:, 0])[:60], atol=2e-3)
    prior = Prior(jnp.asarray([1.2, 0.1]), jnp.asarray([4.0, 0.7]))
    counts = mixed.count(kind, ours.blocks[0], found.mass * ours.row_weight[:, None])
    task = em.Task(curve, scoring_steps=1)
    one = jax.jit(mixed.maximise, static_argnums=(0, 1))(kind, 1, prior, free, counts, found.nodes.ravel())
    two = jax.jit(em.maximise, static_argnums=0)(task, theirs, prior, free, wanted)
    for mine, its in zip(one, two, strict=True):
        np.testing.assert_allclose(mine[:60], its[:60], atol=3e-3)


def test_a_fit_is_that_of_the_engine_for_right_and_wrong():
    """A learned prior is an approximation whose top depends on the order of the steps: to a tenth of standard errors.

    These take posteriors of abilities to be narrow, and are up to 5% small with 60 items.
    """
    responses = drawn(60, 60, ("bernoulli",), 3)[0].ordered()
    own = irt.fit(responses, prior="learned", precision="float64", tol=1e-5)
    settings = {"precision": "float64", "tol": 1e-4, "max_steps": 500, "seed": 0}
    words = {"rule": None, "standard_errors": True, "tell": lambda _: None, "strict": True}
    found = engine.fit(responses, ("bernoulli",) * 60, settings, **words)
    error = np.sqrt(np.diagonal(own.params.covariance, axis1=1, axis2=2))
    gap = np.column_stack([getattr(found.params, x) - getattr(own.params, x) for x in ("slope", "intercept")])
    assert (np.abs(gap) < 0.1 * error).all()
    ratio = np.sqrt(np.diagonal(found.params.covariance, axis1=1, axis2=2)) / error
    assert (ratio > 0.95).all()
    assert (ratio < 1.02).all()


def test_a_grade_that_is_never_used_stays_finite_and_rare():
    """Of five grades nobody gets the fourth: its probability is small, and no parameter runs away."""
    rng = np.random.default_rng(5)
    ability = rng.normal(size=40)
    level = np.digitize(ability[:, None] + rng.logistic(size=(40, 12)), [-1.5, 0, 1.5])
    scores = np.array([0, 0.25, 0.5, 1.0])[level]
    fit = irt.fit(Responses.build(scores), answers="auto")
    answers = fit.params.answers
    assert answers is not None
    assert fit.status == "ok"
    assert answers.names == ("graded-5",)
    assert np.abs(answers.shape).max() < 6
    kind = kinds.of("graded-5")
    z = jnp.asarray(fit.params.intercept)
    p = np.exp(np.asarray(jax.vmap(kind.log_probability)(z, jnp.asarray(answers.shape))))  # type: ignore[attr-defined]
    assert p[:, 3].max() < 0.1 < p[:, 2].mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graded-4", "gpcm-4", "beta", "logit-normal", "normal"])
def test_intervals_of_items_contain_the_truth(name):
    """Slopes and intercepts of simulated worlds within 1.96 standard errors.

    Items of one world share its abilities, so that worlds are what is counted: a mean of 8 worlds' coverages that is
    below 0.9 by so many of its standard errors as Student's t of 7 degrees of freedom passes with chance 1e-5.
    """
    shares = []
    for seed in range(8):
        responses, names, slope, intercept, ability = drawn(100, 15, (name,), 100 + seed)
        fit = irt.fit(responses, answers=dict(zip(responses.items, names, strict=True)))
        p = fit.params
        scale, shift = ability.std(), ability.mean()  # the fit's abilities have mean 0 and variance 1
        truth = np.column_stack([slope * scale, intercept + slope * shift])
        error = np.sqrt(np.diagonal(p.covariance, axis1=1, axis2=2))
        gap = np.abs(np.column_stack([p.slope[:, 0], p.intercept]) - truth)
        shares.append((gap < 1.96 * error).mean(0))
    mean, spread = np.mean(shares, 0), np.std(shares, 0, ddof=1) / np.sqrt(len(shares))
    assert (mean > 0.9 - stats.t.isf(1e-5, 7) * spread).all(), (mean, spread)


def test_settings_compare_equal():
    """Equal settings share one compilation."""
    one, two = (mixed.Task((kinds.of("beta"), kinds.of("graded-4"))) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert dataclasses.replace(one, scoring_steps=3) != one
