"""Scaling laws: the core's density, and predictions by integration over laws drawn from the prior."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from arviz_stats.base import array_stats
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior
from scipy import stats
from scipy.special import expit, logit

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.models.sloth import roots
from lleval_jax.bayes.numbers import numbers
from lleval_jax.core.laws import pooled, pooled_joint
from lleval_jax.layout import board

FALSE_ALARM = 1e-5
Z = stats.norm.isf(FALSE_ALARM / 2)
WANTED = (ll.sloth.Target("b", 30e9, 3e12), ll.sloth.Target("new", 7e9, 2e12))


def leaderboard(benchmarks: int, seed: int = 0) -> ll.Leaderboard:
    """Four models of three families; a lineage has two of them. One score is not known where there are several."""
    random = np.random.default_rng(seed)
    size = np.array([1e9, 7e9, 13e9, 3e9])
    score = expit(0.4 * np.log(size / 7e9)[:, None] + 0.3 * random.normal(size=(4, benchmarks)))
    seen = np.ones(score.shape, bool)
    seen[0, 1:2] = False
    return ll.Leaderboard(
        models=("a-1", "a-7", "b-13", "c-3"),
        families=("a", "a", "b", "c"),
        lineages=("a", "a", "a", "c"),
        instruct=np.array([False, False, True, False]),
        params=size,
        tokens=np.array([1e12, 2e12, 2e12, 1e12]),
        benchmarks=tuple(f"bench-{j}" for j in range(benchmarks)),
        scores=np.where(seen, score, 0),
        seen=seen,
        floor=np.linspace(0, 0.2, benchmarks),
    )


def at_random(data, skills: int, seed: int) -> dict[str, np.ndarray]:
    random, shape, count = np.random.default_rng(seed), data.rows.real.shape, len(data.floor)
    sizes = {"loading": (count, skills), "shared": 11, "direct": 11, "noise": count, "centre": count, "bend": count}
    sizes |= {"slope": (6, skills + count), "skill": (*shape, skills), "residual": (*shape, count)}
    found = {name: random.normal(size=size) for name, size in sizes.items()}
    return found | ({"slope_diagonal": np.abs(random.normal(size=skills - 1)) + 0.1} if skills > 1 else {})


@pytest.mark.parametrize("skills", [1, 3])
def test_the_density_is_the_cores(skills: int) -> None:
    """Up to a constant and the Jacobians: of effects in units of their sizes, and Bartlett's of triangular loadings."""
    value = leaderboard(3)
    model = bayes.sloth(WANTED, skills=skills)
    data = model.lay_out(value, None, "float64").data
    real = data.rows.real > 0
    begin = pooled.start(jnp.asarray(board.rate(value.scores, value.seen, value.floor)), skills, jax.random.key(0))
    gaps = []
    for seed in range(4):
        sites = at_random(data, skills, seed)
        with numbers("float64"):
            minus = float(potential_energy(model, (data,), {}, unconstrain_fn(model, (data,), {}, sites)))
            with numpyro.handlers.block(), numpyro.handlers.substitute(data=sites):
                params = model._params(data)
        core = float(pooled_joint.log_joint(params, data.rows, data.floor, begin, data.bend_sd))
        law, length = params.law, np.sqrt(np.sum(np.asarray(params.law.loading) ** 2, 1))
        through, residual = (np.log(np.diagonal(x, axis1=1, axis2=2)).sum() for x in roots(data.rows, law))
        jacobian = skills * through + 3 * residual + real.sum() * np.log(length).sum()
        jacobian += skills * np.sum(law.shared[:6]) + 3 * np.sum(law.own[:6]) + 6 * np.log(length).sum()
        if skills > 1:
            diagonal, place = sites["slope_diagonal"], np.arange(skills - 1)
            spare = sites["loading"][data.anchors, 1:][np.triu_indices(skills - 1)]  # entries without effect
            jacobian += np.sum((skills - 2 - place) * np.log(diagonal)) + np.log(diagonal).sum()
            jacobian += stats.norm.logpdf(spare).sum()
        gaps.append(minus + core + jacobian)
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-8)


def test_sampling_starts_at_the_fits_logits() -> None:
    """Where the link is settled, the posterior mean of the logits is what the fit keeps."""
    value = leaderboard(3)
    model = bayes.sloth(WANTED, skills=2)
    fit = model.maximum(value)
    laid = model.lay_out(value, fit, "float64")
    with numbers("float64"):
        with numpyro.handlers.block(), numpyro.handlers.substitute(data=model.start(laid, fit)):
            params = model._params(laid.data)
        found = np.asarray(pooled_joint.logits(params, laid.data.rows))[*laid.data.where.T][: len(value.models)]
    score, fitted = (np.asarray(pooled.link(x, value.floor, fit.params.bend)[0]) for x in (found, fit.params.logit))
    np.testing.assert_allclose(score, fitted, atol=5e-3)


