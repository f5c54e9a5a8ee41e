"""The best prompt under a budget: who is asked, what is kept, when it is enough, and if stated chances are true."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from bench.prompts.chances_best import DRAWS, answers_to, sessions
from bench.prompts.chances_best import RULES as STUDIED
from lleval_jax.errors import BadInput
from lleval_jax.estimators.prompts import best
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses

FALSE_ALARM = 1e-5
RULES = ("halving", "elimination", "thompson", "top-two")


def names(prompts: int, items: int) -> tuple[list[str], list[str]]:
    return [f"p{i}" for i in range(prompts)], [f"e{j}" for j in range(items)]


def grid(prompts: int, items: int, seed: int = 0) -> Responses:
    """Yes-no answers of prompts that differ."""
    random = np.random.default_rng(seed)
    chance = 1 / (1 + np.exp(-random.normal(size=(prompts, 1)) - random.normal(size=(1, items))))
    scores = (random.random((prompts, items)) < chance).astype(np.float32)
    rows, columns = names(prompts, items)
    return Responses.build(scores, rows=rows, items=columns)


@pytest.fixture
def plain(monkeypatch):
    """Independent Beta posteriors of the prompts' scores in place of the model's, so that nothing is compiled."""

    def believe(responses: Responses, state: best.State, strict: bool) -> tuple[np.ndarray, str]:
        right = np.where(responses.seen, responses.scores, 0).sum(1)
        open_ = (~responses.seen).sum(1)
        random = np.random.default_rng(state.seed)
        p = random.beta(1 + right, 1 + responses.n_seen - right, (state.draws, len(right)))
        return (right + random.binomial(open_, p)) / responses.seen.shape[1], "ok"

    monkeypatch.setattr(best, "_believe", believe)


def believing(draws: np.ndarray, budget: float = 100, **settings: Any) -> best.State:
    """A session in which one cell was answered and the posterior is `draws`."""
    draws = np.asarray(draws, np.float32)
    state = best.init(names(draws.shape[1], 50)[0], items=names(draws.shape[1], 50)[1], budget=budget, **settings)
    seen = np.zeros((draws.shape[1], 50), bool)
    seen[0, 0] = True
    answered = dataclasses.replace(state.responses, seen=seen)
    return dataclasses.replace(state, responses=answered, scores=draws, draws=len(draws))


def test_halving_keeps_the_published_phases(plain):
    """100 prompts, 7 phases, floor(B / 7) answers each and the rest in the first: METHODS 2.6 by hand."""
    truth = grid(100, 300)
    state = best.init(truth.rows, items=truth.items, budget=402, by="halving", certainty=1)
    asked, active = [], []
    while not (choice := best.choose(state)).enough:
        asked.append(sum(map(len, choice.items)))
        active.append(int(state.active.sum()))
        state = best.update(state, responses=answers_to(truth, choice))
    assert asked == [57 + 3, 57, 57, 57, 57, 57, 57]
    assert active == [100, 50, 25, 13, 7, 4, 2]
    assert choice.why == ("the budget of 402 is spent",)


def test_a_smaller_size_does_not_change_the_phases(plain):
    """Looks within a phase ask the same prompts' half, and phases end where they did."""
    truth = grid(8, 60)
    state = best.init(truth.rows, items=truth.items, budget=91, by="halving", k=20, certainty=1)
    asked, active = [], []
    while not (choice := best.choose(state)).enough:
        asked.append(sum(map(len, choice.items)))
        active.append(int(state.active.sum()))
        state = best.update(state, responses=answers_to(truth, choice))
    assert asked == [20, 11, 20, 10, 20, 10]
    assert active == [8, 8, 4, 4, 2, 2]


def test_halving_drops_the_lowest_scores():
    draws = np.tile([0.1, 0.4, 0.3, 0.2, 0.6, 0.5, 0.05], (10, 1))
    state = believing(draws, by="halving", budget=3)  # 3 phases of one answer; one is paid for
    np.testing.assert_array_equal(state.active, [False, True, True, False, True, True, False])


def test_elimination_drops_who_is_below_the_leader():
    random = np.random.default_rng(0)
    draws = np.column_stack([random.normal(0.8, 0.01, 2000), random.normal(0.79, 0.01, 2000), np.full(2000, 0.5)])
    state = believing(draws, by="elimination")
    np.testing.assert_array_equal(state.active, [True, True, False])
    assert best.RULES["elimination"](state)[0] == best.RULES["elimination"](state)[1]


