"""Models beyond all calibration models: how far, what the default makes of them, and what it says."""

import dataclasses

import numpy as np
import pytest
import worlds

from lleval_jax.estimators import tiny
from lleval_jax.estimators.tiny import anchors, reach, score
from lleval_jax.estimators.tiny.method import Spread
from lleval_jax.values import Calibration, Responses
from lleval_jax.values.responses import WHOLE

ENDS = reach.Reach(np.array([0.2]), np.array([0.6]))


def spread(value, sd=0.05):
    value = np.asarray(value, float)[:, None]
    return Spread(value, np.full_like(value, sd), value - 2 * sd, value + 2 * sd)


def test_beyond_is_the_way_past_the_nearest_end():
    value = np.array([[0.1], [0.2], [0.4], [0.6], [0.85]])
    np.testing.assert_allclose(reach.beyond(value, ENDS)[:, 0], [0.1, 0, 0, 0, 0.25])
    assert reach.reach(np.array([[0.3], [0.2], [0.6]])) == ENDS


def test_answers_are_compared_with_models_that_answered_the_same_items():
    """Of four items the third known model answered one, and does not count."""
    answers = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], float)
    seen = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]], bool)
    known = Calibration(("a", "b", "c"), answers, seen, np.zeros((3, 1)), outside=True)
    rows = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, np.nan, np.nan, np.nan]])
    found = reach.answers_beyond(Responses.build(rows), known)
    np.testing.assert_allclose(found, [0.25, 0, 0.25, 0])


def test_the_head_has_its_say_within_what_is_known_and_none_far_outside():
    say = score._say(spread([0.3, 0.6, 0.62, 0.7, 0.05]), spread([0.3, 0.6, 0.6, 0.6, 0.2]), ENDS)[:, 0]
    np.testing.assert_allclose(say[:2], 1)
    assert 0.1 < say[2] < 0.9
    assert (say[3:] < 1e-6).all()


def test_the_head_has_less_say_where_it_and_the_curves_part_by_more_than_their_errors():
    apart = np.array([0.0, 0.1, 0.2, 0.4])  # of errors of .07 together
    say = score._say(spread(np.full(4, 0.5)), spread(0.5 - apart), ENDS)[:, 0]
    np.testing.assert_allclose(say[:2], 1)
    np.testing.assert_allclose(say[2:], np.exp(-0.5 * (apart[2:] / np.hypot(0.05, 0.05) - 2) ** 2))
    assert say[3] < 0.01


def bank():
    """Of few anchors, with a large share of the regression."""
    found = worlds.bank("spread")
    return dataclasses.replace(found, anchors=dataclasses.replace(found.anchors, mix=np.array([0.5])))


def extremes(value):
    return Responses.build(np.full((1, len(bank().items)), value), rows=("extreme",), items=bank().items)


@pytest.mark.parametrize(("answer", "place"), [(1.0, "above"), (0.0, "below")])
def test_a_model_beyond_all_known_rests_on_its_own_answers_and_the_output_says_so(answer, place):
    here = anchors.anchors_only(extremes(answer), bank=bank())
    found = {method: tiny.estimate(here, bank=bank(), by=method) for method in ("kriged", "head", "mixed")}
    np.testing.assert_allclose(found["mixed"].value, found["kriged"].value, atol=1e-3)
    assert abs(found["head"].value[0] - found["kriged"].value[0]) > 0.01
    count = len(bank().calibration.rows)
    said = f"{place} all {count} calibration models; regression on known models given little weight"
    assert found["mixed"].remark == (said,)
    assert said in str(found["mixed"])
    assert [entry["remark"] for entry in found["mixed"].to_dict()["estimates"]] == [said]


def test_a_model_among_the_known_ones_has_no_remark():
    usual = Responses.build(bank().calibration.answers[:1].astype(float), rows=("usual",), items=bank().items)
    here = anchors.anchors_only(usual, bank=bank())
    found = tiny.estimate(here, bank=bank(), by="kriged", groups=True)
    assert found.remark[found.group.index(WHOLE)] == ""
    assert "remark" not in found.to_dict()["estimates"][0]
    assert "remark" not in tiny.estimate(here, bank=bank(), by="kriged").to_frame()
