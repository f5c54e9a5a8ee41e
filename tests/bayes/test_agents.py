"""Agents: names, the density, the posterior against integration, scores over scaffolds, and data at the edge."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import potential_energy, unconstrain_fn
from posteriors import of_prior, weighed
from scipy.special import expit
from scipy.stats import beta as beta_of
from scipy.stats import betabinom, halfnorm, norm

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.numbers import numbers

FALSE_ALARM = 1e-5
SYSTEMS = {"a-one": ("one", "a"), "a-two": ("two", "a"), "b-one": ("one", "b"), "c": ("", "c")}


def answers(tasks: int = 6, repeats: int = 3, seed: int = 0) -> ll.Responses:
    """The four systems of SYSTEMS, k of n repeats, some cells unseen, tasks in two groups."""
    random = np.random.default_rng(seed)
    p = expit(random.normal(size=(4, 1)) + 1.5 * random.normal(size=tasks))
    right = random.binomial(repeats, p)
    scores = np.where(random.random(p.shape) < 0.2, np.nan, right / repeats)
    group = ["x", "y"] * (tasks // 2) + ["x"] * (tasks % 2)
    return ll.Responses.build(scores, weight=np.full(p.shape, float(repeats)), rows=list(SYSTEMS), group=group)


@pytest.mark.parametrize(
    ("name", "model", "scaffold"),
    [
        ("20231010_rag_gpt35", "gpt-3.5", "rag"),
        ("20240402_sweagent_claude3opus", "claude-3-opus", "sweagent"),
        ("20241202_agentless-1.5_claude-3.5-sonnet-20241022", "claude-3.5-sonnet", "agentless-1.5"),
        ("20241029_OpenHands-CodeAct-2.1-sonnet-20241022", "claude-3.5-sonnet", "openhands-codeact-2.1"),
        ("20250522_sweagent_claude-4-sonnet-20250514", "claude-sonnet-4", "sweagent"),
        ("20251103_sonar-foundation-agent_claude-sonnet-4-5", "claude-sonnet-4.5", "sonar-foundation-agent"),
        ("20240918_lingma-agent_lingma-swe-gpt-7b", "lingma-swe-gpt-7b", "lingma-agent"),
        ("20250214_agentless_lite_o3_mini", "o3-mini", "agentless-lite"),
        ("20250805_openhands-Qwen3-Coder-30B-A3B-Instruct", "qwen-3-coder-30b-a3b", "openhands"),
        ("20241212_google_jules_gemini_2.0_flash_experimental", "gemini-2.0-flash", "google-jules"),
        ("20240820_honeycomb", "", "honeycomb"),
        ("20241106_navie-2-gpt4o-sonnet", "", "navie-2"),  # two language models
        ("20240628_autocoderover-v20240620", "", "autocoderover"),
    ],
)
def test_names_say_their_parts(name: str, model: str, scaffold: str) -> None:
    assert bayes.systems([name]) == {name: (model, scaffold)}


@pytest.mark.parametrize("told", [0.0, 0.4, 50.0])
def test_the_density_is_the_one_that_is_told(told: float) -> None:
    """Prior of effects and sizes, and SciPy's beta-binomial, whatever the coordinates."""
    responses = answers()
    model = bayes.agents(SYSTEMS)
    laid = model.lay_out(responses, None, "float64")
    data = laid.data._replace(told=jax.tree.map(lambda x: np.full_like(x, told), laid.data.told))
    asked = (responses.seen * responses.weight).astype(int)
    right = np.round(np.where(responses.seen, responses.scores, 0) * asked).astype(int)
    scales = {"model": 1.0, "scaffold": 1.0, "system": 0.5, "task": 2.5}
    gaps = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        sd = {name: random.uniform(0.3, 2) for name in scales}
        effect = {name: random.normal(size=len(x)) for name, x in zip(scales, data.told, strict=True)}
        level, share = random.normal(), random.uniform(0.1, 0.8)
        sites = {"level": level, "repeat_share": share} | {f"{name}_sd": x for name, x in sd.items()}
        sites |= {f"{name}_own": x * np.sqrt(told + 1 / sd[name] ** 2) for name, x in effect.items()}
        with numbers("float64"):
            at = unconstrain_fn(model, (data,), {}, {name: jnp.asarray(x) for name, x in sites.items()})
            minus = float(potential_energy(model, (data,), {}, at))
        row = level + effect["model"][[0, 1, 0, 2]] + effect["scaffold"][[0, 0, 1, 2]] + effect["system"]
        m, size = expit(row[:, None] + effect["task"]), (1 - share) / share
        density = betabinom.logpmf(right, asked, m * size, (1 - m) * size).sum() + norm.logpdf(level, 0, 1.5)
        density += beta_of.logpdf(share, 1, 4) + np.log(share * (1 - share))  # and the Jacobian of its logit
        for name, x in effect.items():
            density += norm.logpdf(x, 0, sd[name]).sum() + halfnorm.logpdf(sd[name], 0, scales[name]) + np.log(sd[name])
            density -= 0.5 * len(x) * np.log(told + 1 / sd[name] ** 2)  # the Jacobian from `own` to effects
        gaps.append(minus + density)
    np.testing.assert_allclose(gaps, gaps[0], rtol=0, atol=1e-8)


