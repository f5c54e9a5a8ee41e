"""The kernels of both engines by the contract: pure, in pieces or whole, alone or as lanes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.irt import em, irf, quadrature
from lleval_jax.core.irt import joint as variational
from lleval_jax.estimators.contract import Stepwise, solve, solve_many
from lleval_jax.estimators.irt.joint import Joint
from lleval_jax.estimators.irt.marginal import Marginal
from lleval_jax.layout import irt as layout
from lleval_jax.values import Responses

KEY = jax.random.key(0)
FIXED = em.Task(irf.CURVES["2pl"], learn=False, prior=((1.0, 0.5), (0.0, 2.0)), moments=False)


@functools.cache
def answers(seed=0):
    random = np.random.default_rng(seed)
    return layout.arrange(Responses.build((random.random((40, 9)) < 0.6).astype(np.float32)), "float64")


def marginal(seed=0):
    data = answers(seed)
    nodes, log_weight = quadrature.Grid(15, 5.0).nodes(1)
    return em.Data(data.cells, jnp.asarray(nodes), jnp.asarray(log_weight), data.row_weight, data.item_weight)


def joint(seed=0):
    data = answers(seed)
    return variational.Data(data.cells, data.row_weight, data.item_weight, jnp.ones(2))


KERNELS = {
    "marginal": (Marginal(em.Task(irf.CURVES["2pl"]), tol=1e-4, piece=3), marginal),
    "joint": (Joint(tol=1e-2, piece=3), joint),
    "fixed nodes": (Marginal(FIXED, tol=1e-4, piece=3), marginal),
}


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("name", KERNELS)
def test_in_pieces_it_is_what_it_is_whole(name):
    kernel, data = KERNELS[name]
    assert isinstance(kernel, Stepwise)
    looks = []
    pieces = solve(kernel, data(), KEY, lambda now: looks.append(now.done))
    same(pieces, compiled(kernel.solve)(data(), KEY))
    assert looks == [*range(3, int(pieces.steps), 3), int(pieces.steps)]


@pytest.mark.parametrize("name", ["marginal", "joint"])
def test_lanes_are_what_each_is_alone(name):
    kernel, data = KERNELS[name]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), data(0), data(1))
    lanes = solve_many(kernel, stacked, jnp.stack([KEY, KEY]))
    for i in range(2):
        same(jax.tree.map(lambda x, i=i: x[i], lanes), solve(kernel, data(i), KEY))
