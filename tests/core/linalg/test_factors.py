"""Loadings of an exact factor model are recovered, also where pairs of models share no item."""

import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.linalg import factors

loadings = compiled(factors.loadings, static_argnames="dims")


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
    found = loadings(cov * common, common, share, dims=dims)
    np.testing.assert_allclose(found @ found.T, true @ true.T, atol=1e-3)
    assert (found.sum(0) >= 0).all()


def test_a_model_that_shares_no_item_has_none():
    common = np.full((6, 6), 100.0)
    common[5, :5] = common[:5, 5] = 0
    found = loadings(0.1 * common, common, np.full(6, 0.5), dims=1)
    np.testing.assert_allclose(found[5], 0)
    assert found[0, 0] > 0


def test_chance_alone_gives_no_factor():
    """A factor of noise stays under 2 sqrt(models / items), the edge of the semicircle law, but for a few per cent."""
    random = np.random.default_rng(3)
    models, items = 30, 400
    kept = 0
    for _ in range(20):
        answers = random.random((models, items)) < 0.5
        centred = answers - answers.mean(1, keepdims=True)
        common = np.full((models, models), float(items))
        found = loadings(centred @ centred.T, common, np.full(models, 0.5), dims=1)
        kept += (found**2).sum() / models > 0.25
    assert kept <= 2
