"""The joint densities of crossed effects: against scipy.stats, the sites' evidence, and integrals on a small grid."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats
from scipy.special import expit

from lleval_jax.core.crossed import mixture
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import solve

log_joint = jax.jit(crossed.log_joint)
NODES, MASS = np.polynomial.hermite_e.hermegauss(11)
MASS = MASS / MASS.sum()


def problem(rows=3, columns=4, q=1, cells=7, room=9, seed=0):
    """A design with a feature on both sides, answers of some cells and padding, and unknowns."""
    random = np.random.default_rng(seed)
    loads = np.concatenate([np.ones((rows, 1)), random.normal(size=(rows, 1))], 1)
    kind = np.zeros((2 + q, 2))
    kind[1, 0] = 1
    kind[2:, 1] = 1
    fixed = np.zeros(2 + q)
    fixed[0] = np.log(2.0)
    prior = np.stack([random.normal(size=4), random.uniform(1, 3, 4)])
    design = crossed.Design(loads, random.normal(size=(columns, q)), kind, fixed, prior, np.asarray(0.3))
    place = np.concatenate([random.permutation(rows * columns)[:cells], np.zeros(room - cells, int)])
    there = (np.arange(room) < cells).astype(float)
    answers = crossed.Cells(place // columns, place % columns, (random.random(room) < 0.5).astype(float), there)
    unknown = crossed.Params(
        *(random.normal(size=size) for size in (2 + q, rows, columns, 4)),
    )
    return jax.tree.map(jnp.asarray, (unknown, design, answers))


def test_it_is_the_sum_of_the_densities_of_its_parts():
    unknown, design, cells = problem()
    coef, own, column, scale = map(np.asarray, unknown)
    size = np.exp(np.asarray(design.fixed) + np.asarray(design.kind) @ scale[:-2])
    row = np.asarray(design.rows) @ (size * coef)[:2] + own
    side = np.asarray(design.columns) @ (size * coef)[2:] + column
    expected = stats.norm.logpdf(coef).sum() + stats.norm.logpdf(own, 0, np.exp(scale[-2])).sum()
    expected += stats.norm.logpdf(column, 0, np.exp(scale[-1])).sum()
    middle, count = np.asarray(design.prior)
    # of a scale, and the derivative of the scale by its log
    expected += (stats.chi.logpdf(np.exp(scale), count, 0, np.exp(middle) / np.sqrt(count)) + scale).sum()
    for i, j, y, w in zip(*map(np.asarray, cells), strict=True):
        expected += w * stats.bernoulli.logpmf(int(y), expit(0.3 + row[i] + side[j]))
    np.testing.assert_allclose(log_joint(unknown, design, cells), expected, rtol=1e-12)


def test_padding_adds_nothing_and_leaves_derivatives_finite():
    unknown, design, cells = problem()
    value, slope = jax.jit(jax.value_and_grad(crossed.log_joint))(unknown, design, cells)
    kept = jax.tree.map(lambda x: x[:7], cells)
    np.testing.assert_allclose(log_joint(unknown, design, kept), value, rtol=1e-12)
    assert all(bool(jnp.isfinite(part).all()) for part in slope)


def test_with_sites_for_answers_the_posterior_is_its_mode_and_curvature():
    """Answers replaced by the sites of expectation propagation: effects are then normal, as in `posterior`."""
    unknown, design, cells = problem()
    random = np.random.default_rng(1)
    there = np.asarray(cells.weight)
    precision, shift = (jnp.asarray(there * x) for x in (random.uniform(0.1, 0.3, 9), random.normal(size=9)))
    none = cells._replace(weight=jnp.zeros(9))
    flat, whole = ravel_pytree(unknown[:3])

    def density(x):
        params = crossed.Params(*whole(x), unknown.scale)
        logit = crossed.cell_logits(params, design, cells) - design.offset
        return crossed.log_joint(params, design, none) + jnp.sum(shift * logit - 0.5 * precision * logit**2)

    found = jax.jit(crossed.posterior)(design, cells, precision, shift, unknown.scale)
    mode = ravel_pytree((found.coef, found.residual, found.column))[0]
    slope, bow = jax.jit(lambda x: (jax.grad(density)(x), jax.hessian(density)(x)))(mode)
    np.testing.assert_allclose(slope, 0, atol=1e-9)
    covariance = np.linalg.inv(-np.asarray(bow))
    np.testing.assert_allclose(covariance[:3, :3], found.spread, atol=1e-9)
    np.testing.assert_allclose(covariance[3:6, 3:6], found.residual_cov, atol=1e-9)
    np.testing.assert_allclose(np.diag(covariance)[6:], found.column_var, atol=1e-9)


def test_expectation_propagation_has_its_moments_on_a_grid_of_two_by_two():
    """Level, two rows' and two columns' effects on 11 Gauss-Hermite nodes each, the scales held.

    Expectation propagation is not exact: a twentieth of a standard deviation and of a variance is allowed.
    """
    scale = jnp.log(jnp.asarray([0.6, 0.8]))
    design = crossed.Design(
        jnp.ones((2, 1)),
        jnp.zeros((2, 0)),
        jnp.zeros((1, 0)),
        jnp.zeros(1),
        jnp.stack([scale, jnp.ones(2)]),
        0.3 * scale[0],
    )
    cells = crossed.Cells(*map(jnp.asarray, ([0, 0, 1, 1], [0, 1, 0, 1], [1.0, 1.0, 0.0, 1.0], [1.0] * 4)))

    def sweep(at):
        moved, _ = crossed.propagate(design, cells, jnp.asarray(NODES), jnp.asarray(MASS), at._replace(scale=scale))
        return moved._replace(scale=scale), -jnp.maximum(
            jnp.max(jnp.abs(moved.precision - at.precision)), jnp.max(jnp.abs(moved.shift - at.shift))
        )

    @jax.jit
    def settled():
        begun = crossed.start(design, cells, jnp.asarray(NODES), jnp.asarray(MASS))
        end = solve(Anderson(memory=0, slack=jnp.inf), sweep, begun, tol=1e-8)
        return crossed.posterior(design, cells, end.x.precision, end.x.shift, scale)

    unit = np.array(list(itertools.product(NODES, repeat=5)))
    mass = np.prod(np.array(list(itertools.product(MASS, repeat=5))), 1)
    effects = unit * np.array([1, 0.6, 0.6, 0.8, 0.8])

    def density(x):
        return crossed.log_joint(crossed.Params(x[:1], x[1:3], x[3:], scale), design, cells)

    height = np.asarray(jax.jit(jax.vmap(density))(jnp.asarray(effects))) - stats.norm.logpdf(unit).sum(1)
    weight = mass * np.exp(height - height.max())
    weight /= weight.sum()
    exact = weight @ effects
    spread = np.sqrt(weight @ (effects - exact) ** 2)
    found = settled()
    mean = np.concatenate([found.coef, found.residual, found.column])
    var = np.concatenate([found.spread.ravel(), np.diag(found.residual_cov), found.column_var])
    assert (np.abs(exact) / spread).max() > 0.1
    np.testing.assert_array_less(np.abs(mean - exact), 0.05 * spread)
    np.testing.assert_array_less(np.abs(var - spread**2), 0.05 * spread**2)


AT = mixture.Mixture(*map(jnp.asarray, (0.5, np.log(0.4), -1.0, -2.0, np.log(0.9))))


def mixture_prior(at, design):
    """Log density of a mixture by scipy.stats, in the coordinates in which it is moved."""
    middle, log_sd, odds, other, other_log_sd = map(float, at)
    log_s, n = np.asarray(design.prior)[:, -2]

    def log_chi(log_sd, log_s, n):
        return stats.chi.logpdf(np.exp(log_sd), n, 0, np.exp(log_s) / np.sqrt(n)) + log_sd

    def log_beta(logit, a, b):
        p = expit(logit)
        return stats.beta.logpdf(p, a, b) + np.log(p * (1 - p))

    share = np.logaddexp(
        np.log1p(-mixture.NONE) + log_beta(odds, *mixture.RARE),
        np.log(mixture.NONE) + stats.norm.logpdf(odds, mixture.NO_ODDS),
    )
    return (
        log_chi(log_sd, log_s + np.log(mixture.BULK), n)
        + log_chi(other_log_sd, np.log(mixture.OTHER_SD), mixture.OTHER_WORTH)
        + share
        + log_beta(float(design.offset) + middle, mixture.CERTAIN, mixture.CERTAIN)
        + stats.norm.logpdf(other, middle, mixture.APART)
    )


@pytest.mark.parametrize("odds", [-9.0, -1.0, 2.0])
def test_own_effects_of_a_mixture_have_the_densities_of_their_parts(odds):
    _, design, cells = problem()
    random = np.random.default_rng(2)
    own, base, side = (jnp.asarray(random.normal(size=size)) for size in (3, 3, 4))
    at = AT._replace(odds=jnp.asarray(odds))
    share = expit(odds)
    normal = [stats.norm.pdf(np.asarray(own), m, s) for m, s in ((0.5, 0.4), (-2.0, 0.9))]
    expected = np.log((1 - share) * normal[0] + share * normal[1]).sum() + mixture_prior(at, design)
    for i, j, y, w in zip(*map(np.asarray, cells), strict=True):
        expected += w * stats.bernoulli.logpmf(int(y), expit(float(base[i] + own[i] + side[j])))
    found = jax.jit(mixture.log_joint)(mixture.Params(own, at), design, cells, base, side)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
