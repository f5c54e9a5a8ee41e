"""Properties that every estimator of full scores has, with every rule that chooses what to ask."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import worlds
from worlds import ITEMS, NEW, K, new

from lleval_jax import data
from lleval_jax.errors import BankMismatch, DataWarning
from lleval_jax.estimators import tiny
from lleval_jax.estimators.irt import ability
from lleval_jax.estimators.tiny import anchors
from lleval_jax.values import Responses

PAIRS = [(method, by) for method in tiny.methods() for by in anchors.METHODS]
pairs = pytest.mark.parametrize(("method", "by"), PAIRS)
methods = pytest.mark.parametrize("method", tiny.methods())
rules = pytest.mark.parametrize("by", anchors.METHODS)
CLOSE = 1e-5  # sums of float32 over the items
FIELDS = ("value", "low", "high", "std_error")


@functools.cache
def bank(by):
    found = worlds.bank(by)
    return dataclasses.replace(found, anchors=dataclasses.replace(found.anchors, mix=np.array([0.3])))


def asked(by):
    return anchors.anchors_only(new(), bank=bank(by))


def estimate(method, by, here=None, **other):
    return tiny.estimate(asked(by) if here is None else here, bank=bank(by), by=method, **other)


@functools.cache
def base(method, by):
    return estimate(method, by)


def same(a, b, atol=CLOSE):
    assert a.rows == b.rows
    for field in FIELDS:
        np.testing.assert_allclose(getattr(a, field), getattr(b, field), atol=atol)


@rules
def test_anchors_are_different_items_that_stand_for_all(by):
    found = bank(by)
    assert found.anchors.by == by
    assert len(set(found.anchor_items)) == K
    np.testing.assert_allclose(found.anchors.weight.sum(), 1, rtol=1e-6)
    assert (found.anchors.weight >= 0).all()
    np.testing.assert_allclose(found.weight.sum(), 1, rtol=1e-6)


@pairs
def test_intervals_hold_their_value_and_stay_in_the_unit_interval(method, by):
    got = base(method, by)
    assert got.method == method
    assert ((got.low >= 0) & (got.low <= got.value) & (got.value <= got.high) & (got.high <= 1)).all()
    assert (got.std_error > 0).all()
    assert got.n_seen.tolist() == [K] * NEW
    assert set(got.group) == {"all"}


@pairs
def test_order_of_rows_changes_nothing(method, by):
    got = estimate(method, by, asked(by).take(range(NEW)[::-1]))
    for field in FIELDS:
        np.testing.assert_allclose(getattr(got, field)[::-1], getattr(base(method, by), field), atol=CLOSE)


@pairs
def test_order_of_items_changes_nothing_and_unseen_columns_may_be_left_out(method, by):
    order = np.random.default_rng(0).permutation(bank(by).anchors.index)
    same(estimate(method, by, new().select([bank(by).items[i] for i in order])), base(method, by))


@pairs
def test_the_same_seed_gives_the_same(method, by):
    same(estimate(method, by), base(method, by), atol=0)


@pairs
def test_a_lower_level_lies_inside(method, by):
    narrow, wide = estimate(method, by, level=0.5), base(method, by)
    np.testing.assert_array_equal(narrow.value, wide.value)
    assert ((wide.low <= narrow.low) & (narrow.high <= wide.high)).all()
    assert (wide.high - wide.low).sum() > (narrow.high - narrow.low).sum()


@pairs
def test_unknown_items_are_an_error_alone_and_a_counted_warning_beside_others(method, by):
    strangers = Responses.build(np.ones((NEW, 2), np.float32), rows=new().rows, items=("x", "y"))
    with pytest.raises(BankMismatch, match="none of the 2 items answered is in bank 'tests'"):
        estimate(method, by, strangers)
    with pytest.warns(DataWarning, match=r"2 of \d+ items answered are not in bank 'tests'"):
        got = estimate(method, by, asked(by).merge(strangers))
    same(got, base(method, by))


@methods
def test_json_and_files_keep_an_estimate(method, tmp_path):
    got = base(method, "spread")
    text = json.loads(json.dumps(got.to_dict()))
    assert text["method"] == method
    assert [line["row"] for line in text["estimates"]] == list(got.rows)
    back = data.load(data.save(got, tmp_path / "estimate"))
    same(back, got, atol=1e-9)
    assert (back.target, back.group, back.status, back.level) == (got.target, got.group, got.status, got.level)


@rules
def test_a_saved_bank_gives_the_same_estimates(by, tmp_path):
    back = data.load(data.save(bank(by), tmp_path / "bank"))
    assert back.anchor_items == bank(by).anchor_items
    for method in tiny.methods():
        same(tiny.estimate(asked(by), bank=back, by=method), base(method, by))


def more_answers():
    """The anchors and as many more, the same for all models."""
    seen = bank("spread").anchors.index
    rest = np.setdiff1d(np.arange(ITEMS), seen)
    index = np.concatenate([seen, np.random.default_rng(1).permutation(rest)[: 2 * K]])
    return new().select([bank("spread").items[i] for i in index])


@methods
def test_more_answers_narrow_the_interval_on_average(method):
    few, more = base(method, "spread"), estimate(method, "spread", more_answers())
    assert (more.high - more.low).mean() < (few.high - few.low).mean()


@methods
def test_more_answers_come_nearer_on_average(method):
    """Before the clip, which would hide a formula that is wrong for many answers."""
    truth = new().scores.astype(float) @ bank("spread").target_weight[0]
    error = []
    for here in (asked("spread"), more_answers()):
        here = ability.known_answers(here, bank("spread"))
        found = tiny.methods()[method].call(here, bank("spread"), np.array([0]), 0.95, 0)
        error.append(((found.value[:, 0] - truth) ** 2).mean())
    assert error[1] < error[0]


@pytest.mark.parametrize("method", [m for m in tiny.methods() if m not in ("head", "mixed")])
@rules
def test_answering_everything_gives_the_score(method, by):
    got = estimate(method, by, new(), groups=True)
    truth = new().scores.astype(float) @ bank(by).target_weight.T
    np.testing.assert_allclose(got.value, truth.ravel(), atol=CLOSE)
    np.testing.assert_allclose(got.high - got.low, 0, atol=CLOSE)
    np.testing.assert_allclose(got.std_error, 0, atol=1e-3)


@methods
def test_groups_are_entries_after_the_whole(method):
    got = estimate(method, "spread", groups=True)
    assert got.group == ("all", "group-0", "group-1") * NEW
    assert got.rows == tuple(row for row in new().rows for _ in range(3))
    whole = dataclasses.replace(base(method, "spread"))
    for field in FIELDS:
        np.testing.assert_allclose(getattr(got, field)[::3], getattr(whole, field), atol=CLOSE)
    assert ((got.low >= 0) & (got.high <= 1)).all()


@methods
def test_models_with_other_answers_do_not_matter_to_each_other(method):
    """A row that answered one item less, beside the others."""
    here = asked("spread")
    seen = here.seen.copy()
    seen[0, bank("spread").anchors.index[0]] = False
    here = dataclasses.replace(here, seen=seen, scores=np.where(seen, here.scores, 0))
    got = estimate(method, "spread", here)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(got, field)[1:], getattr(base(method, "spread"), field)[1:], atol=CLOSE)
    assert got.n_seen[0] == K - 1


@methods
def test_fractional_scores_and_counts_are_taken(method):
    here = asked("spread")
    half = dataclasses.replace(
        here, scores=np.where(here.seen, 0.25 + 0.5 * here.scores, 0), weight=np.full(here.scores.shape, 4.0)
    )
    got = estimate(method, "spread", half)
    assert np.isfinite(got.value).all()
    assert got.value.std() < base(method, "spread").value.std()  # all models answer more alike


@methods
def test_better_answers_never_lower_the_average(method):
    here = asked("spread")
    best = dataclasses.replace(here, scores=here.seen.astype(np.float32))
    assert (estimate(method, "spread", best).value > base(method, "spread").value - CLOSE).all()