def on_a_grid(right: int, asked: int) -> tuple[float, float]:
    """Mean and second moment of level + effects of one system on one task: brute force over logit and noise.

    Effects and their sizes are one mixture of normals; its density by quadrature over the four sizes.
    """
    u = (np.arange(24) + 0.5) / 24
    sizes = [halfnorm.ppf(u, 0, scale) ** 2 for scale in (1.0, 1.0, 0.5, 2.5)]
    variance = (1.5**2 + sizes[0][:, None, None, None] + sizes[1][:, None, None] + sizes[2][:, None] + sizes[3]).ravel()
    z = np.linspace(-25, 25, 2001)
    edges = np.quantile(variance, np.linspace(0, 1, 401))  # the mixture in 400 slices of equal mass
    middle = 0.5 * (edges[1:] + edges[:-1])
    prior = norm.pdf(z[:, None], 0, np.sqrt(middle)).mean(1)
    share = beta_of.ppf((np.arange(200) + 0.5) / 200, 1, 4)
    size = (1 - share) / share
    m = np.clip(expit(z), 1e-12, 1 - 1e-12)
    weight = prior * betabinom.pmf(right, asked, m[:, None] * size, (1 - m[:, None]) * size).mean(1)
    return (weight * m).sum() / weight.sum(), (weight * m**2).sum() / weight.sum()


def test_the_posterior_is_the_one_on_a_grid() -> None:
    """One system, one task, 4 of 5 repeats: its rate, by draws of the prior weighed by the likelihood."""
    responses = ll.Responses.build(np.array([[0.8]]), weight=np.array([[5.0]]), rows=["a-one"])
    prior = of_prior(bayes.agents(SYSTEMS), responses, draws=10_000)
    rate = prior.outcome("rate")[:, 0, 0]
    for power, true in zip((1, 2), on_a_grid(4, 5), strict=True):
        mean, error = weighed(prior, rate**power)
        assert abs(mean - true) < norm.isf(FALSE_ALARM / 4) * error + 2e-4  # and the grid's own error


@pytest.fixture(scope="module")
def posterior() -> bayes.Posterior:
    features = pd.DataFrame({"lines": np.arange(6.0)}, index=[f"item-{i}" for i in range(6)])
    return of_prior(bayes.agents(SYSTEMS, features=features), answers())


