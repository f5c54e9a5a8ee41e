"""Judges: the density and scores by scipy, starts, tables, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior
from scipy.special import expit
from scipy.stats import halfnorm, norm

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.numbers import numbers

KINDS = {"essay": "graded-3", "fluency": "normal"}
TABLE = pd.DataFrame(  # b's essay was read by one judge alone
    [("a", "essay", "kind", 3), ("a", "essay", "strict", 2), ("b", "essay", "kind", 2)]
    + [("a", "fluency", "kind", 2.6), ("a", "fluency", "strict", 2.2), ("b", "fluency", "strict", 1.4)],
    columns=["model", "item", "rater", "score"],
)
SCORES = np.array([[[1, 0.8], [0.5, 0]], [[0.5, 0.6], [0, 0.2]]])  # judges, models, items
SEEN = np.array([[[1, 1], [1, 0]], [[1, 1], [0, 1]]], bool)
SCALES = {"slope": (1, 0.3, 0.6), "intercept": (0, 1.5, 2.0)}
SHAPE = np.array([[0.0], [-1.5]]), 1.0, np.array([[1.0], [0.5]])  # of graded-3, of normal


def judged() -> dict[str, ll.Responses]:
    return ll.read_judges(TABLE, scale=(1, 3), columns={"judge": "rater"})


def log_likelihood(draw: dict[str, np.ndarray], scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., judges, models, items) of the scores, and the scores that are expected, by Samejima's formulas."""
    answer = draw["ability"][..., :, None] * draw["slope"][..., None, :] + draw["intercept"][..., None, :]
    answer = answer + np.swapaxes(draw["answer"], -1, -2)
    z = (answer[..., None, :, :] - draw["severity"][..., None, None]) * draw["sharpness"][..., None, None]
    first, second = expit(z[..., 0] + np.exp(draw["shape"][..., 0, None, None])), expit(z[..., 0])
    grade = np.log(np.maximum(np.stack([1 - first, first - second, second], -1), 1e-300))
    place = np.round(scores[..., 0] * 2).astype(int)
    essay = np.take_along_axis(grade, np.broadcast_to(place, z.shape[:-1])[..., None], -1)[..., 0]
    m = expit(z[..., 1])
    sd = np.sqrt(np.exp(draw["shape"][..., 1, None, None]) * (m * (1 - m) + 0.01))
    each = np.stack([essay, norm.logpdf(scores[..., 1], m, sd)], -1) * SEEN
    return each, np.stack([(first + second) / 2, m], -1)


def at_random(told: tuple, seed: int) -> tuple[dict, dict, float]:
    """Sites, the values that follow, and the log density of the prior."""
    random = np.random.default_rng(seed)
    sites, draw, log_prior = {"ability_own": random.normal(size=(2, 1))}, {}, 0.0
    for name, (at, about, spread) in {**SCALES, "shape": SHAPE}.items():
        mean, sd, own = random.normal(size=(2, 1)), random.uniform(0.3, 2, (2, 1)), random.normal(size=(2, 1))
        sites |= {f"{name}_mean": mean, f"{name}_sd": sd, f"{name}_own": own}
        draw[name] = (mean + sd * own)[:, 0]
        log_prior += norm.logpdf(mean, at, about).sum() + (halfnorm.logpdf(sd, 0, spread) + np.log(sd)).sum()
    log_prior += sum(norm.logpdf(x).sum() for name, x in sites.items() if name.endswith("_own"))
    for name, scale, known in (("severity", 0.7, told[0]), ("answer", 1.0, told[1])):
        sd, own = random.uniform(0.3, 2), random.normal(size=np.shape(known))
        wide = np.sqrt(1 + sd**2 * known)
        sites |= {f"{name}_sd": sd, f"{name}_own": own}
        draw[name] = sd * own / wide
        log_prior += norm.logpdf(own, 0, wide).sum() + halfnorm.logpdf(sd, 0, scale) + np.log(sd)
    sd, own = random.uniform(0.3, 2), random.normal(size=2)
    sites |= {"sharp_sd": sd, "sharp_own": own}
    log_prior += norm.logpdf(own).sum() + halfnorm.logpdf(sd, 0, 0.3) + np.log(sd)
    draw |= {"ability": sites["ability_own"][:, 0], "sharpness": np.exp(sd * own)}
    return sites, draw, log_prior


