"""Three ways to store the answers, one algebra."""

import jax.numpy as jnp
import numpy as np
import pytest

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
    ones = jnp.ones(scores.shape[1], scores.dtype)
    return Dense(jnp.asarray(scores), None if complete else jnp.asarray(weight), ones)


def sparse(scores, weight):
    row, item = np.nonzero(weight)
    cell = jnp.asarray(row), jnp.asarray(item), jnp.asarray(scores[row, item]), jnp.asarray(weight[row, item])
    return Sparse(*cell, shape=scores.shape)


def blocks(scores, weight, complete):
    """Two benchmarks; the second was taken by all rows but one, in another order."""
    order = np.array([5, 0, 8, 1, 7, 2, 6, 4])
    if complete:
        scores, weight = scores.copy(), weight.copy()
    first = dense(scores[:, :4], weight[:, :4], complete)
    second = dense(scores[order, 4:], weight[order, 4:], complete)
    return Blocks((first, second), (jnp.arange(ROWS), jnp.asarray(order)), ROWS)


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
        got = cells.over_items(jnp.asarray(by_score), jnp.asarray(by_weight))
        np.testing.assert_allclose(got, scores @ by_score + weight @ by_weight, **CLOSE)
        right, asked = cells.over_rows(jnp.asarray(mass))
        np.testing.assert_allclose(right, scores.T @ mass, **CLOSE)
        np.testing.assert_allclose(asked, weight.T @ mass, **CLOSE)


def test_blocks_are_one_matrix_with_a_hole(complete):
    scores, weight = table(complete)
    scores[3, 4:], weight[3, 4:] = 0, 0
    by_score, by_weight, mass = vectors()
    cells = blocks(scores, weight, complete)
    got = cells.over_items(jnp.asarray(by_score), jnp.asarray(by_weight))
    np.testing.assert_allclose(got, scores @ by_score + weight @ by_weight, **CLOSE)
    right, asked = cells.over_rows(jnp.asarray(mass))
    np.testing.assert_allclose(right, scores.T @ mass, **CLOSE)
    np.testing.assert_allclose(asked, weight.T @ mass, **CLOSE)


def test_cell_by_cell_products_agree(complete):
    scores, weight = table(complete)
    by_item, _, by_row = vectors()
    full, few = dense(scores, weight, complete), sparse(scores, weight)
    at = full.at_cells(jnp.asarray(by_row), jnp.asarray(by_item))
    np.testing.assert_allclose(at, by_row @ by_item.T, **CLOSE)
    np.testing.assert_allclose(few.at_cells(jnp.asarray(by_row), jnp.asarray(by_item)), at[few.row, few.item], **CLOSE)
    np.testing.assert_allclose(full.weights(), weight)
    np.testing.assert_allclose(few.weights(), weight[few.row, few.item])
    for method, other in (("sum_items", by_item), ("sum_rows", by_row)):
        want = scores @ other if method == "sum_items" else scores.T @ other
        for cells in (full, few):
            np.testing.assert_allclose(getattr(cells, method)(cells.scores, jnp.asarray(other)), want, **CLOSE)


def test_padding_items_count_for_nothing():
    scores, weight = table(True)
    keep = np.arange(ITEMS) < 5
    cells = Dense(jnp.asarray(scores * keep), None, jnp.asarray(keep * 1.0))
    by_score, by_weight, mass = vectors()
    got = cells.over_items(jnp.asarray(by_score), jnp.asarray(by_weight))
    np.testing.assert_allclose(got, scores[:, :5] @ by_score[:5] + weight[:, :5] @ by_weight[:5], **CLOSE)
    assert not np.asarray(cells.over_rows(jnp.asarray(mass))[1][5:]).any()


def test_float32_stays_float32(complete):
    scores, weight = table(complete, np.float32)
    by_score, by_weight, mass = (jnp.asarray(x, jnp.float32) for x in vectors())
    for cells in (dense(scores, weight, complete), sparse(scores, weight), blocks(scores, weight, complete)):
        assert cells.over_items(by_score, by_weight).dtype == jnp.float32
        assert all(x.dtype == jnp.float32 for x in cells.over_rows(mass))
