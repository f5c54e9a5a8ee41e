"""NumPyro's item response models against the core's joint density, and posteriors against integration on a grid."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats
from numpyro.infer.util import potential_energy, unconstrain_fn
from scipy.special import log_expit
from scipy.stats import norm

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes import space
from lleval_jax.bayes.numbers import numbers
from lleval_jax.core.irt import likelihood
from lleval_jax.data.simulate import simulate

FALSE_ALARM = 1e-5  # of each statistical test of this file
Z = norm.isf(FALSE_ALARM / 2)
CURVES = ("rasch", "2pl", "3pl", "4pl")


def minus_density(model, data, sites) -> float:
    with numbers("float64"):
        return float(potential_energy(model, (data,), {}, unconstrain_fn(model, (data,), {}, sites)))


def core_density(model, data, sites) -> float:
    """`core.irt.likelihood.log_joint` where the sites lie, up to a constant."""
    columns = []
    for name in dict.fromkeys(["slope", *model.coordinates]):
        mean, sd = model.usual(name)
        at = (
            sites["slope_all"] * np.ones((len(data.group), 1)) if name == "slope" and model.curve.shared_slope else None
        )
        columns.append(mean + sd * sites[f"{name}_own"] if at is None else at)
    width = np.concatenate([np.full(c.shape[1], 1.0) for c in columns])
    names = [
        n for n, c in zip(dict.fromkeys(["slope", *model.coordinates]), columns, strict=True) for _ in range(c.shape[1])
    ]
    mean, sd = np.array([model.usual(n) for n in names]).T
    assert len(width) == model.curve.width
    params = likelihood.Params(jnp.asarray(sites["ability_own"]), jnp.asarray(np.concatenate(columns, 1)))
    prior = likelihood.Prior(jnp.asarray(mean), jnp.asarray(sd**-2.0))
    answers = likelihood.Answers(jnp.asarray(data.scores), jnp.asarray(data.weight))
    return float(likelihood.log_joint(params, answers, prior, curve=model.curve))


def at_random(model, data, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    models, items = data.scores.shape
    sites = {"ability_own": random.normal(size=(models, model.curve.dims))}
    for name in model.coordinates:
        sites[f"{name}_own"] = random.normal(size=(items, model.curve.dims if name == "slope" else 1))
    if model.curve.shared_slope:
        sites["slope_all"] = random.normal()
    return sites


def laid_out(model, responses):
    """As `sample` lays it out; any loadings will do to choose anchors by."""
    slope = np.random.default_rng(8).normal(size=(len(responses.items), model.curve.dims))
    return model.lay_out(responses, SimpleNamespace(params=SimpleNamespace(slope=slope)), "float64")


@pytest.fixture(scope="module")
def answers() -> ll.Responses:
    return simulate(6, 9, seed=4, groups=3, missing=0.2, repeats=3)[0]


@pytest.mark.parametrize("curve", CURVES)
def test_the_density_is_the_cores(curve: str, answers: ll.Responses) -> None:
    """A theorem: equal up to one constant at all points."""
    model = bayes.irt(curve)
    data = laid_out(model, answers).data
    gaps = []
    for seed in range(4):
        sites = at_random(model, data, seed)
        gaps.append(minus_density(model, data, sites) + core_density(model, data, sites))
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-9)


def test_triangular_loadings_have_the_posterior_of_free_ones(answers: ll.Responses) -> None:
    """The core's density there, and Bartlett's Jacobian: the sum of (dims - 1 - k) log of the k-th on the diagonal."""
    dims = 3
    model = bayes.irt("2pl", dims=dims)
    data = laid_out(model, answers).data
    gaps = []
    for seed in range(4):
        sites = at_random(model, data, seed)
        diagonal = np.abs(np.random.default_rng(seed + 50).normal(size=dims)) + 0.1
        own = sites["slope_own"].copy()
        unused = np.triu_indices(dims)
        block = np.tril(own[data.anchors], -1) + np.diag(diagonal)
        spare = 0.5 * np.sum(own[data.anchors][unused] ** 2)  # entries without effect keep their own normal density
        own[data.anchors] = block
        jacobian = np.sum((dims - 1 - np.arange(dims)) * np.log(diagonal))
        to_log = np.sum(np.log(diagonal))  # the diagonal is unconstrained by its logarithm
        core = core_density(model, data, sites | {"slope_own": own})
        with_diagonal = minus_density(model, data, sites | {"slope_diagonal": diagonal})
        gaps.append(with_diagonal + core + jacobian + to_log - spare)
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-9)


def test_items_are_independent_given_the_rest(answers: ll.Responses) -> None:
    """The curvature found by the arrow is the whole Hessian, also with groups and families."""
    families = {row: f"family-{i % 2}" for i, row in enumerate(answers.rows)}
    model = bayes.irt("2pl", groups=True, families=families)
    laid, random = laid_out(model, answers), np.random.default_rng(2)
    sites = at_random(model, laid.data, 0)
    sites |= {"family_share": 0.4, "family": random.normal(size=(2, 1)), "group": random.normal(size=(3, 1))}
    sites |= {"group_sd": 0.5, "apart_sd": 0.3, "apart_own": random.normal(size=(len(answers.rows), 3))}
    sites |= {f"{name}_{what}": 0.7 for name in model.coordinates for what in ("mean", "sd")}
    with numbers("float64"):
        one = jax.tree.map(lambda x: np.asarray(x)[None], (laid.data, sites))
        where, at = space.placed(model, *one)
        at = jax.tree.map(lambda x: x[0], at)
        fn = lambda x: space.potential(model, where, laid.data, x)  # noqa: E731
        flat, back = jax.flatten_util.ravel_pytree(at)
        hessian = jax.jit(jax.hessian(lambda v: fn(back(v))))(flat)
        found = jax.jit(lambda x: space.curvature(fn, x))(at)
    n, (units, w) = len(at.shared), at.own.shape
    whole = np.zeros_like(hessian)
    whole[:n, :n] = found.shared
    for i in range(units):
        here = slice(n + i * w, n + (i + 1) * w)
        whole[here, here], whole[here, :n], whole[:n, here] = found.own[i], found.cross[i], found.cross[i].T
    np.testing.assert_allclose(whole, hessian, atol=1e-8)


SLOPE_SD = 0.5


def on_a_grid(scores: np.ndarray) -> np.ndarray:
    """Posterior means and variances of two abilities of a Rasch model with two items and slope drawn: brute force."""
    ability, log_slope = np.linspace(-5, 5, 81), np.linspace(-2.5, 2.5, 41)
    easy = np.linspace(-9, 9, 121)
    moments = np.zeros((3, 2))
    for s, w in zip(log_slope, norm.pdf(log_slope, 0, SLOPE_SD), strict=True):
        z = np.exp(s) * ability[:, None] + easy[None]
        right, wrong = log_expit(z), log_expit(-z)
        by_item = []
        for j in range(2):
            one, two = (np.exp(np.where(scores[r, j], right, wrong)) for r in range(2))
            by_item.append((one * norm.pdf(easy, 0, 2)) @ two.T)  # easiness integrated out: (ability one, ability two)
        density = by_item[0] * by_item[1] * norm.pdf(ability)[:, None] * norm.pdf(ability)[None] * w
        for k in range(3):
            moments[k] += (density * ability[:, None] ** k).sum(), (density * ability[None] ** k).sum()
    mean = moments[1] / moments[0]
    return np.stack([mean, moments[2] / moments[0] - mean**2])


@pytest.mark.parametrize(
    "engine",
    [
        bayes.NUTS(draws=1000),
        bayes.Laplace(draws=5000),
        pytest.param(bayes.SVI(steps=300, draws=5000), marks=pytest.mark.slow),
    ],
    ids=lambda e: e.name,
)
def test_draws_are_of_the_posterior_on_a_grid(engine: bayes.NUTS | bayes.Laplace | bayes.SVI) -> None:
    """Of approximations too: their importance weights can be used here, and are."""
    scores = np.array([[1.0, 1.0], [0.0, 1.0]])
    mean, variance = on_a_grid(scores)
    responses = ll.Responses.build(scores)
    posterior = bayes.sample(bayes.rasch(), responses, engine=engine, key=3, precision="float64")
    assert posterior.diagnostics.status == "ok"
    draws = posterior.draws["ability"][..., 0]
    worth = posterior.diagnostics.bulk.min()
    for r in range(2):
        for power, true in ((1, mean[r]), (2, variance[r] + mean[r] ** 2)):
            moment = draws[:, :, r] ** power
            error = array_stats.mcse(moment, chain_axis=0, draw_axis=1, method="mean")
            error = max(error, moment.std() / np.sqrt(worth))
            assert abs(moment.mean() - true) < Z * error


@pytest.mark.slow
def test_approximations_say_that_they_are() -> None:
    responses = simulate(12, 30, seed=0)[0]
    posterior = bayes.sample(bayes.irt("3pl"), responses, engine="laplace", key=0)
    assert posterior.diagnostics.pareto_k > 0.7, "weights would be used"
    assert posterior.estimate().status[0] == "approximate"
    assert any("nuts" in caveat for caveat in posterior.estimate().caveats)
