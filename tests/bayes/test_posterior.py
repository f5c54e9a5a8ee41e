"""What follows from draws: estimates, ranks, files, diagnostics, and data at the edge."""

import jax
import numpy as np
import pytest
from numpyro.infer.util import potential_energy, unconstrain_fn
from scipy.stats import beta

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes import outcomes
from lleval_jax.bayes.numbers import numbers
from lleval_jax.data.simulate import simulate

QUICK = bayes.NUTS(chains=2, draws=100, warmup=50, accept=0.7, max_depth=3)


@pytest.fixture(scope="module")
def answers() -> ll.Responses:
    return simulate(5, 12, seed=1, groups=2, missing=0.2)[0]


@pytest.fixture(scope="module")
def posterior(answers: ll.Responses) -> bayes.Posterior:
    families = {row: f"family-{i % 2}" for i, row in enumerate(answers.rows)}
    return bayes.sample(bayes.irt("2pl", groups=True, families=families), answers, engine=QUICK, key=7)


def test_scores_are_answers_and_what_is_predicted_of_the_others(posterior, answers) -> None:
    score, rate = (posterior.outcome(target) for target in ("score", "rate"))
    assert score.shape == rate.shape == (200, 5, 3)
    right, missing = (answers.scores * answers.seen).sum(1), (~answers.seen).sum(1)
    least, most = right / 12, (right + missing) / 12
    assert (score[:, :, 0] >= least - 1e-6).all()
    assert (score[:, :, 0] <= most + 1e-6).all()
    np.testing.assert_allclose(score[:, :, 0] * 12, np.round(score[:, :, 0] * 12), atol=1e-4)
    size = np.bincount(answers.group)
    np.testing.assert_allclose(rate[:, :, 1:] @ size / 12, rate[:, :, 0], atol=1e-5)


def test_estimates_are_means_and_quantiles_of_outcomes(posterior) -> None:
    rate, found = posterior.outcome("rate"), posterior.estimate("rate", level=0.8)
    np.testing.assert_allclose(found.value, rate.mean(0).ravel())
    np.testing.assert_allclose(found.low, np.quantile(rate, 0.1, axis=0).ravel())
    gap = posterior.estimate("difference", first="row-1", second="row-0", groups=False)
    np.testing.assert_allclose(gap.value, (rate[:, 1] - rate[:, 0]).mean(0)[:1])
    assert gap.rows == ("row-1 - row-0",)
    assert posterior.estimate("ability", groups=False).n_seen.tolist() == [
        int(n) for n in posterior.estimate().n_seen[::3]
    ]


def test_ranks_and_the_best(posterior) -> None:
    ranks, best = posterior.estimate("rank", groups=False), posterior.estimate("best", groups=False)
    assert ranks.value.sum() == pytest.approx(15)
    assert best.value.sum() == pytest.approx(1)
    assert ((best.low >= 0) & (best.high <= 1)).all()
    draws = np.array([[[0.2], [0.9], [0.9]]])
    np.testing.assert_array_equal(outcomes.ranks(draws)[0, :, 0], [3, 1.5, 1.5])
    np.testing.assert_array_equal(outcomes.best(draws)[0, :, 0], [0, 0.5, 0.5])


def test_few_draws_are_not_called_good(posterior) -> None:
    found = posterior.estimate()
    assert set(found.status) == {"not converged"}
    assert any("effective sample size" in caveat and "take more draws" in caveat for caveat in found.caveats)


def test_the_log_likelihood_is_that_of_the_answers(posterior, answers) -> None:
    found = posterior.log_likelihood()
    assert found.shape == (2, 100, 5, 12)
    assert (found[..., ~answers.seen] == 0).all()
    d = {name: x[1, 7] for name, x in posterior.draws.items()}
    z = d["ability"] @ d["slope"].T + d["intercept"] + d["apart"][:, answers.group]
    expected = np.where(answers.scores > 0, -np.logaddexp(0, -z), -np.logaddexp(0, z))
    np.testing.assert_allclose(found[1, 7][answers.seen], expected[answers.seen], rtol=1e-4)