def test_thompson_and_top_two_shares_by_hand():
    """Chances (1/2, 1/3, 1/6); a challenger of i is j with chance p_j / (1 - p_i)."""
    draws = np.eye(3)[[0, 0, 0, 1, 1, 2]]
    np.testing.assert_allclose(best.RULES["thompson"](believing(draws)), [1 / 2, 1 / 3, 1 / 6])
    challenger = [
        1 / 3 * (1 / 2) / (2 / 3) + 1 / 6 * (1 / 2) / (5 / 6),
        1 / 2 * (1 / 3) / (1 / 2) + 1 / 6 * (1 / 3) / (5 / 6),
        1 / 2 * (1 / 6) / (1 / 2) + 1 / 3 * (1 / 6) / (2 / 3),
    ]
    expected = (np.array([1 / 2, 1 / 3, 1 / 6]) + challenger) / 2
    np.testing.assert_allclose(best.RULES["top-two"](believing(draws)), expected)


def test_top_two_challenges_a_sure_leader_with_the_second():
    draws = np.array([[0.9, 0.5, 0.4], [0.9, 0.5, 0.4], [0.9, 0.4, 0.5], [0.9, 0.5, 0.4]])
    np.testing.assert_allclose(best.RULES["top-two"](believing(draws)), [0.5, 0.375, 0.125])


def test_calls_follow_the_shares_and_the_prices():
    """Calls of p0 cost four times as much, so that at equal chances it gets half as many."""
    draws = np.eye(2)[[0, 1]]
    state = believing(draws, by="thompson", price={"p0": 4, "p1": 1}, budget=100, k=30)
    choice = best.choose(state)
    calls = dict(zip(choice.rows, map(len, choice.items), strict=True))
    assert 4 * calls["p0"] + calls["p1"] == pytest.approx(30, abs=4)
    assert abs(calls["p1"] - 2 * calls["p0"]) <= 2


@pytest.mark.parametrize("rule", RULES)
def test_no_cell_twice_and_the_budget_is_kept(plain, rule):
    truth = grid(8, 30, seed=3)
    price = np.array([5.0, 3, 8, 1, 2, 2, 7, 4])
    state = best.init(
        truth.rows, items=truth.items, budget=300, by=rule, price=dict(zip(truth.rows, price, strict=True)), certainty=1
    )
    for _ in range(100):
        choice = best.choose(state)
        if choice.enough:
            break
        new = answers_to(truth, choice)
        before = state.responses.select(new.items).take([state.responses.rows.index(r) for r in new.rows])
        assert not (before.seen & new.seen).any()
        state = best.update(state, responses=new)
    assert choice.enough
    assert state.spent == state.responses.n_seen @ price <= 300
    assert state.spent > 300 - price.max()


@pytest.mark.parametrize("rule", RULES)
def test_prompts_share_their_examples(plain, rule):
    truth = grid(6, 100)
    state = best.init(truth.rows, items=truth.items, budget=90, by=rule, k=30)
    choice = best.choose(state)
    longest = set(max(choice.items, key=len))
    assert all(set(items) <= longest for items in choice.items)


def test_the_same_answers_give_the_same_session(plain):
    """Resumed from saved answers, all at once, as if never stopped."""
    truth = grid(10, 40)
    settings = {"budget": 120, "by": "top-two", "certainty": 1.0, "seed": 5}
    state = best.init(truth.rows, items=truth.items, **settings)
    for _ in range(3):
        state = best.update(state, responses=answers_to(truth, best.choose(state)))
    known = state.responses
    row, item = np.nonzero(known.seen)
    cells = row, item, known.scores[row, item], known.weight[row, item]
    saved = SparseResponses(*cells, known.rows, known.items, known.group, known.groups)
    again = best.update(best.init(truth.rows, items=truth.items, **settings), responses=saved)
    assert best.choose(again).items == best.choose(state).items
    np.testing.assert_array_equal(again.scores, state.scores)


def test_best_is_counted_over_draws():
    draws = np.array([[0.5, 0.6, 0.1], [0.7, 0.6, 0.1], [0.4, 0.6, 0.1], [0.6, 0.6, 0.1]], np.float32)
    found = best.best(believing(draws))
    assert found.prompt == "p1"
    assert found.probability == 0.75
    np.testing.assert_allclose(found.chance, [0.375, 0.625, 0])
    assert found.gap == pytest.approx(0.1 / 4)
    np.testing.assert_allclose(found.within, [0, 0.1, 0.1, 0.1], atol=1e-7)
    assert found.score.value[0] == pytest.approx(0.6)
    assert found.score.rows == ("p1",)
    assert str(found).startswith(
        "p1: P(best) = 0.62; P(best or tied) = 0.75; its regret is at most 10.0 points with probability 0.99"
    )
    assert found.why == "p1 is best, or tied for it, with probability 0.75 so far, and 1 of 100 are spent"
    assert not found.enough
    assert found.to_dict()["best"]["chance"]["p0"] == 0.375


