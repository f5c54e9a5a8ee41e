"""The two controls: shuffled answers teach nothing, answers drawn from a fit give it back with honest intervals."""

import numpy as np
import pytest
from scipy import stats

from lleval_jax.data import simulate
from lleval_jax.estimators import irt
from lleval_jax.estimators.trust import controls

FALSE_ALARM = 1e-5  # of this file


@pytest.fixture(scope="module")
def made(fitted):
    responses, _ = simulate(400, 120, seed=1, missing=0.1)
    return responses, fitted("trust", lambda: irt.fit(responses))


@pytest.fixture(scope="module")
def shuffled(made):
    responses, fit = made
    return controls.shuffled(fit, responses=responses, seed=0)


@pytest.mark.slow
def test_shuffled_answers_teach_nothing(shuffled) -> None:
    found = shuffled
    assert found.passed
    assert found.gain > 0.05
    assert abs(found.gain_shuffled) < 0.003
    assert found.slopes_shuffled < 0.25 * found.slopes


@pytest.mark.slow
def test_what_is_simulated_is_recovered(made) -> None:
    responses, fit = made
    found = controls.recovery(fit, responses=responses, seed=0)
    assert found.correlation["intercept"] > 0.97
    assert found.correlation["ability"] > 0.95
    assert found.correlation["slope"] > 0.6
    for name, n in (("slope", 120), ("intercept", 120), ("ability", 400)):
        low, high = stats.binom.ppf([FALSE_ALARM / 6, 1 - FALSE_ALARM / 6], n, 0.95) / n
        assert low <= found.coverage[name] <= high


@pytest.mark.slow
def test_controls_repeat_with_their_seed(made, shuffled) -> None:
    responses, fit = made
    assert controls.shuffled(fit, responses=responses, seed=0) == shuffled


def test_own_scale_keeps_the_curves() -> None:
    rng = np.random.default_rng(0)
    slope, intercept, ability = rng.standard_normal((9, 2)), rng.standard_normal(9), rng.standard_normal((50, 2))
    ability = 1 + 2 * ability
    cov, item_cov = 0.3 * np.tile(np.eye(2), (50, 1, 1)), np.tile(np.diag([0.1, 0.2, 0.3]), (9, 1, 1))
    found = controls._own_scale(slope, intercept, ability, cov, item_cov)
    np.testing.assert_allclose(found.ability @ found.slope.T + found.intercept, ability @ slope.T + intercept)
    np.testing.assert_allclose(np.cov(found.ability.T, bias=True) + found.ability_cov.mean(0), np.eye(2), atol=1e-9)
    at = np.append(ability.mean(0), 1)  # the intercept is now the log-odds of the mean model
    np.testing.assert_allclose(found.intercept_var[0], at @ item_cov[0] @ at)


@pytest.mark.slow
def test_two_abilities_and_rasch_are_controlled_too() -> None:
    responses, _ = simulate(500, 60, seed=2, dims=2)
    found = controls.recovery(irt.fit(responses, dims=2), responses=responses, seed=0)
    assert min(found.correlation.values()) > 0.6
    found = controls.recovery(irt.fit(responses, model="rasch"), responses=responses, seed=0)
    assert set(found.correlation) == {"intercept", "ability"}
