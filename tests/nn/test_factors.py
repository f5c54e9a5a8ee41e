"""The factors of adapters: closed forms of what half learning reaches, draws, and invariances (Zhu et al. 2024)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from lleval_jax.errors import BadInput
from lleval_jax.training.low_rank import factors
from lleval_jax.training.low_rank.lora import Lora, LowRank, weight_of

D, RANK = 64, 8
FALSE_ALARM = 1e-6


def of_b(delta: np.ndarray, s: np.ndarray, q: np.ndarray) -> float:
    """Lemma 4.1: the loss with A = Q fixed and B at its optimum, inputs of covariance S."""
    dsq = delta @ s @ q.T
    return np.trace(delta @ s @ delta.T) - np.trace(dsq @ np.linalg.solve(q @ s @ q.T, dsq.T))


def of_a(delta: np.ndarray, s: np.ndarray, u: np.ndarray) -> float:
    """Lemma 4.2: the loss with B = U fixed and A at its optimum."""
    whole = delta @ s @ delta.T
    return np.trace(whole) - np.trace(u.T @ whole @ u)


def relative(power: float | None, worlds: int = 200) -> np.ndarray:
    """(worlds, 2) losses relative to no adapter at all, with B learned and with A learned."""
    rng = np.random.default_rng(0)
    values = np.arange(1, D + 1.0) ** -power if power is not None else np.r_[np.ones(RANK), np.zeros(D - RANK)]
    keys = jax.random.split(jax.random.key(0), 2 * worlds).reshape(worlds, 2)
    qs = np.asarray(jax.vmap(jax.vmap(lambda key: factors.orthonormal(key, RANK, D)))(keys), np.float64)
    found = []
    for q, u in qs:
        delta, basis = rng.normal(size=(D, D)), np.linalg.qr(rng.normal(size=(D, D)))[0]
        s = (basis * values) @ basis.T
        whole = np.trace(delta @ s @ delta.T)
        found.append((of_b(delta, s, q) / whole, of_a(delta, s, u.T) / whole))
    return np.array(found)


@pytest.mark.parametrize(("power", "b", "a"), [(0.0, 0.875, 0.875), (1.0, 0.644, 0.876), (2.0, 0.166, 0.875)])
def test_learning_b_is_better_the_more_the_inputs_differ(power: float, b: float, a: float) -> None:
    """The known values to their digits, within the error of the mean; E[loss of A] = 1 - rank / d (theorem 4.3)."""
    found = relative(power)
    error = found.std(0) / np.sqrt(len(found)) * stats.norm.isf(FALSE_ALARM / 2)
    assert (np.abs(found.mean(0) - [b, a]) < error + 0.002).all()
    assert abs(found[:, 1].mean() - (1 - RANK / D)) < error[1]
    assert power == 0.0 or (found[:, 0] < found[:, 1]).all()


def test_inputs_of_the_rank_of_the_adapter_are_learned_by_b_whole() -> None:
    found = relative(None)
    np.testing.assert_allclose(found[:, 0], 0, atol=1e-9)
    error = found[:, 1].std() / np.sqrt(len(found)) * stats.norm.isf(FALSE_ALARM / 2)
    assert abs(found[:, 1].mean() - (1 - RANK / D)) < error


def descended(loss, x: jax.Array, rate: float, steps: int = 4000) -> jax.Array:
    """Where plain gradient descent ends."""
    slope = jax.grad(loss)
    return jax.jit(lambda x: jax.lax.fori_loop(0, steps, lambda _, x: x - rate * slope(x), x))(x)


def test_descent_on_either_factor_of_an_adapter_reaches_its_closed_form() -> None:
    """Least squares is convex in one factor: B* = Delta S Q' (Q S Q')^-1, and A* = U' Delta whatever the inputs."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        delta, x = rng.normal(size=(6, 5)), rng.normal(size=(400, 5)) * [3, 1, 1, 0.5, 0.4]
        s = x.T @ x / len(x)
        q, u = (factors.orthonormal(jax.random.key(k), 2, size) for k, size in ((0, 5), (1, 6)))
        base = nnx.Linear(5, 6, use_bias=False, rngs=nnx.Rngs(0), param_dtype=jnp.float64)
        target = x @ (weight_of(base) + delta).T

        def loss(a: jax.Array, b: jax.Array) -> jax.Array:
            return jnp.mean(jnp.sum(jnp.square(target - LowRank(base, a, b, Lora(rank=2, alpha=2))(x)), 1))

        b = descended(lambda b: loss(q, b), jnp.zeros((6, 2)), 0.05)
        a = descended(lambda a: loss(a, u.T), jnp.zeros((2, 5)), 0.05)
        qsq = np.asarray(q @ s @ q.T)
        np.testing.assert_allclose(b, np.linalg.solve(qsq, q @ s @ delta.T).T, atol=1e-9)
        np.testing.assert_allclose(a, u @ delta, atol=1e-9)
        np.testing.assert_allclose(loss(q, b), of_b(delta, s, np.asarray(q)), rtol=1e-9)
        np.testing.assert_allclose(loss(a, u.T), of_a(delta, s, np.asarray(u.T)), rtol=1e-9)