def test_families_and_groups_have_names_in_the_tree(posterior) -> None:
    tree = posterior.to_datatree(log_likelihood=True)
    assert tree["posterior"]["apart"].dims == ("chain", "draw", "models", "groups")
    assert tree["posterior"]["family"].coords["families"].to_numpy().tolist() == ["family-0", "family-1"]
    assert tree["log_likelihood"]["observed"].dims == ("chain", "draw", "models", "items")
    assert tree["sample_stats"]["diverging"].shape == (2, 100)


def test_what_is_loaded_equals_what_was_saved(posterior, tmp_path) -> None:
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "posterior.nc")
    again = bayes.load(tmp_path / "posterior.nc")
    assert again == posterior
    assert again.estimate("best") == posterior.estimate("best")
    (tmp_path / "other.nc").write_bytes(b"not a posterior")
    with pytest.raises(ll.BadInput, match="no netCDF file, or damaged"):
        bayes.load(tmp_path / "other.nc")
    with pytest.raises(ll.BadInput, match="there is no file"):
        bayes.load(tmp_path / "none.nc")


@pytest.mark.slow
def test_the_same_key_draws_the_same(posterior, answers) -> None:
    again = bayes.sample(posterior.model, answers, engine=QUICK, key=7)
    np.testing.assert_array_equal(again.draws["ability"], posterior.draws["ability"])
    other = bayes.sample(posterior.model, answers, engine=QUICK, key=8)
    assert not np.array_equal(other.draws["ability"], posterior.draws["ability"])


@pytest.mark.parametrize("scores", [[[1, 0, 1, 1.0]], [[1.0], [0.0], [1.0]]])
def test_one_model_or_one_item_has_a_density_where_sampling_starts(scores: list[list[float]]) -> None:
    model, responses = bayes.irt("2pl"), ll.Responses.build(np.array(scores))
    fit = model.maximum(responses)
    laid = model.lay_out(responses, fit, "float64")
    with numbers("float64"):
        at = unconstrain_fn(model, (laid.data,), {}, model.start(laid, fit))
        minus, slope = jax.jit(jax.value_and_grad(lambda at: potential_energy(model, (laid.data,), {}, at)))(at)
    assert np.isfinite(minus)
    assert all(np.isfinite(each).all() for each in slope.values())


@pytest.mark.parametrize("scores", [[[1, 1.0], [1, 1]], [[0, 0.0], [0, 0]]])
def test_all_right_all_wrong(scores: list[list[float]]) -> None:
    """A posterior is proper whatever was answered: finite intervals that contain no certainty."""
    found = bayes.sample(bayes.irt("2pl"), ll.Responses.build(np.array(scores)), engine="laplace", key=0).estimate()
    assert ((found.low > 0) & (found.high < 1) & (found.low < found.high)).all()


def test_wrong_input_is_one_clear_error(answers, posterior) -> None:
    with pytest.raises(ll.BadInput, match="there are no answers"):
        bayes.sample(bayes.rasch(), ll.Responses.build(np.full((2, 2), np.nan)))
    with pytest.raises(ll.BadInput, match="engine 'hmc' is not known"):
        bayes.sample(bayes.rasch(), answers, engine="hmc")
    with pytest.raises(ll.BadInput, match="'row-4' has no family"):
        bayes.sample(bayes.rasch(families={f"row-{i}": "one" for i in range(4)}), answers)
    with pytest.raises(ll.BadInput, match="target 'rates' is not known"):
        posterior.estimate("rates")
    with pytest.raises(ll.BadInput, match="row 'row-9' is not known"):
        posterior.estimate("difference", first="row-9", second="row-1")
    with pytest.raises(ll.BadInput, match="one dimension"):
        bayes.irt("3pl", dims=2)


def test_intervals_of_probabilities_cover_what_is_simulated() -> None:
    """Wilson's interval of 3 in 200 near the exact one of Clopper and Pearson."""
    draws = np.zeros(200)
    draws[:3] = 1
    found = outcomes.probability(draws, 0.95, 200)
    assert found.low < 0.015 < found.high
    assert found.high == pytest.approx(beta.ppf(0.975, 4, 197), rel=0.05)
