"""Ratings from comparisons: closed forms, independent programs, coverage, and comparisons that have no ratings."""

import itertools

import numpy as np
import pandas as pd
import pytest
import worlds
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import binom

import lleval_jax as ll

FALSE_ALARM = 1e-5
ELO = 400 / np.log(10)


def drawn(seed: int, models: int = 6, each: int = 30, log_tie: float = -0.5) -> tuple[ll.Pairs, np.ndarray]:
    """Comparisons of all pairs, and the ratings behind them about their mean."""
    random = np.random.default_rng(seed)
    rating = random.normal(size=models)
    first, second, score = [], [], []
    for i, j in itertools.combinations(range(models), 2):
        odds = np.exp([(rating[i] - rating[j]) / 2, log_tie, (rating[j] - rating[i]) / 2])
        first += [f"m{i}"] * each
        second += [f"m{j}"] * each
        score += random.choice([1.0, 0.5, 0.0], each, p=odds / odds.sum()).tolist()
    names = [f"m{i}" for i in range(models)]
    return ll.Pairs.build(first, second, score, models=names), rating - rating.mean()


def test_two_models_have_closed_forms() -> None:
    """12 wins, 5 losses, 7 ties: the gap is the logit of wins over losses, with variance 1/12 + 1/5."""
    pairs = ll.Pairs.build(["a"] * 24, ["b"] * 24, [1] * 12 + [0] * 5 + [0.5] * 7)
    fit = ll.pairwise.fit(pairs)
    gap = np.log(12 / 5)
    np.testing.assert_allclose(fit.params.rating, [gap / 2, -gap / 2], atol=1e-8)
    assert fit.params.log_tie[0] == pytest.approx(np.log(7 / np.sqrt(12 * 5)), abs=1e-8)
    assert fit.params.covariance[0, 0] == pytest.approx((1 / 12 + 1 / 5) / 4, rel=1e-8)
    assert fit.ended.value == pytest.approx(12 * np.log(12 / 24) + 5 * np.log(5 / 24) + 7 * np.log(7 / 24))
    found = ll.pairwise.estimate(fit)
    np.testing.assert_allclose(found.value, 1000 + ELO * np.array([gap, -gap]) / 2, atol=1e-5)
    won = ll.pairwise.estimate(fit, "win")["a", "b"]
    assert won.value == pytest.approx((12 + 3.5) / 24)
    score = np.repeat([1, 0.5, 0], [12, 7, 5])
    assert won.std_error == pytest.approx(score.std() / np.sqrt(24), rel=1e-6)  # saturated: the plain standard error


