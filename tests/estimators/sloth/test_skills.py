"""What a law says of skills: any turn of the raw ones says the same, units and signs, intervals, budgets."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

import lleval_jax as ll
from bench.sloth import coverage_hidden, recovery_loadings
from bench.sloth.worlds import leaderboard
from lleval_jax.core.laws import pooled
from lleval_jax.estimators.sloth import draws, skills, units
from lleval_jax.layout import board as sloth_law
from lleval_jax.layout.board import law_of
from lleval_jax.report import sloth_tables
from lleval_jax.values.params import SlothParams, coded
from lleval_jax.values.results import Ended

settle = jax.jit(pooled.settle, static_argnames="steps")


def made(turn=None) -> ll.FitResult:
    """A law of two skills that was not searched for, with the posterior that it gives; raw skills turned by `turn`."""
    board, random = leaderboard(3), np.random.default_rng(0)
    loading = np.array([[0.9, 0.1], [0.2, 0.7], [0.6, 0.6]])
    effects = len(pooled.INPUTS) + len(pooled.NESTED)
    law = pooled.Law(
        loading=jnp.asarray(loading if turn is None else loading @ turn),
        shared=jnp.asarray(random.normal(size=effects) / 3 - 1),
        own=jnp.asarray(random.normal(size=effects) / 3 - 2.5),
        noise=jnp.full(3, np.log(0.015)),
        centre=jnp.asarray([0.3, -0.2, 0.1]),
        bend=jnp.asarray([0.2, 0.0, -0.1]),
    )
    lineage, families = coded(board.families)
    inputs = sloth_law.inputs(board.params, board.tokens, board.instruct)
    rows, where = pooled.layout(inputs, lineage, lineage, board.scores, board.seen)
    floor = jnp.asarray(board.floor)
    at, shared = settle(law, rows, pooled.begin(law, rows), floor, steps=50)
    logit, worth = (np.asarray(x)[*where.T] for x in at)
    facts = (board.floor, board.params, board.tokens, board.instruct, board.scores, board.seen, logit, worth)
    return ll.FitResult(
        params=SlothParams._make([*map(np.asarray, law), *facts, *map(np.asarray, shared), lineage, lineage]),
        axes={"models": board.models, "benchmarks": board.benchmarks, "families": families, "lineages": families},
        ended=Ended("ok", 1, 0.0),
        method="sloth d=2 monotone",
        settings={"skills": 2, "link": "monotone", "seed": 0},
    )


@pytest.fixture(scope="module")
def law() -> ll.FitResult:
    return made()


@pytest.fixture(scope="module")
def turned() -> ll.FitResult:
    angle = 0.7
    return made(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))


def near(law: ll.FitResult, monkeypatch, away: float = 0.0) -> None:
    """Laws drawn around it, and `away` from it, in place of those that its curvature gives."""
    random, p = np.random.default_rng(1), law.params
    found = units.posterior(law, p.slope_cov)
    loading = p.loading + away + 0.05 * random.normal(size=(200, *p.loading.shape))
    each = pooled.Skills(*(np.broadcast_to(part, (200, *part.shape)) for part in found))
    drawn = draws.Drawn(pooled.Law(loading, *law_of(p)[1:]), None, None, each)
    monkeypatch.setattr(skills, "draws", lambda *_: drawn)


@pytest.mark.parametrize("by", ["geomin", "varimax"])
def test_a_skill_that_loads_on_nothing_is_left_out(monkeypatch, by):
    """It has no direction: draws of it are never as small as it is, and a rotation turns it into the others."""
    law = made(np.diag([1.0, 1e-3]))
    near(law, monkeypatch)
    with pytest.warns(ll.DataWarning, match="1 of the law's 2 skills load on no benchmark .* 1 would do"):
        found = ll.skills.estimate(law, of="loading", by=by)
    assert len(set(found.group)) == 1
    assert set(found.status) == {"ok"}
    assert (np.minimum(found.value - found.low, found.high - found.value) > 0.2 * (found.high - found.low) / 2).all()
    with pytest.warns(ll.DataWarning, match="1 of the law's 2 skills"):
        one = ll.skills.estimate(law)
    assert len(one.rows) == len(law.rows)


def test_a_value_outside_of_its_draws_says_so_and_has_no_star(law, monkeypatch):
    """Such an interval was stretched to its value in silence, and starred."""
    near(law, monkeypatch, away=0.4)
    with pytest.warns(ll.DataWarning, match="values lie outside of the intervals of laws about as likely as the best"):
        found = ll.skills.estimate(law, of="loading")
    apart = [i for i, status in enumerate(found.status) if status == skills.OUTSIDE]
    assert apart
    for i in apart:
        assert found.value[i] in (found.low[i], found.high[i])
        assert "*" not in sloth_tables._skill_cell(found, i)
        assert sloth_tables._skill_cell(found, i).split()[0].endswith("!")
    assert f"!: {skills.OUTSIDE}" in sloth_tables.skills(found, found)[0].remarks
    near(law, monkeypatch)
    assert set(ll.skills.estimate(law, of="loading").status) == {"ok"}


@pytest.mark.parametrize("by", ["geomin", "oblimin", "varimax"])
def test_turning_raw_skills_changes_nothing(law, turned, by):
    for of in ("skill", "efficiency"):
        first, second = (ll.skills.estimate(one, of=of, by=by) for one in (law, turned))
        np.testing.assert_allclose(first.value, second.value, atol=1e-4)
        np.testing.assert_allclose(first.high, second.high, atol=1e-4)
        assert first.group == second.group
    np.testing.assert_allclose(
        ll.skills.rotate(law, by=by).loadings, ll.skills.rotate(turned, by=by).loadings, atol=1e-4
    )


@pytest.mark.parametrize("by", ["geomin", "varimax"])
def test_units_signs_and_what_they_foretell(law, by):
    """Skills have variance 1 over models, uncertainty counted; loadings times skills make of logits what raw do."""
    found, view = ll.skills.rotate(law, by=by), ll.skills.estimate(law, of="skill", by=by)
    sd = view.std_error.reshape(-1, 2)
    np.testing.assert_allclose((found.ability**2).mean(0) + (sd**2).mean(0), 1, atol=1e-9)
    np.testing.assert_allclose(found.ability, view.value.reshape(-1, 2))
    np.testing.assert_allclose(np.diag(found.correlation), 1)
    if by == "varimax":
        np.testing.assert_allclose(found.correlation, np.eye(2), atol=1e-9)
    p = law.params
    shared = pooled.Slopes(jnp.asarray(p.slope), jnp.asarray(p.slope_cov))
    rows, where, at = sloth_law.known(law)
    raw = jax.jit(pooled.skills)(sloth_law.law_of(p), rows, at, jnp.asarray(p.floor), shared)
    skill = np.asarray(raw.mean)[*where.T]
    expected = (skill - skill.mean(0)) @ p.loading.T
    np.testing.assert_allclose(found.ability @ found.loadings.T, expected, atol=1e-9)
    size = np.log(p.size)
    assert (np.corrcoef(found.ability.T, size)[-1, :2] > 0).all()
    strength = (found.loadings**2).sum(0)
    assert strength[0] >= strength[1]


def test_levels_widen_and_words_are_checked(law):
    narrow, wide = (ll.skills.estimate(law, of="skill", level=level) for level in (0.5, 0.95))
    assert (wide.high - wide.low > narrow.high - narrow.low).all()
    assert ll.skills.estimate(law, of="efficiency").rows[:4:2] == ("family-0", "family-1")
    with pytest.raises(ll.BadInput, match="of 'skils' is not known; there are .*skill.*did you mean 'skill'"):
        ll.skills.estimate(law, of="skils")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ll.BadInput, match="rotation 'promax' is not known"):
        ll.skills.rotate(law, by="promax")  # pyright: ignore[reportArgumentType]


def test_a_budget_is_spent_where_the_logit_is_largest(law):
    """With slopes that are known: by a search over one number."""
    p = law.params
    sure = dataclasses.replace(law, params=p._replace(slope_cov=np.zeros_like(p.slope_cov)))
    budget = 6 * 7e9 * 2e12
    found = ll.skills.allocate(sure, flops=budget)
    slopes = p.slope.reshape(len(pooled.INPUTS), -1)
    by_logit = slopes[:, :2] @ p.loading.T + slopes[:, 2:]
    low, high = max(p.size.min(), budget / 6 / p.tokens.max()), min(p.size.max(), budget / 6 / p.tokens.min())

    def below(log_size, j):
        size = np.exp([log_size])
        return -float(sloth_law.inputs(size, budget / 6 / size, np.zeros(1))[0] @ by_logit[:, j])

    for j in range(3):
        ends = [below(np.log(end), j) for end in (low, high)]
        inner = optimize.minimize_scalar(below, bounds=(np.log(low), np.log(high)), args=(j,), method="bounded")
        best = np.exp(inner.x) if inner.fun < min(ends) else (low, high)[int(np.argmin(ends))]
        assert abs(np.log(found.value[j] * 1e9 / best)) < 2 * np.log(high / low) / 399
        assert found.status[j] == ("ok" if inner.fun < min(ends) - 1e-9 else "at the edge of what is known")
    assert (found.low == found.value).all()
    assert (ll.skills.allocate(law, flops=[budget, 2 * budget]).high >= found.value.min()).all()
    of_skills = ll.skills.allocate(law, flops=budget, of="skill")
    assert of_skills.group == ll.skills.rotate(law).names
    assert ((low <= of_skills.low * 1e9 * 1.001) & (of_skills.high * 1e9 <= high * 1.001)).all()
    with pytest.raises(ll.BadInput, match="of 'model' is not known; there are .*benchmark"):
        ll.skills.allocate(law, flops=budget, of="model")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ll.BadInput, match="a budget of 1e.30 operations is outside of what is known"):
        ll.skills.allocate(law, flops=1e30)


@pytest.mark.slow
def test_loadings_and_efficiencies_hold_the_truth():
    """Six worlds of one skill, in which loadings and families are known.

    Loadings of a world share the unit of the skill, efficiencies its unit and its centre, so that where 95% is stated
    80% and 85% are granted, as if they were independent. Intervals that hold a fifth of the loadings, or 45% of the
    efficiencies, are found out 19 times of 20. The study proper, `bench/sloth/coverage_hidden.py`, has 96 worlds.
    """
    loadings, efficiencies = np.sum([coverage_hidden.skills(seed + 40) for seed in range(6)], axis=0)
    assert loadings >= stats.binom.ppf(1e-4, 18, 0.8)
    assert efficiencies >= stats.binom.ppf(1e-6, 54, 0.85)


@pytest.mark.slow
def test_loadings_recover_with_families():
    """Three times the families, 0.58 of the error: of two worlds each, whose errors are off by a sixth or so.

    The ratio is off by as much; errors that do not fall are found out 13 times of 14. The study proper,
    `bench/sloth/recovery_loadings.py`, has six worlds, of up to 108 families, and finds the square root.
    """
    few, many = (np.mean([recovery_loadings.error(families, seed) for seed in range(2)]) for families in (12, 36))
    assert many < 0.8 * few


def test_draws_are_as_wide_as_the_curvature_says(law):
    """Where evidence and prior are quadratic, draws have their covariance, turns of all skills apart."""
    random = np.random.default_rng(1)
    size = 3 * 2 + 2 * 11 + 9
    root = random.normal(size=(size, size))
    curve = root @ root.T / size + np.eye(size)
    flat = np.concatenate([np.ravel(x) for x in law.params[:6]])
    normal = jnp.asarray(random.normal(size=(2_000, size)))
    found = np.asarray(draws.around(sloth_law.law_of(law.params), jnp.asarray(curve), normal))
    turn = np.zeros(size)
    turn[:6] = np.stack([law.params.loading[:, 1], -law.params.loading[:, 0]], 1).ravel()
    free = np.eye(size) - np.outer(turn, turn) / (turn @ turn)
    expected = free @ np.linalg.inv(curve) @ free
    error = np.cov(found.T) - expected
    bound = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / len(found))
    assert np.abs(error / np.maximum(bound, 1e-12))[bound > 1e-9].max() < 6
    np.testing.assert_allclose(found.mean(0), flat, atol=6 * np.sqrt(np.diag(expected).max() / len(found)))
