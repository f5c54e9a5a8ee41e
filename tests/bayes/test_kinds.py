"""Posteriors of graded answers: their density by scipy, and by weighing draws of the prior."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior, weighed
from scipy.special import expit, log_softmax
from scipy.stats import halfnorm, norm

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.numbers import numbers
from lleval_jax.errors import BadInput

FALSE_ALARM = 1e-5
MODELS, ITEMS = ("a", "b"), ("essay", "share")
KINDS = {"essay": "graded-3", "share": "gpcm-3"}
SEEN = np.array([[True, True], [True, False]])
SCORES = np.array([[1.0, 0.5], [0.5, 0.0]])


def two() -> ll.Responses:
    return ll.Responses.build(SCORES, seen=SEEN, rows=list(MODELS), items=list(ITEMS))


def log_likelihood(ability, slope, intercept, shape):
    """(..., models, items) by the formulas of Samejima (1969) and Muraki (1992)."""
    z = ability[..., :, None] * slope[..., None, :] + intercept[..., None, :]
    apart = np.exp(shape[..., None, 0])
    reached = expit(z[..., 0] + apart), expit(z[..., 0])  # grade 1 or more; grade 2, the middle threshold's
    essay = np.log(np.maximum(np.stack([1 - reached[0], reached[0] - reached[1], reached[1]], -1), 1e-300))
    share = log_softmax(np.stack([0 * z[..., 1], z[..., 1] + shape[..., None, 1], 2 * z[..., 1]], -1), axis=-1)
    grade = (SCORES * 2).astype(int)
    each = [np.stack([of[..., r, grade[r, i]] for r in range(2)], -1) for i, of in enumerate((essay, share))]
    return np.stack(each, -1) * SEEN


def test_the_density_is_that_of_scipy() -> None:
    model = bayes.irt(answers=KINDS)
    data = model.lay_out(two(), None, "float64").data
    assert data.known.names == ("gpcm-3", "graded-3")
    assert list(data.kind) == [1, 0]
    gaps = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        sites, log_prior = {"ability_own": random.normal(size=(2, 1))}, 0.0
        for name, (at, about, spread) in {
            "slope": (1, 0.3, 0.6),
            "intercept": (0, 1.5, 2),
            "shape": (0, 1, 1),
        }.items():
            mean, sd = random.normal(size=(2, 1)), random.uniform(0.3, 2, (2, 1))
            sites |= {f"{name}_mean": mean, f"{name}_sd": sd, f"{name}_own": random.normal(size=(2, 1))}
            log_prior += (
                norm.logpdf(mean[:, 0], at, about).sum() + halfnorm.logpdf(sd, 0, spread).sum() + np.log(sd).sum()
            )
        log_prior += sum(norm.logpdf(x).sum() for name, x in sites.items() if name.endswith("_own"))
        item = {
            n: (sites[f"{n}_mean"] + sites[f"{n}_sd"] * sites[f"{n}_own"][::-1])[::-1, 0]
            for n in ("slope", "intercept", "shape")
        }
        with numbers("float64"):
            at = unconstrain_fn(model, (data,), {}, {name: jnp.asarray(x) for name, x in sites.items()})
            minus = float(potential_energy(model, (data,), {}, at))
        told = log_likelihood(sites["ability_own"][:, 0], item["slope"], item["intercept"], item["shape"]).sum()
        gaps.append(minus + told + log_prior)
    np.testing.assert_allclose(gaps, 0, rtol=0, atol=1e-9)


def by_prior(draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of both abilities given the answers, and their errors: draws of the prior, each by its likelihood."""
    random = np.random.default_rng(0)
    ability = random.normal(size=(draws, 2))

    def coordinate(at, about: float, spread: float) -> np.ndarray:
        mean, sd = random.normal(at, about, (draws, 2)), np.abs(random.normal(0, spread, (draws, 2)))
        return mean + sd * random.normal(size=(draws, 2))

    item = coordinate(1, 0.3, 0.6), coordinate(0, 1.5, 2), coordinate(0, 1, 1)
    weight = np.exp(log_likelihood(ability, *item).sum((-1, -2)))
    share = weight / weight.sum()
    mean = share @ ability
    return mean, np.sqrt(share**2 @ (ability - mean) ** 2)


def test_the_posterior_is_that_of_draws_of_the_prior() -> None:
    """Draws of the prior as it is written here, and of NumPyro's, each weighed by its likelihood."""
    prior = of_prior(bayes.irt(answers=KINDS), two(), draws=10_000)
    found, own = weighed(prior, prior.draws["ability"].reshape(-1, 2))
    mean, error = by_prior(400_000)
    assert (np.abs(found - mean) < norm.isf(FALSE_ALARM / 4) * np.hypot(own, error)).all()


def test_scores_of_kinds_are_scores_and_are_kept(tmp_path) -> None:
    posterior = of_prior(bayes.irt(answers=KINDS), two())
    score = posterior.estimate("score")
    assert ((score.low >= 0) & (score.high <= 1)).all()
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "kinds.nc")
    again = bayes.load(tmp_path / "kinds.nc")
    assert again.model == posterior.model
    np.testing.assert_array_equal(again.estimate("score").value, score.value)


def test_answers_that_a_kind_does_not_take_are_refused() -> None:
    with pytest.raises(BadInput, match="item 'essay' has the score 1"):
        bayes.sample(bayes.irt(answers={"share": "beta", "essay": "beta"}), two())
    with pytest.raises(BadInput, match="2pl"):
        bayes.irt("3pl", answers="auto")
