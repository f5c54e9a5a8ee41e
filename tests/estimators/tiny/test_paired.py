"""The difference of two models with a bank."""

import dataclasses

import numpy as np
import pytest
import worlds
from scipy import stats

import lleval_jax as ll
from lleval_jax.errors import BadInput
from lleval_jax.estimators.plain.paired import reach
from lleval_jax.estimators.tiny import paired
from lleval_jax.values import Responses

Z = stats.norm.ppf(0.975)


def asked() -> Responses:
    return ll.anchors.anchors_only(worlds.new(), bank=worlds.bank())


def alike() -> Responses:
    """Row 0, and a copy of it that has one answer wrong which the other has right."""
    here = asked()
    scores = here.scores[[0, 0]].copy()
    scores[1, np.flatnonzero(here.seen[0] & (scores[0] == 1))[:1]] = 0
    return Responses.build(scores, seen=here.seen[[0, 0]], rows=["one", "two"], items=here.items)


def compare(answers: Responses, first: str, second: str, **words):
    return ll.tiny.compare(answers, bank=worlds.bank(), first=first, second=second, **words)


def test_it_is_the_difference_of_the_estimates():
    here, place = asked(), [0, 1]
    scores = ll.tiny.estimate(here, bank=worlds.bank())
    found = compare(here, *here.rows[:2]).difference
    np.testing.assert_allclose(found.value[0], scores.value[0] - scores.value[1], atol=1e-9)
    assert found.std_error[0] <= np.hypot(*scores.std_error[place]) + 1e-12
    assert found.method == scores.method


def test_models_that_answer_alike_differ_by_less_than_two_errors_say():
    bank, answers = worlds.bank(), alike()
    found, scores = compare(answers, "one", "two"), ll.tiny.estimate(answers, bank=bank)
    index = bank.anchors.index
    gap = answers.select(bank.items).scores[:, index].astype(float)
    want = reach(gap[0] - gap[1], bank.anchors.weight.astype(float), len(bank.items), level=0.95)
    half = (found.difference.high[0] - found.difference.low[0]) / 2
    np.testing.assert_allclose(half, want, rtol=1e-9)
    assert half < Z * np.hypot(*scores.std_error)
    assert found.how == paired.PAIRED
    assert (found.won[0], found.lost[0]) == (1, 0)


def test_the_p_value_is_that_of_the_interval():
    found = compare(alike(), "one", "two")
    z = found.difference.value[0] / found.difference.std_error[0]
    assert found.p_value[0] == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert (found.p_value[0] < 0.05) == (found.difference.low[0] > 0)


def test_without_common_questions_errors_are_independent():
    here = asked()
    half = np.arange(len(here.items)) % 2 == 0
    seen = here.seen & np.where(np.arange(len(here.rows))[:, None] == 0, half, ~half)
    apart = dataclasses.replace(here, seen=seen, scores=np.where(seen, here.scores, 0))
    first, second = here.rows[:2]
    found, scores = compare(apart, first, second), ll.tiny.estimate(apart.take([0, 1]), bank=worlds.bank())
    np.testing.assert_allclose(found.difference.std_error[0], np.hypot(*scores.std_error), rtol=1e-9)
    assert found.how == paired.APART
    assert found.difference.n_seen[0] == 0


def test_turned_round_and_by_groups():
    here = asked()
    first, second = here.rows[:2]
    ab, ba = (compare(here, *names, groups=True) for names in ((first, second), (second, first)))
    np.testing.assert_allclose(ab.difference.low, -ba.difference.high, atol=1e-9)
    assert ab.difference.group == worlds.bank().targets
    assert (
        ll.compare(here, first=first, second=second, bank=worlds.bank()).to_dict()
        == compare(here, first, second).to_dict()
    )


@pytest.mark.parametrize(("names", "said"), [(("row", "x"), "no model 'row'"), (("x", "x"), "two different models")])
def test_what_cannot_be_is_refused(names, said):
    with pytest.raises(BadInput, match=said):
        compare(asked(), *names)
