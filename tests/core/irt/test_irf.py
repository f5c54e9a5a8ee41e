"""Curves: derivatives against automatic ones, tails against exact formulas, bijectors there and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.core.irt import irf

CURVES = {
    **irf.CURVES,
    "2pl positive": irf.Curve(positive=True),
    "2pl 3-d": irf.Curve(dims=3),
    "4pl positive": dataclasses.replace(irf.CURVES["4pl"], positive=True),
}


@pytest.fixture(params=CURVES)
def curve(request):
    return CURVES[request.param]


def free_of(curve, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(curve.width))


def test_slant_is_the_jacobian(curve):
    free, nodes = free_of(curve), jnp.asarray(np.random.default_rng(1).uniform(-3, 3, (11, curve.dims)))
    s = irf.slant(curve, free, nodes)

    def at(free, node):
        item = irf.constrain(curve, free)
        return irf.squash(node @ item.slope + item.intercept, item.floor, item.ceiling)

    np.testing.assert_allclose(s.p, jax.vmap(at, (None, 0))(free, nodes), rtol=1e-12)
    jacobian = jax.vmap(jax.jacfwd(at), (None, 0))(free, nodes)
    line = jnp.concatenate([nodes, jnp.ones((11, 1))], 1) * irf.stretch(curve, free)[None]
    got = jnp.concatenate([s.by_z[:, None] * line, *[e[:, None] for e in s.extra]], 1)
    np.testing.assert_allclose(got, jacobian, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(s.inverse * s.p * (1 - s.p), 1, rtol=1e-10)


def test_release_undoes_constrain(curve):
    free = jnp.stack([free_of(curve, seed) for seed in range(5)])
    np.testing.assert_allclose(irf.release(curve, irf.constrain(curve, free)), free, rtol=1e-9, atol=1e-9)
    items = irf.constrain(curve, free)
    assert bool(jnp.all((items.floor >= 0) & (items.floor < items.ceiling) & (items.ceiling <= 1)))


@pytest.mark.parametrize("name", ["2pl", "3pl", "4pl"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_tails_are_safe_and_right(name, dtype):
    z = jnp.asarray([-700.0, -90.0, -30.0, -5.0, 0.0, 5.0, 30.0, 90.0, 700.0], dtype)
    floor = jnp.full_like(z, 0.0 if name == "2pl" else 0.25)
    ceiling = jnp.full_like(z, 0.9 if name == "4pl" else 1.0)
    odds, wrong = irf.tails(irf.CURVES[name], z, floor, ceiling)
    assert odds.dtype == wrong.dtype == dtype
    w, f, c = (np.asarray(x, float) for x in (z, floor, ceiling))
    log_s, log_not = -np.logaddexp(0, -w), -np.logaddexp(0, w)  # exact to rounding in either tail
    right = np.logaddexp(np.log(f, where=f > 0, out=np.full_like(f, -np.inf)), np.log(c - f) + log_s)
    want = np.logaddexp(np.log1p(-c, where=c < 1, out=np.full_like(c, -np.inf)), np.log(c - f) + log_not)
    rounding = 16 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(wrong, want, rtol=rounding, atol=rounding)
    np.testing.assert_allclose(odds + wrong, right, rtol=rounding, atol=rounding * 700)
    slope = jax.vmap(jax.grad(lambda z, f, c: sum(irf.tails(irf.CURVES[name], z, f, c))))(z, floor, ceiling)
    assert bool(jnp.all(jnp.isfinite(slope)))


def test_information_is_the_squared_slope_over_the_variance():
    items = irf.constrain(irf.Curve(dims=2), jnp.asarray([[1.0, -0.5, 0.2], [0.3, 2.0, -1.0]]))
    ability = jnp.asarray([0.4, -0.7])
    p = irf.probability(ability, items)
    by = jax.jacfwd(irf.probability)(ability, items)
    want = by[:, :, None] * by[:, None, :] / (p * (1 - p))[:, None, None]
    np.testing.assert_allclose(irf.information(ability, items), want, rtol=1e-12)
