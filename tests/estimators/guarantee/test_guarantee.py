"""Draws with known chances: no bias whatever the model is, intervals that hold, and what each mistake is told."""

import itertools

import numpy as np
import pytest
import worlds
from scipy.stats import binom, norm

import lleval_jax as ll
from lleval_jax.estimators.guarantee import choice, follow, score
from lleval_jax.estimators.tiny import kriging

FALSE_ALARM = 1e-4


def odd(seed: int = 0, items: int = worlds.ITEMS) -> np.ndarray:
    """A model whose answers have nothing to do with the bank."""
    return (np.random.default_rng(seed).random(items) < 0.6).astype(float)


def answered(scores: np.ndarray, items: tuple[str, ...], rows: tuple[str, ...] = ("odd",)) -> ll.Responses:
    """Models' answers to these items of the bank."""
    return ll.Responses.build(np.atleast_2d(scores), rows=rows, items=worlds.bank().items).select(items)


def session(scores: np.ndarray, draws: int, k: int, seed: int) -> tuple[ll.Responses, ll.Draws]:
    """So many draws, `k` at a time."""
    bank, drawn, seen = worlds.bank(), None, None
    while drawn is None or len(drawn) < draws:
        drawn = ll.guarantee.choose(seen, bank=bank, draws=drawn, k=k, seed=seed).draws
        seen = answered(scores, drawn.items)
    return seen, drawn


def few(known: follow.Known, items: int) -> follow.Known:
    """The first items alone, with shares of their own."""
    curves = known.curves._replace(coef=known.curves.coef[:items], single=known.curves.single[:items])
    return follow.Known(np.arange(1.0, items + 1) / (items * (items + 1) / 2), curves, known.near[:items])


def test_the_mean_over_all_ways_to_draw_is_the_score_itself():
    known, scores = few(follow.Known.of(worlds.bank()), 5), odd(1)[:5]
    truth, mean, all_chances = known.weight @ scores, np.zeros((2, 2)), 0.0

    def chances(index: list[int]) -> np.ndarray:
        trace = follow.follow(known, np.array(index, int), np.array(taken[: len(index)]), scores[index])
        left = ~np.isin(np.arange(5), index)
        size = known.weight * np.sqrt(choice.hardness(known.weight, trace))
        return choice.chances(known.weight, size, left)

    for order in itertools.permutations(range(5), 2):
        taken: list[float] = []
        for t in range(2):
            taken.append(float(chances(list(order[:t]))[order[t]]))
        trace = follow.follow(known, np.array(order), np.array(taken), scores[list(order)])
        mean += np.prod(taken) * np.stack([trace.score, trace.plain], 1)
        all_chances += np.prod(taken)
    np.testing.assert_allclose(all_chances, 1)
    np.testing.assert_allclose(mean, truth, rtol=1e-10)


def test_chances_are_a_distribution_over_what_is_left_and_none_is_small():
    weight, size, left = np.array([1, 2, 3, 0.0]) / 6, np.array([5, 0, 0, 0.0]), np.array([True, True, False, False])
    q = choice.chances(weight, size, left)
    np.testing.assert_allclose(q, [choice.FLOOR / 3 + 1 - choice.FLOOR, 2 * choice.FLOOR / 3, 0, 0])
    even = choice.chances(weight, np.zeros(4) + 1e-12, np.array([False, True, False, False]))
    np.testing.assert_allclose(even, [0, 1, 0, 0])


def test_residuals_that_do_not_follow_the_bank_make_chances_flat():
    known, index = follow.Known.of(worlds.bank()), np.arange(40)
    trace = follow.follow(known, index, np.full(40, 1 / worlds.ITEMS), odd(2)[:40])
    hard = trace.nominal > np.median(trace.nominal)
    against, along = (
        np.ptp(choice.hardness(known.weight, trace._replace(off=residual, plain_off=residual)))
        for residual in (np.where(hard, 0.1, 0.9), np.where(hard, 0.9, 0.1))
    )
    assert against == 0
    assert along == pytest.approx(np.ptp(trace.variance))


