"""Crossed effects, against brute force: dense normal algebra, automatic derivatives, sums over prior draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled
from scipy.special import expit

from lleval_jax.core.crossed import draws as crossed_draws
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.crossed import scales as crossed_scales
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import solve

NODES, MASS = np.polynomial.hermite_e.hermegauss(61)
MASS = MASS / MASS.sum()
posterior = compiled(crossed.posterior)
score_draws = compiled(crossed_draws.score_draws, static_argnames="draws")


def problem(rows=5, columns=6, features=2, q=2, cells=14, seed=0, room=20):
    """A small grid with features on both sides, sites and log scales drawn at random."""
    rng = np.random.default_rng(seed)
    loads = np.concatenate([np.ones((rows, 1)), rng.normal(size=(rows, features))], axis=1)
    kind = np.zeros((1 + features + q, 1 + (q > 0)))
    kind[1 : 1 + features, 0] = 1
    if q:
        kind[-q:, 1] = 1
    scales = kind.shape[1] + 2
    fixed = np.zeros(len(kind))
    fixed[0] = np.log(3.0)
    prior = np.stack([np.full(scales, -0.5), np.full(scales, 1.3)])
    design = crossed.Design(loads, rng.normal(size=(columns, q)), kind, fixed, prior, np.asarray(0.3))
    place = rng.permutation(rows * columns)[:cells]
    there = np.arange(room) < cells
    filled = np.zeros(room, int)
    filled[:cells] = place
    scores = np.where(there, rng.random(room) < 0.5, 0).astype(float)
    answers = crossed.Cells(filled // columns, filled % columns, scores, there * 1.0)
    precision = np.where(there, rng.uniform(0.05, 0.3, room), 0)
    shift = np.where(there, rng.normal(0, 0.4, room), 0)
    return design, answers, precision, shift, rng.normal(-0.3, 0.4, scales)


def dense(design, cells, precision, shift, scale):
    """All effects (k + q + rows + columns) as one normal: loadings of the cells' logits, sites, posterior."""
    n, k = design.rows.shape
    q, columns = design.columns.shape[1], len(design.columns)
    size = np.exp(design.fixed + design.kind @ scale[:-2])
    used = np.flatnonzero(cells.weight)
    row, column = cells.row[used], cells.column[used]
    loads = np.zeros((len(used), k + q + n + columns))
    loads[:, :k] = design.rows[row] * size[:k]
    loads[:, k : k + q] = design.columns[column] * size[k:]
    loads[np.arange(len(used)), k + q + row] = np.exp(scale[-2])
    loads[np.arange(len(used)), k + q + n + column] = np.exp(scale[-1])
    w, b = precision[used], shift[used]
    covariance = np.linalg.inv(np.eye(loads.shape[1]) + loads.T @ (w[:, None] * loads))
    return loads, w, b, covariance, covariance @ loads.T @ b


