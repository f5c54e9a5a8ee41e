"""Arrows against dense matrices, and the normal of Laplace's method against one found by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.bayes import mode, space
from lleval_jax.core.linalg import arrow
from lleval_jax.core.linalg.arrow import Arrow, Point

N, UNITS, W = 3, 5, 2


def dense(a: Arrow) -> np.ndarray:
    """The whole matrix, units after what is shared."""
    out = np.zeros((N + UNITS * W,) * 2)
    out[:N, :N] = a.shared
    for i in range(UNITS):
        here = slice(N + i * W, N + (i + 1) * W)
        out[here, here], out[here, :N], out[:N, here] = a.own[i], a.cross[i], a.cross[i].T
    return out


def flat(p: Point) -> np.ndarray:
    return np.concatenate([p.shared, np.ravel(p.own)])


def drawn(seed: int) -> Arrow:
    """A positive definite arrow."""
    random = np.random.default_rng(seed)
    cross = random.normal(size=(UNITS, W, N))
    own = np.stack([x @ x.T + W * np.eye(W) for x in random.normal(size=(UNITS, W, W))])
    schur = sum(c.T @ np.linalg.solve(d, c) for c, d in zip(cross, own, strict=True))
    return Arrow(*map(jnp.asarray, (schur + np.eye(N), cross, own)))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_root_is_that_of_the_inverse(seed: int) -> None:
    a = drawn(seed)
    root, inverse = jax.jit(arrow.root)(a), np.linalg.inv(dense(a))
    eye = np.eye(N + UNITS * W)
    points = [Point(jnp.asarray(e[:N]), jnp.asarray(e[N:].reshape(UNITS, W))) for e in eye]
    r = np.stack([flat(arrow.times(root, p)) for p in points], 1)
    np.testing.assert_allclose(r @ r.T, inverse, atol=1e-10)
    np.testing.assert_allclose(np.stack([flat(arrow.transposed(root, p)) for p in points], 1), r.T, atol=1e-12)
    np.testing.assert_allclose(arrow.log_det(root), 0.5 * np.linalg.slogdet(inverse)[1], atol=1e-10)


def test_a_matrix_that_is_not_positive_definite_has_no_root() -> None:
    a = drawn(0)
    assert np.isnan(arrow.log_det(arrow.root(a._replace(shared=a.shared - 50 * jnp.eye(N)))))


def rough(x: Point) -> jax.Array:
    """Smooth, not quadratic, with one minimum; units meet only through what is shared."""
    each = jnp.sum(jnp.cosh(x.own - jnp.sum(x.shared) * 0.3 - 1.0), 1) + x.own[:, 0] * x.own[:, 1]
    return jnp.sum(each) + jnp.sum((x.shared - 1) ** 2) + 0.1 * jnp.sum(x.shared**4)


def as_vector(v: jax.Array) -> jax.Array:
    return rough(Point(v[:N], v[N:].reshape(UNITS, W)))


def test_curvature_is_the_hessian() -> None:
    random = np.random.default_rng(3)
    v = jnp.asarray(random.normal(size=N + UNITS * W))
    found = jax.jit(lambda x: space.curvature(rough, x))(Point(v[:N], v[N:].reshape(UNITS, W)))
    np.testing.assert_allclose(dense(found), jax.jit(jax.hessian(as_vector))(v), atol=1e-10)


def test_laplace_finds_the_mode_and_its_curvature() -> None:
    start = Point(jnp.full(N, 3.0), jnp.full((UNITS, W), -2.0))
    normal = jax.jit(lambda x: mode.laplace(rough, x))(start)
    v = jnp.asarray(flat(normal.mean))
    assert normal.status == 1
    hessian = jax.jit(jax.hessian(as_vector))(v)
    np.testing.assert_allclose(jax.grad(as_vector)(v), 0, atol=1e-3)
    size = -0.5 * np.linalg.slogdet(hessian)[1]
    np.testing.assert_allclose(arrow.log_det(normal.root), size, atol=1e-8)
