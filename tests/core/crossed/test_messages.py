"""Messages on a grid: derivatives and posteriors against numerical integration."""

import itertools

import numpy as np
import pytest
from compiled import compiled
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from lleval_jax.core.crossed import joint, messages
from lleval_jax.core.crossed.model import Cells
from lleval_jax.estimators.prompts import kernel
from lleval_jax.layout import grid as crossed_layout

NODES = kernel.nodes("float64")
settle, bends = compiled(messages.settle), compiled(messages.bends)


def laid_out(scores, seen):
    n, items = scores.shape
    rows, about = (np.zeros((n, 0)), ()), np.zeros((items, 0))
    return crossed_layout.lay_out(scores, seen, np.ones((n, items)), rows, about, None, None, "float64")[0]


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (-3.0, 0.5), (2.0, 1.5), (-6.0, 1.0)])
def test_bends_are_derivatives_of_the_log_chance(mean, sd):
    """Of adaptive quadrature, by central differences (error about step^2 in g, 1e-10 / step^2 in h)."""

    def log_chance(at):
        ends = at - 10 * sd, at + 10 * sd
        return np.log(quad(lambda z: expit(z) * norm.pdf(z, at, sd), *ends, epsabs=1e-13, epsrel=1e-12)[0])

    step = 1e-2
    below, here, above = (log_chance(mean + k * step) for k in (-1, 0, 1))
    g, h = bends(np.array([mean]), np.array([sd]), *NODES)
    np.testing.assert_allclose(g, [(above - below) / (2 * step)], rtol=5e-3)
    np.testing.assert_allclose(h, [-(above - 2 * here + below) / step**2], rtol=2e-2)


def test_rows_are_as_by_integration_over_all_effects():
    """Three rows, two columns, four answers on a chain: means and covariances of the rows at the scales that are found.

    Six effects on 11 Gauss-Hermite nodes each. On a chain messages are expectation propagation itself, whose moments
    are not exact: a twentieth of a standard deviation and of a variance is allowed. The data move a mean by more.
    """
    seen = np.array([[1, 0], [1, 1], [0, 1]], bool)
    layout = laid_out(np.array([[1.0, 0], [1, 0], [0, 0]]), seen)
    design = layout.design._replace(fixed=np.zeros(1), offset=np.asarray(0.3))

    @compiled
    def rows_given(design, cells, sites):
        columns = joint.columns_given(joint.as_grid(design, cells, sites), sites.scale[-1])
        return joint.rows_given(design, columns, sites.scale)

    sites = settle(design, layout.cells, *NODES)
    found = rows_given(design, layout.cells, sites)
    own, side = np.exp(sites.scale)
    inverse = np.linalg.inv(found.root)
    mean, covariance = own * inverse.T @ found.half, own**2 * inverse.T @ inverse

    node, mass = np.polynomial.hermite_e.hermegauss(11)
    effects = np.array(list(itertools.product(node, repeat=6)))
    weight = np.prod(np.array(list(itertools.product(mass, repeat=6))), 1)
    rows, columns = effects[:, :1] + own * effects[:, 1:4], side * effects[:, 4:]
    for i, j, y in ((0, 0, 1), (1, 0, 1), (1, 1, 0), (2, 1, 0)):
        weight = weight * expit((2 * y - 1) * (0.3 + rows[:, i] + columns[:, j]))
    weight /= weight.sum()
    exact = weight @ rows
    spread = (rows - exact).T @ (weight[:, None] * (rows - exact))
    sd = np.sqrt(np.diag(spread))
    assert (np.abs(exact) / sd).max() > 0.1
    np.testing.assert_array_less(np.abs(mean - exact), 0.05 * sd)
    np.testing.assert_array_less(np.abs(covariance - spread), 0.05 * np.outer(sd, sd))


def test_padding_tells_nothing():
    rng = np.random.default_rng(0)
    scores, seen = (rng.random((2, 6, 8)) < 0.5).astype(float)
    layout = laid_out(scores, seen.astype(bool))
    longer = Cells(*(np.concatenate([x, np.zeros(64, np.asarray(x).dtype)]) for x in layout.cells))
    short, long = (settle(layout.design, cells, *NODES) for cells in (layout.cells, longer))
    np.testing.assert_allclose(short.scale, long.scale, atol=1e-12)


def test_a_table_reads_as_the_sum_of_sigmoids():
    """With columns known for certain the score is a plain sum, and the cubic's error is far below an answer."""
    columns, rng = 40, np.random.default_rng(1)
    layout = laid_out(np.zeros((5, columns)), np.eye(5, columns, dtype=bool))
    base = rng.normal(size=columns)
    nothing = np.zeros(columns)
    known = joint.Columns(base, nothing, np.zeros((5, 5)), np.zeros(5))
    seen = joint.Seen(np.zeros((5, columns)), np.zeros(5), nothing)
    effect = rng.normal(size=(3, 5))
    given = np.zeros(5), effect, *NODES, np.ones(columns)
    table = compiled(joint.tabulated)(layout.design, seen, known, *given)
    total, steep = compiled(joint.read)(table, effect, np.zeros((3, joint.KNOTS)))
    p = expit(float(layout.design.offset) + effect[:, :, None] + base[None, None, :])
    np.testing.assert_allclose(total, p.sum(2), atol=1e-3)
    np.testing.assert_allclose(steep, (p * (1 - p)).sum(2), atol=0.05)
