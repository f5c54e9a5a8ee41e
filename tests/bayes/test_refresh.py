"""Versions of a benchmark: the core's density, and posteriors against integration over sizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior
from scipy.stats import norm

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.models import refresh
from lleval_jax.bayes.numbers import numbers
from lleval_jax.core.laws import panel
from lleval_jax.core.laws.panel import Params, Sizes
from lleval_jax.core.linalg.normal import log_normal

FALSE_ALARM = 1e-5
Z = norm.isf(FALSE_ALARM / 2)


def world(models: int, versions: int, items: int, seed: int) -> list[ll.Responses]:
    """Two domains a version; half of the models are not run on the last."""
    random = np.random.default_rng(seed)
    ability, made = np.linspace(-1, 1, models), []
    for v in range(versions):
        logit = ability[:, None] - random.normal(size=2 * items) + 0.2 * random.normal()
        scores = (random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)
        if v == versions - 1 > 0:
            scores[::2] = np.nan
        names = [f"model-{i}" for i in range(models)]
        group = ["law", "math"] * items
        made.append(ll.Responses.build(scores, rows=names, items=[f"{v}-{i}" for i in range(2 * items)], group=group))
    return made


@pytest.fixture(scope="module")
def versions() -> list[ll.Responses]:
    return world(8, 3, 15, 0)


def at_random(data: refresh.Data, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    models, width = data.known.basis.shape
    return {
        "model_size": random.normal(size=len(panel.PARTS)),
        "shift_size": random.normal(size=(width, len(panel.SHIFTS))),
        "spread": np.exp(random.normal(size=models)),
        "shift": random.normal(size=(width, len(data.shift.kind))),
        "own": random.normal(size=(models, len(data.own.kind))),
    }


def sizes_of(data: refresh.Data, sites: dict[str, np.ndarray]) -> tuple[Sizes, panel.Prior]:
    prior = panel.before(*data.known.basis.shape, dtype="float64")
    model = prior.mode.model + prior.model_sd * sites["model_size"]
    shift = prior.mode.shift + prior.shift_sd * sites["shift_size"]
    return Sizes(model, shift, jnp.log(sites["spread"])), prior


def test_parts_have_the_covariances_of_the_core(versions) -> None:
    """A theorem: D diag(size^2) D' is the covariance of the sums."""
    data = bayes.refresh(dims=2).lay_out(versions, None, "float64").data
    sizes, _ = sizes_of(data, at_random(data, 1))
    own_scale, shift_scale = refresh._scales(data, sizes)
    own = np.einsum("mp,cp,dp->mcd", own_scale**2, data.own.design, data.own.design)
    shift = np.einsum("kp,cp,dp->kcd", shift_scale**2, data.shift.design, data.shift.design)
    np.testing.assert_allclose(own, panel.of_models(sizes, data.known), atol=1e-12)
    np.testing.assert_allclose(shift, panel.of_shifts(sizes, data.known), atol=1e-12)


def test_the_density_is_the_cores(versions) -> None:
    """Parts are standard normal where the core has their sums, whose covariances are the same."""
    model = bayes.refresh(dims=2)
    data = model.lay_out(versions, None, "float64").data
    gaps = []
    for seed in range(4):
        sites = at_random(data, seed)
        sizes, prior = sizes_of(data, sites)
        with numbers("float64"):
            minus = float(potential_energy(model, (data,), {}, unconstrain_fn(model, (data,), {}, sites)))
        shift, own = refresh.effects(data, sizes, jnp.asarray(sites["shift"]), jnp.asarray(sites["own"]))
        core = panel.log_joint(Params(shift, own, sizes), data.known, prior)
        sums = log_normal(shift, panel.of_shifts(sizes, data.known)) + log_normal(
            own, panel.of_models(sizes, data.known)
        )
        parts = norm.logpdf(sites["shift"]).sum() + norm.logpdf(sites["own"]).sum()
        gaps.append(minus + float(core - sums) + parts)
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-8)


def test_sampling_starts_at_the_fits_effects(versions) -> None:
    model = bayes.refresh(dims=2)
    fit = ll.refresh.fit(versions, dims=2)
    laid = model.lay_out(versions, fit, "float64")
    start = model.start(laid, fit)
    sizes, _ = sizes_of(laid.data, start)
    shift, own = refresh.effects(laid.data, sizes, jnp.asarray(start["shift"]), jnp.asarray(start["own"]))
    p = fit.params
    fitted = Sizes(*map(jnp.asarray, (p.model_size, p.shift_size, p.spread)))
    found = panel.posterior(fitted, laid.data.known)
    np.testing.assert_allclose(laid.data.known.basis @ shift + own, found.mean, atol=1e-8)


