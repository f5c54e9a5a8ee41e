"""Scores from few answers: the paper's formulas by hand, what is certain, bad inputs, and coverage in simulation."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from bench.tiny import few_models
from bench.tiny.coverage_methods import MODELS, NEW, TRUTHS, covered
from lleval_jax.errors import BadInput, BankMismatch, DataWarning
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.irt import ability
from lleval_jax.estimators.tiny import anchors, reach
from lleval_jax.estimators.tiny import score as tiny
from lleval_jax.values import Anchors, Calibration, ItemBank, Responses
from lleval_jax.values.bank import Misfit

FALSE_ALARM = 1e-5  # of this file
SLOPE, INTERCEPT = np.array([1.0, 0.8, 1.3, 0.5]), np.array([0.2, -0.5, 0.0, 1.0])


def four(**other):
    """A bank of four items, of which the first and the third are asked."""
    return dataclasses.replace(
        ItemBank(
            name="four",
            version="1",
            items=("a", "b", "c", "d"),
            slope=SLOPE[:, None].astype(np.float32),
            intercept=INTERCEPT.astype(np.float32),
            floor=np.zeros(4, np.float32),
            ceiling=np.ones(4, np.float32),
            weight=np.full(4, 0.25),
            group=np.zeros(4, np.int32),
            groups=("all",),
            covariance=np.zeros((4, 2, 2), np.float32),
            prior_mean=np.zeros(1),
            prior_cov=np.eye(1),
            anchors=Anchors(np.array([0, 2]), np.array([0.7, 0.3]), "by hand"),
        ),
        **other,
    )


ASKED = Responses.build(np.array([[1.0, 0.0]], np.float32), items=("a", "c"))


def by_hand():
    """p of all four items at the most probable ability of right on a and wrong on c, and the ability's variance."""
    grid = np.linspace(-4, 4, 800001)
    z = SLOPE[:, None] * grid + INTERCEPT[:, None]
    log = z[0] - np.logaddexp(0, z[0]) - np.logaddexp(0, z[2]) - grid**2 / 2
    p = 1 / (1 + np.exp(-z[:, log.argmax()]))
    return p, 1 / (1 + (SLOPE**2 * p * (1 - p))[[0, 2]].sum())


def misfit(bias):
    one = np.ones(1)
    return Misfit(np.array([bias]), {"weighted": 1.2 * one, "pirt": 1.1 * one}, np.asarray(10.0))


def test_weighted_is_the_sum_of_omega_y():
    got = tiny.estimate(ASKED, bank=four(), by="weighted")
    np.testing.assert_allclose(got.value, 0.7 * 1 + 0.3 * 0, rtol=1e-6)


def test_pirt_is_answers_as_they_are_and_the_rest_as_predicted():
    p, var = by_hand()
    got = tiny.estimate(ASKED, bank=four(), by="pirt")
    np.testing.assert_allclose(got.value, (1 + 0 + p[1] + p[3]) / 4, atol=1e-4)
    tilt = (SLOPE * p * (1 - p))[[1, 3]].sum() / 4
    np.testing.assert_allclose(got.std_error**2, tilt**2 * var + (p * (1 - p))[[1, 3]].sum() / 16, rtol=1e-3)
    half = stats.norm.ppf(0.975) * got.std_error
    np.testing.assert_allclose(got.low, np.maximum(got.value - half, 0.25), rtol=1e-5)  # one right of four is certain
    np.testing.assert_allclose(got.high, np.minimum(got.value + half, 0.75), rtol=1e-5)


@pytest.mark.parametrize("bias", [0.0, 0.05, -0.3, 30.0])
def test_lambda_of_gpirt_is_b2_over_v_plus_b2(bias):
    bank = four(misfit=misfit(bias))
    z_w, z_p = (tiny.estimate(ASKED, bank=bank, by=m) for m in ("weighted", "pirt"))
    b = bias
    share = b**2 / (z_w.std_error**2 + b**2)
    got = tiny.estimate(ASKED, bank=bank, by="gpirt")
    np.testing.assert_allclose(got.value, share * z_w.value + (1 - share) * z_p.value, rtol=1e-6)
    np.testing.assert_allclose(got.std_error, share * z_w.std_error + (1 - share) * z_p.std_error, rtol=1e-6)


