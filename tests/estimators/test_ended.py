import warnings

import pytest

from lleval_jax.errors import NotConverged
from lleval_jax.estimators.ended import ended
from lleval_jax.types import Status

WORDS = {"advice": "more models help", "value": -3.0, "unit": "log evidence"}


def test_a_converged_fit_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ended("the law", Status.CONVERGED, 7, strict=True, **WORDS)
    assert (found.status, found.steps, found.value, found.unit) == ("ok", 7, -3.0, "log evidence")


def test_not_converged_warns_where_the_user_called_and_stays_in_the_table():
    with pytest.warns(RuntimeWarning, match="the law is not converged after 7 steps; more models help") as told:
        found = ended("the law", Status.MAX_STEPS, 7, strict=False, **WORDS)
    assert found.status == "not converged"
    assert told[0].filename == __file__


def test_not_converged_raises_if_strict():
    with pytest.raises(NotConverged, match="the law is not converged after 7 sweeps; more models help"):
        ended("the law", Status.MAX_STEPS, 7, strict=True, counted="sweeps", **WORDS)


def test_not_finite_always_raises_but_in_one_lane_of_many():
    with pytest.raises(NotConverged, match="the law is not finite after 7 steps"):
        ended("the law", Status.NOT_FINITE, 7, strict=False, **WORDS)
    with pytest.warns(RuntimeWarning, match="not finite"):
        assert ended("the law", Status.NOT_FINITE, 7, strict=False, lane=True, **WORDS).status == "not finite"
