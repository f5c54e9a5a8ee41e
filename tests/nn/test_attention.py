"""Attention gone through head by head, as a CPU does it fastest, is attention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.lm.layers import attend


@pytest.mark.parametrize(
    ("shape", "shared", "masks", "cap"),
    [((3, 7, 4, 8), 2, 3, None), ((2, 5, 3, 4), 3, 1, 2.0), ((1, 9, 6, 4), 1, 1, None)],
)
def test_one_by_one_is_all_at_once(shape, shared, masks, cap):
    """Values, and gradients by queries, keys and values; what looks nowhere is finite."""
    rows, tokens, heads, width = shape
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(rows, tokens, count, width)).astype(np.float32) for count in (heads, shared, shared)]
    mask = rng.random((masks, tokens, tokens)) < 0.6
    mask[0, 1] = False
    looks = np.broadcast_to(mask, (rows, tokens, tokens)).any(-1)[..., None, None]

    def both(single):
        def value(parts):
            seen = attend(*parts, jnp.asarray(mask), 0.3, cap, single)
            return jnp.where(looks, seen**2, 0.0).sum(), seen

        (_, seen), slopes = jax.jit(jax.value_and_grad(value, has_aux=True))(parts)
        return seen, slopes

    (all_at_once, slopes), (one_by_one, others) = both(False), both(True)
    assert np.isfinite(one_by_one).all()
    np.testing.assert_allclose(np.where(looks, one_by_one, 0), np.where(looks, all_at_once, 0), atol=2e-6)
    for one, other in zip(others, slopes, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
