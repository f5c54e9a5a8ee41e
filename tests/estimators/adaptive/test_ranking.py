"""Asking for the order of a leaderboard: against brute force over rows and items, and sessions to the end."""

import numpy as np
import pytest
from scipy.stats import norm

from lleval_jax.data import simulate
from lleval_jax.errors import BadInput
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import ranking
from lleval_jax.values import ItemBank, Responses
from lleval_jax.values.ranks import Ranking

ITEMS, ROWS = 80, 6


@pytest.fixture(scope="module")
def bank():
    _, truth = simulate(1, ITEMS, seed=5)
    return ItemBank(
        name="rank",
        version="1",
        items=tuple(f"item-{i}" for i in range(ITEMS)),
        slope=truth.slope.astype(np.float32),
        intercept=truth.intercept.astype(np.float32),
        floor=np.zeros(ITEMS, np.float32),
        ceiling=np.ones(ITEMS, np.float32),
        weight=np.full(ITEMS, 1 / ITEMS),
        group=np.zeros(ITEMS, int),
        groups=("all",),
        covariance=np.zeros((ITEMS, 2, 2), np.float32),
        prior_mean=np.zeros(1),
        prior_cov=np.eye(1),
    )


@pytest.fixture(scope="module")
def models(bank):
    """One hopeless model, four of about the same strength, one that is far better: all their answers."""
    rng = np.random.default_rng(3)
    z = np.array([-8.0, -0.3, 0.0, 0.1, 0.3, 8.0])[:, None] * bank.slope[:, 0] + bank.intercept
    answers = rng.random(z.shape) < 1 / (1 + np.exp(-z))
    return Responses.build(answers, rows=list("abcdef"), items=bank.items)


def asked(models, seen):
    return Responses.build(np.where(seen, models.scores, 0), seen=seen, rows=models.rows, items=models.items)


def same_items(models, items):
    seen = np.zeros(models.scores.shape, bool)
    seen[:, :items] = True
    return asked(models, seen)


def expected_wrong(found: Ranking, variance: np.ndarray, true_gap: np.ndarray) -> float:
    """Of the open pairs, one after another."""
    total = 0.0
    for i in range(ROWS):
        for j in range(i):
            if found.open[i, j]:
                total += norm.cdf(-true_gap[i, j] / np.sqrt(variance[i] + variance[j]))
    return total


def test_who_is_asked_is_who_lowers_the_expected_number_of_wrong_pairs_most(bank, models):
    here = same_items(models, 40)
    found = ranking.estimate(here, bank=bank)
    value, variance = found.scores.value, found.scores.std_error**2
    gap = value[:, None] - value[None, :]
    likely = np.sqrt(gap**2 + variance[:, None] + variance[None, :])
    np.testing.assert_allclose(found.wrong, expected_wrong(found, variance, likely), rtol=1e-5)
    left = []
    for row in range(ROWS):
        falls = [variance[row] - after(here, bank, row, item) for item in range(40, ITEMS)]
        less = variance.copy()
        less[row] -= max(falls)
        left.append(expected_wrong(found, less, likely) if found.open[row].any() else np.inf)
    for models_at_once in (1, 2, 3):
        chosen = ranking.choose(here, bank=bank, models=models_at_once)
        best = {here.rows[i] for i in np.argsort(left)[:models_at_once]}
        assert {row for row, items in zip(chosen.rows, chosen.items, strict=True) if items} == best


def after(here, bank, row, item):
    """The score's variance after one more answer, from the joint normal of ability and answers written out."""
    now = adaptive.believe(here, bank)
    p, by_z = (np.asarray(x[row], float) for x in (now.outlook.p, now.outlook.by_z))
    load = by_z * bank.slope[:, 0]
    joint = np.outer(load, load) * float(now.posterior.covariance[row, 0, 0]) + np.diag(p * (1 - p))
    w = np.where(here.seen[row], 0, 1 / ITEMS)
    return w @ joint @ w - (joint[item] @ w) ** 2 / joint[item, item]


