"""Fits that take turns in a few lanes are those that go side by side; no lane waits for the slowest."""

from typing import NamedTuple

import jax
import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.data import simulate
from lleval_jax.estimators import lanes, planned

EXACT = {"precision": "float64", "model": "rasch"}


@pytest.fixture(scope="module")
def sets():
    return [simulate(14, 11, seed=seed)[0] for seed in range(11)]


@pytest.fixture(scope="module")
def side_by_side(sets):
    return ll.irt.fit_many(sets, **EXACT)


def same(found, expected) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.ended.steps, one.ended.status) == (other.ended.steps, other.ended.status)
        for name in ("slope", "intercept", "ability", "ability_cov"):
            a, b = getattr(one.params, name), getattr(other.params, name)
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-10, err_msg=name)  # products of other shapes round apart


def test_turns_change_nothing(sets, side_by_side):
    told = []
    same(ll.irt.fit_many(sets, **EXACT, plan=ll.Plan(chunk=4), tell=told.append), side_by_side)
    assert [each.done for each in told] == [4, 8, 11]


@pytest.mark.slow
def test_nor_do_devices_or_lanes_too_many(sets, side_by_side):
    mesh = ll.mesh(jax.devices()[:2])
    same(ll.irt.fit_many(sets, **EXACT, plan=ll.Plan(chunk=5, mesh=mesh)), side_by_side)
    same(ll.irt.fit_many(sets, **EXACT, plan=ll.Plan(mesh=mesh)), side_by_side)  # 12 lanes for 11 fits


@pytest.mark.slow
def test_shared_answers_are_shared(sets):
    counts = np.random.default_rng(0).multinomial(14, np.full(14, 1 / 14), 9)
    same(
        ll.irt.fit_many(sets[0], row_weight=counts, **EXACT, plan=ll.Plan(chunk=4)),
        ll.irt.fit_many(sets[0], row_weight=counts, **EXACT),
    )


def test_no_lane_waits_for_the_slowest():
    """Fits of known lengths: pieces that are run, and how many lanes are in them."""
    lengths = np.array([1, 40, 1, 1, 2, 1, 1, 1, 3, 1])
    stand_in = Counted(lengths)
    found = dict(lanes._in_turn(stand_in, len(lengths), 4, 1))
    assert {number: int(end.status) for number, end in found.items()} == dict.fromkeys(range(10), 1)
    assert {number: int(end.steps) for number, end in found.items()} == dict(enumerate(lengths))
    assert stand_in.widths[-1] == 1  # the slowest goes on alone
    assert sum(stand_in.widths) < 0.5 * 4 * (40 + 3)  # half of what waiting would cost: 4 lanes to the slowest of each


class Ending(NamedTuple):
    steps: np.ndarray
    status: np.ndarray


class Counted:
    """Lanes that only count: a fit ends after so many pieces."""

    def __init__(self, lengths):
        self.lengths, self.widths = lengths, []

    def of(self, numbers):
        return self.lengths[numbers]

    def begun(self, data, numbers):
        return Ending(np.zeros(len(numbers), int), np.zeros(len(numbers), int))

    def advanced(self, data, progress):
        self.widths.append(len(data))
        steps = np.where(np.asarray(progress.status) == 0, np.asarray(progress.steps) + 1, np.asarray(progress.steps))
        return Ending(steps, (steps >= data).astype(int))

    def placed(self, tree):
        return tree


def test_fits_that_were_found_are_not_done_again(sets, tmp_path, monkeypatch):
    asked, turns = [], planned.solve_in_turn

    def counted(kernel, data, keys, **words):
        asked.append(len(keys))
        return turns(kernel, data, keys, **words)

    monkeypatch.setattr(planned, "solve_in_turn", counted)
    plan, some = ll.Plan(chunk=4, every=1, out=tmp_path), sets[:8]
    once = ll.irt.fit_many(some, **EXACT, plan=plan)
    assert asked == [4, 4]
    kept = sorted(tmp_path.glob("*.state"))
    kept[0].write_bytes(kept[0].read_bytes()[:-1])
    assert ll.irt.fit_many(some, **EXACT, plan=plan) == once
    assert asked == [4, 4, 4]
    with pytest.raises(ll.BadInput, match="settings.model is rasch there and 2pl here"):
        ll.irt.fit_many(some, precision="float64", plan=plan)
