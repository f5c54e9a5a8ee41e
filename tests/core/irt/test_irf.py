"""Curves: derivatives against automatic ones, tails against exact formulas, bijectors there and back."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from compiled import compiled

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
    return np.random.default_rng(seed).standard_normal(curve.width)


def test_slant_is_the_jacobian(curve):
    free, nodes = free_of(curve), np.random.default_rng(1).uniform(-3, 3, (11, curve.dims))

    def at(free, node):
        item = irf.constrain(curve, free)
        return irf.squash(node @ item.slope + item.intercept, item.floor, item.ceiling)

    def all_of(free, nodes):
        value, jacobian = (jax.vmap(fn, (None, 0))(free, nodes) for fn in (at, jax.jacfwd(at)))
        return irf.slant(curve, free, nodes), irf.stretch(curve, free), value, jacobian

    s, stretch, value, jacobian = compiled(all_of)(free, nodes)
    np.testing.assert_allclose(s.p, value, rtol=1e-12)
    line = np.concatenate([nodes, np.ones((11, 1))], 1) * stretch
    got = np.concatenate([s.by_z[:, None] * line, *[e[:, None] for e in s.extra]], 1)
    np.testing.assert_allclose(got, jacobian, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(s.inverse * s.p * (1 - s.p), 1, rtol=1e-10)


def test_release_undoes_constrain(curve):
    def there_and_back(free):
        items = irf.constrain(curve, free)
        return items, irf.release(curve, items)

    free = np.stack([free_of(curve, seed) for seed in range(5)])
    items, back = compiled(there_and_back)(free)
    np.testing.assert_allclose(back, free, rtol=1e-9, atol=1e-9)
    assert ((items.floor >= 0) & (items.floor < items.ceiling) & (items.ceiling <= 1)).all()


@pytest.mark.parametrize("name", ["2pl", "3pl", "4pl"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tails_are_safe_and_right(name, dtype):
    z = np.array([-700.0, -90.0, -30.0, -5.0, 0.0, 5.0, 30.0, 90.0, 700.0], dtype)
    floor = np.full_like(z, 0.0 if name == "2pl" else 0.25)
    ceiling = np.full_like(z, 0.9 if name == "4pl" else 1.0)
    tails = functools.partial(irf.tails, irf.CURVES[name])
    slopes = jax.vmap(jax.grad(lambda *at: sum(tails(*at))))
    (odds, wrong), slope = compiled(lambda *at: (tails(*at), slopes(*at)))(z, floor, ceiling)
    assert odds.dtype == wrong.dtype == dtype
    w, f, c = (np.asarray(x, float) for x in (z, floor, ceiling))
    log_s, log_not = -np.logaddexp(0, -w), -np.logaddexp(0, w)  # exact to rounding in either tail
    right = np.logaddexp(np.log(f, where=f > 0, out=np.full_like(f, -np.inf)), np.log(c - f) + log_s)
    want = np.logaddexp(np.log1p(-c, where=c < 1, out=np.full_like(c, -np.inf)), np.log(c - f) + log_not)
    rounding = 16 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(wrong, want, rtol=rounding, atol=rounding)
    np.testing.assert_allclose(odds + wrong, right, rtol=rounding, atol=rounding * 700)
    assert np.isfinite(slope).all()


def test_information_is_the_squared_slope_over_the_variance():
    def all_of(free, ability):
        items = irf.constrain(irf.Curve(dims=2), free)
        p, by = irf.probability(ability, items), jax.jacfwd(irf.probability)(ability, items)
        return irf.information(ability, items), p, by

    found, p, by = compiled(all_of)(np.array([[1.0, -0.5, 0.2], [0.3, 2.0, -1.0]]), np.array([0.4, -0.7]))
    want = by[:, :, None] * by[:, None, :] / (p * (1 - p))[:, None, None]
    np.testing.assert_allclose(found, want, rtol=1e-12)