def test_intervals_of_an_odd_model_hold():
    runs, inside, always, errors = 100, 0, 0, []
    known, bank = follow.Known.of(worlds.bank()), worlds.bank()
    for run in range(runs):
        scores = odd(run)
        _, drawn = session(scores, 24, 12, seed=run)
        index = follow.places(bank, drawn)
        trace = follow.follow(known, index, drawn.chance, scores[index])
        truth = known.weight @ scores
        one, looks = (score.interval(trace, 0.95, way) for way in (False, True))
        inside, always = inside + (one.low <= truth <= one.high), always + (looks.low <= truth <= looks.high)
        errors.append((one.value - truth) / one.std_error)
    assert inside >= binom.ppf(FALSE_ALARM, runs, 0.93)
    assert always >= inside
    assert abs(np.mean(errors)) * np.sqrt(runs) / np.std(errors) < norm.isf(FALSE_ALARM / 2)


def test_a_martingale_leaves_the_widest_reach_rarely():
    walks, steps, level = 4000, 400, 0.9
    total = np.arange(1, steps + 1.0)
    path = np.random.default_rng(0).standard_normal((walks, steps)).cumsum(1) / np.sqrt(total)
    bound = np.array([score._mixture(n, level) for n in total])
    left = (np.abs(path) > bound).any(1).sum()
    assert binom.ppf(FALSE_ALARM, walks, 0.03) <= left <= binom.isf(FALSE_ALARM, walks, 1 - level)


def test_predictions_of_single_items_add_up_to_the_score_that_kriging_gives():
    bank, scores = worlds.bank(), odd(3)
    known, index = follow.Known.of(bank), np.arange(20)
    mean, variance = kriging.each(known.curves, known.near, index, scores[index])
    assert ((mean >= 0) & (mean <= 1) & (variance > 0)).all()
    told = known.weight[index] @ scores[index] + known.weight[20:] @ mean[20:]
    usual = ll.tiny.estimate(answered(scores, bank.items[:20]), bank=bank, by="kriged")
    assert told == pytest.approx(usual.value[0], abs=usual.std_error[0] / 3)  # their kernels differ in width


def test_all_items_drawn_is_the_exact_score():
    scores = odd(4)
    seen, drawn = session(scores, worlds.ITEMS, worlds.ITEMS, seed=0)
    found = ll.guarantee.estimate(seen, bank=worlds.bank(), draws=drawn)
    assert found.low[0] == found.high[0] == pytest.approx(scores.mean())
    assert (found.std_error[0], found.remark[0]) == (
        0,
        "all items answered: the exact score of this set, without sampling error",
    )
    asked = ll.guarantee.choose(seen, bank=worlds.bank(), draws=drawn)
    assert (asked.choice.enough, asked.choice.reason) == (True, "all items were drawn")


def test_draws_go_on_where_they_were_and_are_those_of_their_seed():
    scores = odd(5)
    _, drawn = session(scores, 10, 5, seed=7)
    assert (len(set(drawn.items)), drawn.seed) == (10, 7)
    assert session(scores, 10, 5, seed=7)[1] == drawn
    assert session(scores, 10, 5, seed=8)[1].items != drawn.items
    half = answered(scores, drawn.items[:5])
    waiting = ll.guarantee.choose(half, bank=worlds.bank(), draws=drawn, k=3)
    assert (waiting.choice.items[0], waiting.draws) == (drawn.items[5:], drawn)
    found = ll.guarantee.estimate(half, bank=worlds.bank(), draws=drawn)
    assert (found.n_seen[0], found.remark[0].split(";")[0]) == (5, "5 of 10 drawn items answered")


