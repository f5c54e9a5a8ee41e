"""The shape of micro-batches: all steps fit it, and little of it is padding."""

import numpy as np
import pytest

from lleval_jax.lm.packing import Row
from lleval_jax.training.run import batches
from lleval_jax.training.run.plan import OVER, plan


def rows(count: int, low: int, high: int, seed: int = 0) -> list[Row]:
    lengths = np.random.default_rng(seed).integers(low, high, count)
    return [Row(np.ones(size, np.int32), int(size) // 2) for size in lengths]


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("batch", [500, 4096, 100_000])
def test_all_steps_have_one_shape_and_all_answers_are_in_it(batch: int, multiple: int) -> None:
    steps = [rows(32, 70, 190, seed) for seed in range(12)]
    found = plan(steps, batch=batch, width=256, multiple=multiple)
    for step in steps:
        made = batches.packed(step, batch=batch, planned=found)
        assert {each.tokens.shape for each in made} == {(found.wide, found.length)}
        assert {each.places.shape for each in made} == {(found.room,)}
        assert sum(int((each.segments > 0).sum()) for each in made) == sum(len(row.tokens) for row in step)
        assert found.wide % multiple == 0
    if multiple == 1:
        assert found.wide * found.length < OVER * batch + found.length


def test_answers_just_over_half_a_row_get_longer_rows() -> None:
    """Of 113 tokens each and 162 at most: in rows of 192 more than 40% would be padding."""
    steps = [rows(32, 80, 160, seed) for seed in range(8)]
    found = plan(steps, batch=4096, width=256)
    tokens = sum(len(row.tokens) for row in steps[0])
    assert found.length > 192
    assert found.wide * found.length < 1.25 * tokens


def test_a_step_that_was_not_looked_at_may_need_more() -> None:
    found = plan([rows(8, 10, 20)], batch=1000, width=64, longest=60)
    step = rows(40, 50, 60)
    made = batches.packed(step, batch=1000, planned=found)
    assert {each.tokens.shape for each in made} == {(found.wide, found.length)}
    assert sum(int((each.segments > 0).sum()) for each in made) == sum(len(row.tokens) for row in step)
    assert sum(int((each.places >= 0).sum()) for each in made) == sum(len(row.tokens) - row.start for row in step)


def test_wide_models_take_longer_rows_than_narrow_ones() -> None:
    """Their attention costs less, as a share."""
    steps = [rows(64, 80, 160)]
    lengths = [plan(steps, batch=100_000, width=width).length for width in (32, 256, 4096)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
