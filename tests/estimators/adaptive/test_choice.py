"""The next items, when to stop, and estimates from sessions: against a loop by hand, closed forms, and coverage."""

import dataclasses
import json
import re

import numpy as np
import pytest
from scipy import stats

from lleval_jax import data
from lleval_jax.data import simulate
from lleval_jax.errors import BadInput, BankMismatch, DataWarning
from lleval_jax.estimators import adaptive, irt
from lleval_jax.estimators.adaptive import replay
from lleval_jax.estimators.tiny import anchors
from lleval_jax.values import Calibration, ItemBank, Responses

FALSE_ALARM = 1e-5
ITEMS, KNOWN, NEW = 60, 120, 80


def simulated():
    """Answers of 120 models that calibrate, and of 80 new ones."""
    answers, _ = simulate(KNOWN + NEW, ITEMS, seed=5)
    return answers.take(range(KNOWN)), answers.take(range(KNOWN, KNOWN + NEW))


def prepared() -> ItemBank:
    known, _ = simulated()
    fit = irt.fit(known)
    return replay.prepare(anchors.choose(fit, responses=known, k=None, name="sim"), fit=fit, responses=known, budget=40)


@pytest.fixture(scope="module")
def world(fitted):
    """A bank from 120 models that replayed sessions, and 80 new models with all their answers."""
    return fitted("adaptive", prepared), simulated()[1]


def a_bank(**more) -> ItemBank:
    """Six items in two groups, four of them in the first."""
    rng = np.random.default_rng(0)
    words = {
        "name": "six",
        "version": "1",
        "items": tuple("abcdef"),
        "slope": np.array([[1.0], [2.0], [0.5], [1.5], [1.0], [0.1]], np.float32),
        "intercept": rng.normal(0, 0.5, 6).astype(np.float32),
        "floor": np.zeros(6, np.float32),
        "ceiling": np.ones(6, np.float32),
        "weight": np.full(6, 1 / 6),
        "group": np.array([0, 0, 0, 0, 1, 1]),
        "groups": ("big", "small"),
        "covariance": np.zeros((6, 2, 2), np.float32),
        "prior_mean": np.zeros(1),
        "prior_cov": np.eye(1),
    }
    return ItemBank(**(words | more))


def some(answers: str, row: str = "m") -> Responses:
    """Answers as "a1 c0": item a right, item c wrong."""
    pairs = answers.split()
    scores = np.array([[float(pair[1:]) for pair in pairs]], np.float32)
    return Responses.build(scores, rows=(row,), items=[pair[0] for pair in pairs])


# --- choosing -------------------------------------------------------------------------------------------------------


def test_a_session_by_hand_is_the_replayed_one(world):
    bank, new = world
    one = new.take([3])
    want = replay.replay(one, bank=bank, budget=8)
    asked: list[str] = []
    for step in range(8):
        so_far = one.select(asked) if asked else None
        (item,) = adaptive.choose(so_far, bank=bank).items[0]
        assert item == bank.items[want.asked[0, step]]
        asked.append(item)
        found = adaptive.estimate(one.select(asked), bank=bank)
        np.testing.assert_allclose(found.value[0], want.value[0, step + 1], atol=2e-4)
        widen = adaptive.widen_of(bank, np.array([step + 1]))
        np.testing.assert_allclose(found.std_error, np.sqrt(want.variance[0, step + 1]) * widen, rtol=2e-3)


def test_no_item_is_asked_twice_and_all_are_asked_in_the_end():
    bank = a_bank()
    for rule in ("score", "information", "random"):
        chosen = adaptive.choose(some("b1 c0"), bank=bank, k=99, by=rule)
        assert sorted(chosen.items[0]) == ["a", "d", "e", "f"]
    done = adaptive.choose(some("a1 b1 c0 d1 e0 f1"), bank=bank)
    assert done.enough
    assert done.why == ("all items were asked",)
    found = adaptive.estimate(some("a1 b1 c0 d1 e0 f1"), bank=bank)
    np.testing.assert_allclose([found.value[0], found.low[0], found.high[0]], 4 / 6, atol=1e-6)


def test_cheap_items_come_first_if_all_else_is_equal():
    bank = a_bank(slope=np.ones((6, 1), np.float32), intercept=np.zeros(6, np.float32))
    price = dict(zip("abcdef", (3.0, 2.0, 5.0, 1.0, 4.0, 6.0), strict=True))
    assert adaptive.choose(None, bank=bank, k=6, price=price).items[0][:3] == ("d", "b", "a")
    with pytest.raises(BadInput, match="the price of 'a' is 0; prices must be above 0"):
        adaptive.choose(None, bank=bank, price=dict.fromkeys("abcdef", 0.0))


def test_balance_asks_each_group_in_its_proportion():
    bank = a_bank()
    chosen = adaptive.choose(None, bank=bank, k=3, balance=True).items[0]
    assert sorted(item in "abcd" for item in chosen) == [False, True, True]
    whole = adaptive.choose(None, bank=bank, k=6, balance=True).items[0]
    assert sorted(whole) == list("abcdef")


def test_a_pair_is_asked_the_same_items_until_the_better_one_is_clear(world):
    bank, new = world
    truth = new.scores.mean(1)
    order = np.argsort(truth)
    pair = new.take([order[-1], order[0]])
    first, second = pair.rows
    asked = list(adaptive.choose(None, bank=bank, k=4).items[0])
    for _ in range(20):
        chosen = adaptive.choose(pair.select(asked), bank=bank, k=2, compare=(first, second))
        if chosen.enough:
            break
        assert chosen.items[0] == chosen.items[1]
        asked += chosen.items[0]
    assert chosen.enough
    assert f"{first} - {second}: above 0 with certainty 0.95" in chosen.why[0]
    one = adaptive.difference(pair.select(asked), bank=bank, first=first, second=second)
    other = adaptive.difference(pair.select(asked), bank=bank, first=second, second=first)
    np.testing.assert_allclose(one.value, -other.value, atol=1e-6)
    np.testing.assert_allclose(one.std_error, other.std_error, rtol=1e-6)
    assert one.low[0] > 0


