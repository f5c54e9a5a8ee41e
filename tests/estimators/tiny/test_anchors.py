"""Rules that choose what to ask, the bank that comes of them, and its bad inputs."""

import dataclasses
import functools
import warnings

import numpy as np
import pandas as pd
import pytest

from lleval_jax.core.linalg import cluster
from lleval_jax.data.simulate import simulate
from lleval_jax.errors import BadInput, BankMismatch
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import guard
from lleval_jax.estimators.tiny import anchors, plans
from lleval_jax.estimators.tiny import score as tiny
from lleval_jax.values import Responses

MODELS, ITEMS, K, GROUPS = 24, 48, 12, 2
pytestmark = pytest.mark.filterwarnings("ignore:only 24 models for calibration")


@functools.cache
def calibration(missing=0.0, repeats=1):
    return simulate(MODELS, ITEMS, seed=0, groups=GROUPS, missing=missing, repeats=repeats)[0]


@functools.cache
def fitted(missing=0.0, repeats=1):
    return irt.fit(calibration(missing, repeats))


@functools.cache
def plain_bank(balance=False):
    """Without anchors: nothing but the fit and the calibration answers."""
    return anchors.choose(fitted(), responses=calibration(), k=None, balance=balance, name="tests")


@functools.cache
def bank():
    return anchors.choose(fitted(), responses=calibration(), k=K, name="tests")


def problem(k=K, balance=False):
    found = plain_bank(balance)
    return anchors.Problem(found, calibration().scores.astype(float), k, np.random.default_rng(0))


def table(groups=("all",), **other):
    scores = calibration().scores
    lines = [(row, g, float(s.mean())) for row, s in zip(calibration().rows, scores, strict=True) for g in groups]
    return pd.DataFrame(lines, columns=["model", "group", "score"]).assign(**other)


@pytest.mark.parametrize("k", [1, 5, K, ITEMS])
@pytest.mark.parametrize("by", anchors.METHODS)
def test_a_rule_gives_different_items_whose_shares_sum_to_one(by, k):
    index, share = anchors.METHODS[by](problem(k))
    assert index.shape == share.shape == (k,)
    assert len(np.unique(index)) == k
    assert (share >= 0).all()
    np.testing.assert_allclose(share.sum(), 1, rtol=1e-9)


@pytest.mark.parametrize("by", anchors.METHODS)
def test_a_rule_depends_on_the_seed_alone(by):
    (a, x), (b, y) = anchors.METHODS[by](problem()), anchors.METHODS[by](problem())
    assert (a == b).all()
    assert (x == y).all()


def test_random_takes_each_group_by_its_weight():
    found = plain_bank()
    for seed in range(10):
        p = problem()._replace(rng=np.random.default_rng(seed))
        index, share = anchors.random(p)
        taken = np.bincount(found.group[index], minlength=GROUPS)
        assert (np.abs(taken - K / GROUPS) <= 1).all()  # all groups are as large
        np.testing.assert_allclose(np.bincount(found.group[index], share), 1 / GROUPS, rtol=1e-9)


def test_information_is_the_average_of_fisher_information():
    found, p = plain_bank(), problem()
    index, share = anchors.information(p)
    theta = np.random.default_rng(0).multivariate_normal(found.prior_mean, found.prior_cov, 256)[:, 0]
    worth = np.zeros(ITEMS)
    for i in range(ITEMS):
        prob = 1 / (1 + np.exp(-(found.slope[i, 0] * theta + found.intercept[i])))
        worth[i] = (found.slope[i, 0] ** 2 * prob * (1 - prob)).mean()
    assert set(index.tolist()) == set(np.argsort(-worth)[:K].tolist())
    features = np.c_[found.slope, found.intercept].astype(float)
    np.testing.assert_allclose(share, cluster.shares(features, found.weight, index))


def test_disagreement_takes_the_items_with_the_largest_variance():
    index, _ = anchors.disagreement(problem())
    variance = calibration().scores.var(0)
    assert variance[index].min() >= np.sort(variance)[-K] - 1e-7


