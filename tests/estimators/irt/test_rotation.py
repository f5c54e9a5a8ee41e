"""Rotated fits: the same curves, dimensions in a stated order, named by what loads on them."""

import dataclasses

import numpy as np
import pytest

from lleval_jax.errors import BadInput
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import rotation
from lleval_jax.values import FitResult
from lleval_jax.values.results import Ended


def fitted(seed: int = 0) -> FitResult:
    """Two abilities: 20 items of "code" need one of them, 20 of "prose" the other. Made up, not fitted."""
    rng = np.random.default_rng(seed)
    slope = np.zeros((40, 2))
    slope[:20, 0], slope[20:, 1] = 1.5 + 0.2 * rng.standard_normal((2, 20))
    turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    ability = rng.standard_normal((50, 2))
    zero, one = np.zeros(40), np.ones(40)
    rows, items = tuple(f"row-{i}" for i in range(50)), tuple(f"item-{i}" for i in range(40))
    group = np.repeat([0, 1], 20).astype(np.int32)
    found = slope @ turn, zero, zero, one, ability @ turn, np.tile(0.1 * np.eye(2), (50, 1, 1))
    params = irt.IrtParams(*found, np.zeros((40, 3, 3)), group, np.full(50, 40))
    return FitResult(params, {"models": rows, "items": items, "groups": ("code", "prose")}, Ended("ok", 1, 0.0), "2pl")


@pytest.mark.parametrize("by", ["varimax", "oblimin", "geomin"])
def test_dimensions_get_the_names_of_their_groups(by: str) -> None:
    fit = fitted()
    found = rotation.rotate(fit, by=by)
    assert set(found.names) == {"code", "prose"}
    assert found.converged
    before, after = fit.params.ability @ fit.params.slope.T, found.ability @ found.slope.T
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert (found.loadings.sum(0) > 0).all()
    size = (found.loadings**2).sum(0)
    assert size[0] >= size[1]
    assert abs(found.correlation[0, 1]) < 0.1


def test_names_say_general_and_number_what_repeats() -> None:
    loadings = np.array([[0.8, 0.5, 0.1]] * 10 + [[0.8, 0.0, 0.6]] * 10 + [[0.7, 0.5, 0.0]] * 10)
    group = np.repeat([0, 1, 2], 10)
    assert rotation.names(loadings, group, ("a", "b", "c")) == ("general", "a + c", "b")
    assert rotation.names(loadings, np.zeros(30, int), ("all",)) == ("dimension-1", "dimension-2", "dimension-3")


def test_what_cannot_be_rotated_is_refused() -> None:
    fit = fitted()
    p = fit.params
    one = p._replace(slope=p.slope[:, :1], ability=p.ability[:, :1], ability_cov=p.ability_cov[:, :1, :1])
    with pytest.raises(BadInput, match="nothing to rotate"):
        rotation.rotate(dataclasses.replace(fit, params=one))
    with pytest.raises(BadInput, match="rotation 'promax' is not known"):
        rotation.rotate(fitted(), by="promax")  # pyright: ignore[reportArgumentType]
