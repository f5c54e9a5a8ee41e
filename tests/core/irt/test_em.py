"""Marginal likelihood by enumeration and quadrature; EM climbs, and stops where the gradient is zero."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled
from scipy import integrate

from lleval_jax.core.irt import em, irf, quadrature
from lleval_jax.core.irt.cells import Dense
from lleval_jax.core.irt.likelihood import Prior
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import advance, begin, solve
from lleval_jax.types import Status

WIDE = quadrature.Grid(61, 6.0)
FLAT = ((0.0, math.inf), (0.0, math.inf))
expect = compiled(em.expect, static_argnums=(0, 3))


def items_of(items, seed=0):
    draw = np.random.default_rng(seed)
    return np.stack([np.exp(0.3 * draw.standard_normal(items)), draw.standard_normal(items)], 1)


def answers(rows, free, seed=1):
    draw = np.random.default_rng(seed)
    z = draw.standard_normal(rows)[:, None] * free[:, 0] + free[:, 1]
    return (draw.random(z.shape) < 1 / (1 + np.exp(-z))).astype(float)


def data_of(scores, rule=WIDE, dims=1):
    nodes, log_weight = rule.nodes(dims)
    rows, items = scores.shape
    return em.Data(Dense(scores, None, np.ones(items)), nodes, log_weight, np.ones(rows), np.ones(items))


def moments_of(data, counts):
    mean = counts.mass @ data.nodes[:, 0]
    return mean, np.sqrt(counts.mass @ data.nodes[:, 0] ** 2 - mean**2)


def test_probabilities_of_all_patterns_sum_to_one():
    patterns = np.array(np.meshgrid(*[[0.0, 1.0]] * 10)).reshape(10, -1).T
    for moments in (True, False):  # ten items leave every posterior wide: both modes are the same sum
        got = expect(irf.CURVES["2pl"], data_of(patterns), items_of(10), moments)
        np.testing.assert_allclose(np.exp(got.loglik).sum(), 1, rtol=1e-12)
        np.testing.assert_allclose(got.mass.sum(1), 1, rtol=1e-12)


def test_the_marginal_likelihood_is_the_integral():
    free = items_of(10)
    scores = np.concatenate([answers(4, free), np.ones((1, 10)), np.zeros((1, 10))])
    got = expect(irf.CURVES["2pl"], data_of(scores), free, True)
    for row, loglik in zip(scores, got.loglik, strict=True):

        def density(x, row=row):
            z = free[:, 0] * x + free[:, 1]
            return math.exp((row * z - np.logaddexp(0, z)).sum() - 0.5 * x * x) / math.sqrt(2 * math.pi)

        want = integrate.quad(density, -9, 9, epsabs=0, epsrel=1e-11)[0]
        # what the grid cuts off: prior mass beyond 6 is 2e-9, at a likelihood of at most 1 against exp(loglik) > 1e-4
        assert abs(float(loglik) - math.log(want)) < 2e-5


@pytest.mark.parametrize("items", [20, 150, 300])
def test_kept_moments_are_a_fine_integral(items):
    free = items_of(items)
    scores = answers(60, free)
    fine, coarse = data_of(scores, quadrature.Grid(4001, 8.0)), data_of(scores, quadrature.default(1))
    want = expect(irf.CURVES["2pl"], fine, free, False)
    got = expect(irf.CURVES["2pl"], coarse, free, True)
    mean, sd = moments_of(fine, want)
    near, near_sd = moments_of(coarse, got)
    for r in np.flatnonzero(np.abs(mean) < 4):
        loglik, shift = laplace_error(free, mean[r], sd[r])
        assert abs(want.loglik[r] - got.loglik[r]) < loglik
        assert abs(mean[r] - near[r]) < shift * sd[r]
        assert abs(near_sd[r] / sd[r] - 1) < max(2 * loglik, shift)


def laplace_error(free, mean, sd, gap=9 / 40):
    """Bounds on the errors of log likelihood and of mean / sd when a row is a parabola through three nodes.

    Third and fourth derivatives of the log posterior give Laplace's next term (Tierney & Kadane 1986), the error of
    a parabola at a spacing's distance, max|l'''| gap^3 / (9 sqrt 3), and of its curvature, l'''' gap^2 / 12. A row
    that is wide instead is summed, exact to 2 exp(-2 pi^2 NARROW^2).
    """
    reach = mean + np.linspace(-1, 1, 21) * max(1.5 * gap, 3 * sd)
    p = 1 / (1 + np.exp(-(reach[:, None] * free[:, 0] + free[:, 1])))
    spread = p * (1 - p)
    third = np.abs((free[:, 0] ** 3 * spread * (1 - 2 * p)).sum(1)).max()
    fourth = np.abs((free[:, 0] ** 4 * spread * (1 - 6 * spread)).sum(1)).max()
    loglik = 5 / 24 * third**2 * sd**6 + fourth * sd**4 / 8
    loglik += third * gap**3 / (9 * math.sqrt(3)) + fourth * gap**2 / 24 * sd**2
    shift = third * sd**3 / 2 + third * gap**2 / 6 * sd + fourth * gap**3 / 12 * sd
    summed = 2 * math.exp(-2 * math.pi**2 * em.NARROW[0] ** 2)
    return max(loglik, summed), max(shift, summed)


def test_fixed_nodes_alone_would_snap():
    """Why moments are kept: with 3000 items the sum over nodes misses the likelihood ten times as far."""
    free = items_of(3000)
    scores = answers(40, free)
    want = expect(irf.CURVES["2pl"], data_of(scores, quadrature.Grid(4001, 8.0)), free, False).loglik
    coarse = data_of(scores, quadrature.default(1))
    kept = expect(irf.CURVES["2pl"], coarse, free, True).loglik
    snapped = expect(irf.CURVES["2pl"], coarse, free, False).loglik
    assert np.abs(want - kept).mean() < 0.1 * np.abs(want - snapped).mean()


def test_an_unanswered_row_keeps_the_prior():
    free = items_of(5)
    nothing = Dense(np.zeros((1, 5)), np.zeros((1, 5)), np.ones(5))
    data = data_of(np.zeros((1, 5)))._replace(cells=nothing)
    got = expect(irf.CURVES["2pl"], data, free, True)
    np.testing.assert_allclose(got.loglik, 0, atol=1e-12)
    np.testing.assert_allclose(got.mass[0], np.exp(data.log_weight), rtol=1e-9)
    np.testing.assert_allclose(got.asked, 0, atol=1e-12)


@pytest.mark.parametrize(
    "curve",
    [
        irf.CURVES["4pl"],
        *(pytest.param(c, marks=pytest.mark.slow) for c in (irf.CURVES["2pl"], irf.CURVES["3pl"])),
        *(pytest.param(c, marks=pytest.mark.slow) for c in (irf.Curve(positive=True), irf.Curve(dims=2))),
    ],
    ids=["4pl", "2pl", "3pl", "positive", "2-d"],
)
def test_curvature_is_the_gradient_and_the_fisher_information(curve):
    draw = np.random.default_rng(3)
    free, nodes = 0.5 * draw.standard_normal(curve.width), draw.uniform(-2, 2, (9, curve.dims))
    asked = draw.uniform(1, 5, 9)
    p = compiled(irf.slant, static_argnums=0)(curve, free, nodes).p

    def loss(free, right):
        item = irf.constrain(curve, free)
        odds, wrong = irf.tails(curve, nodes @ item.slope + item.intercept, item.floor, item.ceiling)
        return -jnp.sum(right * odds + asked * wrong)

    right = asked * draw.random(9)
    score, info = compiled(em.curvature, static_argnums=0)(curve, free, right, asked, nodes)
    np.testing.assert_allclose(score, -compiled(jax.grad(loss))(free, right), rtol=1e-8, atol=1e-10)
    # where the expected scores are met, expected and observed information are one
    np.testing.assert_allclose(info, compiled(jax.hessian(loss))(free, asked * p), rtol=1e-8, atol=1e-10)


def climb(task, data, free, solver, tol=1e-8, max_steps=2000):
    run = compiled(lambda data, x: solve(solver, em.em_map(task, data), x, tol=tol, max_steps=max_steps))
    return run(data, unknowns(task.curve, free))


def unknowns(curve, free):
    return em.Unknowns(free, np.zeros(curve.width), np.zeros(curve.width))


def start_of(curve, items):
    free = np.zeros((items, curve.width)) + 0.05 * np.random.default_rng(5).standard_normal((items, curve.width))
    free[:, 0] = 0.0 if curve.positive else 0.7
    if curve.floor:
        free[:, curve.dims + 1] = -1.5
    if curve.ceiling:
        free[:, -1] = 2.5
    if curve.shared_slope:
        free[:, 0] = 0.1
    return free


def prior_of(curve):
    """None for a logistic curve; floors and ceilings need one, and slopes beside them."""
    known = ((1.0, 0.5), (0.0, 2.0)) + ((-1.6, 0.7),) * curve.floor + ((3.0, 1.0),) * curve.ceiling
    return FLAT if curve.logistic else known


RISING = {name: (curve, prior_of(curve)) for name, curve in irf.CURVES.items()} | {
    "2pl with a prior": (irf.CURVES["2pl"], ((1.0, 0.5), (0.0, 2.0))),
    "2pl positive": (irf.Curve(positive=True), ((0.0, 0.5), (0.0, 2.0))),
    "2pl 2-d": (irf.Curve(dims=2), ((0.0, 1.0), (0.0, 1.0), (0.0, 2.0))),
}
HEAVY = (*(name for name, curve in irf.CURVES.items() if not curve.logistic), "2pl 2-d", "2pl positive")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in HEAVY else ()) for n in RISING])
def test_plain_em_never_falls(name):
    """Dempster, Laird & Rubin 1977, theorem 1. A generalised M step of two damped scoring steps keeps it."""
    curve, prior = RISING[name]
    task = em.Task(curve, learn=False, prior=prior, moments=False)
    rule = WIDE if curve.dims == 1 else quadrature.Grid(15, 4.5)
    data = data_of(answers(150, items_of(12)), rule, curve.dims)
    solver = Anderson(memory=0)
    one = compiled(lambda data, p: advance(solver, em.em_map(task, data), p, tol=0.0, at_most=1, max_steps=999))
    first = compiled(lambda data, x: begin(solver, em.em_map(task, data), x))
    progress, values = first(data, unknowns(curve, start_of(curve, 12))), []
    for _ in range(40):
        progress = one(data, progress)
        values.append(float(progress.now.value))
    # a sum of 150 * 12 terms in float64 rounds by less than n eps |value|
    assert np.diff(values).min() >= -2000 * np.finfo(float).eps * abs(values[-1])
    assert values[-1] > values[0] + 1


def test_acceleration_reaches_the_same_top():
    data = data_of(answers(300, items_of(12)))
    task = em.Task(irf.CURVES["2pl"], learn=False, prior=FLAT, moments=False)
    plain = climb(task, data, start_of(task.curve, 12), Anderson(memory=0))
    fast = climb(task, data, start_of(task.curve, 12), Anderson())
    assert int(plain.status) == int(fast.status) == Status.CONVERGED
    assert int(fast.steps) < 0.5 * int(plain.steps)
    np.testing.assert_allclose(fast.x.free, plain.x.free, atol=1e-5)
    np.testing.assert_allclose(fast.value, plain.value, rtol=1e-12)


@pytest.mark.parametrize("name", ["rasch", "2pl", pytest.param("2pl positive", marks=pytest.mark.slow)])
def test_parameter_expansion_stops_at_the_maximum(name):
    """PX-EM moves along other paths but has the fixed points of EM (Liu, Rubin & Wu 1998, theorem 1)."""
    curve = RISING[name][0]
    data = data_of(answers(300, items_of(12)), quadrature.Grid(121, 6.0))
    task = em.Task(curve, learn=False, prior=FLAT, moments=True)
    assert task.expands
    assert not dataclasses.replace(task, moments=False).expands
    end = climb(task, data, start_of(curve, 12), Anderson())
    assert int(end.status) == Status.CONVERGED

    def loglik(free, data):
        return jnp.sum(em.expect(curve, data, free, False).loglik)

    grad = compiled(jax.grad(loglik))(end.x.free, data)
    if curve.shared_slope:
        grad = np.stack([np.broadcast_to(grad[:, 0].sum(), grad[:, 0].shape), grad[:, 1]], 1)
    # tol 1e-8 a step, rate at most 1 - 1e-3, information of at most 300 an entry and 300 * 12 for a shared slope
    assert np.abs(grad).max() < 1e-8 / 1e-3 * 300 * 12


def test_rasch_scores_are_sufficient():
    """At the maximum each item's expected total is its own, and rows of one total have one posterior."""
    curve = irf.CURVES["rasch"]
    data = data_of(answers(200, items_of(10)))
    task = em.Task(curve, learn=False, prior=FLAT, moments=False)
    end = climb(task, data, start_of(curve, 10), Anderson(), tol=1e-9)
    counts = expect(curve, data, end.x.free, False)
    p = compiled(jax.vmap(lambda f, nodes: irf.slant(curve, f, nodes).p, (0, None)))(end.x.free, data.nodes)
    np.testing.assert_allclose((counts.asked * p).sum(1), data.cells.scores.sum(0), atol=1e-5)
    total, mean = data.cells.scores.sum(1), counts.mass @ data.nodes[:, 0]
    for value in np.unique(total):
        assert np.ptp(mean[total == value]) < 1e-9
    assert (np.diff([mean[total == v][0] for v in np.unique(total)]) > 0).all()


def test_an_item_nobody_answered_stays_at_its_prior():
    scores, free = answers(100, items_of(6)), start_of(irf.CURVES["2pl"], 6)
    weight = np.ones_like(scores)
    weight[:, 2] = 0
    data = data_of(scores)._replace(cells=Dense(scores * weight, weight, np.ones(6)))
    task = em.Task(irf.CURVES["2pl"], learn=False, prior=((1.0, 0.5), (0.3, 2.0)), moments=False)
    end = climb(task, data, free, Anderson())
    np.testing.assert_allclose(end.x.free[2], [1.0, 0.3], atol=1e-6)
    prior = Prior(np.array([1.0, 0.3]), np.array([4.0, 0.25]))
    info = compiled(em.posterior_information)(np.zeros((1, 2, 2)), prior)
    np.testing.assert_allclose(info[0], np.diag([4, 0.25]), atol=1e-6)