def test_correctness_puts_items_answered_alike_under_one_anchor():
    p = problem(2)
    scores = np.zeros((MODELS, ITEMS))
    scores[: MODELS // 2, : ITEMS // 4] = 1
    scores[MODELS // 2 :, ITEMS // 4 :] = 1
    index, share = anchors.correctness(p._replace(scores=scores))
    assert sorted(share.round(9).tolist()) == [0.25, 0.75]
    assert {i < ITEMS // 4 for i in index.tolist()} == {True, False}


@pytest.mark.slow
def test_the_default_learns_from_models_and_without_them_looks_at_items():
    assert bank().anchors.by == "spread"
    assert bank().learned is not None
    assert bank().misfit is not None
    alone = anchors.choose(fitted(), k=K)
    assert alone.anchors.by == "irt"
    assert alone.calibration is None
    assert alone.misfit is None
    none = anchors.choose(fitted(), k=None)
    assert none.anchors is None
    assert none.anchor_items == ()


@pytest.mark.slow
def test_fewer_complete_models_than_needed_teach_nothing():
    """With a tenth of the answers missing no model is complete."""
    found = anchors.choose(fitted(0.1), responses=calibration(0.1), k=K)
    assert not found.calibration.seen.all(1).any()
    assert found.anchors.by == "irt"
    assert found.learned is None
    assert found.misfit is None
    asked = anchors.anchors_only(calibration().take(range(3)), bank=found)
    assert tiny.estimate(asked, bank=found).method == "gpirt"
    with pytest.raises(BankMismatch, match="keeps no complete answers of at least 8 calibration models"):
        tiny.estimate(asked, bank=found, by="kriged")
    with pytest.raises(BankMismatch, match="only 0 calibration models answered the items that were answered here"):
        tiny.estimate(asked, bank=found, by="head")


@pytest.mark.parametrize("by", ["correctness", "disagreement", "spread"])
def test_rules_that_look_at_answers_take_missing_ones_and_need_some(by):
    found = anchors.choose(fitted(0.1), responses=calibration(0.1), k=K, by=by)
    assert len(set(found.anchor_items)) == K
    with pytest.raises(BadInput, match=f"by='{by}' looks at the models' answers; pass responses"):
        anchors.choose(fitted(), k=K, by=by)


def test_balance_counts_groups_alike():
    uneven = np.where(np.arange(ITEMS) < 12, 0, 1).astype(np.int32)
    answers = dataclasses.replace(calibration(), group=uneven)
    fit = dataclasses.replace(fitted(), params=fitted().params._replace(group=uneven))
    found = anchors.choose(fit, responses=answers, k=None, balance=True)
    np.testing.assert_allclose(np.bincount(found.group, found.weight), 1 / 2, rtol=1e-9)
    np.testing.assert_allclose(found.target_weight.sum(1), 1, rtol=1e-9)
    of_groups = [answers.scores[:, uneven == g].mean(1) for g in range(2)]
    np.testing.assert_allclose(found.calibration.full, np.stack([sum(of_groups) / 2, *of_groups], 1), rtol=1e-5)
    plain = anchors.choose(fit, responses=answers, k=None)
    np.testing.assert_allclose(np.bincount(uneven, plain.weight), [1 / 4, 3 / 4], rtol=1e-9)


def test_the_prior_of_a_new_model_is_the_calibration_models_distribution():
    p, found = fitted().params, plain_bank()
    np.testing.assert_allclose(found.prior_mean, p.ability.mean(0), atol=1e-6)
    expected = p.ability.var(0, ddof=1) + p.ability_cov.mean(0).ravel() + 1e-3
    np.testing.assert_allclose(found.prior_cov.ravel(), expected, rtol=1e-5)


@pytest.mark.slow
def test_misfit_is_that_of_explicit_refits():
    """By hand: items fitted and anchors chosen without a fold's models, which are then estimated from those."""
    by_name = calibration().ordered()
    found = bank().arranged(by_name.items, by_name.rows)
    fold = np.random.default_rng(0).permutation(MODELS) % 5
    error = []
    for f in range(5):
        out, kept = (by_name.take(np.flatnonzero(x)) for x in (fold == f, fold != f))
        trial = anchors.choose(irt.fit(kept), k=None)
        looked = anchors.Problem(trial, kept.scores.astype(float), K, np.random.default_rng((0, f)))
        index, _ = anchors.spread(looked)
        here = out.select([trial.items[i] for i in index]).select(trial.items)
        assert (here.n_seen == K).all()
        value = tiny.pirt(here, trial, np.arange(1 + GROUPS), 0.95, 0).value
        error.append(value - out.scores @ found.target_weight.T)
    np.testing.assert_allclose(found.misfit.bias, np.concatenate(error).mean(0), atol=1e-4)
    assert float(found.misfit.df) == anchors.WIDEN_DF + MODELS


def test_models_left_out_have_no_say_in_the_anchors_that_judge_them(monkeypatch):
    looked = []
    rule = anchors.METHODS["spread"]
    monkeypatch.setitem(anchors.METHODS, "spread", lambda p: looked.append(p.scores) or rule(p))
    anchors.choose(fitted(), responses=calibration(), k=K)
    fold = np.random.default_rng(0).permutation(MODELS) % 5
    assert len(looked) == 5
    for f, scores in enumerate(looked):
        np.testing.assert_array_equal(scores, calibration().ordered().scores[fold != f])


@pytest.mark.slow
def test_the_order_of_models_and_items_changes_neither_the_bank_nor_what_it_estimates():
    base, here = bank(), calibration().take(range(4))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        items = [calibration().items[i] for i in rng.permutation(ITEMS)]
        answers = calibration().take(rng.permutation(MODELS)).select(items)
        found = anchors.choose(irt.fit(answers), responses=answers, k=K)
        assert (found.items, found.calibration.rows) == (answers.items, answers.rows)
        assert found.anchor_items == base.anchor_items
        back = found.arranged(base.items, base.calibration.rows)
        for part in ("slope", "intercept", "covariance", "weight", "group"):
            np.testing.assert_array_equal(getattr(back, part), getattr(base, part))
        for a, b in zip(back.learned, base.learned, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(back.anchors.mix, base.anchors.mix)
        for method in tiny.METHODS:
            one = tiny.estimate(anchors.anchors_only(here, bank=base), bank=base, by=method)
            two = tiny.estimate(here.select(base.anchor_items), bank=found, by=method)
            near = 1e-6 if method in ("weighted", "pirt", "gpirt") else 1e-9  # those sum in float32
            for field in ("value", "low", "high", "std_error"):
                np.testing.assert_allclose(getattr(two, field), getattr(one, field), atol=near)


def test_plans_are_shares():
    found = bank()
    here = anchors.anchors_only(calibration().take(range(4)), bank=found)
    seen = here.seen.copy()
    seen[2, found.anchors.index[0]] = False
    here = dataclasses.replace(here, seen=seen, scores=np.where(seen, here.scores, 0))
    w = found.target_weight
    c, h = plans.weighted(here, found, w)
    np.testing.assert_allclose(c.sum(2), 1, rtol=1e-6)
    assert (c[~np.broadcast_to(seen[:, None], c.shape)] == 0).all()
    assert (h == 0).all()
    np.testing.assert_allclose(c[0, 0, found.anchors.index], found.anchors.weight)
    c, h = plans.pirt(here, found, w)
    np.testing.assert_allclose(c + h, np.broadcast_to(w, c.shape))


def test_a_group_without_an_answer_borrows_the_nearest():
    found = bank()
    here = calibration().take([0])
    seen = np.broadcast_to(found.group == 0, here.seen.shape)
    here = dataclasses.replace(here, seen=seen, scores=np.where(seen, here.scores, 0))
    c, _ = plans.weighted(here, found, found.target_weight)
    np.testing.assert_allclose(c.sum(2), 1, rtol=1e-6)


def test_full_scores_make_a_bank_of_a_part():
    for frame in (table(), table().drop(columns="group")):
        found = anchors.choose(fitted(), responses=calibration(), k=K, full_scores=frame)
        assert found.calibration.outside
        assert found.calibration.full.shape == (MODELS, 1)
        assert tiny.default_method(found) == "head"


@pytest.mark.slow
def test_full_scores_of_some_groups_are_not_given_to_others():
    """A table that knows the whole and group-1 must not name group-1's scores group-0's."""
    frame = table(("all", "group-1"))
    frame.loc[frame["group"] == "group-1", "score"] = 0.9
    found = anchors.choose(fitted(), responses=calibration(), k=K, full_scores=frame)
    here = anchors.anchors_only(calibration().take(range(2)), bank=found)
    got = tiny.estimate(here, bank=found, groups=True)
    assert set(got.group) <= {"all", "group-1"}
    for g, v in zip(got.group, got.value, strict=True):
        assert g == "all" or abs(v - 0.9) < 0.05


def test_models_missing_from_the_full_scores_are_dropped():
    frame = table().iloc[:15]
    frame.loc[frame.index[3], "score"] = np.nan
    found = anchors.choose(fitted(), responses=calibration(), k=K, full_scores=frame)
    assert found.calibration.rows == tuple(r for i, r in enumerate(calibration().rows[:15]) if i != 3)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(BadInput, match="by 'best' is not known; there are auto, .*random"):
        anchors.choose(fitted(), responses=calibration(), k=K, by="best")
    for k in (49, 0, -1):
        with pytest.raises(BadInput, match=f"{k} anchors were asked for; the bank has 48 items"):
            anchors.choose(fitted(), responses=calibration(), k=k)
    with pytest.raises(BadInput, match="no model of the full scores is among the 24 models that answered"):
        anchors.choose(
            fitted(), responses=calibration(), k=K, full_scores=table(model=[f"m{i}" for i in range(MODELS)])
        )
    with pytest.raises(BadInput, match="the full scores need a row with group 'all'"):
        anchors.choose(fitted(), responses=calibration(), k=K, full_scores=table(("group-1",)))
    with pytest.raises(BadInput, match="no model of the full scores"):
        anchors.choose(fitted(), responses=calibration(), k=K, full_scores=table().iloc[:0])


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [4])
def test_fractional_scores_with_counts_are_learned_from(repeats):
    found = anchors.choose(fitted(0.0, repeats), responses=calibration(0.0, repeats), k=K)
    assert found.anchors.by == "spread"
    got = tiny.estimate(anchors.anchors_only(calibration(0.0, repeats).take(range(4)), bank=found), bank=found)
    assert np.isfinite(got.value).all()


def test_words_are_told_before_long_parts():
    words = []
    anchors.choose(fitted(), responses=calibration(), k=K, tell=words.append)
    assert words[0].word == f"learning from {MODELS} models"
    assert {now.word for now in words[1:]} == {"checking the fit on models left out of it"}
    assert [(now.done, now.total) for now in words[1:]] == [(f, 5) for f in range(5)]


def test_anchors_hide_all_other_answers():
    here = anchors.anchors_only(calibration(), bank=bank())
    assert (here.seen.sum(1) == K).all()
    assert (here.scores[~here.seen] == 0).all()
    assert isinstance(here, Responses)


def test_fewer_than_five_models_make_no_bank():
    few = calibration().take(range(4))
    fit = irt.fit(few)
    for words in ({}, {"responses": few}):
        with pytest.raises(BadInput, match="^4 models cannot be calibrated; at least 5 are needed$"):
            anchors.choose(fit, k=None, **words)


def test_a_bank_keeps_its_verdict_and_is_given_before_its_check():
    early = []
    found = anchors.choose(fitted(), responses=calibration(), k=K, name="tests", early=early.append, check=False)
    assert found.misfit is None
    assert early == [found]
    assert found.verdict.models == MODELS
    few = "only 24 models for calibration, too few to identify the discriminations of a 2PL model"
    assert found.caveats[0] == f"bank 'tests': {few}; at least 30 are advised"
    assert "not checked on models left out" in found.caveats[-1]
    assert bank().caveats == found.caveats[:-1]


def test_a_guard_that_was_told_is_not_told_again():
    """Whoever examined the answers before the fit has said what was found."""
    seen = guard.check(calibration(), model="2pl")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = anchors.choose(fitted(), responses=calibration(), k=None, guard=seen)
    assert found.verdict == guard.verdict(seen)
