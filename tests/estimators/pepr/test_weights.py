"""PEPR: against least squares by another program and by hand, on worlds whose weights are known, and bad tables."""

import itertools
import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from lleval_jax import data
from lleval_jax.data import logprobs, simulate_logprobs
from lleval_jax.errors import BadInput, DataWarning
from lleval_jax.estimators import pepr
from lleval_jax.estimators.pepr import linearity
from lleval_jax.estimators.pepr.effects import unit_of
from lleval_jax.values.logprobs import LogProbs, members_of

FALSE_ALARM = 1e-5
TRUE = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1, "e": 0.0, "f": 0.0}
WEIGHT = np.array(list(TRUE.values()))
N, DRAWS = 200, 1000  # sizes that tests/test_cli_pepr.py shares: one compilation


def fitted(table, parts=None, *, draws=DRAWS, **words):
    return pepr.fit(table, parts=parts, draws=draws, **words)


@pytest.fixture(scope="module")
def world():
    """200 texts under six elements, the full prompt and two more combinations."""
    return simulate_logprobs(TRUE, N, subsets=("a+b", "b+c+e"), seed=1)


@pytest.fixture(scope="module")
def fit(world):
    return fitted(world)


def matrix(table):
    """(texts, elements) and the full prompt's (texts,), as an outsider reads the table."""
    wide = table.pivot_table(index="text", columns="element", values="logprob", sort=False)
    return wide[[*TRUE]].to_numpy(), wide["full"].to_numpy()


# --- the fit --------------------------------------------------------------------------------------------------------


