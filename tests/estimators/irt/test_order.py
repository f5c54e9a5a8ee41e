"""The order in which rows, items and blocks are met changes nothing, and results come back in that order."""

import dataclasses

import numpy as np
import pytest

from lleval_jax.data.simulate import simulate
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import guard, order
from lleval_jax.values import Responses, SparseResponses
from lleval_jax.values.origin import Origin

ROWS, ITEMS = 12, 15
SHUFFLES = 3


def answers() -> Responses:
    found = simulate(ROWS, ITEMS, seed=3)[0]
    seen = np.random.default_rng(1).random(found.scores.shape) < 0.9
    group = [f"part-{i % 2}" for i in range(ITEMS)]
    return Responses.build(np.where(seen, found.scores, np.nan), rows=found.rows, items=found.items, group=group)


def shuffled(found: Responses, seed: int) -> Responses:
    rng = np.random.default_rng(seed)
    rows, items = rng.permutation(len(found.rows)), rng.permutation(len(found.items))
    return found.take(rows).select([found.items[i] for i in items])


def sparse(found: Responses, seed: int = 0) -> SparseResponses:
    row, item = np.nonzero(found.seen)
    cells = np.random.default_rng(seed).permutation(len(row))
    row, item = row[cells], item[cells]
    names = {name: getattr(found, name) for name in ("rows", "items", "group", "groups")}
    return SparseResponses(row, item, found.scores[row, item], np.ones(len(row), np.float32), **names)


def blocks(found: Responses, seed: int) -> list[Responses]:
    names = sorted(found.items)
    parts = [found.select(names[:7]), found.select(names[7:])]
    return [shuffled(part, seed) for part in (parts if seed % 2 else parts[::-1])]


def same(a, b):
    for x, y in zip(a.params, b.params, strict=True):
        np.testing.assert_array_equal(x, y)


SLOW = pytest.mark.slow  # a program each


@pytest.mark.parametrize(
    "kind",
    [lambda found, seed: found, pytest.param(sparse, marks=SLOW), pytest.param(blocks, marks=SLOW)],
    ids=["dense", "sparse", "blocks"],
)
def test_a_fit_is_the_same_in_every_order_and_comes_back_in_that_of_its_answers(kind):
    base = irt.fit(kind(answers(), 0), precision="float64", max_steps=8, tol=1.0)
    for seed in range(1, 1 + SHUFFLES):
        given = kind(shuffled(answers(), seed), seed)
        found = irt.fit(given, precision="float64", max_steps=8, tol=1.0)
        assert (found.rows, found.items) == order.axes_of(given)
        same(order.arranged(found, base.rows, base.items), base)


def test_a_guard_is_the_same_in_every_order():
    base = guard.check(answers())
    assert [guard.check(shuffled(answers(), seed)) for seed in range(SHUFFLES)] == [base] * SHUFFLES


def test_answers_are_ordered_with_all_that_belongs_to_them():
    found = dataclasses.replace(
        answers(),
        origins=Origin(("a",), np.zeros((ROWS, ITEMS), np.int32), np.arange(ROWS * ITEMS).reshape(ROWS, ITEMS)),
        parts={"model": tuple(f"model of {row}" for row in answers().rows)},
    )
    mixed = shuffled(found, 5)
    for part in (mixed.ordered(), found.ordered()):
        assert part.rows == tuple(sorted(found.rows))
        assert part.items == tuple(sorted(found.items))
        assert part.parts["model"] == tuple(f"model of {row}" for row in part.rows)
        for row, item in ((part.rows[0], part.items[3]), (part.rows[7], part.items[11])):
            if part.seen[part.rows.index(row), part.items.index(item)]:
                assert part.origin(row, item) == found.origin(row, item)
    np.testing.assert_array_equal(mixed.ordered().scores, found.ordered().scores)
    np.testing.assert_array_equal(mixed.ordered().group, found.ordered().group)
    assert mixed.ordered().ordered() is not mixed
    one, two = sparse(mixed, 1).ordered(), sparse(found, 2).ordered()
    for name in ("row", "item", "scores", "group"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
