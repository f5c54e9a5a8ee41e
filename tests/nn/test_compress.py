"""Adapters in a shared basis: closed forms, planted solutions, bounds, invariances, other programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.training.compress import bounds, clusters, diagonal, joint, separate
from lleval_jax.training.compress import stack as stacks
from lleval_jax.training.compress.stack import Stack


@pytest.fixture(autouse=True)
def exact():
    """float64, so that equality is to rounding."""
    with jax.enable_x64(True):
        yield


def random(n: int = 12, rank: int = 4, out: int = 40, inn: int = 30, seed: int = 0, modules: int = 1) -> Stack:
    keys = jax.random.split(jax.random.key(seed))
    shapes = (modules, n, rank, out), (modules, n, rank, inn)
    return stacks.unit(Stack(*(jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True))))


def planted(n: int, rank: int, seed: int, out: int = 40, inn: int = 30) -> tuple[Stack, np.ndarray]:
    """Adapters within one basis, and its left side."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.normal(size=(d, rank)))[0] for d in (out, inn))
    core = rng.normal(size=(n, rank, rank))
    made = Stack(
        jnp.asarray(np.einsum("dk,nkr->nrd", u, core))[None], jnp.asarray(np.broadcast_to(v.T, (n, rank, inn)))[None]
    )
    return stacks.unit(made), u


def best(stack: Stack, rank: int, starts: int = 4, **limits) -> joint.Joint:
    return joint.best(
        lambda: (stack,),
        rank,
        jax.random.key(1),
        starts=starts,
        **({"turn": 1e-6, "gain": 1e-13, "most": 3000} | limits),
    )


def energy(matrices) -> float:
    return float(jnp.sum(jnp.square(matrices)))


def test_norms_are_those_of_the_products():
    stack = Stack(*(jax.random.normal(jax.random.key(k), (2, 5, 3, d)) for k, d in enumerate((8, 6))))
    assert np.allclose(stacks.norms(stack), jnp.linalg.norm(stacks.dense(stack), axis=(-2, -1)), rtol=1e-12)
    assert np.allclose(stacks.norms(stacks.unit(stack)), 1.0, rtol=1e-12)


def test_smaller_ranks_and_adapters_of_zeros_change_nothing():
    rng = np.random.default_rng(0)
    factors = [(jnp.asarray(rng.normal(size=(r, 6))), jnp.asarray(rng.normal(size=(8, r)))) for r in (1, 3, 2)]
    made = stacks.dense(stacks.padded(factors))[0]
    assert np.allclose(made, jnp.stack([b @ a for a, b in factors]), atol=1e-12)
    nothing = (jnp.zeros((2, 6)), jnp.zeros((8, 2)))
    with_nothing = stacks.unit(stacks.padded([*factors, nothing]))
    found, alone = (best(s, 2) for s in (with_nothing, stacks.unit(stacks.padded(factors))))
    assert np.isfinite(with_nothing.out).all()
    assert np.allclose(found.kept, alone.kept, rtol=1e-8)


def test_error_is_what_the_cores_leave():
    stack = random()
    found = best(stack, 4, starts=1)
    core = joint.cores(stack, found.u, found.v)
    rest = stacks.dense(stack) - jnp.einsum("mdk,mnkl,mel->mnde", found.u, core, found.v)
    assert energy(rest) == pytest.approx(12 - float(found.kept[0]), rel=1e-12)


def test_one_adapter_is_cut_to_its_singular_vectors():
    stack = random(n=1)
    values = jnp.linalg.svd(stacks.dense(stack)[0, 0], compute_uv=False)
    assert best(stack, 2, starts=1).kept[0] == pytest.approx(float(jnp.sum(values[:2] ** 2)), rel=1e-9)
    u, found, v, kept = separate.truncated(stack, 2)
    assert np.allclose(found[0, 0], values[:2], rtol=1e-12)
    rest = stacks.dense(stack) - jnp.einsum("mndk,mnk,mnek->mnde", u, found, v)
    assert energy(rest) == pytest.approx(1 - float(kept[0, 0]), rel=1e-10)


def test_a_planted_basis_is_found():
    stack, u = planted(12, 5, seed=3)
    found = best(stack, 5, starts=1)
    assert float(found.kept[0]) == pytest.approx(12, rel=1e-12)
    assert np.allclose(found.u[0] @ found.u[0].T, u @ u.T, atol=1e-7)


def test_as_many_columns_as_all_adapters_span_lose_nothing():
    stack = random(n=3, rank=2, out=12, inn=10)
    assert float(best(stack, 6, starts=1).kept[0]) == pytest.approx(3, rel=1e-9)


def test_no_sweep_lowers_the_energy():
    stack = random(seed=5)
    u, v = joint.start(lambda: (stack,), 4, jax.random.key(2), passes=0)
    kept = []
    for _ in range(30):
        now = joint.solve(lambda: (stack,), u, v, most=1, gain=-1, turn=0)
        u, v = now.u, now.v
        kept.append(float(now.kept[0]))
    assert (np.diff(kept) >= -1e-12).all()


def test_reduced_coordinates_are_exact():
    stack = random(n=4, rank=2)
    small, first, second = stacks.reduced(stack)
    assert small.out.shape[-1] == 8
    back = jnp.einsum("mda,mnab,meb->mnde", first, stacks.dense(small), second)
    assert np.allclose(back, stacks.dense(stack), atol=1e-12)
    assert np.allclose(best(small, 3).kept, best(stack, 3).kept, rtol=1e-9)


def test_blocks_add_up_to_the_whole():
    stack = random(n=13)
    u, v = joint.start(lambda: (stack,), 4, jax.random.key(2))
    whole = joint.solve(lambda: (stack,), u, v, most=20, gain=-1, turn=0)
    parts = joint.solve(lambda: stacks.block(stack, 5), u, v, most=20, gain=-1, turn=0)
    assert np.allclose(whole.u, parts.u, atol=1e-9)