def test_weights_are_least_squares_on_the_simplex(world, fit):
    x, y = matrix(world)
    sums = {"type": "eq", "fun": lambda w: w.sum() - 1}
    start = np.full(6, 1 / 6)
    away = x - x.mean(1, keepdims=True), y - x.mean(1)
    want = optimize.minimize(
        lambda w: ((away[1] - away[0] @ w) ** 2).mean(),
        start,
        bounds=[(0, 1)] * 6,
        constraints=sums,
        method="SLSQP",
        options={"ftol": 1e-15},
    )
    np.testing.assert_allclose(fit.params.weight, want.x, atol=1e-6)
    assert fit.params.weight.min() >= 0
    np.testing.assert_allclose(fit.params.weight.sum(), 1, atol=1e-12)
    np.testing.assert_allclose(fit.params.value, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(fit.params.observed[0], y.mean(), rtol=1e-12)


def test_weights_are_recovered_and_combinations_foretold(world, fit):
    x, _ = matrix(world)
    error = pepr.estimate(fit).std_error
    assert (np.abs(fit.params.free - WEIGHT) <= stats.t.isf(FALSE_ALARM / 12, N - 5) * error).all()
    assert error.max() < 0.01
    found = pepr.estimate(fit, subsets="all")
    assert len(found.rows) == 63
    members = np.stack([members_of(name, [*TRUE]) for name in found.rows])
    has = members @ WEIGHT > 0
    truth = members[has] @ (WEIGHT * x.mean(0)) / (members[has] @ WEIGHT)
    assert np.abs(found.value[has] - truth).mean() < 0.06
    assert (found.low <= found.value).all()
    assert found.target == "log-probability"
    single = members.sum(1) == 1
    np.testing.assert_allclose(found.low[single], found.high[single])
    assert fit.status == "ok"
    assert fit.params.r2[0] > 0.99


@pytest.mark.slow
def test_preferences_give_the_weights_back():
    table = simulate_logprobs(TRUE, 4000, pairs=True, spread=1.5, seed=2)
    fit = fitted(table)
    assert (fit.method, fit.status) == ("pepr-p", "ok")
    error = pepr.estimate(fit).std_error
    assert (np.abs(fit.params.weight - WEIGHT) <= stats.norm.isf(FALSE_ALARM / 12) * error).all()
    assert error.max() < 0.03
    moved = table.assign(preferred=table.preferred - 5, rejected=table.rejected - 5)
    np.testing.assert_allclose(fitted(moved).params.weight, fit.params.weight, atol=1e-9)
    free = fitted(table, scale="auto")
    assert 0.8 < float(free.params.scale) < 1.25
    np.testing.assert_allclose(free.params.weight, fit.params.weight, atol=0.03)
    sharper = table.assign(preferred=table.preferred / 4, rejected=table.rejected / 4)
    np.testing.assert_allclose(fitted(sharper, scale=4.0).params.weight, fit.params.weight, atol=1e-9)


def test_the_order_of_the_library_and_of_the_rows_does_not_matter(world, fit):
    mixed = world.sample(frac=1, random_state=0)
    parts = [*TRUE][::-1]
    other = fitted(mixed, parts)
    assert other.items == tuple(parts)
    np.testing.assert_allclose(other.params.weight[::-1], fit.params.weight, atol=1e-9)
    np.testing.assert_allclose(other.params.covariance[::-1, ::-1], fit.params.covariance, atol=1e-12)
    again = pepr.fit(LogProbs.from_frame(mixed), parts=parts, draws=DRAWS)
    np.testing.assert_allclose(again.params.weight, other.params.weight, atol=1e-9)


def test_a_constant_of_a_text_changes_nothing(world, fit):
    shift = world.text.map({name: -float(i % 7) for i, name in enumerate(world.text.unique())})
    other = fitted(world.assign(logprob=world.logprob + shift))
    np.testing.assert_allclose(other.params.weight, fit.params.weight, atol=1e-9)


def test_twins_share_their_weight_evenly(world, fit):
    copy, plain = world[world.element == "a"].assign(element="a2"), world[~world.element.str.contains(r"\+")]
    with pytest.warns(DataWarning, match="elements a, a2 have the same log-probabilities"):
        twins = fitted(pd.concat([plain, copy]))
    weight = dict(zip(twins.items, twins.params.weight, strict=True))
    alone = dict(zip(fit.items, fit.params.weight, strict=True))
    np.testing.assert_allclose([weight["a"], weight["a2"]], alone["a"] / 2, atol=1e-9)
    np.testing.assert_allclose(weight["b"], alone["b"], atol=1e-9)
    with pytest.raises(BadInput, match="share their weight"):
        fitted(pd.concat([plain, copy]), strict=True)


@pytest.mark.slow
def test_one_element_has_weight_one():
    fit = fitted(simulate_logprobs({"a": 1.0}, 20))
    found = pepr.estimate(fit)
    assert [found.value[0], found.low[0], found.high[0]] == [1, 1, 1]
    assert pepr.choose(fit, k=1).items == (("a",),)


def test_lengths_weigh_the_texts(world):
    tokens = world.text.map({name: 1 + i % 5 for i, name in enumerate(world.text.unique())}).to_numpy(float)
    table = world.assign(tokens=tokens)
    mean = fitted(table)
    assert unit_of(mean) == "log-probability per token"
    by_hand = fitted(world.assign(logprob=world.logprob / tokens))
    np.testing.assert_allclose(mean.params.weight, by_hand.params.weight, atol=1e-9)
    x, y = matrix(world)
    n = tokens[world.element == "a"]
    length = fitted(table, per="length")
    np.testing.assert_allclose(length.params.value, x.sum(0) / n.sum(), rtol=1e-12)
    away, left = (x - x.mean(1, keepdims=True)) / np.sqrt(n)[:, None], (y - x.mean(1)) / np.sqrt(n)
    basis = linearity.sum_zero(6)
    want = 1 / 6 + basis @ np.linalg.lstsq(away @ basis, left, rcond=None)[0]
    np.testing.assert_allclose(length.params.free, want, atol=1e-9)
    assert unit_of(fitted(table, per="text")) == "log-probability"
    with pytest.raises(BadInput, match="needs the texts' lengths"):
        fitted(world, per="token")


@pytest.mark.slow
def test_a_ridge_pulls_weights_together_and_auto_takes_none_where_none_is_needed(world, fit):
    strong = fitted(world, ridge=1e4)
    np.testing.assert_allclose(strong.params.weight, 1 / 6, atol=1e-3)
    np.testing.assert_allclose(strong.params.free, fit.params.free, atol=1e-6)  # intervals do not shrink
    assert float(fitted(world, ridge="auto").params.ridge) < 0.01


# --- intervals ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_cover_weights_and_scores_at_the_boundary_too():
    """60 worlds: each interval is one of 6 weights or 3 combinations; at 95% so many may miss."""
    runs, names = 60, ("a+b", "b+c+e", "a+d+f")
    held, scores = np.zeros(6, int), np.zeros(3, int)
    for seed in range(runs):
        table = simulate_logprobs(TRUE, 40, subsets=names, noise=1.0, seed=100 + seed)
        joint = table[table.element.isin(names)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # one in a hundred is called not linear
            fit = fitted(table[~table.element.isin(names)], draws=1)
        found = pepr.estimate(fit)
        held += (found.low <= WEIGHT) & (WEIGHT <= found.high)
        score = pepr.estimate(fit, subsets=names)
        truth = joint.groupby("element").logprob.mean()[list(names)].to_numpy()
        scores += (score.low <= truth) & (truth <= score.high)
    least = stats.binom.ppf(FALSE_ALARM / 9, runs, 0.95)
    assert (held >= least).all()
    assert (scores >= least).all()
    assert held[:4].sum() <= stats.binom.ppf(1 - FALSE_ALARM, 4 * runs, 0.975)  # and they are not merely wide


@pytest.mark.slow
def test_exactly_collinear_elements_are_not_told_apart(world):
    x, _ = matrix(world)
    half = world[world.element == "a"].assign(element="g", logprob=(x[:, 0] + x[:, 1]) / 2)
    with pytest.warns(DataWarning, match="nearly alike"):
        fit = fitted(pd.concat([world[~world.element.str.contains(r"\+")], half]))
    found = pepr.estimate(fit)
    for name in ("a", "b", "g"):
        k = fit.items.index(name)
        assert (found.low[k], found.high[k]) == (0, 1)
    k = fit.items.index("c")
    assert found.high[k] - found.low[k] < 0.05


# --- linearity ------------------------------------------------------------------------------------------------------


def test_an_interaction_is_flagged():
    table = simulate_logprobs(TRUE, N, interaction=0.05, seed=3)
    with pytest.warns(DataWarning, match="the weighted mean does not hold"):
        fit = fitted(table)
    assert fit.status == "not linear"
    assert [one.name for one in pepr.check(fit)] == ["interaction"]
    assert set(pepr.estimate(fit).status) == {"not linear"}
    assert "the model is not linear" in pepr.choose(fit, k=2).why[0]


def test_weights_that_change_with_company_are_flagged(world):
    table = world.copy()
    x, _ = matrix(world)
    table.loc[table.element == "a+b", "logprob"] = x[:, 1] + np.random.default_rng(0).normal(0, 0.3, N)  # only b counts
    with pytest.warns(DataWarning, match="1 of 3 combinations scored are not where the weights put them: a\\+b"):
        fit = fitted(table)
    assert fit.status == "not linear"
    assert pepr.check(fit)[0].names == ("a+b",)


def test_a_pattern_is_found_no_more_often_than_said():
    """200 worlds with errors of unequal size and heavy tails, at 5%: the bound is the binomial's."""
    runs, rng, basis = 200, np.random.default_rng(7), linearity.sum_zero(4)
    weight, found = np.array([0.5, 0.3, 0.2, 0.0]), 0
    for _ in range(runs):
        x = rng.normal(0, 3, (60, 4))
        columns, level = x - x.mean(1, keepdims=True), rng.normal(-90, 10, 60)
        error = rng.standard_t(3, 60) * (1 + np.abs(columns[:, 0]) / 3)
        even = np.full(4, 0.25)
        freed = linearity.free(columns, columns @ (weight - even) + error, np.ones(60), even, np.zeros((60, 0)))
        extra = linearity.quadratics(columns[None], level, (columns @ weight)[None])
        again = rng.choice([-1.0, 1.0], (199, 60)) * freed.after / np.sqrt(1 - freed.leverage)
        found += linearity.pattern(columns @ basis, extra, freed.after, again) <= 0.05
    assert found <= stats.binom.ppf(1 - FALSE_ALARM, runs, 0.05)


# --- choosing -------------------------------------------------------------------------------------------------------


def test_the_choice_is_the_best_of_all_combinations_of_its_size(fit):
    for size in (2, 4):
        chosen = pepr.choose(fit, k=size)
        every = ["+".join(c) for c in itertools.combinations(fit.items, size)]
        scores = pepr.estimate(fit, subsets=every)
        (mine,) = pepr.estimate(fit, subsets=chosen.items).value
        known = np.array([s != "no weight" for s in scores.status])
        np.testing.assert_allclose(mine, scores.value[known].max(), rtol=1e-12)
        assert re.search(r"predicted log-probability -\d+\.\d+, 95% interval \[-.*\]; no other", chosen.why[0])
    found = json.loads(json.dumps(pepr.choose(fit, k=(1, 2)).to_dict()))
    assert found["schema"] == "lleval/choice/1"
    assert [len(one["items"]) for one in found["choices"]] == [1, 2]


def test_combinations_without_weight_say_so(fit):
    found = pepr.estimate(fit, subsets=["e+f"])
    if fit.params.weight[4:].sum() == 0:
        assert found.status == ("no weight",)
    values = fit.params.value[4:]
    assert found.low[0] <= values.min() + 0.1
    assert found.high[0] >= values.max() - 0.1


def test_a_fit_survives_the_disk(fit, tmp_path):
    back = data.load(data.save(fit, tmp_path / "fit"))
    np.testing.assert_array_equal(pepr.estimate(back).low, pepr.estimate(fit).low)
    assert pepr.choose(back, k=2).why == pepr.choose(fit, k=2).why


def test_the_same_seed_gives_the_same_draws(world, fit):
    np.testing.assert_array_equal(fitted(world).params.drawn_weight, fit.params.drawn_weight)
    assert np.abs(fitted(world, seed=1).params.drawn_weight - fit.params.drawn_weight).max() > 0


def test_draws_spread_as_the_sandwich_says(fit):
    drawn, error = fit.params.drawn_weight[:, :4], pepr.estimate(fit).std_error[:4]
    np.testing.assert_allclose(
        drawn.std(0) / error, 1, atol=0.15
    )  # 1,000 draws: 4.4 x 1 / sqrt(2000), and the boundary


# --- tables ---------------------------------------------------------------------------------------------------------


def small(**changes):
    """Three texts under a, b, full: the table in which one thing is wrong."""
    rows = [
        (t, e, -1.0 - i - 2 * j - 0.1 * i * j) for i, t in enumerate("xyz") for j, e in enumerate(("a", "b", "full"))
    ]
    table = pd.DataFrame(rows, columns=["text", "element", "logprob"])
    for name, (row, value) in changes.items():
        table[name] = (table[name] if name in table else pd.Series(1, table.index)).astype(object)
        table.loc[row, name] = value
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (small(logprob=(4, 0.5)), "row 4 of the table: logprob is 0.5; a log-probability is a finite number"),
        (small(logprob=(4, np.nan)), "row 4 of the table: logprob is nan"),
        (small(logprob=(4, -np.inf)), "row 4 of the table: logprob is -inf"),
        (small(logprob=(4, "much")), "row 4 of the table: logprob is much"),
        (small(tokens=(4, 6)), "row 4 of the table: tokens is 6, and 1 at row 3"),
        (small(tokens=(4, 0)), "row 4 of the table: tokens is 0; it must be a number above 0"),
        (small(desired=(4, "perhaps")), "row 4 of the table: desired is 'perhaps'; it must be 1 or 0"),
        (small(element=(2, "a+q")), r"combination 'a\+q' names 'q', which is no element"),
        (small(element=(2, "a+a")), "names an element twice"),
        (small(text=(4, "x")), "row 1 of the table: text 'x' has two values under 'b'; the other is at row 4"),
        (small().rename(columns={"logprob": "p"}), "the table has no column 'logprob'; it has 'text', 'element', 'p'"),
        (small()[lambda t: t.element == "full"], "no element was scored alone"),
        (small()[lambda t: t.element != "full"], "no text was scored under the full prompt"),
        (small()[lambda t: t.text == "x"], "1 texts were scored under the full prompt; 2 different elements need 3"),
        (small()[lambda t: (t.element != "b") | (t.text == "w")].assign(element="a"), "has two values under 'a'"),
        (small().assign(desired=0), "no text is desired"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table, message):
    with pytest.raises(BadInput, match=message):
        pepr.fit(table.reset_index(drop=True), draws=1)


def test_texts_that_lack_an_element_are_counted(world):
    lacks = world.drop(index=world.index[(world.text == "text-3") & (world.element == "b")])
    with pytest.warns(DataWarning, match="1 texts lack an element and were set aside .first: 'text-3'."):
        assert fitted(lacks).params.fitted.sum() == N - 1
    with pytest.raises(BadInput, match="lack an element"):
        fitted(lacks, strict=True)
    only = world[(world.text == "text-3") & (world.element == "a") | (world.element == "b") & (world.text != "text-3")]
    with pytest.raises(BadInput, match="no text was scored under every element"):
        fitted(only)
    flat = world.assign(logprob=world.logprob.where(world.element != "f", -1.0))
    with pytest.warns(DataWarning, match="element 'f' has one log-probability on all texts"):
        fitted(flat)


def test_texts_that_are_not_desired_only_teach(world):
    wanted = world.text.isin([f"text-{i}" for i in range(50)])
    part = fitted(world.assign(desired=wanted.astype(int)))
    x, _ = matrix(world)
    np.testing.assert_allclose(part.params.value, x[:50].mean(0), rtol=1e-12)


def test_words_that_cannot_be_meant_are_refused(world, fit):
    for words, message in (
        ({"per": "word"}, "per 'word' is not known; there are token, text, length"),
        ({"ridge": -1.0}, "ridge is -1.0; it must be 'auto' or a number"),
        ({"scale": 2.0}, "scale goes with pairs"),
        ({"draws": 0}, "draws is 0"),
        ({"parts": ["a", "b"]}, "the table has \\['c'\\], which parts do not name"),
        ({"parts": [*TRUE, "z"]}, "parts name \\['z'\\], which was not scored alone"),
    ):
        with pytest.raises(BadInput, match=message):
            pepr.fit(world, **words)
    with pytest.raises(BadInput, match="scores are a list"):
        pepr.fit([1, 2])
    with pytest.raises(BadInput, match="k is 7; it must lie between 1 and the number of elements, 6"):
        pepr.choose(fit, k=7)
    with pytest.raises(BadInput, match="names 'z', which is no element"):
        pepr.estimate(fit, subsets=["a+z"])


def test_files_of_every_kind_are_the_same_table(world, tmp_path):
    world.to_csv(tmp_path / "a.csv", index=False)
    world.to_parquet(tmp_path / "a.parquet")
    world.to_json(tmp_path / "a.jsonl", orient="records", lines=True, double_precision=15)
    first = logprobs.read_logprobs(tmp_path / "a.csv")
    assert list(first.source.files) == ["a.csv"]
    for name in ("a.parquet", "a.jsonl"):
        other = logprobs.read_logprobs(tmp_path / name)
        assert (other.elements, other.subsets, other.texts) == (first.elements, first.subsets, first.texts)
        np.testing.assert_allclose(other.single, first.single, rtol=1e-12)
    small(logprob=(4, 0.5)).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(BadInput, match="bad.csv:6: logprob is 0.5"):
        logprobs.read_logprobs(tmp_path / "bad.csv")
    with pytest.raises(BadInput, match="a.csv has no column 'preferred'"):
        logprobs.read_logprobs(tmp_path / "a.csv", pairs=True)
    with pytest.raises(BadInput, match="there is no file"):
        logprobs.read_logprobs(tmp_path / "none.csv")