def test_misfit_widens_and_its_degrees_of_freedom_fatten():
    narrow, wide = (tiny.estimate(ASKED, bank=b, by="pirt", level=0.5) for b in (four(), four(misfit=misfit(0.0))))
    np.testing.assert_allclose(wide.std_error, 1.1 * narrow.std_error, rtol=1e-6)
    np.testing.assert_allclose(wide.high - wide.low, 2 * stats.t.ppf(0.75, 10) * wide.std_error, rtol=1e-5)
    np.testing.assert_allclose(narrow.high - narrow.low, 2 * stats.norm.ppf(0.75) * narrow.std_error, rtol=1e-5)


def test_other_items_than_the_anchors_are_shares_of_the_nearest():
    """b and d are asked: a and c lie nearest to b in slope and intercept."""
    other = Responses.build(np.array([[1.0, 0.0]], np.float32), items=("b", "d"))
    np.testing.assert_allclose(tiny.estimate(other, bank=four(), by="weighted").value, 0.75, rtol=1e-6)


def test_what_is_certain_bounds_every_interval():
    """Three of four answered, one right: the score is 1/4 or 1/2."""
    here = Responses.build(np.array([[1.0, 0.0, 0.0]], np.float32), items=("a", "b", "c"))
    for method in ("weighted", "pirt", "gpirt"):
        got = tiny.estimate(here, bank=four(), by=method, level=0.9999)
        assert 0.25 <= got.low[0] <= got.value[0] <= got.high[0] <= 0.5 + 1e-12


def test_the_default_is_what_the_bank_allows():
    assert tiny.default_method(four()) == "gpirt"
    outside = Calibration(("m",), np.ones((1, 4)), np.ones((1, 4), bool), np.ones((1, 1)), outside=True)
    assert tiny.default_method(four(calibration=outside)) == "head"
    assert tiny.default_method(four(learned=object())) == "kriged"
    mixed = Anchors(np.array([0, 2]), np.array([0.7, 0.3]), "by hand", np.array([0.3]))
    assert tiny.default_method(four(learned=object(), anchors=mixed)) == "mixed"


def test_what_cannot_be_meant_is_refused():
    bank = four()
    with pytest.raises(BadInput, match="method 'best' is not known; there are auto, .*pirt"):
        tiny.estimate(ASKED, bank=bank, by="best")
    for level in (0.0, 1.0, 1.5):
        with pytest.raises(BadInput, match=f"level is {level}; it must lie strictly between 0 and 1"):
            tiny.estimate(ASKED, bank=bank, level=level)
    strangers = Responses.build(np.ones((1, 2), np.float32), items=("x", "y"))
    with pytest.raises(BankMismatch, match="none of the 2 items answered is in bank 'four' .first: .'x'..; its items"):
        tiny.estimate(strangers, bank=bank)
    empty = Responses.build(np.array([[1.0, 0.0], [np.nan, np.nan]]), items=("a", "b"))
    with pytest.raises(BankMismatch, match="'row-1' answered no item of bank 'four' .1 such rows.; drop it"):
        tiny.estimate(empty, bank=bank)
    with pytest.raises(BankMismatch, match="keeps fewer than 8 calibration models, which method 'head' learns from"):
        tiny.estimate(ASKED, bank=bank, by="head")
    for method in ("kriged", "mixed"):
        with pytest.raises(BankMismatch, match="keeps no complete answers of at least 8 calibration models"):
            tiny.estimate(ASKED, bank=bank, by=method)
    few = Calibration(("m",) * 9, np.ones((9, 4)), np.ones((9, 4), bool), np.ones((9, 1)), outside=True)
    part = four(calibration=few)
    for method in ("weighted", "pirt", "gpirt"):
        with pytest.raises(BankMismatch, match=f"holds only part of its benchmark .*, so method '{method}' would"):
            tiny.estimate(ASKED, bank=part, by=method)


def test_unknown_items_are_counted_and_left_out_when_some_are_known():
    more = Responses.build(np.array([[1.0, 0.0, 1.0]], np.float32), items=("a", "c", "stranger"))
    with pytest.warns(DataWarning, match=r"1 of 3 items answered are not in bank '.*' \('stranger'\).*left out"):
        got = tiny.estimate(more, bank=four())
    np.testing.assert_allclose(got.value, tiny.estimate(ASKED, bank=four()).value, rtol=1e-6)
    assert got.n_seen.tolist() == [2]
    with pytest.raises(BankMismatch, match=r"1 of 3 items answered are not in bank .* or name them as the bank does"):
        tiny.estimate(more, bank=four(), strict=True)