def test_the_order_of_adapters_orders_the_cores_only():
    stack = random()
    other = stack.take(np.arange(12)[::-1])
    u, v = joint.start(lambda: (stack,), 3, jax.random.key(0), passes=0)
    one, two = (joint.solve(lambda s=s: (s,), u, v, gain=1e-14, most=50) for s in (stack, other))
    cores = joint.cores(stack, one.u, one.v)
    assert np.allclose(cores[:, ::-1], joint.cores(other, two.u, two.v), atol=1e-8)


def test_modules_do_not_touch_each_other():
    both = random(modules=2, seed=4)
    second = jax.tree.map(lambda x: x[1:], both)
    u, v = joint.start(lambda: (both,), 3, jax.random.key(0), passes=0)
    together = joint.solve(lambda: (both,), u, v, gain=-1, turn=0, most=15)
    alone = joint.solve(lambda: (second,), u[1:], v[1:], gain=-1, turn=0, most=15)
    assert np.allclose(together.kept[1:], alone.kept, rtol=1e-10)


@pytest.mark.parametrize("rank", [2, 3])
def test_the_best_basis_lies_between_its_bounds(rank):
    stack = stacks.unit(
        Stack(random(seed=7).out + random(n=1, seed=8).out, random(seed=7).inn + random(n=1, seed=8).inn)
    )
    kept = float(best(stack, rank).kept[0])
    assert float(bounds.lower(stack, rank)[0]) <= kept <= float(bounds.upper(stack, rank)[0])


def test_orthogonal_adapters_keep_the_square_of_the_rank():
    """Corollary 1 with equality: the 16 adapters e_i e_j'."""
    eye = jnp.eye(4)
    factors = [(eye[j : j + 1], eye[:, i : i + 1]) for i in range(4) for j in range(4)]
    stack = stacks.padded(factors)
    for rank, error in ((1, 0.9375), (2, 0.75), (3, 0.4375), (4, 0.0)):
        assert 1 - float(best(stack, rank).kept[0]) / 16 == pytest.approx(error, abs=1e-9)
        assert float(bounds.upper(stack, rank)[0]) == pytest.approx(rank**2, rel=1e-9)


def test_diagonal_cores_are_the_best_for_their_basis():
    stack = random()
    rng = np.random.default_rng(1)
    u, v = (jnp.asarray(rng.normal(size=(1, d, 3))) for d in (40, 30))
    found, kept = diagonal.scales(stack, u, v)
    design = np.einsum("dk,ek->kde", u[0], v[0]).reshape(3, -1)
    for i, matrix in enumerate(np.asarray(stacks.dense(stack)[0]).reshape(12, -1)):
        exact, rest = np.linalg.lstsq(design.T, matrix, rcond=None)[:2]
        assert np.allclose(found[0, i], exact, rtol=1e-4)
        assert float(kept[0, i]) == pytest.approx(1 - rest[0], rel=1e-5)


def test_diagonal_cores_never_keep_more_than_full_ones():
    stack = random()
    full = best(stack, 4)
    found = diagonal.solve(lambda: (stack,), full.u, full.v)
    assert bool(found.settled.all())
    assert float(found.kept[0]) <= float(full.kept[0]) + 1e-9
    rest = stacks.dense(stack) - jnp.einsum("mdk,mnk,mek->mnde", found.u, found.scales, found.v)
    assert energy(rest) == pytest.approx(12 - float(found.kept[0]), rel=1e-4)


def test_planted_diagonal_adapters_are_found():
    rng = np.random.default_rng(2)
    u, v, s = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)), rng.normal(size=(9, 3))
    stack = stacks.unit(
        Stack(jnp.asarray(np.einsum("dk,nk->nkd", u, s))[None], jnp.asarray(np.broadcast_to(v.T, (9, 3, 30)))[None])
    )
    full = best(stack, 3)
    kept = max(
        float(diagonal.solve(lambda: (stack,), *joint.start(lambda: (stack,), 3, jax.random.key(k), passes=0)).kept[0])
        for k in range(3)
    )
    assert float(full.kept[0]) == pytest.approx(9, rel=1e-9)
    assert kept == pytest.approx(9, rel=1e-4)


def test_planted_clusters_are_found():
    parts = [planted(8, 3, seed=k)[0] for k in range(3)]
    stack = jax.tree.map(lambda *x: jnp.concatenate(x, 1), *parts)
    found = clusters.solve((stack,), 3, 3, jax.random.key(0), starts=10)
    assert found.settled
    assert np.allclose(found.kept, 1, rtol=1e-9)
    assert [len(set(found.member[8 * k : 8 * k + 8])) for k in range(3)] == [1, 1, 1]
    assert len(set(found.member)) == 3


@pytest.mark.parity
def test_full_cores_reach_tensorlys_best():
    tensorly = pytest.importorskip("tensorly", reason="needs the extra `parity`")
    from tensorly.decomposition import partial_tucker  # pyright: ignore[reportMissingImports]

    for seed in range(20):
        stack = random(seed=seed)
        tensor = np.moveaxis(np.asarray(stacks.dense(stack)[0]), 0, -1)
        theirs = max(_tucker(partial_tucker, tensorly, tensor, start) for start in range(10))
        assert float(best(stack, 4, starts=64).kept[0]) >= theirs - 1e-6


def _tucker(partial_tucker, tensorly, tensor, seed):
    (core, _), _ = partial_tucker(
        tensorly.tensor(tensor), rank=[4, 4], modes=[0, 1], init="random", random_state=seed, n_iter_max=500, tol=1e-10
    )
    return float(np.sum(np.square(core)))
