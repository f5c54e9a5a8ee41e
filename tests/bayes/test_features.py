"""Features of items as prior means: the density, and scores on items that none has answered."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior, weighed
from scipy.special import expit
from scipy.stats import halfnorm, norm

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.numbers import numbers

FALSE_ALARM = 1e-5


def world(seed: int, models: int, items: int, hidden: int, weight: np.ndarray, sd: float = 0.7, mean: float = 0.3):
    """Answers of a Rasch model whose items' easiness follows features; the last `hidden` items have no answers."""
    random = np.random.default_rng([5, seed])
    columns = random.normal(size=(items, len(weight)))
    columns = (columns - columns.mean(0)) / columns.std(0)
    easy = mean + columns @ weight + sd * random.normal(size=items)
    p = expit(random.normal(size=(models, 1)) + easy)
    scores = (random.random(p.shape) < p).astype(float)
    scores[:, items - hidden :] = np.nan
    names = [f"item-{i}" for i in range(items)]
    group = ["asked"] * (items - hidden) + ["hidden"] * hidden
    # a frame in another order, with lines of other items and a column that says nothing
    frame = pd.DataFrame(columns, index=names, columns=[f"x{k}" for k in range(len(weight))]).assign(same=1.0)
    frame = pd.concat([frame, pd.DataFrame(0.0, index=["other"], columns=frame.columns)]).iloc[::-1]
    return ll.Responses.build(scores, items=names, group=group), frame, p


def test_the_density_is_the_one_that_is_told() -> None:
    """As without features, but for the prior of the intercepts."""
    responses, frame, _ = world(0, 4, 6, 1, np.array([1.0, -0.5]))
    model, plain = bayes.irt("2pl", features=frame), bayes.irt("2pl")
    laid = model.lay_out(responses, None, "float64")
    assert laid.axes["features"] == ("x0", "x1")
    features = frame.loc[list(responses.items), ["x0", "x1"]].to_numpy()
    gaps = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        sites = {"ability_own": random.normal(size=(4, 1)), "slope_own": random.normal(size=(6, 1))}
        own, size, mean, sd = random.normal(size=2), *random.uniform(0.3, 2, 3)
        intercept = random.normal(size=(6, 1))
        centre = mean + (features @ (size * own) / np.sqrt(2))[:, None]
        told = norm.logpdf(intercept, centre, sd).sum() + norm.logpdf(own).sum() + norm.logpdf(mean, 0, 1.5)
        told += halfnorm.logpdf(size, 0, 1) + np.log(size) + halfnorm.logpdf(sd, 0, 2) + np.log(sd)
        more = {"feature_own": own, "feature_sd": size, "intercept_mean": mean, "intercept_sd": sd}
        found = []
        own = (intercept - centre)[:, 0] * np.sqrt(laid.data.told + 1 / sd**2)
        for which, extra in ((model, more | {"intercept_own": own}), (plain, {"intercept_own": intercept / 2})):
            data = which.lay_out(responses, None, "float64").data
            with numbers("float64"):
                where = {name: jnp.asarray(x) for name, x in (sites | extra).items()}
                found.append(float(potential_energy(which, (data,), {}, unconstrain_fn(which, (data,), {}, where))))
        change = told - 0.5 * np.log(laid.data.told + 1 / sd**2).sum() - norm.logpdf(intercept / 2).sum()
        gaps.append(found[0] - found[1] + change)
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-9)


def test_features_say_how_hard_an_unanswered_item_is() -> None:
    """Both models fail items of feature -1 and pass those of 1; draws of the prior, as written here and NumPyro's."""
    feature, scores = np.array([-1.0, -1, 1, 1, 1]), np.array([[0, 0, 1, 1, np.nan]] * 2)
    responses = ll.Responses.build(scores, group=["asked"] * 4 + ["hidden"])
    frame = pd.DataFrame({"x": feature}, index=list(responses.items))
    prior = of_prior(bayes.rasch(features=frame), responses, draws=10_000)
    found, own = weighed(prior, prior.outcome("rate")[:, 0, 2])
    random, count = np.random.default_rng(0), 200_000
    ability, slope = random.normal(size=(count, 2, 1)), np.exp(0.5 * random.normal(size=(count, 1, 1)))
    weight = np.abs(random.normal(size=(count, 1))) * random.normal(size=(count, 1))
    mean, sd = 1.5 * random.normal(size=(count, 1)), 2 * np.abs(random.normal(size=(count, 1)))
    standard = (feature - feature.mean()) / feature.std()
    p = expit(slope * ability + (mean + weight * standard + sd * random.normal(size=(count, 5)))[:, None])
    share = np.prod(np.where(np.nan_to_num(scores) > 0, p, 1 - p)[:, :, :4], (1, 2))
    share /= share.sum()
    true = share @ p[:, 0, 4]
    error = np.sqrt(share**2 @ (p[:, 0, 4] - true) ** 2)
    assert abs(found - true) < norm.isf(FALSE_ALARM / 2) * np.hypot(own, error)
    assert true > 0.55


def test_an_embedding_and_files(tmp_path) -> None:
    """More columns than items, with groups: kept in the settings, and back from a file."""
    responses, _, _ = world(2, 4, 8, 2, np.array([1.0]))
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 12)), index=list(responses.items))
    posterior = of_prior(bayes.rasch(groups=True, features=frame), responses)
    assert posterior.draws["feature"].shape[2:] == (12,)
    assert "item features" in posterior.model.name
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "features.nc")
    back = bayes.load(tmp_path / "features.nc")
    assert back.model == posterior.model
    assert back.estimate() == posterior.estimate()


def test_wrong_input_is_one_clear_error() -> None:
    responses, frame, _ = world(0, 3, 5, 1, np.array([1.0]))
    with pytest.raises(ll.BadInput, match="1 items have no features"):
        bayes.sample(bayes.irt(features=frame.drop(index="item-2")), responses)
    with pytest.raises(ll.BadInput, match="not a finite number: 'x0' of 'item-1'"):
        bayes.sample(bayes.irt(features=frame.assign(x0=frame["x0"].where(frame.index != "item-1"))), responses)
    with pytest.raises(ll.BadInput, match="a data frame whose index has the names"):
        bayes.irt(features=np.ones((5, 2)))