def test_stopping_by_answers_makes_the_interval_hold_at_every_look():
    scores = odd(6)
    seen, drawn = session(scores, 24, 24, seed=0)
    bank = worlds.bank()
    assert not drawn.every_look
    plain = ll.guarantee.estimate(seen, bank=bank, draws=drawn)
    for stop, why in (({"width": 0.99}, "the interval, valid at every look, is"), ({"budget": 24}, "the budget of 24")):
        asked = ll.guarantee.choose(seen, bank=bank, draws=drawn, **stop)
        assert asked.choice.enough
        assert asked.choice.reason.startswith(why)
        assert asked.draws.every_look == ("width" in stop)
    looks = ll.guarantee.estimate(seen, bank=bank, draws=asked.draws, every_look=True)
    assert looks.method == "drawn, valid at every look"
    assert looks.high[0] - looks.low[0] > plain.high[0] - plain.low[0]
    clear = ll.guarantee.choose(seen, bank=bank, draws=drawn, threshold=0.0)
    assert clear.choice.enough == bool(looks.low[0] > 0)


def test_no_look_before_enough_draws_claims_anything():
    scores = np.ones(worlds.ITEMS)
    bank = worlds.bank()
    for draws, silent in ((score.EARLY - 1, True), (score.EARLY, False)):
        seen, drawn = session(scores, draws, draws, seed=0)
        found = ll.guarantee.estimate(seen, bank=bank, draws=drawn, every_look=True)
        right = float(bank.target_weight[0][follow.places(bank, drawn)].sum())
        assert (found.low[0] == pytest.approx(right)) == silent
        assert found.high[0] == pytest.approx(1)
    asked = ll.guarantee.choose(seen, bank=bank, draws=drawn, threshold=0.99)
    assert not asked.choice.enough


def test_a_model_unlike_the_others_is_remarked():
    bank = worlds.bank()
    hard = np.asarray(worlds.known().scores).mean(0)
    scores = (hard < np.median(hard)).astype(float)  # right where the others are wrong
    seen, drawn = session(scores, 40, 20, seed=1)
    found = ll.guarantee.estimate(seen, bank=bank, draws=drawn)
    usual = ll.tiny.estimate(seen, bank=bank, by="kriged")
    apart = abs(usual.value[0] - found.value[0]) > 2 * np.hypot(usual.std_error[0], found.std_error[0])
    assert ("unlike the calibration models" in found.remark[0]) == apart
    assert score._words(0.5, 3, 3, True) == (
        "unlike the calibration models: their curves say 0.500, further off than chance explains"
    )


def test_what_is_wrong_is_said():
    bank, scores = worlds.bank(), odd(7)
    _, drawn = session(scores, 6, 6, seed=0)
    gap = answered(scores, drawn.items[:2] + drawn.items[3:])
    with pytest.raises(ll.BadInput, match=r"'odd' has no answer to item .*, draw 3 of 6, but has some to later draws"):
        ll.guarantee.estimate(gap, bank=bank, draws=drawn)
    others = tuple(item for item in bank.items if item not in drawn.items)
    with pytest.raises(ll.BadInput, match="'odd' answered none of the 6 drawn items; the first is"):
        ll.guarantee.estimate(answered(scores, others), bank=bank, draws=drawn)
    with pytest.raises(ll.BankMismatch, match="draws of bank 'other' do not go with bank 'tests'"):
        ll.guarantee.estimate(gap, bank=bank, draws=ll.Draws("other", drawn.items, drawn.chance))
    with pytest.raises(ll.BankMismatch, match="it has no item 'nowhere'"):
        ll.guarantee.choose(None, bank=bank, draws=ll.Draws("tests", ("nowhere",), np.array([0.5])))
    for words, what in (({"k": 0}, "k is 0"), ({"width": 2.0}, "width is 2"), ({"threshold": -1.0}, "threshold is -1")):
        with pytest.raises(ll.BadInput, match=what):
            ll.guarantee.choose(None, bank=bank, **words)
    with pytest.raises(ll.BankMismatch, match="keeps no complete answers"):
        ll.guarantee.choose(None, bank=ll.anchors.choose(worlds.items(), responses=None, k=None, name="bare"))