def test_ordinary_least_squares_on_many_points_is_the_closed_form() -> None:
    """B* is the population's: from 400,000 points within their own error; A* from any points, to rounding."""
    rng = np.random.default_rng(6)
    delta, scales = rng.normal(size=(6, 5)), np.array([3, 1, 1, 0.5, 0.2])
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    s = (basis * scales**2) @ basis.T
    x = rng.normal(size=(400_000, 5)) * scales @ basis.T
    q, u = (np.asarray(factors.orthonormal(jax.random.key(k), 2, n), np.float64) for k, n in ((0, 5), (1, 6)))
    seen, y = x @ q.T, x @ delta.T
    b, left = np.linalg.lstsq(seen, y)[:2]
    told = np.linalg.solve(q @ s @ q.T, q @ s @ delta.T)
    spread = np.sqrt(np.diag(np.linalg.inv(seen.T @ seen))[:, None] * left / len(x))
    assert (np.abs(b - told) < 6 * spread).all()
    a = np.linalg.lstsq(x, y @ u.T @ np.linalg.inv(u @ u.T))[0].T
    np.testing.assert_allclose(a, u @ delta, atol=1e-5)  # rows of u are orthonormal in float32


def test_inputs_of_low_rank_make_any_a_as_good_as_any_other() -> None:
    """B' = B A F (Q F)^-1 undoes any A on inputs x = F z."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(2)
        f, a, b = (rng.normal(size=shape) for shape in ((9, 3), (3, 9), (7, 3)))
        base, x = nnx.Linear(9, 7, rngs=nnx.Rngs(0), param_dtype=jnp.float64), rng.normal(size=(20, 3)) @ f.T
        told = LowRank(base, jnp.asarray(a), jnp.asarray(b), Lora(rank=3))(x)
        for kind in ("orthonormal", "gaussian", "kaiming", "singular"):
            q = np.asarray(factors.draw(kind, jax.random.key(3), 3, weight_of(base)), np.float64)  # type: ignore[arg-type]
            other = b @ a @ f @ np.linalg.inv(q @ f)
            found = LowRank(base, jnp.asarray(q), jnp.asarray(other), Lora(rank=3))(x)
            np.testing.assert_allclose(found, told, atol=1e-10)


@pytest.mark.parametrize("kind", ["orthonormal", "gaussian", "kaiming", "singular", "zero"])
def test_each_draw_has_its_length(kind: str) -> None:
    key = jax.random.key(3)
    weight = jax.random.normal(key, (300, 400))
    a = np.asarray(factors.draw(kind, key, 16, weight))  # type: ignore[arg-type]
    assert a.shape == (16, 400)
    length = {"orthonormal": 1.0, "singular": 1.0, "gaussian": 1.0, "kaiming": 1 / np.sqrt(3), "zero": 0.0}[kind]
    rows = np.linalg.norm(a, axis=1)
    np.testing.assert_allclose(rows, length, atol=1e-5 if kind in ("orthonormal", "singular", "zero") else 0.2)
    if kind in ("orthonormal", "singular"):
        np.testing.assert_allclose(a @ a.T, np.eye(16), atol=1e-5)


def test_singular_vectors_are_those_of_the_weight() -> None:
    """They catch the most energy of all orthonormal rows: the sum of the leading squared singular values."""
    weight = np.random.default_rng(4).normal(size=(20, 16))
    a = np.asarray(factors.singular(jnp.asarray(weight), 4))
    caught = np.sum((weight @ a.T) ** 2)
    np.testing.assert_allclose(caught, np.sum(np.linalg.svd(weight)[1][:4] ** 2), rtol=1e-5)


def test_similarity_is_that_of_the_spaces() -> None:
    rng = np.random.default_rng(5)
    a, b, c = (jnp.asarray(rng.normal(size=shape)) for shape in ((3, 20), (15, 3), (3, 3)))
    written = (jnp.linalg.inv(c) @ a, b @ c)
    np.testing.assert_allclose(factors.similarity((a, b), written), 1.0, atol=1e-5)
    basis = np.linalg.qr(rng.normal(size=(20, 6)))[0].T
    apart = factors.similarity((jnp.asarray(basis[:3]), b), (jnp.asarray(basis[3:]), b))
    np.testing.assert_allclose(apart, (0.0, 1.0), atol=1e-6)
    part = factors.similarity((jnp.asarray(basis[:2]), b[:, :2]), (jnp.asarray(basis[1:5]), b))
    np.testing.assert_allclose(part.a, 0.5, atol=1e-6)


def test_the_bound_is_as_its_formula() -> None:
    shapes = [(30, 20), (10, 40)]
    told = np.sqrt(2 * 4 * 16 * 0.25 * np.log(2) / 500 * np.array([100, 40, 60]))
    found = [factors.gap_bound(shapes, 4, 500, learn=learn, bits=16, spread=0.5) for learn in ("both", "B", "A")]
    np.testing.assert_allclose(found, told)
    both, b = (factors.gap_bound([(64, 64)] * 3, 8, 100, learn=learn) for learn in ("both", "B"))
    np.testing.assert_allclose(both / b, np.sqrt(2), rtol=1e-12)  # of square layers


def test_ranks_and_kinds_that_cannot_be_are_refused() -> None:
    key, weight = jax.random.key(0), jnp.zeros((4, 6))
    with pytest.raises(BadInput, match="the rank is 5; a weight of 4 x 6 has at most 4"):
        factors.draw("gaussian", key, 5, weight)
    with pytest.raises(BadInput, match="A cannot be drawn by 'svd'; it is one of orthonormal, gaussian"):
        factors.draw("svd", key, 2, weight)  # type: ignore[arg-type]