def test_every_way_to_stop_says_why():
    bank = a_bank()
    asked = some("a1 b1 c1 d1")
    for stop, why in (
        (adaptive.Stop(std_error=0.9), r"standard error 0\.\d+ is at most 0.9"),
        (adaptive.Stop(width=0.9), r"the interval is 0\.\d+ wide, at most 0.9"),
        (adaptive.Stop(threshold=0.01), "above 0.01 with certainty 0.95"),
        (adaptive.Stop(budget=4), "the budget of 4 answers is spent"),
    ):
        found = adaptive.choose(asked, bank=bank, stop=stop)
        assert found.enough
        assert re.search(why, found.why[0])
    assert adaptive.choose(asked, bank=bank, k=9, stop=adaptive.Stop(budget=5)).items == (
        adaptive.choose(asked, bank=bank, k=1).items[0],
    )


def test_the_choice_is_plain_json():
    bank = a_bank()
    found = json.loads(json.dumps(adaptive.choose(some("a1"), bank=bank, k=2).to_dict()))
    assert found["schema"] == "lleval/choice/1"
    assert found["rows"] == ["m"]
    assert found["choices"] == [{"row": "m", "items": found["items"], "why": found["why"]}]


def test_what_cannot_be_meant_is_refused():
    bank = a_bank()
    for words, message in (
        ({"by": "best"}, "rule 'best' is not known; there are score, information, random"),
        ({"k": 0}, "k is 0; ask for at least one item"),
        ({"exposure": 7}, "exposure is 7; it must lie between 1 and the number of items"),
        ({"compare": ("m", "m")}, "two different rows are needed"),
        ({"compare": ("m", "n")}, "there is no row 'n' to compare"),
    ):
        with pytest.raises(BadInput, match=message):
            adaptive.choose(some("a1"), bank=bank, **words)
    with pytest.raises(BadInput, match="std_error is 2"):
        adaptive.Stop(std_error=2.0)
    with pytest.raises(BadInput, match="certainty is 0.4"):
        adaptive.Stop(certainty=0.4)
    with pytest.warns(DataWarning, match="1 of 2 items answered are not in bank 'six'"):
        adaptive.choose(some("a1 z1"), bank=bank)
    part = Calibration(("x",), np.ones((1, 6)), np.ones((1, 6), bool), np.ones((1, 1)), outside=True)
    with pytest.raises(BankMismatch, match="holds only part of its benchmark"):
        adaptive.estimate(some("a1"), bank=a_bank(calibration=part))


# --- sessions -------------------------------------------------------------------------------------------------------


def test_intervals_hold_when_a_session_stops_by_its_own_error(world):
    bank, new = world
    truth = new.scores.astype(float).mean(1)
    ran = replay.replay(new, bank=bank, budget=40)
    error = np.sqrt(ran.variance) * adaptive.widen_of(bank, np.broadcast_to(ran.length, ran.variance.shape))
    error[:, 0] = np.inf
    at = (error <= 0.05).argmax(1)
    rows = np.arange(NEW)
    assert (error[rows, at] <= 0.05).all()
    held = int((np.abs(ran.value[rows, at] - truth) <= adaptive.reach_of(bank, 0.95) * error[rows, at]).sum())
    # new models share the items, hence the bank's errors: half as many as there are count as independent
    low, high = stats.binom.ppf([FALSE_ALARM, 1 - FALSE_ALARM], NEW // 2, 0.95)
    assert low <= held / 2 <= high


def test_asking_well_takes_fewer_items_than_asking_at_random(world):
    bank, new = world
    truth = new.scores.astype(float).mean(1)
    miss = {
        rule: replay.replay(new, bank=bank, budget=15, by=rule).value[:, -1] - truth for rule in ("score", "random")
    }
    gap = miss["random"] ** 2 - miss["score"] ** 2
    assert gap.mean() / (gap.std() / np.sqrt(NEW)) > 2  # 15 items chosen are worth well over 15 drawn


def test_only_what_was_answered_can_be_asked(world):
    bank, new = world
    seen = np.random.default_rng(0).random(new.scores.shape) < 0.6
    part = dataclasses.replace(new, seen=seen, scores=np.where(seen, new.scores, 0))
    ran = replay.replay(part, bank=bank, budget=10, k=5)
    assert seen[np.arange(NEW)[:, None], ran.asked].all()
    assert all(len(set(row)) == 10 for row in ran.asked.tolist())
    assert ran.length.tolist() == [0, 5, 10]


def test_what_was_replayed_survives_the_disk(world, tmp_path):
    bank, new = world
    back = data.load(data.save(bank, tmp_path / "bank"))
    few = new.select(bank.items[:9])
    np.testing.assert_allclose(adaptive.estimate(few, bank=back).low, adaptive.estimate(few, bank=bank).low, rtol=1e-6)


@pytest.mark.slow
def test_too_few_models_cannot_be_replayed():
    answers, _ = simulate(7, 20, seed=1)
    fit = irt.fit(answers)
    with pytest.raises(BadInput, match="7 models answered all items; at least 8 are needed to replay"):
        replay.prepare(anchors.choose(fit, responses=None, k=None), fit=fit, responses=answers)


def test_more_items_than_answers_are_refused(world):
    bank, new = world
    with pytest.raises(BadInput, match="61 items at a time do not fit into the 60"):
        replay.replay(new, bank=bank, k=61, budget=100)