def test_a_score_keeps_the_answers_that_were_given(versions) -> None:
    """Of a model that answered all nothing is drawn; of the others between none and all of the rest right."""
    model = bayes.refresh(dims=0)
    data = model.lay_out(versions, None, "float64").data
    draw = {"logit": jnp.zeros_like(jnp.asarray(data.known.logit))}
    with numbers("float64"):
        found = np.asarray(model.outcome("score", data, draw, jax.random.key(0)))
        rate = np.asarray(model.outcome("rate", data, draw, jax.random.key(0)))
    known = versions[-1].scores[1::2]
    np.testing.assert_allclose(found[1::2, 0], known.mean(1))
    np.testing.assert_allclose(found[1::2, 1], known[:, ::2].mean(1))
    np.testing.assert_allclose(found[:, 0], found[:, 1:].mean(1))
    assert (np.abs(found[::2] - 0.5) < 0.5).all()
    np.testing.assert_allclose(rate, 0.5)


@pytest.mark.slow
def test_draws_are_of_the_posterior_by_integration_over_sizes() -> None:
    """Given the sizes all is normal: `panel.posterior`, weighted by `panel.log_evidence` at sizes from the prior."""
    value = world(3, 2, 8, 3)
    model = bayes.refresh(dims=0)
    posterior = bayes.sample(
        model, value, engine=bayes.NUTS(chains=2, draws=500, accept=0.99), key=3, precision="float64"
    )
    assert posterior.diagnostics.rhat.max() < 1.05, posterior.diagnostics
    known = jax.tree.map(jnp.asarray, posterior.laid.data.known)
    prior, count, random = panel.before(*known.basis.shape, dtype="float64"), 40_000, np.random.default_rng(0)
    half = panel.FREEDOM / 2
    sizes = Sizes(
        np.asarray(prior.mode.model) + np.asarray(prior.model_sd) * random.normal(size=(count, len(panel.PARTS))),
        np.asarray(prior.mode.shift)
        + np.asarray(prior.shift_sd) * random.normal(size=(count, *prior.mode.shift.shape)),
        np.log(half / random.gamma(half, size=(count, 3))),
    )

    def one(s: Sizes) -> tuple[jax.Array, jax.Array, jax.Array]:
        found = panel.posterior(s, known)
        spread = jnp.einsum("mcs,st,mct->mc", found.design, found.shifts, found.design)
        variance = jnp.diagonal(found.own, axis1=1, axis2=2) + spread
        return panel.log_evidence(s, known), found.mean, variance + found.mean**2

    evidence, *moments = jax.jit(lambda s: jax.lax.map(one, s, batch_size=500))(sizes)
    weight = np.exp(np.asarray(evidence) - np.max(evidence))
    weight /= weight.sum()
    draws = posterior.draws["logit"]
    for power, moment in zip((1, 2), map(np.asarray, moments), strict=True):
        true = np.einsum("n,nmc->mc", weight, moment)
        off = np.sqrt(np.einsum("n,nmc->mc", weight**2, (moment - true) ** 2))
        for m, c in np.ndindex(true.shape):
            drawn = draws[:, :, m, c] ** power
            error = array_stats.mcse(drawn, chain_axis=0, draw_axis=1, method="mean")
            assert abs(drawn.mean() - true[m, c]) < Z * np.hypot(error, off[m, c])
    found, fitted = posterior.estimate("score"), ll.refresh.estimate(ll.refresh.fit(value, dims=0))
    unknown = fitted.std_error > 0  # the fit takes sizes as known: near, and not wider
    assert (np.abs(found.value - fitted.value)[unknown] < fitted.std_error[unknown]).all()
    assert np.median(found.std_error[unknown] / fitted.std_error[unknown]) > 0.8


def test_a_posterior_is_kept(versions, tmp_path) -> None:
    posterior = of_prior(bayes.refresh(dims=0), versions)
    assert posterior.estimate("score").rows[::3] == versions[-1].rows
    assert posterior.estimate("score").group[:3] == ("all", "law", "math")
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "refresh.nc")
    assert bayes.load(tmp_path / "refresh.nc").estimate("rank") == posterior.estimate("rank")


def test_bad_input_is_refused(versions) -> None:
    with pytest.raises(ll.BadInput, match="takes several versions"):
        bayes.sample(bayes.refresh(), versions[0])
    with pytest.raises(ll.BadInput, match="'v9'"):
        bayes.prior_scores(bayes.refresh(version="v9"), versions)
    with pytest.raises(ll.BadInput, match="dims is -1"):
        bayes.refresh(dims=-1)


def test_the_prior_is_said_in_points(versions) -> None:
    """Models differ by 20 points and more, as the shifts by loadings add to that; no half of them is at an end."""
    found = bayes.prior_scores(bayes.refresh(dims=0), versions[:1], target="rate", draws=200)
    assert 0.1 < np.median(found.between) < 0.3
    assert dataclasses.is_dataclass(found)
