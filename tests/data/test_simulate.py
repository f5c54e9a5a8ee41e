import numpy as np
import pytest

from lleval_jax.data import simulate
from lleval_jax.errors import BadInput


@pytest.mark.parametrize("model", ["rasch", "2pl", "3pl", "4pl"])
@pytest.mark.parametrize("dims", [1, 3])
def test_the_truth_is_the_truth(model, dims):
    found, truth = simulate(300, 40, seed=0, dims=dims, model=model)
    logit = truth.ability @ truth.slope.T + truth.intercept
    want = truth.floor + (truth.ceiling - truth.floor) / (1 + np.exp(-logit))
    np.testing.assert_allclose(truth.probability, want)
    error = found.scores.mean() - truth.probability.mean()  # of 12,000 independent coins
    assert abs(error) < 4.9 * 0.5 / np.sqrt(found.scores.size)  # false alarm 1e-6


def test_missing_repeats_groups_and_seed():
    found, _ = simulate(200, 50, seed=3, missing=0.4, repeats=5, groups=2)
    again, _ = simulate(200, 50, seed=3, missing=0.4, repeats=5, groups=2)
    assert np.array_equal(found.scores, again.scores)
    assert found.weight.max() == 5
    assert found.groups == ("group-0", "group-1")
    assert abs(found.fill - 0.6) < 0.04
    assert found.n_seen.min() >= 1
    np.testing.assert_allclose(found.scores * 5, np.round(found.scores * 5), atol=1e-5)


def test_errors():
    with pytest.raises(BadInput, match="missing is 1"):
        simulate(2, 2, seed=0, missing=1)
    with pytest.raises(BadInput, match="at least 1"):
        simulate(0, 2, seed=0)
    with pytest.raises(BadInput, match="is not known"):
        simulate(2, 2, seed=0, model="5pl")