# --- coverage -----------------------------------------------------------------------------------------------------

SETS = 2  # of the study's ten


def least_coverage(checks):
    """The mean over sets that a 95% interval falls below once in 1 / FALSE_ALARM.

    New models of one set share its interval's scale, which rests on the errors of MODELS left-out models and the
    prior's WIDEN_DF: it is off by a share sqrt(1 / 2 df), and the coverage of a set by d coverage / d log scale
    times that. To this comes the binomial variance of NEW models, and SETS such means are averaged.
    """
    df = anchors.WIDEN_DF + MODELS
    z = stats.norm.ppf(0.975)
    of_set = 2 * z * stats.norm.pdf(z) * np.sqrt(1 / (2 * df))
    sd = np.sqrt((0.95 * 0.05 / NEW + of_set**2) / SETS)
    return 0.95 - stats.norm.isf(FALSE_ALARM / checks) * sd


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
def test_intervals_cover(truth):
    """Two sets of `bench/tiny/coverage_methods.py`: mean coverage of 0.76 or less is found out 19 times of 20."""
    found = {method: np.mean(shares) for method, shares in covered(truth, SETS).items()}
    too_low = {method: share for method, share in found.items() if share <= least_coverage(len(TRUTHS) * len(found))}
    assert too_low == {}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("by", ["weighted", "pirt", "gpirt"])
def test_scores_of_all_items_are_exact_and_said_to_be(by, seed):
    """Sums of weights are off by rounding: all wrong was -0.000 [-0.000, -0.000]."""
    weight = np.random.default_rng(seed).dirichlet(np.ones(4))
    bank = four(weight=weight)
    all_or_none = Responses.build(np.array([[0.0] * 4, [1.0] * 4], np.float32), items=bank.items)
    found = tiny.estimate(all_or_none, bank=bank, by=by)
    for ends in (found.value, found.low, found.high):
        assert ends.tolist() == [0.0, 1.0]
        assert not np.signbit(ends).any()
    assert found.remark == (reach.EXACT, reach.EXACT)
    assert "-0.000" not in str(found)
    some = tiny.estimate(ASKED, bank=bank, by=by)
    assert reach.EXACT not in some.remark[0]
    assert 0 <= some.low[0] < some.high[0] <= 1


def test_a_bank_of_too_few_models_gives_no_intervals():
    """One model's answers leave the items where the prior has them: 95% intervals hold 50 to 60% of scores."""
    few = Calibration(("only",), np.ones((1, 4)), np.ones((1, 4), bool), np.ones((1, 1)))
    words = r"bank 'four' was calibrated with 1 model; at least 5 are needed .* estimate without a bank"
    for estimate in (tiny.estimate, ability.estimate, adaptive.estimate):
        with pytest.raises(BankMismatch, match=words):
            estimate(ASKED, bank=four(calibration=few))


def test_an_unchecked_bank_is_as_wide_as_its_models_tell():
    """Without a check on models left out the width itself is known from so many models: Student's t, 4 + models."""
    six = Calibration(tuple("klmnop"), np.ones((6, 4)), np.ones((6, 4), bool), np.ones((6, 1)))
    plain, few = (tiny.estimate(ASKED, bank=bank, by="pirt", level=0.5) for bank in (four(), four(calibration=six)))
    np.testing.assert_allclose(few.std_error, plain.std_error)
    half = stats.t.ppf(0.75, 10) / stats.norm.ppf(0.75)
    np.testing.assert_allclose(few.high - few.low, half * (plain.high - plain.low), rtol=1e-6)
    assert few.caveats == ("bank 'four': its intervals were not checked on models left out of its calibration",)
    assert few.to_dict()["caveats"] == list(few.caveats)
    assert str(few).endswith(few.caveats[0])
    assert plain.caveats == ()


@pytest.mark.slow
@pytest.mark.parametrize("models", [5, 10, 29])
def test_what_a_bank_of_few_models_prints_holds(models):
    """Six sets of `bench/tiny/few_models.py` of either kind, 720 intervals: a coverage of 0.83 or less is found out.

    A set's coverage has a standard deviation of 0.04 about its kind's, so their mean is known to 0.012, and 0.88 lies
    more than four of those below 0.95.
    """
    inside = [few_models.covered(truth, models, 6)["inside"] for truth in few_models.TRUTHS]
    assert np.mean(inside) > 0.88