def test_ratings_are_scipys_optimum() -> None:
    pairs, _ = drawn(3)
    fit = ll.pairwise.fit(pairs)

    def minus(x: np.ndarray) -> float:
        gap = np.append(x[:5], -x[:5].sum())[pairs.first] - np.append(x[:5], -x[:5].sum())[pairs.second]
        odds = np.exp(np.stack([gap / 2, np.full_like(gap, x[5]), -gap / 2], 1))
        return -np.sum(pairs.counts * np.log(odds / odds.sum(1, keepdims=True)))

    best = minimize(minus, np.zeros(6), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(fit.params.rating[:5], best.x[:5], atol=1e-5)
    assert fit.params.log_tie[0] == pytest.approx(best.x[5], abs=1e-5)
    assert fit.ended.value == pytest.approx(-best.fun, abs=1e-8)


def test_without_ties_it_is_a_logistic_regression() -> None:
    """Of wins on a design of 1 and -1, by iteratively reweighted least squares."""
    pairs, _ = drawn(5, log_tie=-40.0)
    fit = ll.pairwise.fit(pairs)
    assert fit.method == "Bradley-Terry"
    design = np.zeros((len(pairs.first), 6))
    design[np.arange(len(design)), pairs.first] = 1
    design[np.arange(len(design)), pairs.second] = -1
    design, whole, true = design[:, 1:], pairs.counts.sum(1), np.zeros(5)
    for _ in range(30):
        p = expit(design @ true)
        root = np.sqrt(whole * p * (1 - p))
        right = root * (design @ true) + (pairs.counts[:, 0] - whole * p) / root
        true = np.linalg.lstsq(design * root[:, None], right)[0]
    errors = np.sqrt(np.diagonal(np.linalg.inv(design.T * root**2 @ design)))
    rating, covariance = fit.params.rating, fit.params.covariance
    np.testing.assert_allclose(rating[1:] - rating[0], true, atol=1e-6)
    turn = np.eye(6)[1:] - np.eye(6)[:1]
    np.testing.assert_allclose(np.sqrt(np.diagonal(turn @ covariance @ turn.T)), errors, rtol=1e-5)


def test_intervals_cover() -> None:
    """95% intervals of ratings, of win probabilities and of ranks, in 120 worlds, one entry each: independent."""
    inside = {"rating": 0, "win": 0, "rank": 0}
    for seed in range(120):
        pairs, rating = drawn([9, seed], each=20)
        fit = ll.pairwise.fit(pairs)
        odds = np.exp([(rating[0] - rating[1]) / 2, -0.5, (rating[1] - rating[0]) / 2])
        true = {"rating": 1000 + ELO * rating[0], "win": (odds[0] + odds[1] / 2) / odds.sum()}
        true["rank"] = 1 + (rating > rating[0]).sum()
        for target, value in true.items():
            entry = ll.pairwise.estimate(fit, target)["m0", "m1" if target == "win" else "all"]
            inside[target] += entry.low <= value <= entry.high
    for target in ("rating", "win"):
        low, high = binom.ppf([FALSE_ALARM / 4, 1 - FALSE_ALARM / 4], 120, 0.95)
        assert low <= inside[target] <= high, inside
    assert inside["rank"] >= binom.ppf(FALSE_ALARM, 120, 0.95)  # a rank is a whole number: it is covered more often


def test_order_and_sign_do_not_matter() -> None:
    pairs = worlds.pairs()
    back = pairs.take(range(5)[::-1])
    assert back.take(range(5)[::-1]) == pairs
    one, two = (ll.pairwise.estimate(ll.pairwise.fit(p), "win") for p in (pairs, back))
    for a, b in (("model-0", "model-3"), ("model-4", "model-1")):
        assert one[a, b].value == pytest.approx(two[a, b].value, abs=1e-9)
        assert one[a, b].value + one[b, a].value == pytest.approx(1)
    whole = [one["model-2", b].value for b in pairs.models if b != "model-2"]
    assert one["model-2"].value == pytest.approx(np.mean(whole))


def test_tables_of_an_arena() -> None:
    frame = pd.DataFrame({"model_a": list("aab"), "model_b": list("bba"), "winner": ["model_a", "tie", "model_b"]})
    assert ll.Pairs.from_frame(frame).counts.tolist() == [[2, 1, 0]]
    with pytest.raises(ll.BadInput, match=r"the winner \['c'\] is none of"):
        ll.Pairs.from_frame(frame.assign(winner="c"))
    with pytest.raises(ll.BadInput, match=r"no column \['winner'\]"):
        ll.Pairs.from_frame(frame.drop(columns="winner"))


@pytest.mark.parametrize(
    ("first", "second", "score", "message"),
    [
        (["a", "a", "c", "c"], ["b", "b", "d", "d"], [1, 0, 1, 0], "2 parts that never met: 'a', 'b'; 'c', 'd'"),
        (["a", "b", "b"], ["b", "c", "c"], [1, 1, 0], "one won every comparison with another.*'b', 'c'; 'a'"),
        (["a", "a"], ["b", "b"], [0.5, 0.5], "all comparisons are ties"),
        (["a"], ["a"], [1], "cannot be compared with itself"),
        (["a"], ["b"], [0.7], "its score is 0.7"),
        ([], [], [], "there are no comparisons"),
    ],
)
def test_what_has_no_ratings_is_refused_by_name(first, second, score, message) -> None:
    with pytest.raises(ll.BadInput, match=message):
        ll.pairwise.fit(ll.Pairs.build(first, second, score))


def test_more_wrong_input() -> None:
    pairs = worlds.pairs()
    with pytest.raises(ll.BadInput, match="2 parts that never met.*'new'"):
        ll.pairwise.fit(ll.Pairs.build(["a", "a"], ["b", "b"], [1, 0], models=["a", "b", "new"]))
    with pytest.raises(ll.BadInput, match="one model has no rating"):
        ll.pairwise.fit(pairs.take([2]))
    with pytest.raises(ll.BadInput, match="target 'elo' is not known"):
        ll.pairwise.estimate(ll.pairwise.fit(pairs), "elo")
    with pytest.raises(ll.BadInput, match="none of pairwise.fit"):
        ll.pairwise.estimate(worlds.items())
    with pytest.raises(ll.BadInput, match="its weight is -1"):
        ll.Pairs.build(["a"], ["b"], [1], weight=[-1])
    with pytest.raises(ll.BadInput, match="no such model"):
        ll.Pairs.build(["a"], ["b"], [1], models=["a"])


def test_the_gap_of_two_is_as_in_the_docstring() -> None:
    pairs = ll.Pairs.build(["a"] * 3, ["b"] * 3, [1, 1, 0])
    assert -np.diff(ll.pairwise.fit(pairs).params.rating)[0] == pytest.approx(logit(2 / 3))