@pytest.mark.parametrize("q", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_posterior_is_that_of_the_dense_system(q):
    design, cells, precision, shift, scale = problem(q=q)
    found = posterior(design, cells, precision, shift, scale)
    loads, _, _, covariance, mean = dense(design, cells, precision, shift, scale)
    k, n, (s, t) = len(design.kind), len(design.rows), np.exp(scale[-2:])
    near = {"atol": 1e-12}
    np.testing.assert_allclose(found.coef, mean[:k], **near)
    np.testing.assert_allclose(found.spread, covariance[:k, :k], **near)
    np.testing.assert_allclose(found.residual, s * mean[k : k + n], **near)
    np.testing.assert_allclose(found.residual_cov, s**2 * covariance[k : k + n, k : k + n], **near)
    np.testing.assert_allclose(-found.residual_on_coef @ found.spread, s * covariance[k : k + n, :k], **near)
    np.testing.assert_allclose(found.column, t * mean[k + n :], **near)
    np.testing.assert_allclose(found.column_var, t**2 * np.diag(covariance)[k + n :], **near)
    used = np.flatnonzero(cells.weight)
    np.testing.assert_allclose(found.mean[used], loads @ mean, **near)
    np.testing.assert_allclose(found.var[used], np.einsum("ca,ab,cb->c", loads, covariance, loads), **near)
    effects = np.concatenate([design.rows, np.zeros((n, k - design.rows.shape[1]))], axis=1)
    size = np.exp(design.fixed + design.kind @ scale[:-2])
    both = np.concatenate([effects * size, s * np.eye(n)], axis=1)
    np.testing.assert_allclose(found.covariance[:n, :n], both @ covariance[: k + n, : k + n] @ both.T, **near)
    gap = covariance[k : k + n, k : k + n] - covariance[k : k + n, :k] @ np.linalg.solve(
        covariance[:k, :k], covariance[:k, k : k + n]
    )
    np.testing.assert_allclose(found.residual_cov_given, s**2 * gap, **near)


def test_evidence_is_the_density_of_the_sites_up_to_a_constant():
    design, cells, precision, shift, scale = problem()

    def direct(scale):
        loads, w, b, _, _ = dense(design, cells, precision, shift, scale)
        marginal = loads @ loads.T + np.diag(1 / w)
        seen = b / w
        return -0.5 * (seen @ np.linalg.solve(marginal, seen) + np.linalg.slogdet(marginal)[1])

    found = [posterior(design, cells, precision, shift, s).evidence for s in (scale, scale + 0.4)]
    np.testing.assert_allclose(found[1] - found[0], direct(scale + 0.4) - direct(scale), atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("q", [0, 2])
def test_gradient_and_hessian_in_the_scales_are_the_derivatives(q):
    """By central differences, whose error is of the order of the step's square."""
    design, cells, precision, shift, scale = problem(q=q)
    step = 1e-4

    def bends(design, cells, precision, shift, scale):
        now = crossed.posterior(design, cells, precision, shift, scale)
        value = now.evidence + crossed.believed(design, scale)[0].sum()
        return value, *crossed.slope(design, scale, now), crossed_scales.hessian(design, scale, now)

    at = functools.partial(compiled(bends), design, cells, precision, shift)
    _, gradient, curvature, hessian = at(scale)
    for h in range(len(scale)):
        up, down = (at(scale + move * (np.arange(len(scale)) == h)) for move in (step, -step))
        np.testing.assert_allclose(gradient[h], (up[0] - down[0]) / (2 * step), atol=1e-6)
        np.testing.assert_allclose(hessian[h], (up[1] - down[1]) / (2 * step), atol=1e-6)
    # what the curvature of a step leaves out are squares and, of one effect with another, products: with no
    # correlation between effects it is exact
    alone = cells._replace(weight=np.where(np.arange(len(cells.row)) == 0, cells.weight, 0))
    none = np.zeros_like(precision)
    _, _, curvature, hessian = compiled(bends)(design, alone, none, none, scale)
    np.testing.assert_allclose(curvature, -np.diagonal(hessian), atol=1e-12)


def test_the_sums_over_columns_are_the_plain_sums():
    rng = np.random.default_rng(0)
    column, real, row = rng.normal(0, 2, 300), np.arange(300) < 250, rng.normal(0, 1.5, 40)
    p = 1 / (1 + np.exp(-(row[:, None] + column[None, :]))) * real
    mean, variance = compiled(crossed_draws.column_sums)(column, real * 1.0, row)
    np.testing.assert_allclose(mean, p.sum(1), rtol=2e-5)
    np.testing.assert_allclose(variance, (p * (1 - p)).sum(1), rtol=3e-3)


def exact(design, cells, scale, draws=400_000):
    """Moments of the logits of all cells under the true posterior at given scales, by weighted prior draws."""
    rng = np.random.default_rng(1)
    n, (columns, q) = len(design.rows), design.columns.shape
    size = np.exp(design.fixed + design.kind @ scale[:-2])
    coef = rng.normal(size=(draws, len(size))) * size
    effect = coef[:, : len(size) - q] @ design.rows.T + np.exp(scale[-2]) * rng.normal(size=(draws, n))
    column = np.exp(scale[-1]) * rng.normal(size=(draws, columns)) + coef[:, len(size) - q :] @ design.columns.T
    used = np.flatnonzero(cells.weight)
    eta = effect[:, cells.row[used]] + column[:, cells.column[used]]
    z = design.offset + eta
    loglik = (cells.score[used] * z - np.logaddexp(0, z)).sum(1)
    weight = np.exp(loglik - loglik.max())
    weight /= weight.sum()
    mean = weight @ eta
    var = weight @ (eta - mean) ** 2
    kept = 1 / (weight**2).sum()
    return used, mean, var, kept


@compiled
def sites(design, cells, scale):
    """Sites at their fixed point, the scales held."""
    nodes, mass = jnp.asarray(NODES), jnp.asarray(MASS)

    def fn(at):
        moved, evidence = crossed.propagate(design, cells, nodes, mass, at._replace(scale=scale))
        return moved._replace(scale=scale), evidence

    start = crossed.start(design, cells, nodes, mass)._replace(scale=scale)
    return solve(Anderson(memory=0, slack=np.inf), fn, start, tol=1e-9, max_steps=200)


def test_no_site_is_sharper_than_an_answer_and_surprise_pulls_towards_it():
    """Also where all of the tilted mass lies beyond the outermost node."""
    mean, var, weight, score = (
        x.ravel()
        for x in np.meshgrid(np.linspace(-14, 14, 29), [0.01, 1, 9, 60], [1.0, 10.0], [0.0, 0.3, 1.0], indexing="ij")
    )
    place, none = np.zeros(len(mean), int), np.zeros_like(mean)
    cells = crossed.Cells(place, place, score, weight)
    precision, shift = compiled(crossed.tilt)(0.0, NODES, MASS, cells, mean, var, none, none)
    assert np.isfinite(shift).all()
    assert (precision <= weight / 4).all()
    assert (precision > 0).all()
    moved = (mean / var + shift) / (1 / var + precision) - mean
    towards = np.sign(score - expit(mean))
    assert (moved * towards > 0)[score != 0.3].all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_propagated_means_and_variances_are_near_the_true_ones(seed):
    """Against weighted prior draws. What EP itself leaves is small beside a posterior's spread: 2% of it here."""
    design, cells, _, _, scale = problem(seed=seed)
    found = sites(design, cells, scale)
    now = posterior(design, cells, *found.x)
    used, mean, var, kept = exact(design, cells, scale)
    sd = np.sqrt(var)
    noise = 5 / np.sqrt(kept)  # five standard errors of a mean, in units of sd
    assert noise < 0.08
    np.testing.assert_array_less(np.abs(now.mean[used] - mean) / sd, 0.02 + noise)
    np.testing.assert_array_less(np.abs(np.sqrt(now.var[used]) / sd - 1), 0.02 + noise)


@pytest.mark.slow
def test_one_answer_is_propagated_exactly():
    design, cells, _, _, scale = problem(rows=2, columns=2, q=0, cells=1, room=1)
    x = np.linspace(-40, 40, 40001)
    loads, *_ = dense(design, cells, np.ones(1), np.zeros(1), scale)
    prior = loads[0] @ loads[0]
    density = np.exp(-0.5 * x**2 / prior - np.logaddexp(0, -(2 * cells.score[0] - 1) * (0.3 + x)))
    density /= density.sum()
    mean = density @ x
    found = sites(design, cells, scale)
    now = posterior(design, cells, *found.x)
    np.testing.assert_allclose(now.mean[0], mean, atol=1e-6)
    np.testing.assert_allclose(now.var[0], density @ (x - mean) ** 2, rtol=1e-5)


@pytest.mark.slow
def test_weighted_answers_are_repeats():
    """One cell with weight 4 and score 3/4, as four answers: the same integrand, resolved by the nodes."""
    design, cells, _, _, scale = problem(rows=2, columns=2, q=0, cells=1, room=1)
    many = cells._replace(score=np.array([0.75]), weight=np.array([4.0]))
    x = np.linspace(-40, 40, 40001)
    loads, *_ = dense(design, cells, np.ones(1), np.zeros(1), scale)
    z = 0.3 + x
    density = np.exp(-0.5 * x**2 / (loads[0] @ loads[0]) + 3 * z - 4 * np.logaddexp(0, z))
    density /= density.sum()
    now = posterior(design, many, *sites(design, many, scale).x)
    np.testing.assert_allclose(now.mean[0], density @ x, atol=1e-6)


@pytest.mark.slow
def test_a_full_grid_has_no_luck_left():
    rows, columns = 3, 4
    design, cells, precision, shift, scale = problem(rows, columns, q=0, cells=12, room=12)
    found = jax.tree.map(lambda x: x[None], posterior(design, cells, precision, shift, scale))
    points = crossed_scales.Scales(scale[None], np.ones(1), found)
    given = np.bincount(cells.row, cells.score, rows)
    drawn = score_draws(design, cells, points, np.ones(columns), given, np.zeros(rows), 1.0, jax.random.key(0), draws=8)
    np.testing.assert_allclose(drawn, np.tile(given, (8, 1)), atol=1e-12)


@pytest.mark.slow
def test_draws_follow_the_posterior():
    """Means of 4,000 draws of what is not the rows' own within five standard errors of the dense normal's, and sds."""
    design, cells, precision, shift, scale = problem(q=2)
    now = posterior(design, cells, precision, shift, scale)
    root, own_root = np.linalg.cholesky(now.spread), np.linalg.cholesky(now.residual_cov_given)
    draw = compiled(jax.vmap(crossed_draws.others_drawn, (None, None, None, None, 0)))
    drawn = np.concatenate(draw(design, now, root, own_root, jax.random.split(jax.random.key(0), 4000)), axis=1)
    _, _, _, covariance, mean = dense(design, cells, precision, shift, scale)
    (n, k), (columns, q) = design.rows.shape, design.columns.shape
    size = np.exp(design.fixed + design.kind @ scale[:-2])
    loads = np.zeros((n + columns, len(mean)))
    loads[:n, 1:k] = design.rows[:, 1:] * size[1:k]
    loads[n:, k : k + q] = design.columns * size[k:]
    loads[n:, k + q + n :] = np.exp(scale[-1]) * np.eye(columns)
    expected, sd = loads @ mean, np.sqrt(np.diagonal(loads @ covariance @ loads.T))
    expected[:n] += 0.3
    np.testing.assert_array_less(np.abs(drawn.mean(0) - expected), 5 * sd / np.sqrt(len(drawn)))
    np.testing.assert_allclose(drawn.std(0), sd, rtol=5 / np.sqrt(2 * len(drawn)))


@pytest.mark.slow
def test_the_mean_is_as_certain_as_under_the_normal_posterior():
    """Chains that lag behind the columns' draws would make it less certain; standard deviations within a third."""
    rng = np.random.default_rng(0)
    rows, columns = 30, 40
    design, _, _, _, _ = problem(rows, columns, features=0, q=0)
    logit = 0.3 + 0.6 * rng.normal(size=(rows, 1)) + 1.2 * rng.normal(size=(1, columns))
    place = rng.permutation(rows * columns)[:600]
    answers = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))) * 1.0
    row, column = place // columns, place % columns
    cells = crossed.Cells(row, column, answers[row, column], np.ones(600))
    scale = np.log([1.0, 0.6, 1.2])
    now = posterior(design, cells, *sites(design, cells, scale).x)
    points = crossed_scales.Scales(scale[None], np.ones(1), jax.tree.map(lambda x: x[None], now))
    p = 1 / (1 + np.exp(-(0.3 + now.effect[:, None] + now.column[None, :])))
    steep = p * (1 - p)
    steep[row, column] = 0
    down = steep.sum(0)
    toward = steep.sum(1) - now.effects_on_column @ (now.column_var_given * down)
    certain = toward @ now.covariance @ toward + down**2 @ now.column_var_given
    left = columns - np.bincount(row, minlength=rows) * 1.0
    given = design, cells, points, np.ones(columns), np.zeros(rows), left, 1.0, jax.random.key(0)
    drawn = score_draws(*given, draws=2000)
    assert 0.75 < drawn.sum(1).std() / np.sqrt(certain + steep.sum()) < 1.33
