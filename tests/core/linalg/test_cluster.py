"""K-means and medoids against loops, on clusters known beforehand, and on hard cases."""

import numpy as np
import pytest

from lleval_jax.core.linalg import cluster


def points(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.random(n) + 0.1
    return rng.standard_normal((n, d)), weight / weight.sum()


def blobs(centres=5, each=12, seed=1):
    """Clusters 100 apart with a spread of 1, shuffled; and whose is whose."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat(np.arange(centres), each))
    return 100.0 * label[:, None] * np.array([[1.0, -1.0]]) + rng.standard_normal((len(label), 2)), label


def test_squared_distances_are_those_of_a_loop():
    (x, _), (y, _) = points(7), points(4, seed=2)
    brute = [[((a - b) ** 2).sum() for b in y] for a in x]
    np.testing.assert_allclose(cluster.squared_distance(x, y), brute, rtol=1e-12, atol=1e-12)
    assert (cluster.squared_distance(1e4 + x, 1e4 + x) >= 0).all()  # cancellation does not leave a negative


@pytest.mark.parametrize("k", [1, 2, 17, 59, 60])
def test_medoids_are_different_rows_and_shares_sum_to_the_weight(k):
    x, weight = points()
    index = cluster.medoids(x, weight, k, np.random.default_rng(0))
    assert len(np.unique(index)) == k
    assert ((index >= 0) & (index < len(x))).all()
    share = cluster.shares(x, weight, index)
    assert share.shape == (k,)
    np.testing.assert_allclose(share.sum(), weight.sum(), rtol=1e-12)
    if k == len(x):
        np.testing.assert_allclose(share, weight[index], rtol=1e-12)


def test_shares_are_those_of_a_loop():
    x, weight = points(40)
    index = np.array([3, 30, 11, 8])
    brute = np.zeros(4)
    for i in range(40):
        brute[min(range(4), key=lambda j: ((x[i] - x[index[j]]) ** 2).sum())] += weight[i]
    np.testing.assert_allclose(cluster.shares(x, weight, index), brute, rtol=1e-12)


def test_rows_that_are_all_the_same_still_give_different_medoids():
    x, weight = np.ones((20, 2)), np.full(20, 1 / 20)
    index = cluster.medoids(x, weight, 6, np.random.default_rng(0))
    assert len(set(index.tolist())) == 6
    share = cluster.shares(x, weight, index)
    assert (share >= 1 / 20 - 1e-12).all()  # each stands for itself at least
    np.testing.assert_allclose(share.sum(), 1, rtol=1e-12)


def test_clusters_far_apart_are_found_with_their_shares():
    x, label = blobs()
    rng = np.random.default_rng(3)
    weight = rng.random(len(x))
    index = cluster.medoids(x, weight, 5, rng)
    assert sorted(label[index].tolist()) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(cluster.shares(x, weight, index), np.bincount(label, weight)[label[index]], rtol=1e-9)
    for j in index:  # and each is the row nearest to its cluster's weighted mean
        mine = np.flatnonzero(label == label[j])
        mean = weight[mine] @ x[mine] / weight[mine].sum()
        assert j == mine[((x[mine] - mean) ** 2).sum(1).argmin()]


def test_rows_without_weight_do_not_move_the_centres():
    x, label = blobs(centres=3)
    weight = np.where(label == 2, 0.0, 1.0)
    for seed in range(5):
        index = cluster.medoids(x, weight, 2, np.random.default_rng(seed))
        assert sorted(label[index].tolist()) == [0, 1]


def test_lloyd_never_costs_more_than_its_start():
    x, weight = points(200, 4)
    for seed in range(5):
        start = cluster._spread_start(x, weight, 9, np.random.default_rng(seed))
        centre, cost = cluster._kmeans(x, weight, 9, np.random.default_rng(seed))
        assert cost <= weight @ cluster.squared_distance(x, start).min(1) + 1e-12
        np.testing.assert_allclose(cost, weight @ cluster.squared_distance(x, centre).min(1), rtol=1e-12)


def test_the_same_seed_gives_the_same_medoids_and_the_input_is_left_alone():
    x, weight = points()
    before = x.copy(), weight.copy()
    a, b = (cluster.medoids(x, weight, 9, np.random.default_rng(5)) for _ in range(2))
    assert (a == b).all()
    assert (x == before[0]).all()
    assert (weight == before[1]).all()


def test_centres_of_a_sample_still_give_medoids_of_all(monkeypatch):
    monkeypatch.setattr(cluster, "SAMPLE", 40)
    x, label = blobs(centres=2, each=100)
    index = cluster.medoids(x, np.ones(len(x)), 2, np.random.default_rng(0))
    assert sorted(label[index].tolist()) == [0, 1]
