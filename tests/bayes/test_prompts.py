"""Grids of prompts: the core's density, and posteriors of scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.numbers import numbers
from lleval_jax.core.crossed import model as crossed


@pytest.fixture(scope="module")
def grid() -> ll.Responses:
    """6 prompts by 20 examples, half of the cells answered."""
    random = np.random.default_rng(5)
    logit = random.normal(0.3, 0.7, (6, 1)) + random.normal(0, 1, (1, 20))
    scores = (random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)
    return ll.Responses.build(np.where(random.random(logit.shape) < 0.5, scores, np.nan))


MODELS = {f"row-{i}": (f"model-{i // 3}", f"prompt-{i % 3}") for i in range(6)}
FEATURES = pd.DataFrame({"long": [1.0, 2, 2, 5, 3, 1], "same": 1.0}, index=list(MODELS))
ITEM_FEATURES = pd.DataFrame({"hard": np.arange(20.0) % 7}, index=[f"item-{i}" for i in range(20)])
FULL = bayes.prompts(models=MODELS, features=FEATURES, item_features=ITEM_FEATURES)


@pytest.mark.parametrize("model", [bayes.prompts(), FULL], ids=lambda m: m.name)
def test_the_density_is_the_cores(model, grid: ll.Responses) -> None:
    """Up to a constant, and the Jacobian of effects in units of their size."""
    data = model.lay_out(grid, None, "float64").data
    gaps = []
    for seed in range(4):
        random = np.random.default_rng(seed)
        k, n, m = len(data.design.kind), len(data.design.rows), len(data.design.columns)
        scale = random.normal(size=data.design.prior.shape[1]) * 0.5
        coef, own, column = (random.normal(size=size) for size in (k, n, m))
        sites = {"size_own": np.exp(scale), "coef": coef, "prompt_own": own, "example_own": column}
        with numbers("float64"):
            at = unconstrain_fn(model, (data,), {}, {name: jnp.asarray(x) for name, x in sites.items()})
            minus = float(potential_energy(model, (data,), {}, at))
        params = crossed.Params(*map(jnp.asarray, (coef, own * np.exp(scale[-2]), column * np.exp(scale[-1]), scale)))
        core = float(crossed.log_joint(params, data.design, data.cells))
        gaps.append(minus + core + n * scale[-2] + m * scale[-1])
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-9)


def test_several_models_and_features_have_names_and_scores(grid: ll.Responses) -> None:
    laid = FULL.lay_out(grid, None, "float64")
    assert laid.axes["kinds"] == ("features", "model", "prompt", "example features", "model x prompt", "example")
    assert laid.axes["features"] == ("long",)
    assert laid.targets["quantiles"].groups == laid.targets["model"].rows == ("model-0", "model-1")
    np.testing.assert_array_equal(laid.targets["model"].n_seen[:, 0], grid.n_seen.reshape(2, 3).sum(1))
    draw = {"logit": jnp.asarray(np.random.default_rng(0).normal(size=(6, 20)))}
    with numbers("float64"):
        found = {t: FULL.outcome(t, laid.data, draw, jax.random.key(1)) for t in ("score", "model", "quantiles")}
    score = np.asarray(found["score"]).reshape(2, 3)
    np.testing.assert_allclose(found["model"][:, 0], score.mean(1))
    np.testing.assert_allclose(found["quantiles"], np.quantile(score, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1))
    with pytest.raises(ll.BadInput, match="row 'row-0' has no model; they are given for 1"):
        bayes.sample(bayes.prompts(models={"row-9": ("a", "b")}), grid)
    with pytest.raises(ll.BadInput, match="1 prompts have no features"):
        bayes.sample(bayes.prompts(features=FEATURES.drop(index="row-2")), grid)


@pytest.mark.slow
def test_several_models_are_sampled_and_kept(grid: ll.Responses, tmp_path) -> None:
    posterior = bayes.sample(FULL, grid, engine=bayes.Laplace(draws=50), key=1)
    assert posterior.estimate("best", of="model").value.sum() == pytest.approx(1)
    assert posterior.draws["feature"].shape == (4, 50, 1)
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "prompts.nc")
    back = bayes.load(tmp_path / "prompts.nc")
    assert back.model == posterior.model
    assert back.estimate("quantiles") == posterior.estimate("quantiles")


def test_scores_and_quantiles_of_prompts(grid: ll.Responses, tmp_path) -> None:
    posterior = of_prior(bayes.prompts(), grid)
    score, data = posterior.outcome("score")[:, :, 0], posterior.laid.data
    draw = {name: jnp.asarray(x[0, 3]) for name, x in posterior.draws.items()}
    with numbers("float32"):
        one, spread = (posterior.model.outcome(t, data, draw, jax.random.key(2)) for t in ("score", "quantiles"))
    np.testing.assert_allclose(spread[:, 0], np.quantile(one, [0.05, 0.25, 0.5, 0.75, 0.95]), atol=1e-6)
    right, missing = np.where(grid.seen, grid.scores, 0).sum(1), (~grid.seen).sum(1)
    assert (score >= right / 20 - 1e-6).all()
    assert (score <= (right + missing) / 20 + 1e-6).all()
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "prompts.nc")
    assert bayes.load(tmp_path / "prompts.nc").estimate("best") == posterior.estimate("best")


def test_a_grid_without_answers_is_refused() -> None:
    with pytest.raises(ll.BadInput, match="no cell of the grid is answered"):
        bayes.sample(bayes.prompts(), ll.Responses.build(np.full((2, 3), np.nan)))
