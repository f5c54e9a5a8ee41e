"""The distribution of own effects, against brute force, its own prior, and exact counts."""

import jax
import numpy as np
import pytest
from compiled import compiled
from scipy.stats import beta, chi, norm, poisson_binom

from lleval_jax.core.crossed import draws, mixture
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.crossed.mixture import NODES, SPACE

NONE = np.zeros((1, 0))
PRIOR = np.array([[np.log(0.8), np.log(1.5)], [1.5, 2.0]])
DESIGN = crossed.Design(NONE, NONE, np.zeros((0, 0)), np.zeros(0), PRIOR, np.asarray(0.3))
AT = mixture.Mixture(*map(np.asarray, (0.5, np.log(0.4), -1.0, -2.0, np.log(0.9))))
density = compiled(mixture.density)


def test_a_likelihood_is_that_of_the_answers():
    rng = np.random.default_rng(0)
    rows, columns, count = 4, 6, 40
    row, column = rng.integers(0, rows, count), rng.integers(0, columns, count)
    weight = np.where(np.arange(count) < 35, rng.uniform(0.5, 3, count), 0.0)
    cells = crossed.Cells(row, column, rng.random(count), weight)
    base, side = rng.normal(size=rows), rng.normal(0, 2, columns)
    found = compiled(mixture.likelihood)(cells, base, side)
    logit = (base[row] + side[column])[:, None] + NODES
    said = weight[:, None] * (cells.score[:, None] * logit - np.logaddexp(0, logit))
    total = np.stack([said[row == i].sum(0) for i in range(rows)])
    expected = np.exp(total - total.max(1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=2e-3)  # a spline's error


def test_a_density_is_the_mixture():
    x, share = NODES, 1 / (1 + np.exp(1.0))
    normal = lambda m, s: np.exp(-0.5 * ((x - m) / s) ** 2) / (s * np.sqrt(2 * np.pi))  # noqa: E731
    expected = (1 - share) * normal(0.5, 0.4) + share * normal(-2.0, 0.9)
    np.testing.assert_allclose(density(AT), SPACE * expected, rtol=1e-12)
    np.testing.assert_allclose(density(AT).sum(), 1, rtol=1e-6)


def test_effects_follow_likelihood_times_density():
    """Means of 4,000 draws within five standard errors of the table's."""
    like = np.stack([np.exp(-0.5 * (NODES - 1) ** 2), 1 / (1 + np.exp(NODES + 2))])
    draw = compiled(jax.vmap(mixture.effects, (None, None, 0)))
    drawn = draw(AT, like, jax.random.split(jax.random.key(1), 4000))
    mass = like * density(AT)
    mass /= mass.sum(1, keepdims=True)
    mean = mass @ NODES
    sd = np.sqrt(mass @ NODES**2 - mean**2 + SPACE**2 / 12)
    np.testing.assert_array_less(np.abs(drawn.mean(0) - mean), 5 * sd / np.sqrt(4000))
    np.testing.assert_allclose(drawn.std(0), sd, rtol=0.1)


@pytest.mark.slow
def test_without_answers_the_steps_stay_with_the_prior():
    """What Metropolis steps leave alone: 2,000 chains begun at the prior are still spread like it.

    Probability integral transforms of share and sds must be uniform: Kolmogorov's distance above 1.95 / sqrt(2000) has
    chance .001 for each of the three.
    """
    rng = np.random.default_rng(2)
    count = 2000
    level = rng.beta(mixture.CERTAIN, mixture.CERTAIN, count).clip(1e-12, 1 - 1e-12)
    middle = np.log(level) - np.log1p(-level) - 0.3
    share = rng.beta(*mixture.RARE, count)
    none = mixture.NO_ODDS + rng.normal(size=count)
    odds = np.where(rng.random(count) < mixture.NONE, none, np.log(share) - np.log1p(-share))
    size, other_size = 0.8 * mixture.BULK, mixture.OTHER_SD
    sds = [s * rng.chisquare(n, count) ** 0.5 / n**0.5 for s, n in ((size, 1.5), (other_size, mixture.OTHER_WORTH))]
    other = middle + rng.normal(0, mixture.APART, count)
    begun = mixture.Mixture(middle, np.log(sds[0]), odds, other, np.log(sds[1]))
    like = np.ones((1, len(NODES)))
    ended = compiled(mixture.learn, static_argnums=4)(begun, like, DESIGN, jax.random.key(3), 32)
    assert (ended.odds != begun.odds).mean() > 0.9
    ranks = [
        mixture.NONE * norm.cdf(ended.odds - mixture.NO_ODDS)
        + (1 - mixture.NONE) * beta.cdf(1 / (1 + np.exp(-ended.odds)), *mixture.RARE),
        chi.cdf(np.exp(ended.log_sd) / size * np.sqrt(1.5), 1.5),
        chi.cdf(np.exp(ended.other_log_sd) / other_size * np.sqrt(1.5), mixture.OTHER_WORTH),
    ]
    for values in ranks:
        place = np.sort(values)
        assert np.abs(place - (np.arange(count) + 0.5) / count).max() < 1.95 / np.sqrt(count)


answers_drawn = compiled(jax.vmap(draws.answers_drawn, (None, None, None, None, 0)))


@pytest.mark.parametrize(
    "p", [np.full(90, 0.003), np.linspace(0.001, 0.2, 60), np.linspace(0.1, 0.9, 40), np.full(30, 0.98)]
)
def test_counts_are_about_poisson_binomial(p):
    """20,000 draws: total variation from the exact law, where a rounded normal has .12, .04, .01 and .12; the mean."""
    mean, variance, count = np.array([p.sum()]), np.array([(p * (1 - p)).sum()]), np.array([len(p) * 1.0])
    drawn = answers_drawn(mean, variance, count, np.asarray(1.0), jax.random.split(jax.random.key(4), 20_000))[:, 0]
    assert np.array_equal(drawn, np.round(drawn))
    share = np.bincount(drawn.astype(int), minlength=len(p) + 1) / len(drawn)
    exact = poisson_binom(p).pmf(np.arange(len(p) + 1))
    assert 0.5 * np.abs(share - exact).sum() < 0.06
    assert abs(drawn.mean() - p.sum()) < 0.03 + 5 * (variance[0] / len(drawn)) ** 0.5
