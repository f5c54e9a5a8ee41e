"""Abilities with known items: scipy's maxima, hard rows, standard errors against simulated truth."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import optimize, stats

from lleval_jax import data
from lleval_jax.errors import BadInput, BankMismatch, DataWarning
from lleval_jax.estimators.irt import ability
from lleval_jax.values import ItemBank, Responses, SparseResponses

FALSE_ALARM = 1e-5  # of this file


def a_bank(items=40, dims=1, seed=0):
    rng = np.random.default_rng(seed)
    return ItemBank(
        name="known",
        version="1",
        items=tuple(f"item-{i}" for i in range(items)),
        slope=np.exp(0.3 * rng.standard_normal((items, dims))).astype(np.float32),
        intercept=rng.standard_normal(items).astype(np.float32),
        floor=np.zeros(items, np.float32),
        ceiling=np.ones(items, np.float32),
        weight=np.full(items, 1 / items),
        group=np.zeros(items, np.int32),
        groups=("all",),
        covariance=np.zeros((items, dims + 1, dims + 1), np.float32),
        prior_mean=np.full(dims, 0.2),
        prior_cov=1.3 * np.eye(dims),
    )


def answers(bank, theta, seed=1, missing=0.0, repeats=1):
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-(theta @ bank.slope.T + bank.intercept)))
    scores = (rng.binomial(repeats, p) / repeats).astype(np.float32)
    weight = np.full(p.shape, np.float32(repeats))
    return Responses.build(scores, seen=rng.random(p.shape) >= missing, weight=weight, items=bank.items)


def log_posterior(bank, here, r, method):
    slope, b = bank.slope[:, 0].astype(float), bank.intercept.astype(float)
    weight = here.seen[r] * here.weight[r]

    def value(x):
        z = slope * x + b
        total = (weight * (here.scores[r] * z - np.logaddexp(0, z))).sum()
        if method in ("map", "eap"):
            total -= (x - 0.2) ** 2 / (2 * 1.3)
        if method == "wle":
            total += 0.5 * np.log((weight * slope**2 / (2 + 2 * np.cosh(z))).sum())
        return total

    return value


def known(got):
    """How well a maximiser is known: the gradient at which the float32 solve stops, over the information."""
    return 100 * np.sqrt(np.finfo(np.float32).eps) * got.std_error**2 + 1e-4


@pytest.mark.parametrize("repeats", [1, 4])
@pytest.mark.parametrize("method", ability.METHODS)
def test_the_estimate_is_scipys(method, repeats):
    bank = a_bank()
    here = answers(bank, np.linspace(-1.5, 1.5, 5)[:, None], missing=0.3, repeats=repeats)
    got = ability.estimate(here, bank=bank, by=method)
    grid = np.linspace(-8, 8, 8001)
    for r in range(5):
        fn = log_posterior(bank, here, r, method)
        best = optimize.minimize_scalar(lambda x: -fn(x), bounds=(-7, 7), method="bounded", options={"xatol": 1e-9}).x  # noqa: B023
        if method == "eap":
            mass = np.array([fn(x) for x in grid])
            mass = np.exp(mass - mass.max()) / np.exp(mass - mass.max()).sum()
            best = mass @ grid
            np.testing.assert_allclose(got.std_error[r], np.sqrt(mass @ (grid - best) ** 2), rtol=2e-3)
        assert abs(got.value[r] - best) < known(got)[r]


@pytest.mark.parametrize("method", [method for method in ability.METHODS if method != "mle"])
def test_all_right_and_all_wrong_are_finite_and_ordered(method):
    bank = a_bank()
    scores = np.stack([np.zeros(40), np.arange(40) % 2, np.ones(40)]).astype(np.float32)
    got = ability.estimate(Responses.build(scores, items=bank.items), bank=bank, by=method)
    for part in (got.value, got.low, got.high, got.std_error):
        assert np.isfinite(part).all()
    assert got.value[0] < got.value[1] < got.value[2]
    assert got.status[1] == "ok"


EXTREMES = np.stack([np.ones(20), np.zeros(20), np.arange(20) % 2])


def test_all_right_and_all_wrong_have_no_finite_maximum_likelihood(tmp_path):
    """The interval is open on the side that the data do not bound; both extremes are treated alike."""
    bank = a_bank(20)
    bank = dataclasses.replace(bank, intercept=np.zeros(20, np.float32))
    got = ability.estimate(Responses.build(EXTREMES, items=bank.items), bank=bank, by="mle")
    assert got.status == ("no finite maximum", "no finite maximum", "ok")
    np.testing.assert_array_equal(got.value[:2], [np.inf, -np.inf])
    np.testing.assert_array_equal([got.high[0], got.low[1]], [np.inf, -np.inf])
    np.testing.assert_allclose(got.low[0], -got.high[1], atol=1e-6)
    loglik = -np.logaddexp(0, -bank.slope[:, 0].astype(float) * got.low[0]).sum()  # its supremum is 0
    np.testing.assert_allclose(-2 * loglik, stats.chi2.ppf(0.95, 1), rtol=1e-6)
    assert np.isfinite([got.value[2], got.low[2], got.high[2], got.std_error[2]]).all()
    entries = json.loads(json.dumps(got.to_dict(), allow_nan=False))["estimates"]
    assert [entry["high"] is None for entry in entries] == [True, False, False]
    assert [entry["low"] is None for entry in entries] == [False, True, False]
    back = data.load(data.save(got, tmp_path / "estimate"))
    for field in ("value", "low", "high", "std_error"):
        np.testing.assert_array_equal(getattr(back, field), getattr(got, field))
    assert "no finite maximum" in str(got)


def test_a_row_worse_than_guessing_has_no_finite_maximum_likelihood():
    """With a floor of .25, 3 of 20 right is most likely at the lowest ability."""
    bank = dataclasses.replace(a_bank(20), floor=np.full(20, 0.25, np.float32))
    scores = (np.arange(20) % 20 < np.array([[3], [12]])).astype(np.float32)
    got = ability.estimate(Responses.build(scores, items=bank.items), bank=bank, by="mle")
    assert got.status == ("no finite maximum", "ok")
    assert (got.low[0], got.value[0]) == (-np.inf, -np.inf)
    assert got.high[0] < got.value[1]


def test_of_two_abilities_all_right_answers_bound_neither():
    """Either may be low if the other is high enough."""
    bank = a_bank(20, dims=2)
    got = ability.estimate(Responses.build(EXTREMES[:1], items=bank.items), bank=bank, by="mle")
    assert got.status == ("no finite maximum",) * 2
    assert np.isinf(got.high).all()
    assert np.isinf(got.low).all()


@pytest.mark.parametrize("method", ability.METHODS)
def test_standard_errors_are_as_large_as_the_errors(method):
    """z^2 has mean 1 and variance 2 but for terms of order 1 / information; abilities are drawn from the prior."""
    bank, rows = a_bank(150), 1000
    theta = 0.2 + np.sqrt(1.3) * np.random.default_rng(2).standard_normal((rows, 1))
    if method in ("mle", "wle"):  # no prior: their errors are right at each ability, so far as some are wrong and right
        theta = np.clip(theta, -1.5, 1.5)
    got = ability.estimate(answers(bank, theta), bank=bank, by=method)
    z = (got.value - theta[:, 0]) / got.std_error
    information = float((1 / got.std_error**2).mean())
    off = stats.norm.isf(FALSE_ALARM / 16)
    assert abs((z**2).mean() - 1) < off * np.sqrt(2 / rows) + 2 / information
    assert abs(z.mean()) < off / np.sqrt(rows) + 1 / information


def test_without_a_prior_the_prior_does_not_matter_and_with_it_does():
    bank = a_bank()
    other = dataclasses.replace(bank, prior_mean=np.full(1, 3.0))
    here = answers(bank, np.zeros((3, 1)))
    for method in ability.METHODS:
        a, b = (ability.estimate(here, bank=x, by=method) for x in (bank, other))
        assert (np.abs(a.value - b.value) < 2 * known(a)).all() == (method in ("mle", "wle"))


def test_two_abilities_are_two_entries_a_row():
    bank = a_bank(60, dims=2)
    here = answers(bank, np.array([[1.0, -1.0], [0.0, 0.5]]))
    got = ability.estimate(here, bank=bank)
    assert got.group == ("ability-1", "ability-2") * 2
    assert got.rows == ("row-0", "row-0", "row-1", "row-1")
    assert got.n_seen.tolist() == [60] * 4
    value, cov, _ = ability.score(here, bank, "map")
    np.testing.assert_allclose(got.value, value.ravel())
    np.testing.assert_allclose(got.std_error, np.sqrt(np.diagonal(cov, axis1=1, axis2=2)).ravel())


def test_order_of_rows_and_items_and_sparsity_change_nothing():
    bank = a_bank()
    here = answers(bank, np.linspace(-1, 1, 6)[:, None], missing=0.4)
    plain = ability.estimate(here, bank=bank)
    order = np.random.default_rng(0).permutation(40)
    turned = here.take([5, 4, 3, 2, 1, 0]).select([bank.items[i] for i in order])
    np.testing.assert_allclose(ability.estimate(turned, bank=bank).value[::-1], plain.value, atol=1e-6)
    row, item = np.nonzero(here.seen)
    cells = row, item, here.scores[row, item], here.weight[row, item]
    sparse = SparseResponses(*cells, here.rows, here.items, here.group, here.groups)
    np.testing.assert_allclose(ability.estimate(sparse, bank=bank).value, plain.value, atol=1e-6)


def test_repeats_narrow_and_unknown_items_are_counted_and_left_out():
    bank = a_bank()
    here = answers(bank, np.zeros((2, 1)))
    often = dataclasses.replace(here, weight=np.full((2, 40), np.float32(9)))
    assert (ability.estimate(often, bank=bank).std_error < ability.estimate(here, bank=bank).std_error).all()
    more = Responses.build(np.ones((2, 41), np.float32), items=(*bank.items, "stranger"))
    more.scores[:, :40] = here.scores
    with pytest.warns(DataWarning, match="1 of 41 items answered are not in bank"):
        got = ability.estimate(more, bank=bank)
    np.testing.assert_allclose(got.value, ability.estimate(here, bank=bank).value, atol=1e-6)
    with pytest.raises(BankMismatch, match="1 of 41 items answered are not in bank"):
        ability.estimate(more, bank=bank, strict=True)


def test_the_interval_is_normal_and_survives_json(tmp_path):
    bank = a_bank()
    got = ability.estimate(answers(bank, np.zeros((3, 1))), bank=bank, level=0.8)
    np.testing.assert_allclose(got.high - got.low, 2 * stats.norm.ppf(0.9) * got.std_error, rtol=1e-5)
    assert json.loads(json.dumps(got.to_dict()))["target"] == "ability"
    back = data.load(data.save(got, tmp_path / "estimate"))
    assert back.rows == got.rows
    np.testing.assert_allclose(back.value, got.value, rtol=1e-6)
    assert got.source.bank == "known"


def test_what_cannot_be_meant_is_refused():
    bank = a_bank()
    here = answers(bank, np.zeros((2, 1)))
    with pytest.raises(BadInput, match="method 'mode' is not known; there are map, eap"):
        ability.estimate(here, bank=bank, by="mode")
    with pytest.raises(BadInput, match="level is 1.5; it must lie strictly between 0 and 1"):
        ability.estimate(here, bank=bank, level=1.5)
    strangers = Responses.build(np.ones((1, 2), np.float32), items=("a", "b"))
    with pytest.raises(BankMismatch, match="none of the 2 items answered is in bank 'known' .first: .'a'."):
        ability.estimate(strangers, bank=bank)
    seen = np.ones((2, 40), bool)
    seen[1] = False
    empty = Responses.build(here.scores, seen=seen, items=bank.items)
    with pytest.raises(BankMismatch, match="'row-1' answered no item of bank 'known' .1 such rows."):
        ability.estimate(empty, bank=bank)
