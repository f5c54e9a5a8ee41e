"""Balanced plans: the published greedy rule, written out and enumerated on small grids; balance; nesting."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

from lleval_jax.errors import BadInput
from lleval_jax.estimators.prompts import balanced

FALSE_ALARM = 1e-6  # of each chi-square test
EXPECTED = 20  # draws of the rarest sequence, so that chi-square holds

EMPTY = np.zeros((3, 3), bool)
UNEVEN = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
COVERED = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]], bool)  # row 0 has all the rare columns


def greedy(seen, budget, active, random_column):
    """Probability of each sequence of cells under the published rule, by enumeration."""

    @cache
    def rest(cells):
        if len(cells) >= budget:
            return {(): 1.0}
        fewest = min(sum(r == row for r, _ in cells) for row in active)
        rows = [row for row in active if sum(r == row for r, _ in cells) == fewest]
        found = {}
        for row in rows:
            free = [c for c in range(seen.shape[1]) if (row, c) not in cells]
            count = {c: sum(column == c for _, column in cells) for c in free}
            columns = free if random_column else [c for c in free if count[c] == min(count.values())]
            for column in columns:
                for later, share in rest(cells | {(row, column)}).items():
                    found[((row, column), *later)] = share / len(rows) / len(columns)
        return found

    return rest(frozenset(zip(*map(np.ndarray.tolist, np.nonzero(seen)), strict=True)))


@pytest.mark.parametrize(
    ("seen", "budget", "rows", "random_column"),
    [
        (EMPTY, 3, None, False),
        (np.zeros((2, 3), bool), 5, None, False),
        (UNEVEN, 7, None, False),
        (UNEVEN, 7, [True, True, False], False),
        (UNEVEN, 7, None, True),
        (COVERED, 10, [True, True, False, False], False),
    ],
)
def test_sequences_have_the_distribution_of_the_published_rule(seen, budget, rows, random_column):
    mask = None if rows is None else np.array(rows)
    active = range(len(seen)) if mask is None else np.flatnonzero(mask).tolist()
    truth = greedy(seen, budget, active, random_column)
    assert sum(truth.values()) == pytest.approx(1)
    drawn, draws = Counter(), int(EXPECTED / min(truth.values()))
    for seed in range(draws):
        row, column = balanced.plan(seen, budget, seed=seed, rows=mask, random_column=random_column)
        drawn[tuple(zip(row.tolist(), column.tolist(), strict=True))] += 1
    assert set(drawn) <= set(truth)
    expected = np.array(list(truth.values())) * draws
    observed = np.array([drawn[sequence] for sequence in truth])
    assert ((observed - expected) ** 2 / expected).sum() < chi2.isf(FALSE_ALARM, len(expected) - 1)


@pytest.mark.parametrize("random_column", [False, True])
@pytest.mark.parametrize(("shape", "budget"), [((7, 31), 60), ((20, 50), 333), ((9, 4), 36), ((5, 8), 23)])
def test_every_cell_is_one_that_the_rule_allows(shape, budget, random_column):
    seen = np.random.default_rng(2).random(shape) < 0.15
    for row, column in zip(*balanced.plan(seen, budget, seed=1, random_column=random_column), strict=True):
        free = ~seen[row]
        assert free[column]
        assert seen.sum(1)[row] == seen.sum(1).min()
        assert random_column or seen.sum(0)[column] == seen.sum(0)[free].min()
        seen[row, column] = True
    assert seen.sum() == budget


def test_counts_of_rows_and_columns_differ_by_one_at_most():
    seen = np.zeros((20, 50), bool)
    for budget in (30, 100, 333, 500):
        seen[balanced.plan(seen, budget, seed=1)] = True
        assert seen.sum() == budget
        assert np.ptp(seen.sum(1)) <= 1
        assert np.ptp(seen.sum(0)) <= 1


def test_a_smaller_budget_is_the_beginning_of_a_larger_one():
    seen = np.random.default_rng(0).random((12, 40)) < 0.1
    for random_column in (False, True):
        few, many = (balanced.plan(seen, b, seed=3, random_column=random_column) for b in (100, 300))
        size = len(few[0])
        assert size == 100 - seen.sum()
        np.testing.assert_array_equal(few, [index[:size] for index in many])


def test_only_active_rows_are_asked_and_the_fewest_catch_up_first():
    seen = np.zeros((4, 10), bool)
    seen[0, :6] = seen[3, :2] = True
    row, _ = balanced.plan(seen, 8 + 14, seed=0, rows=np.array([True, True, True, False]))
    count = seen.sum(1) + np.bincount(row, minlength=4)
    assert np.ptp(count[:3]) <= 1
    assert count[3] == 2


@pytest.mark.parametrize("random_column", [False, True])
def test_the_whole_grid_and_a_budget_already_spent(random_column):
    seen = np.random.default_rng(1).random((6, 9)) < 0.4
    row, column = balanced.plan(seen, 54, seed=0, random_column=random_column)
    full = seen.copy()
    full[row, column] = True
    assert full.all()
    assert len(row) == (~seen).sum()
    assert len(balanced.plan(seen, int(seen.sum()) - 2, seed=0, random_column=random_column)[0]) == 0


def test_seeds_differ_and_repeat():
    seen = np.zeros((10, 30), bool)
    once, again, other = (balanced.plan(seen, 50, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"budget": 13}, r"a budget of 13 answers is more than the 0 asked and the 12 left to ask in 3 rows"),
        ({"budget": 9, "rows": np.array([True, True, False])}, r"a budget of 9 .* the 8 left to ask in 2 rows"),
        ({"rows": np.array([True, True])}, r"rows is bool \(2,\); give one bool for each of the 3 rows"),
        ({"seen": np.zeros((3, 4))}, r"seen is float64 \(3, 4\); give bool \(rows, items\)"),
    ],
)
def test_wrong_calls_say_what_was_found(changed, message):
    with pytest.raises(BadInput, match=message):
        balanced.plan(**({"seen": np.zeros((3, 4), bool), "budget": 5, "seed": 0} | changed))
