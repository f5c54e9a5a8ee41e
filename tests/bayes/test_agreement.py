"""Engines side by side."""

import dataclasses

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.data.simulate import simulate


@pytest.fixture(scope="module")
def answers() -> ll.Responses:
    return simulate(8, 60, seed=2, groups=2)[0]


@pytest.fixture(scope="module")
def posterior(answers: ll.Responses) -> bayes.Posterior:
    return bayes.sample(bayes.irt("2pl"), answers, engine=bayes.Laplace(chains=2, draws=500), key=0)


def test_an_engine_agrees_with_itself_and_not_with_one_that_is_moved(posterior) -> None:
    found = posterior.estimate("ability")
    far = dataclasses.replace(found, value=found.value + found.std_error, high=found.high + found.std_error)
    agreement = bayes.agree(far, posterior, found, target="ability")
    assert agreement.agrees == (False, True, True)
    np.testing.assert_allclose(agreement.moved[0], 1)
    np.testing.assert_allclose(agreement.width[0], 1 + found.std_error / (found.high - found.low))
    assert "moved" in str(agreement)
    assert len(agreement.to_frame()) == 3 * len(found)


@pytest.mark.slow
def test_maximum_likelihood_and_posterior_of_rates_are_near(posterior, answers) -> None:
    """60 answers each: the delta method takes items as known, so its intervals are at most a little narrower."""
    agreement = bayes.agree(ll.irt.fit(answers), posterior)
    assert agreement.names == ("maximum likelihood", "laplace")
    assert np.median(np.abs(agreement.moved[0])) < 0.5
    assert 0.8 < np.median(agreement.width[0]) < 1.1


def test_the_delta_method_is_the_variance_of_a_linear_map(answers) -> None:
    """Against the probabilities' finite differences."""
    fit = ll.irt.fit(answers)
    found = bayes.maximum.estimate(fit)
    p = type(fit.params)(*(np.asarray(part, float) for part in fit.params))

    def rate(ability: np.ndarray) -> np.ndarray:
        return (1 / (1 + np.exp(-(ability @ p.slope.T + p.intercept)))).mean(1)

    slope = (rate(p.ability + 1e-5) - rate(p.ability - 1e-5)) / 2e-5
    whole = [i for i, group in enumerate(found.group) if group == "all"]
    np.testing.assert_allclose(found.std_error[whole], slope * np.sqrt(p.ability_cov[:, 0, 0]), rtol=1e-5)
    np.testing.assert_allclose(found.value[whole], rate(p.ability), rtol=1e-6)


def test_different_rows_are_refused(posterior, answers) -> None:
    found = posterior.estimate()
    with pytest.raises(ll.BadInput, match="different rows"):
        bayes.agree(found, found.take([0, 1]))
    with pytest.raises(ll.BadInput, match="two engines"):
        bayes.agree(found)