def test_nobody_whose_place_is_clear_is_asked(bank, models):
    here = same_items(models, 40)
    found, chosen = ranking.estimate(here, bank=bank), ranking.choose(here, bank=bank, k=5)
    assert (~found.open.any(1)).tolist() == [True, False, False, False, False, True]
    own = adaptive.choose(here, bank=bank, k=5)
    assert chosen.items == ((), *own.items[1:5], ())
    assert chosen.why[0] == chosen.why[5] == "its place is clear"
    assert chosen.why[1] == "order not clear against c, d, e"
    assert found.order[0] == 5
    assert found.best.tolist() == [1, 2, 2, 2, 2, 6]
    assert found.worst.tolist() == [1, 5, 5, 5, 5, 6]
    assert {frozenset(pair) for pair in found.open_pairs} == set(map(frozenset, ("bc", "bd", "be", "cd", "ce", "de")))
    value = dict(zip(found.scores.rows, found.scores.value, strict=True))
    assert all(value[first] >= value[second] for first, second in found.open_pairs)
    few = ranking.choose(here, bank=bank, models=1)
    assert sum(map(bool, few.items)) == 1
    assert sum("but others tell more of the order" in why for why in few.why) == 3


def test_neighbours_are_fewer_pairs_and_a_tolerance_closes_those_surely_near(bank, models):
    here = same_items(models, 40)
    whole = ranking.estimate(here, bank=bank)
    place = np.argsort(whole.order)
    near = np.abs(place[:, None] - place[None, :]) == 1
    np.testing.assert_array_equal(ranking.estimate(here, bank=bank, neighbours=True).open, whole.open & near)
    value, error = whole.scores.value, whole.scores.std_error
    half = adaptive.always_reach(bank, 0.95) * np.hypot(error[:, None], error[None, :])
    farthest = np.abs(value[:, None] - value[None, :]) + half
    tolerance = float(np.median(farthest[whole.open]))
    got = ranking.estimate(here, bank=bank, tolerance=tolerance).open
    np.testing.assert_array_equal(got, whole.open & (farthest > tolerance))
    assert 0 < got.sum() < whole.open.sum()


@pytest.mark.slow
def test_a_leaderboard_ends_without_open_pairs(bank, models):
    seen = np.zeros(models.scores.shape, bool)
    seen[:, :10] = True
    for _ in range(20):
        here = asked(models, seen)
        found, chosen = ranking.estimate(here, bank=bank), ranking.choose(here, bank=bank, k=10)
        if chosen.enough:
            break
        for i, items in enumerate(chosen.items):
            seen[i, [bank.items.index(item) for item in items]] = True
    assert chosen.enough
    assert not found.open.any()
    truth = models.scores.mean(1)
    assert not (found.above & (truth[:, None] < truth[None, :])).any()
    assert seen[[0, 5]].sum(1).max() < ITEMS  # the first and the last were clear before all was asked


def test_a_budget_ends_it_too(bank, models):
    here = same_items(models, 40)
    assert [len(items) for items in ranking.choose(here, bank=bank, k=5, budget=43).items] == [0, 3, 3, 3, 3, 0]
    chosen = ranking.choose(here, bank=bank, k=5, budget=40)
    assert chosen.enough
    assert chosen.why[1] == "order not clear against c, d, e, but the budget of 40 answers is spent"


def test_what_cannot_be_meant_is_refused(bank, models):
    here = same_items(models, 40)
    for words, message in (
        ({"k": 0}, "k is 0; ask for at least one item"),
        ({"models": 0}, "models is 0; ask at least one"),
        ({"budget": 0}, "budget is 0; it must be positive"),
        ({"certainty": 1.0}, "certainty is 1.0; it must lie between 0.5 and 1"),
        ({"tolerance": -0.1}, "tolerance is -0.1; it must be at least 0"),
    ):
        with pytest.raises(BadInput, match=message):
            ranking.choose(here, bank=bank, **words)
    with pytest.raises(BadInput, match="a leaderboard needs at least two rows; there is 1"):
        ranking.estimate(here.take([0]), bank=bank)