def test_scores_of_models_are_over_scaffolds(posterior: bayes.Posterior, tmp_path) -> None:
    """By many draws of scaffolds and pairs instead of nodes."""
    assert posterior.laid.targets["model"].rows == ("one", "two")
    assert posterior.laid.targets["scaffold"].rows == ("a", "b", "c")
    found = posterior.outcome("model")
    apart = np.hypot(posterior.draws["scaffold_sd"], posterior.draws["system_sd"]).ravel()
    at = int(np.abs(apart - 0.8).argmin())  # 15 nodes are exact enough where scaffolds differ so
    draw = {name: x.reshape(-1, *x.shape[2:])[at] for name, x in posterior.draws.items()}
    away = np.hypot(draw["scaffold_sd"], draw["system_sd"]) * norm.ppf((np.arange(4000) + 0.5) / 4000)
    for i in range(2):
        true = expit(draw["level"] + draw["model"][i] + draw["task"] + away[:, None]).mean(0)
        assert found[at, i, 0] == pytest.approx(true.mean(), abs=2e-4)
        assert found[at, i, 1] == pytest.approx(true[::2].mean(), abs=2e-4)
    gap = posterior.estimate("difference", of="model", first="one", second="two", groups=False)
    assert gap.value[0] == pytest.approx((found[:, 0, 0] - found[:, 1, 0]).mean(), abs=1e-6)
    assert posterior.estimate("best", of="model", groups=False).value.sum() == pytest.approx(1)
    assert posterior.estimate("spread").rows == ("model", "scaffold", "system", "task")
    assert np.isfinite(posterior.log_likelihood()).all()
    pytest.importorskip("h5py", reason="netCDF files need h5py, which the extra 'bayes' installs")
    bayes.save(posterior, tmp_path / "agents.nc")
    assert bayes.load(tmp_path / "agents.nc").estimate("best", of="model") == posterior.estimate("best", of="model")


@pytest.mark.parametrize("scores", [[[1.0, 0, 1]], [[1.0], [0], [1]]])
def test_one_system_or_one_task_has_a_density_where_sampling_starts(scores: list[list[float]]) -> None:
    model = bayes.agents(SYSTEMS)
    laid = model.lay_out(ll.Responses.build(np.array(scores), rows=list(SYSTEMS)[: len(scores)]), None, "float64")
    with numbers("float64"):
        at = unconstrain_fn(model, (laid.data,), {}, model.start(laid, None))
        minus, slope = jax.jit(jax.value_and_grad(lambda at: potential_energy(model, (laid.data,), {}, at)))(at)
    assert np.isfinite(minus)
    assert all(np.isfinite(each).all() for each in slope.values())


@pytest.mark.parametrize("scores", [[[1.0, 1], [1, 1]], [[0.0, 0], [0, 0]]])
def test_all_right_all_wrong(scores: list[list[float]]) -> None:
    responses = ll.Responses.build(np.array(scores), rows=list(SYSTEMS)[: len(scores)])
    found = bayes.sample(bayes.agents(SYSTEMS), responses, engine="laplace", key=0).estimate()
    assert ((found.low > 0) & (found.high < 1) & (found.low < found.high)).all()


def test_wrong_input_is_one_clear_error() -> None:
    with pytest.raises(ll.BadInput, match="the language model of 1 systems is not known: 'c'"):
        bayes.agents(SYSTEMS, unknown="refuse")
    with pytest.raises(ll.BadInput, match="system 'c-one' has no parts"):
        bayes.sample(bayes.agents(SYSTEMS), ll.Responses.build(np.ones((1, 2)), rows=["c-one"]))
    with pytest.raises(ll.BadInput, match=r"system 'c' on task 'item-1' has the score 0.7 with weight 1"):
        bayes.sample(bayes.agents(SYSTEMS), ll.Responses.build(np.array([[1, 0.7]]), rows=["c"]))
    with pytest.raises(ll.BadInput, match="there are no answers"):
        bayes.sample(bayes.agents(SYSTEMS), ll.Responses.build(np.full((1, 2), np.nan), rows=["c"]))
    few = pd.DataFrame({"lines": [1.0, 2.0]}, index=["item-0", "item-1"])
    with pytest.raises(ll.BadInput, match="1 items have no features"):
        bayes.sample(bayes.agents(SYSTEMS, features=few), ll.Responses.build(np.ones((1, 3)), rows=["c"]))
    with pytest.raises(ll.BadInput, match="features are numbers; 'language'"):
        bayes.agents(SYSTEMS, features=pd.DataFrame({"language": ["c"]}, index=["item-0"]))
    with pytest.raises(ll.BadInput, match="has features twice"):
        bayes.agents(SYSTEMS, features=few.set_axis(["item-0", "item-0"]))
    with pytest.raises(ll.BadInput, match="none of the features lines varies"):
        bayes.sample(bayes.agents(SYSTEMS, features=few), ll.Responses.build(np.ones((1, 1)), rows=["c"]))
