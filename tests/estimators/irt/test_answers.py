"""Kinds of answers from the scores: what "auto" chooses and why, what is refused, and what a bank does with them."""

import dataclasses
import functools
import re

import numpy as np
import pytest
from scipy.stats import binom

import lleval_jax as ll
from lleval_jax.errors import BadInput, BankMismatch
from lleval_jax.estimators.irt import answers as kinds_of
from lleval_jax.values import Responses
from lleval_jax.values.bank import Misfit

ROWS, ITEMS = 48, 30


@functools.cache
def graded() -> Responses:
    """Three grades."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(ROWS, 1)) * rng.uniform(0.8, 1.6, ITEMS) + rng.normal(size=ITEMS)
    level = np.digitize(z + rng.logistic(size=z.shape), [-0.7, 0.7])
    return Responses.build((level / 2).astype(np.float32))


@functools.cache
def fitted() -> ll.FitResult:
    return ll.irt.fit(graded(), answers="auto")


@functools.cache
def bank() -> ll.ItemBank:
    return ll.anchors.choose(fitted(), responses=graded(), k=10, check=False)


def no_judge(*_):
    raise AssertionError("nothing continuous is to be judged")


def scores_of(*values: float) -> Responses:
    return Responses.build(np.array([values, values[::-1]]))


@pytest.mark.parametrize(
    ("responses", "name", "why"),
    [
        (scores_of(0, 1, 1), "bernoulli", "all scores are 0 or 1"),
        (scores_of(0, 0.5, 1), "graded-3", "3 evenly spaced grades"),
        (scores_of(1 / 9, 5 / 9, 1), "graded-10", "10 evenly spaced grades"),
        (scores_of(0.1234, 0.5, 1), "normal", "item 'item-2' has the score 1 .* which rules out beta"),
        (
            dataclasses.replace(scores_of(1 / 3, 2 / 3, 1), weight=np.full((2, 3), 3.0)),
            "binomial",
            "k of n repeats",
        ),
    ],
)
def test_auto_chooses_from_the_scores(responses, name, why):
    found = kinds_of.choose(responses, "auto", no_judge)
    assert set(found.names) == {name}
    assert found.why.keys() == {"all"}
    assert re.search(why, found.why["all"])


def test_auto_takes_what_predicts_best_of_continuous_scores():
    responses = Responses.build(np.random.default_rng(0).uniform(0.01, 0.99, (4, 5)))
    told = {"beta": -1.0, "logit-normal": -0.5, "normal": -2.0}
    found = kinds_of.choose(responses, "auto", lambda part, names: {name: told[name] for name in names})
    assert set(found.names) == {"logit-normal"}
    assert "logit-normal -0.500, beta -1.000, normal -2.000" in found.why["all"]


def test_each_group_has_a_kind_of_its_own():
    scores = np.array([[0, 1, 0.5, 0], [1, 0, 0, 1], [1, 1, 1, 0.5]])
    found = kinds_of.choose(Responses.build(scores, group=["a", "a", "b", "b"]), "auto", no_judge)
    assert found.names == ("bernoulli", "bernoulli", "graded-3", "graded-3")
    assert found.why.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("answers", "scores", "message"),
    [
        ("beta", [[0.5, 0.2], [0.3, 1.0]], "item 'item-1' has the score 1 .model 'row-1'.; it takes scores strictly"),
        ("logit-normal", [[0.0, 0.2], [0.3, 0.4]], "item 'item-0' has the score 0 "),
        ("graded", [[0.5, 0.2], [0.3, 0.123456]], "item 'item-1' has the score 0.123456"),
        ("graded-3", [[0.5, 0.2], [0.5, 1.0]], "item 'item-1' has the score 0.2 .*it takes the 3 grades"),
        ("binomial", [[0.5, 1.0], [0.0, 1.0]], "item 'item-0' has the score 0.5 .*whole number n as weight"),
        ("poisson", [[0.5, 1.0], [0.0, 1.0]], "kind of answers"),
        ({"other": "beta"}, [[0.5, 1.0], [0.0, 1.0]], "1 items that are not there"),
    ],
)
def test_what_the_scores_rule_out_is_refused(answers, scores, message):
    with pytest.raises(BadInput, match=message):
        ll.irt.fit(Responses.build(np.array(scores)), answers=answers)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"dims": 2}, "one ability"),
        ({"model": "rasch"}, "free slope"),
        ({"by": "joint"}, "marginal engine"),
        ({"prior": None}, "learned prior"),
        ({"positive": True}, "either sign"),
    ],
)
def test_what_is_fitted_to_right_and_wrong_alone_is_refused(words, message):
    with pytest.raises(BadInput, match=message):
        ll.irt.fit(graded(), answers="graded", **words)


def test_one_model_is_refused():
    with pytest.raises(BadInput, match="one model cannot tell"):
        ll.irt.fit(graded().take([0]), answers="graded")


def test_one_item_is_fitted():
    """What little it says of abilities stays within their prior."""
    fit = ll.irt.fit(graded().select(graded().items[:1]), answers="graded")
    assert np.isfinite(fit.params.ability).all()
    assert (fit.params.ability_cov > 0).all()
    assert np.abs(fit.params.ability).max() < 3


def test_a_fit_says_what_it_took_and_why():
    fit = fitted()
    assert fit.status == "ok"
    assert fit.settings["why"] == {"all": "graded-3: scores are 3 evenly spaced grades"}
    assert fit.params.answers.of_items == ("graded-3",) * ITEMS
    again = ll.irt.again(fit)
    assert set(again["answers"].values()) == {"graded-3"}


def test_right_and_wrong_are_fitted_as_before():
    """ "auto" and "bernoulli" of zeros and ones are the same fit, and hold nothing new."""
    scores = Responses.build((graded().scores > 0.4).astype(float))
    one, two = ll.irt.fit(scores), ll.irt.fit(scores, answers="auto")
    assert one.params.answers is None
    assert two.params.answers is None
    np.testing.assert_array_equal(one.params.slope, two.params.slope)


def test_banks_and_fits_are_saved_with_their_kinds(tmp_path):
    assert ll.load(ll.save(fitted(), tmp_path / "fit")) == fitted()
    assert ll.load(ll.save(bank(), tmp_path / "bank")) == bank()
    plain = dataclasses.replace(bank(), answers=None)
    ll.save(plain, tmp_path / "plain")
    assert '"answers": null' not in (tmp_path / "plain" / "bank.json").read_text()  # earlier versions read it


def test_expected_scores_and_their_intervals():
    """p-IRT of all answers but a few is near the score, and its intervals contain it for most models."""
    some = graded().select(graded().items[::2])
    nominal = Misfit(np.zeros(1), {}, np.asarray(1e9))
    found = ll.tiny.estimate(some, bank=dataclasses.replace(bank(), misfit=nominal), by="pirt")
    truth = graded().scores.mean(1)
    assert np.abs(found.value - truth).mean() < 0.05
    inside = int(((found.low <= truth) & (truth <= found.high)).sum())
    assert inside >= binom.ppf(1e-5, ROWS, 0.95)


@pytest.mark.parametrize("by", ["pirt", "gpirt", "weighted"])
def test_intervals_that_were_not_checked_are_refused(by):
    """Measured on AlpacaEval and WildBench (`bench/kinds`), the nominal ones are too narrow."""
    with pytest.raises(BankMismatch, match="was not checked on models left out"):
        ll.tiny.estimate(graded().select(graded().items[::2]), bank=bank(), by=by)


@pytest.mark.parametrize("by", ["map", "eap", "mle", "wle"])
def test_abilities(by):
    """In the order of the scores, nearly; one that always has the best grade has no finite maximum."""
    top = Responses.build(np.ones((1, ITEMS), np.float32), rows=["best"], items=graded().items)
    found = ll.ability.estimate(graded().merge(top), bank=bank(), by=by)
    order = np.corrcoef(found.value[:-1], graded().scores.mean(1))[0, 1]
    assert order > 0.95
    assert found.value[-1] > found.value[:-1].max()
    if by == "mle":
        assert found.status[-1] == "no finite maximum"
        assert found.value[-1] == np.inf
    else:
        assert np.isfinite(found.value).all()


def test_a_score_that_the_bank_does_not_know_is_refused():
    new = Responses.build(np.array([[0.3, 1.0]]), rows=["new"], items=list(graded().items[:2]))
    with pytest.raises(BadInput, match="item 'item-0' of bank 'bench' has answers of kind 'graded-3'"):
        ll.ability.estimate(new, bank=bank())


@pytest.mark.parametrize(
    "call",
    [
        lambda: ll.adaptive.choose(graded(), bank=bank()),
        lambda: ll.adaptive.estimate(graded(), bank=bank()),
        lambda: ll.sessions.replay(graded(), bank=bank()),
        lambda: ll.itemfit.examine(fitted(), responses=graded()),
        lambda: ll.controls.recovery(fitted(), responses=graded(), seed=0),
    ],
)
def test_what_knows_right_and_wrong_alone_says_so(call):
    with pytest.raises(BankMismatch, match="takes answers that are right or wrong; .* answers of kind graded-3"):
        call()


def test_predictive_density_is_that_of_the_grades():
    """Probabilities of the three grades of one cell sum to one, and are those at the row's posterior."""
    fit, sums = fitted(), 0.0
    for grade in (0.0, 0.5, 1.0):
        one = dataclasses.replace(graded(), scores=np.full((ROWS, ITEMS), grade, np.float32))
        sums = sums + np.exp(ll.irt.log_density(fit, answers=one))
    np.testing.assert_allclose(sums, 1, atol=1e-5)
