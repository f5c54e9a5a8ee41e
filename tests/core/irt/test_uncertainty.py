"""Standard errors against the inverse of the whole observed information matrix."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.irt import em, irf, uncertainty
from lleval_jax.core.irt.cells import Dense
from lleval_jax.core.irt.likelihood import Prior
from lleval_jax.core.irt.quadrature import Grid
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import solve

CURVE = irf.CURVES["2pl"]
expect = compiled(em.expect, static_argnums=(0, 3))
item_covariance = compiled(uncertainty.item_covariance, static_argnums=0)


def problem(rows, items, seed=3):
    draw = np.random.default_rng(seed)
    free = np.stack([np.exp(0.3 * draw.standard_normal(items)), draw.standard_normal(items)], 1)
    z = draw.standard_normal(rows)[:, None] * free[:, 0] + free[:, 1]
    scores = (draw.random(z.shape) < 1 / (1 + np.exp(-z))).astype(float)
    nodes, log_weight = Grid(61, 6.0).nodes(1)
    data = em.Data(Dense(scores, None, np.ones(items)), nodes, log_weight, np.ones(rows), np.ones(items))
    task = em.Task(CURVE, learn=False, prior=((0.0, math.inf), (0.0, math.inf)), moments=False)
    run = compiled(lambda data, x: solve(Anderson(), em.em_map(task, data), x, tol=1e-6, max_steps=400))
    end = run(data, em.Unknowns(free, np.zeros(2), np.zeros(2)))
    return data, end.x.free


@pytest.mark.parametrize(
    ("rows", "items"),
    [(1000, 20), pytest.param(2000, 8, marks=pytest.mark.slow), pytest.param(500, 60, marks=pytest.mark.slow)],
)
def test_standard_errors_are_those_of_the_whole_matrix(rows, items):
    """The thin form leaves out terms of the order of a row's posterior variance, which is what may be missing.

    Expected and observed information differ by sqrt(2 / rows) of themselves, relative, at four standard deviations.
    """
    data, free = problem(rows, items)

    def loss(flat, data):
        return -jnp.sum(em.expect(CURVE, data, flat.reshape(items, 2), False).loglik)

    whole = np.linalg.inv(compiled(jax.hessian(loss))(free.ravel(), data))
    want = np.sqrt(np.diag(whole)).reshape(-1, 2)
    counts = expect(CURVE, data, free, False)
    flat = Prior(np.zeros(2), np.zeros(2))
    got = item_covariance(CURVE, free, counts.right, counts.asked, data.nodes, data.row_weight @ counts.mass, flat)
    ratio = np.sqrt(np.diagonal(got, axis1=1, axis2=2)) / want
    mean = counts.mass @ data.nodes[:, 0]
    variance = (counts.mass @ data.nodes[:, 0] ** 2 - mean**2).mean()
    noise = 4 * math.sqrt(2 / rows) / 2
    assert ratio.min() > 1 - variance - noise
    assert ratio.max() < 1 + noise
    assert np.linalg.eigvalsh(got).min() > 0


@pytest.mark.slow
def test_abilities_that_are_not_known_widen_the_errors():
    data, free = problem(300, 10)
    counts = expect(CURVE, data, free, False)
    curvature = compiled(jax.vmap(em.curvature, (None, 0, 0, 0, None)), static_argnums=0)
    _, info = curvature(CURVE, free, counts.right, counts.asked, data.nodes)
    got = item_covariance(
        CURVE,
        free,
        counts.right,
        counts.asked,
        data.nodes,
        data.row_weight @ counts.mass,
        Prior(np.zeros(2), np.zeros(2)),
    )
    extra = got - np.linalg.inv(info)
    assert np.linalg.eigvalsh(extra).min() > -1e-6 * np.abs(extra).max()


def test_chunks_of_items_make_the_whole(monkeypatch):
    data, free = problem(100, 10)
    counts = expect(CURVE, data, free, False)
    args = free, counts.right, counts.asked, data.nodes, data.row_weight @ counts.mass, Prior(np.zeros(2), np.ones(2))
    whole = item_covariance(CURVE, *args)
    monkeypatch.setattr(uncertainty, "ROOM", 4 * data.nodes.size)
    chunks = compiled(lambda *args: uncertainty.item_covariance(CURVE, *args))(*args)  # traced again, with less room
    np.testing.assert_allclose(chunks, whole, rtol=1e-8, atol=1e-12)
