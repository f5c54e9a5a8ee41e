"""The ladder of sizes."""

import numpy as np

from lleval_jax.core.shapes import few, few_columns, pad, rung


def test_a_rung_is_at_least_the_size_and_at_most_an_eighth_more():
    sizes = np.arange(1, 5000)
    rungs = np.array([rung(int(n)) for n in sizes])
    assert (rungs >= sizes).all()
    assert (rungs <= np.maximum(1.125 * sizes, 8)).all()
    assert (np.diff(rungs) >= 0).all()
    assert len(set(rungs)) < 100  # few compilations


def test_a_rung_is_its_own_rung():
    assert all(rung(rung(n)) == rung(n) for n in range(1, 3000, 7))


def test_few_sizes_at_the_foot_and_rungs_above():
    assert sorted({few(n) for n in range(1, 65)}) == [8, 16, 32, 64]
    assert all(few(n) == rung(n) for n in range(65, 3000))
    assert all(few(n) >= n for n in range(1, 100))
    assert few_columns(512) == 528


def test_pad_keeps_the_corner():
    array = np.arange(6.0).reshape(2, 3)
    out = pad(array, (4, 5), -1)
    np.testing.assert_array_equal(out[:2, :3], array)
    assert (out[2:] == -1).all()
    assert (out[:, 3:] == -1).all()
    assert pad(array, (2, 3)) is array
