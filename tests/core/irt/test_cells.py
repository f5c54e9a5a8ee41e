"""Three ways to store the answers, one algebra."""

import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.irt.cells import Blocks, Dense, Sparse

ROWS, ITEMS, K = 9, 7, 3
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def table(complete, dtype=float):
    """Weight times score, and weight, with some rows and items empty."""
    draw = np.random.default_rng(0)
    weight = np.ones((ROWS, ITEMS)) if complete else draw.integers(0, 4, (ROWS, ITEMS)).astype(float)
    if not complete:
        weight[3], weight[:, 2] = 0, 0
    return (weight * draw.random((ROWS, ITEMS))).astype(dtype), weight.astype(dtype)


def dense(scores, weight, complete):
    return Dense(scores, None if complete else weight, np.ones(scores.shape[1], scores.dtype))


def sparse(scores, weight):
    row, item = np.nonzero(weight)
    return Sparse(row, item, scores[row, item], weight[row, item], shape=scores.shape)


def blocks(scores, weight, complete):
    """Two benchmarks; the second was taken by all rows but one, in another order."""
    order = np.array([5, 0, 8, 1, 7, 2, 6, 4])
    if complete:
        scores, weight = scores.copy(), weight.copy()
    first = dense(scores[:, :4], weight[:, :4], complete)
    second = dense(scores[order, 4:], weight[order, 4:], complete)
    return Blocks((first, second), (np.arange(ROWS), order), ROWS)


@compiled
def cell_by_cell(cells, by_row, by_item):
    sums = cells.sum_items(cells.scores, by_item), cells.sum_rows(cells.scores, by_row)
    return cells.at_cells(by_row, by_item), cells.weights(), *sums


@compiled
def products(cells, by_score, by_weight, mass):
    """What a fit asks of the answers: over items, and over rows."""
    return cells.over_items(by_score, by_weight), *cells.over_rows(mass)


@pytest.fixture(params=[True, False], ids=["complete", "holes"])
def complete(request):
    return request.param


def vectors():
    draw = np.random.default_rng(1)
    return draw.standard_normal((ITEMS, K)), draw.standard_normal((ITEMS, K)), draw.standard_normal((ROWS, K))


def test_over_items_and_rows_are_matrix_products(complete):
    scores, weight = table(complete)
    by_score, by_weight, mass = vectors()
    for cells in (dense(scores, weight, complete), sparse(scores, weight)):
        got, right, asked = products(cells, by_score, by_weight, mass)
        np.testing.assert_allclose(got, scores @ by_score + weight @ by_weight, **CLOSE)
        np.testing.assert_allclose(right, scores.T @ mass, **CLOSE)
        np.testing.assert_allclose(asked, weight.T @ mass, **CLOSE)


def test_blocks_are_one_matrix_with_a_hole(complete):
    scores, weight = table(complete)
    scores[3, 4:], weight[3, 4:] = 0, 0
    by_score, by_weight, mass = vectors()
    got, right, asked = products(blocks(scores, weight, complete), by_score, by_weight, mass)
    np.testing.assert_allclose(got, scores @ by_score + weight @ by_weight, **CLOSE)
    np.testing.assert_allclose(right, scores.T @ mass, **CLOSE)
    np.testing.assert_allclose(asked, weight.T @ mass, **CLOSE)


def test_cell_by_cell_products_agree(complete):
    scores, weight = table(complete)
    by_item, _, by_row = vectors()
    full, few = dense(scores, weight, complete), sparse(scores, weight)
    at, all_weights, items, rows = cell_by_cell(full, by_row, by_item)
    np.testing.assert_allclose(at, by_row @ by_item.T, **CLOSE)
    np.testing.assert_allclose(all_weights, weight)
    few_at, few_weights, few_items, few_rows = cell_by_cell(few, by_row, by_item)
    np.testing.assert_allclose(few_at, at[few.row, few.item], **CLOSE)
    np.testing.assert_allclose(few_weights, weight[few.row, few.item])
    for found, want in (((items, few_items), scores @ by_item), ((rows, few_rows), scores.T @ by_row)):
        for got in found:
            np.testing.assert_allclose(got, want, **CLOSE)


def test_padding_items_count_for_nothing():
    scores, weight = table(True)
    keep = np.arange(ITEMS) < 5
    cells = Dense(scores * keep, None, keep * 1.0)
    by_score, by_weight, mass = vectors()
    got, _, asked = products(cells, by_score, by_weight, mass)
    np.testing.assert_allclose(got, scores[:, :5] @ by_score[:5] + weight[:, :5] @ by_weight[:5], **CLOSE)
    assert not asked[5:].any()


def test_float32_stays_float32(complete):
    scores, weight = table(complete, np.float32)
    by_score, by_weight, mass = (x.astype(np.float32) for x in vectors())
    for cells in (dense(scores, weight, complete), sparse(scores, weight), blocks(scores, weight, complete)):
        assert all(x.dtype == np.float32 for x in products(cells, by_score, by_weight, mass))
