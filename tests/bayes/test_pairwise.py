"""Posteriors of pairwise answers: the density, a grid, maximum likelihood, and comparisons that fit refuses."""

import jax.numpy as jnp
import numpy as np
import pytest
import worlds
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior, weighed
from scipy.special import log_softmax
from scipy.stats import halfnorm, norm

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.numbers import numbers

FALSE_ALARM = 1e-5
ELO = 400 / np.log(10)


def test_the_density_is_the_one_that_is_told() -> None:
    pairs, model = worlds.pairs(), bayes.pairwise()
    data = model.lay_out(pairs, None, "float64").data
    gaps = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        rating, sd, log_tie = random.normal(size=5), random.uniform(0.3, 2), random.normal()
        sites = {
            "rating_sd": sd,
            "rating_own": rating * np.sqrt(data.told + 1 / sd**2),
            "tie_own": np.array([(log_tie + 0.7) / 1.2]),
        }
        with numbers("float64"):
            at = unconstrain_fn(model, (data,), {}, {name: jnp.asarray(x) for name, x in sites.items()})
            minus = float(potential_energy(model, (data,), {}, at))
        gap = rating[pairs.first] - rating[pairs.second]
        p = log_softmax(np.stack([gap / 2, np.full_like(gap, log_tie), -gap / 2], 1), axis=1)
        told = np.sum(pairs.counts * p) + norm.logpdf(rating, 0, sd).sum() + norm.logpdf(log_tie, -0.7, 1.2)
        told += halfnorm.logpdf(sd, 0, 1.5) + np.log(sd) - 0.5 * np.log(data.told + 1 / sd**2).sum()
        gaps.append(minus + told)
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-9)


def on_a_grid(counts: np.ndarray) -> np.ndarray:
    """First two moments of the gap of two models, the size of ratings and ties integrated out: brute force."""
    gap, tie = np.linspace(-14, 14, 561), np.linspace(-6, 5, 221)
    sd = halfnorm.ppf((np.arange(400) + 0.5) / 400, 0, 1.5)
    prior = norm.pdf(gap[:, None], 0, np.sqrt(2) * sd).mean(1)[:, None] * norm.pdf(tie, -0.7, 1.2)
    logits = np.stack(np.broadcast_arrays(gap[:, None] / 2, tie[None], -gap[:, None] / 2), -1)
    weight = prior * np.exp(log_softmax(logits, axis=-1) @ counts)
    return np.array([(weight * gap[:, None] ** k).sum() for k in (1, 2)]) / weight.sum()


def test_the_posterior_is_the_one_on_a_grid() -> None:
    """By draws of the prior weighed by the likelihood."""
    pairs = ll.Pairs.build(["a"] * 6, ["b"] * 6, [1, 1, 1, 0.5, 1, 0])
    prior = of_prior(bayes.pairwise(), pairs, draws=10_000)
    rating = prior.draws["rating"].reshape(-1, 2)
    gap = rating[:, 0] - rating[:, 1]
    for power, true in zip((1, 2), on_a_grid(pairs.counts[0]), strict=True):
        mean, error = weighed(prior, gap**power)
        assert abs(mean - true) < norm.isf(FALSE_ALARM / 4) * error + 2e-3 * abs(true)  # and the grid's own error


@pytest.mark.slow
def test_many_comparisons_give_maximum_likelihood() -> None:
    """Bernstein and von Mises: 600 of each pair leave the prior little to say, and make the posterior normal."""
    random = np.random.default_rng(2)
    ends = [(f"m{i}", f"m{j}") for i in range(5) for j in range(i)]
    counts = np.array([[300, 120, 180.0]] * len(ends)) + random.integers(-40, 40, (len(ends), 3))
    lines = [
        (a, b, s, n) for (a, b), row in zip(ends, counts, strict=True) for s, n in zip((1, 0.5, 0), row, strict=True)
    ]
    first, second, score, weight = zip(*lines, strict=True)
    pairs = ll.Pairs.build(first, second, score, weight=weight)
    posterior = bayes.sample(bayes.pairwise(), pairs, engine=bayes.Laplace(chains=2, draws=500), key=0)
    fit = ll.pairwise.fit(pairs)
    for target in ("rating", "win"):
        one, two = posterior.estimate(target), ll.pairwise.estimate(fit, target)
        moved = (one.value - two.value) / np.maximum(two.std_error, 1e-6)
        assert np.abs(moved[two.std_error > 1e-9]).max() < 0.4
        inside = two.std_error > 1e-9
        np.testing.assert_allclose(one.std_error[inside], two.std_error[inside], rtol=0.15)


def test_parts_that_never_met_are_as_wide_as_the_prior(tmp_path) -> None:
    """And those that met are not; a model that won all is given a finite lead."""
    first, second = ["a"] * 40 + ["c"] * 40 + ["a"] * 9, ["b"] * 40 + ["d"] * 40 + ["e"] * 9
    pairs = ll.Pairs.build(first, second, [1, 0] * 40 + [1] * 9)
    with pytest.raises(ll.BadInput, match="2 parts that never met"):
        ll.pairwise.fit(pairs)
    posterior = bayes.sample(bayes.pairwise(), pairs, engine=bayes.NUTS(chains=2, draws=150, warmup=150), key=1)
    width = {}
    for second in ("b", "c", "e"):
        gap = posterior.estimate("difference", first="a", second=second)
        width[second] = (gap.high - gap.low)[0]
    assert width["c"] > 2 * width["b"]
    assert np.isfinite(width["e"])
    assert 0.9 < posterior.estimate("ahead", first="a", second="e").value[0] < 1
    win = posterior.estimate("win")
    assert win["a", "c"].low < 0.35
    assert win["a", "c"].high > 0.65
    assert win["a", "b"].n_seen == 40
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "pairs.nc")
    assert bayes.load(tmp_path / "pairs.nc").estimate("best") == posterior.estimate("best")


@pytest.mark.parametrize("score", [[1, 1], [0.5, 0.5], [1, 0]])
def test_what_has_no_ratings_has_a_posterior(score: list[float]) -> None:
    """A model that won all, and ties alone."""
    pairs = ll.Pairs.build(["a", "a"], ["b", "b"], score, models=["a", "b", "alone"])
    found = bayes.sample(bayes.pairwise(), pairs, engine="laplace", key=0).estimate("win")
    assert ((found.low >= 0) & (found.high <= 1)).all()
    assert found["a", "alone"].high - found["a", "alone"].low > 0.5


def test_wrong_input_is_one_clear_error() -> None:
    with pytest.raises(ll.BadInput, match="there are no comparisons"):
        bayes.sample(bayes.pairwise(), worlds.pairs().take([0]))
