"""Draws of the prior, against what normal priors give by integration."""

import numpy as np
from scipy.stats import norm

import lleval_jax as ll
from lleval_jax import bayes

FALSE_ALARM = 1e-5


def test_scores_of_the_prior_are_those_of_its_integral() -> None:
    """The mean probability and its square of a Rasch item, by nodes of the standard normals behind it."""
    draws = 2000
    found = bayes.prior_scores(bayes.rasch(), ll.Responses.build(np.ones((1, 1))), draws=draws, key=4).draws.ravel()
    nodes = norm.ppf((np.arange(200) + 0.5) / 200)
    z = np.exp(0.5 * nodes)[:, None, None] * nodes[:, None] + 2 * nodes
    p = 1 / (1 + np.exp(-z))
    for power in (1, 2):
        error = np.sqrt(((p ** (2 * power)).mean() - (p**power).mean() ** 2) / draws)
        assert abs((found**power).mean() - (p**power).mean()) < norm.isf(FALSE_ALARM / 4) * error


def test_it_says_points_and_takes_any_model() -> None:
    responses = ll.Responses.build(np.ones((4, 6)), group=list("aabbcc"))
    found = bayes.prior_scores(bayes.irt("3pl", groups=True), responses, draws=60)
    assert found.draws.shape == (60, 4, 4)
    assert "sd between models" in str(found)
    assert "sd of a model's parts" in str(found)
    assert np.isfinite(bayes.prior_scores(bayes.irt("2pl", dims=2), responses, draws=20).draws).all()