@pytest.mark.slow
def test_the_density_and_the_scores_are_those_of_scipy() -> None:
    model = bayes.judges(answers=KINDS, sharpness=True)
    laid = model.lay_out(judged(), None, "float64")
    assert (laid.axes["judges"], laid.axes["models"], laid.data.known.names) == (
        ("kind", "strict"),
        ("a", "b"),
        ("graded-3", "normal"),
    )
    np.testing.assert_allclose(laid.data.scores, SCORES * SEEN, atol=1e-6)
    np.testing.assert_array_equal(laid.targets["judge"].n_seen[:, 0], [3, 3])
    gaps = []
    for seed in range(3):
        sites, draw, log_prior = at_random((laid.data.heard, laid.data.met), seed)
        each, expected = log_likelihood(draw, np.where(SEEN, laid.data.scores, 0.5))
        known = draw | {"ability": draw["ability"][:, None], "slope": draw["slope"][:, None]}
        known = {name: jnp.asarray(x) for name, x in (known | {"shape": draw["shape"][:, None]}).items()}
        with numbers("float64"):
            at = unconstrain_fn(model, (laid.data,), {}, {name: jnp.asarray(x) for name, x in sites.items()})
            gaps.append(float(potential_energy(model, (laid.data,), {}, at)) + each.sum() + log_prior)
            found = {name: model.outcome(name, laid.data, known, jax.random.key(0)) for name in ("rate", "judge")}
            score = model.outcome("score", laid.data._replace(weight=np.ones(SEEN.shape)), known, jax.random.key(0))
            np.testing.assert_allclose(model.log_likelihood(laid.data, known), each, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found["rate"][:, 0], expected.mean((0, 2)), atol=1e-9)
        np.testing.assert_allclose(found["judge"][:, 0], expected.mean((1, 2)), atol=1e-9)
        np.testing.assert_allclose(score[:, 0], (SCORES * SEEN).mean((0, 2)), atol=1e-6)
    np.testing.assert_allclose(gaps, 0, atol=1e-8)


def test_a_severer_judge_gives_less(tmp_path) -> None:
    posterior = of_prior(bayes.judges(answers=KINDS), judged())
    severity, judge = (posterior.outcome(what)[:, :, 0] for what in ("severity", "judge"))
    lower = judge[:, 0] < judge[:, 1]
    np.testing.assert_array_equal(lower, severity[:, 0] > severity[:, 1])
    ahead = posterior.estimate("ahead", of="judge", first="kind", second="strict")
    np.testing.assert_allclose(ahead.value, 1 - lower.mean())
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "judges.nc")
    again = bayes.load(tmp_path / "judges.nc")
    assert again.model == posterior.model
    assert again.estimate("score") == posterior.estimate("score")


@pytest.mark.slow
def test_sampling_starts_where_judges_differ() -> None:
    """A fit with a judge's models as rows: the severer judge starts with the larger severity, the density is finite."""
    model = bayes.judges(answers=KINDS, sharpness=True)
    value = judged()
    fit = model.maximum(value)
    laid = model.lay_out(value, fit, "float64")
    start = model.start(laid, fit)
    assert start["severity_own"][1] > start["severity_own"][0]
    with numbers("float64"):
        at = unconstrain_fn(model, (laid.data,), {}, start)
        assert np.isfinite(float(potential_energy(model, (laid.data,), {}, at)))
        parted = model.part(laid.data, np.arange(1))
    assert parted.scores.shape == (2, 2, 1)
    assert parted.met.shape == (1, 2)


def test_wrong_input_is_one_clear_error() -> None:
    both = judged()
    with pytest.raises(ll.BadInput, match="there is one judge, 'kind'; severity needs two"):
        bayes.sample(bayes.judges(), {"kind": both["kind"]})
    with pytest.raises(ll.BadInput, match="read_judges makes it of a table with a column 'judge'"):
        bayes.sample(bayes.judges(), both["kind"])
    nothing = ll.Responses.build(np.full((1, 1), np.nan), rows=["a"], items=["essay"])
    with pytest.raises(ll.BadInput, match="judge 'asleep' scored nothing"):
        bayes.sample(bayes.judges(), both | {"asleep": nothing})
    with pytest.raises(ll.BadInput, match=r"item 'essay' has the score 1 \(model 'a before kind'\)"):
        bayes.sample(bayes.judges(answers={"essay": "beta"}), both)
    grouped = [ll.Responses.build(np.eye(2), items=["p", "q"], group=group) for group in (["x", "y"], ["y", "x"])]
    with pytest.raises(ll.BadInput, match="item 'p' is in group 'y' for judge 'two', and in 'x' before"):
        bayes.sample(bayes.judges(), dict(zip(("one", "two"), grouped, strict=True)))
    with pytest.raises(ll.BadInput, match="no column 'judge'"):
        ll.read_judges(TABLE, scale=(1, 3))
    with pytest.raises(ll.BadInput, match="no column 'model'"):
        ll.read_judges(TABLE.drop(columns="model").iloc[[0, 1, 3]], scale=(1, 3), columns={"judge": "rater"})
    with pytest.raises(ll.BadInput, match="row 1"):
        ll.read_judges(TABLE, scale=(1, 2), columns={"judge": "rater"})