def test_it_stops_when_sure():
    random = np.random.default_rng(0)
    near = np.column_stack([random.normal(0.8, 0.01, 1000), random.normal(0.8, 0.01, 1000)])
    assert not best.choose(believing(near)).enough
    sure = best.choose(believing(near + np.array([[0.1, 0]])))
    assert sure.enough
    assert sure.rows == ("p0",)
    assert sure.why == ("p0 is best, or tied for it, with probability over 0.99",)
    close = best.choose(believing(near, tolerance=0.05))
    assert close.why[0].endswith("is at most 5 points below the best with probability 0.95")


def test_complete_prompts_end_it(plain):
    truth = grid(4, 5)
    state = best.init(truth.rows, items=truth.items, budget=1000, by="elimination")
    state = best.update(state, responses=truth)
    found, scores = best.best(state), truth.scores.mean(1)
    assert found.probability == 1
    assert found.within == (0, 0, 0, 0)
    assert scores[truth.rows.index(found.prompt)] == scores.max()
    assert best.choose(state).enough


WRONG = [
    ({"prompts": ["a"]}, "the best of one needs no answers"),
    ({"items": []}, "there are no examples"),
    ({"by": "luck"}, "rule 'luck' is not known"),
    ({"budget": 0.5}, "pays for no call"),
    ({"price": [1.0, 2.0]}, "price is of type list"),
    ({"price": {"a": 1.0, "b": -1.0}}, "the price of 'b' is -1; prices must be above 0"),
    ({"price": {"a": 1.0}}, "1 of 2 prompts have no price, such as 'b'"),
    ({"certainty": 0.2}, "certainty is 0.2"),
    ({"tolerance": -0.1}, "tolerance is -0.1"),
    ({"k": 0}, "k is 0"),
    ({"row_features": np.zeros((3, 1))}, "one line for each of the 2 prompts"),
    ({"prompts": ["a", "a"]}, "rows must have unique names"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_what_cannot_be_meant_is_refused(wrong, message):
    settings = {"prompts": ["a", "b"], "items": ["x", "y"], "budget": 3} | wrong
    with pytest.raises(BadInput, match=message):
        best.init(settings.pop("prompts"), items=settings.pop("items"), **settings)


def test_answers_that_do_not_belong_are_refused(plain):
    state = best.init(["a", "b"], items=["x", "y"], budget=4)
    with pytest.raises(BadInput, match="prompt 'c' is not in this session"):
        best.update(state, responses=Responses.build(np.ones((1, 1)), rows=["c"], items=["x"]))
    with pytest.raises(BadInput, match="example 'z' is not in this session"):
        best.update(state, responses=Responses.build(np.ones((1, 1)), rows=["a"], items=["z"]))
    with pytest.raises(BadInput, match="there is no answer among these"):
        best.update(state, responses=Responses.build(np.full((1, 1), np.nan), rows=["a"], items=["x"]))
    state = best.update(state, responses=Responses.build(np.ones((1, 1)), rows=["a"], items=["x"]))
    with pytest.raises(BadInput, match="two different answers"):
        best.update(state, responses=Responses.build(np.zeros((1, 1)), rows=["a"], items=["x"]))


def test_nothing_is_best_before_an_answer():
    state = best.init(["a", "b"], items=["x", "y"], budget=4)
    with pytest.raises(BadInput, match="nothing was answered yet"):
        best.best(state)


@pytest.mark.slow
def test_a_session_with_the_model():
    """Real posteriors: a prompt far better than all others is found, and all answers leave no doubt."""
    random = np.random.default_rng(1)
    chance = np.array([0.3, 0.4, 0.95, 0.35, 0.3, 0.4])
    rows, items = names(6, 40)
    truth = Responses.build((random.random((6, 40)) < chance[:, None]).astype(np.float32), rows=rows, items=items)
    state = best.init(rows, items=items, budget=64, by="elimination", k=12, draws=DRAWS)
    while not (choice := best.choose(state)).enough:
        state = best.update(state, responses=answers_to(truth, choice))
    found = best.best(state)
    assert found.prompt == "p2"
    assert found.probability >= 0.95
    assert state.spent < 64
    whole = best.best(best.update(state, responses=truth))
    assert (whole.prompt, whole.probability, whole.gap, whole.within) == ("p2", 1, 0, (0, 0, 0, 0))
    assert whole.score.low == whole.score.high == pytest.approx(truth.scores[2].mean())


@pytest.mark.slow
@pytest.mark.parametrize("rule", STUDIED)
def test_stated_chances_come_true(rule):
    """Truths from the model's own prior, answers chosen and stopped by the rule: (hits - stated) is then a sum of
    independent variables with mean 0 and variance p (1 - p), but for the approximation of the posterior.

    Twenty sessions of the 150 of `bench/prompts/chances_best.py`: chances of 0.9 that come true half of the time or
    less are found out.
    """
    stated, true = sessions(20, rule)
    assert abs((true - stated).sum()) <= norm.isf(FALSE_ALARM / 4) * np.sqrt((stated * (1 - stated)).sum())
