"""Loadings of an exact factor model are recovered, also where pairs of models share no item."""

import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.core.linalg.factors import loadings


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("holes", [0, 3])
def test_an_exact_factor_model_is_found(dims, holes):
    random = np.random.default_rng(dims)
    models, items = 12, 1e9
    true = random.normal(size=(models, dims)) + 1.5
    share = random.uniform(0.2, 0.8, models)
    steep = share * (1 - share)
    cov = true @ true.T * steep[:, None] * steep[None, :]
    common = np.full((models, models), items)
    for i in range(holes):
        common[i, -1 - i] = common[-1 - i, i] = 0
    found = loadings(jnp.asarray(cov * common), jnp.asarray(common), jnp.asarray(share), dims)
    np.testing.assert_allclose(found @ found.T, true @ true.T, atol=1e-3)
    assert (np.asarray(found).sum(0) >= 0).all()


def test_a_model_that_shares_no_item_has_none():
    common = np.full((6, 6), 100.0)
    common[5, :5] = common[:5, 5] = 0
    found = loadings(jnp.asarray(0.1 * common), jnp.asarray(common), jnp.full(6, 0.5), 1)
    np.testing.assert_allclose(found[5], 0)
    assert float(found[0, 0]) > 0


def test_chance_alone_gives_no_factor():
    """A factor of noise stays under 2 sqrt(models / items), the edge of the semicircle law, but for a few per cent."""
    random = np.random.default_rng(3)
    models, items = 30, 400
    kept = 0
    for _ in range(20):
        answers = random.random((models, items)) < 0.5
        centred = answers - answers.mean(1, keepdims=True)
        common = np.full((models, models), float(items))
        found = loadings(jnp.asarray(centred @ centred.T), jnp.asarray(common), jnp.full(models, 0.5), 1)
        kept += float(jnp.sum(found**2) / models) > 0.25
    assert kept <= 2