def by_brute_force(value: ll.Leaderboard, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of laws drawn from the prior, and (laws, targets) means and variances of the targets' logits.

    One benchmark, one skill, the logistic link. Given a law logits are normal; scores less their noise say what they
    are, so a law weighs their density there, noise drawn.
    """
    random = np.random.default_rng(0)
    size = np.append(value.params, [t.size for t in WANTED])
    tokens = np.append(value.tokens, [t.tokens for t in WANTED])
    x = board.inputs(size, tokens, np.append(value.instruct, [True, False]))
    lineage, family = np.array([0, 0, 0, 1, 0, 2]), np.array([0, 0, 1, 2, 1, 3])
    same, kin, both = lineage[:, None] == lineage, family[:, None] == family, np.outer(x[:, 0], x[:, 0])
    over = np.stack([same, same * both, kin, kin * both, np.eye(len(x))])
    parts = np.concatenate([x.T[:, :, None] * x.T[:, None, :], over])
    usual = np.log(pooled.SHARED + pooled.OWNED)
    sd = (np.exp(usual + offset + random.normal(size=(count, len(parts)))) for offset in (0, np.log(pooled.DIRECT)))
    loading = 1 + random.normal(size=(count, 1))
    cov = np.einsum("ne,ers->nrs", loading**2 * sum(part**2 for part in sd), parts)
    rate = board.rate(value.scores, value.seen, value.floor)
    centre = logit(np.clip(rate, 0.03, 0.9)) + pooled.CENTRE_SD * random.normal(size=(count, 1))
    noise = np.exp(np.log(pooled.NOISE) + pooled.NOISE_SD * random.normal(size=(count, 1)))
    true = value.scores[:, 0] - noise * random.standard_t(pooled.FREEDOM, size=(count, 4))
    inside = ((true > 0) & (true < 1)).all(1)
    true = np.where(inside[:, None], true, 0.5)
    off = logit(true) - centre
    root = np.linalg.cholesky(cov[:, :4, :4])
    white = np.linalg.solve(root, off[..., None])[..., 0]
    log_weight = -0.5 * (white**2).sum(1) - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)
    log_weight = np.where(inside, log_weight - np.log(true * (1 - true)).sum(1), -np.inf)
    half = np.linalg.solve(root, cov[:, :4, 4:])
    mean = centre + np.einsum("nrt,nr->nt", half, white)
    variance = np.diagonal(cov[:, 4:, 4:], axis1=1, axis2=2) - (half**2).sum(1)
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum(), mean, variance


@pytest.mark.slow
def test_predictions_are_those_by_brute_force() -> None:
    """Of scores, whose distributions have no tails; expectations of the normals by quadrature."""
    value = leaderboard(1)
    weight, mean, variance = by_brute_force(value, 400_000)
    assert 1 / np.sum(weight**2) > 5000, "too few effective laws"
    model = bayes.sloth(WANTED, skills=1, link="logistic")
    posterior = bayes.sample(
        model, value, engine=bayes.NUTS(chains=2, draws=200, max_depth=6), key=3, precision="float64"
    )
    draws = posterior.outcome("expected").reshape(2, -1, len(WANTED))
    node, share = np.polynomial.hermite_e.hermegauss(61)
    for t in range(len(WANTED)):
        score = expit(mean[:, t, None] + np.sqrt(variance[:, t, None]) * node)
        for power in (1, 2):
            each = score**power @ share / share.sum()
            true = weight @ each
            off = np.sqrt(np.sum(weight**2 * (each - true) ** 2))
            drawn = draws[:, :, t] ** power
            error = array_stats.mcse(drawn, chain_axis=0, draw_axis=1, method="mean")
            assert abs(drawn.mean() - true) < Z * np.hypot(error, off)


def test_known_scores_are_kept_and_the_others_drawn(tmp_path) -> None:
    value = leaderboard(2)
    posterior = of_prior(bayes.sloth(skills=1), value, draws=100)
    found, score = posterior.estimate("score"), posterior.outcome("score")
    assert found.rows[::2] == value.models
    assert found.group[:2] == value.benchmarks
    np.testing.assert_allclose(score[:, value.seen], np.broadcast_to(value.scores[value.seen], (200, 7)), atol=1e-6)
    assert score[:, ~value.seen].std() > 0
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "law.nc")
    assert bayes.load(tmp_path / "law.nc").estimate("score") == found


def test_bad_input_is_refused() -> None:
    value = leaderboard(2)
    for wanted, message in (
        (ll.sloth.Target("d", 7e9, 2e12), "family 'd'"),
        (ll.sloth.Target("a", 7, 2e12), "size is 7"),
    ):
        with pytest.raises(ll.BadInput, match=message):
            bayes.prior_scores(bayes.sloth([wanted], skills=1), value)
    with pytest.raises(ll.BadInput, match="skills is 5"):
        bayes.prior_scores(bayes.sloth(skills=5), value)
    with pytest.raises(ll.BadInput, match="link"):
        bayes.sloth(link="linear")  # pyright: ignore[reportArgumentType]
