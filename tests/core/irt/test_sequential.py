"""Adaptive testing against brute force: the joint normal of the score and the answers, written out in full."""

import jax
import numpy as np
import pytest
from compiled import compiled

from lleval_jax.core.irt import irf, scoring, sequential

CURVE = irf.Curve(dims=2)
ITEMS, ROWS = 9, 4
outlook = compiled(sequential.outlook, static_argnames="curve")
gain = compiled(sequential.gain, static_argnames="rule")
choose = compiled(sequential.choose, static_argnames=("rule", "size", "exposure", "together"))
learn = compiled(sequential.learn, static_argnames=("curve", "steps"))


def problem(seed=0, floor=0.0):
    """A pool, beliefs, and what was asked so far."""
    rng = np.random.default_rng(seed)
    items = irf.Items(
        rng.normal(0.8, 0.5, (ITEMS, 2)),
        rng.normal(0, 1, ITEMS),
        np.full(ITEMS, floor),
        np.ones(ITEMS),
    )
    weight = rng.dirichlet(np.ones(ITEMS))
    shape = rng.normal(size=(ITEMS, 3, 3))
    doubt = 0.1 * shape @ shape.transpose(0, 2, 1)
    pool = sequential.Pool(items, weight, rng.uniform(1, 3, ITEMS), 0.8, doubt)
    root = rng.normal(size=(ROWS, 2, 2))
    cov = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(2)
    posterior = sequential.Normal(rng.normal(size=(ROWS, 2)), cov)
    asked = rng.random((ROWS, ITEMS)) < 0.3
    return pool, posterior, asked


def joint(pool, posterior, seen, asked, row):
    """Covariance matrix of (score, answers) of one row: ability plus noise, nothing simplified."""
    slope, cov = pool.items.slope, posterior.covariance[row]
    left = np.where(asked[row], 0, pool.weight)
    loading = seen.by_z[row][:, None] * slope  # how each answer moves with ability
    answers = loading @ cov @ loading.T + np.diag(seen.noise[row])
    out = np.zeros((ITEMS + 1, ITEMS + 1))
    out[0, 0], out[1:, 1:] = left @ answers @ left, answers
    out[0, 1:] = out[1:, 0] = answers @ left
    return out


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_what_an_item_is_worth_is_the_fall_of_the_joint_normals_variance(floor):
    curve = irf.Curve(dims=2, floor=floor > 0)
    pool, posterior, asked = problem(1, floor)
    seen = outlook(curve, pool, posterior, asked, np.zeros(ROWS))
    got = gain("score", pool, posterior, seen, seen.pull) * pool.price
    for row in range(ROWS):
        whole = joint(pool, posterior, seen, asked, row)
        np.testing.assert_allclose(seen.variance[row], whole[0, 0], rtol=1e-6)
        free = ~asked[row]
        want = whole[0, 1:] ** 2 / np.diagonal(whole)[1:]
        np.testing.assert_allclose(got[row][free], want[free], rtol=1e-6)


def test_information_is_the_fall_of_entropy():
    pool, posterior, asked = problem(2)
    seen = outlook(CURVE, pool, posterior, asked, np.zeros(ROWS))
    got = gain("information", pool, posterior, seen, seen.pull) * pool.price
    cov, slope = posterior.covariance, pool.items.slope
    for row in range(ROWS):
        for i in range(ITEMS):
            info = seen.by_z[row, i] ** 2 / seen.noise[row, i] * np.outer(slope[i], slope[i])
            after = np.linalg.inv(np.linalg.inv(cov[row]) + info)
            np.testing.assert_allclose(got[row, i], np.log(np.linalg.det(cov[row]) / np.linalg.det(after)), rtol=1e-5)


def test_a_set_is_chosen_greedily_as_by_conditioning_the_joint_normal():
    pool, posterior, asked = problem(3)
    seen = outlook(CURVE, pool, posterior, asked, np.zeros(ROWS))
    got = choose("score", pool, posterior, seen, ~asked, 3, jax.random.key(0))
    price = pool.price
    for row in range(ROWS):
        whole, free, want = joint(pool, posterior, seen, asked, row), ~asked[row], []
        for _ in range(3):
            worth = np.where(free, whole[0, 1:] ** 2 / np.diagonal(whole)[1:] / price, -1)
            i = int(worth.argmax())
            want.append(i)
            free[i] = False
            noise = whole[1 + i, 1 + i]
            whole = whole - np.outer(whole[:, 1 + i], whole[1 + i]) / noise
            np.fill_diagonal(whole[1:, 1:], np.maximum(np.diagonal(whole)[1:], 1e-12))
        assert got[row].tolist() == want


def test_rows_together_are_asked_what_is_best_for_their_sum():
    pool, posterior, asked = problem(4)
    free = np.repeat((~asked).reshape(2, 2, -1).all(1), 2, axis=0)
    seen = outlook(CURVE, pool, posterior, ~free, np.zeros(ROWS))
    got = choose("score", pool, posterior, seen, free, 1, jax.random.key(0), together=2)[:, 0]
    worth = np.where(free, gain("score", pool, posterior, seen, seen.pull), -1)
    assert got.tolist() == np.repeat(worth.reshape(2, 2, -1).sum(1).argmax(1), 2).tolist()


def test_exposure_draws_from_the_best_and_nothing_else():
    pool, posterior, asked = problem(5)
    seen = outlook(CURVE, pool, posterior, asked, np.zeros(ROWS))
    worth = np.where(asked, -1, gain("score", pool, posterior, seen, seen.pull))
    best = np.argsort(-worth, axis=1)[:, :3]
    keys = jax.random.split(jax.random.key(0), 60)
    each = jax.vmap(lambda key, *args: sequential.choose("score", *args, 1, key, 3), (0, None, None, None, None))
    drawn = compiled(each)(keys, pool, posterior, seen, ~asked)
    for row in range(ROWS):
        # false alarm: 4 x 3 x (2/3)^60 < 1e-9
        assert set(drawn[:, row, 0].tolist()) == set(best[row].tolist())


def test_abilities_are_those_of_the_scoring_kernel():
    pool, _, _ = problem(6)
    rng = np.random.default_rng(6)
    scores, weight = rng.integers(0, 2, (ROWS, ITEMS)) * 1.0, rng.integers(0, 3, (ROWS, ITEMS)) * 1.0
    prior = sequential.Normal(np.array([0.2, -0.1]), np.array([[1.0, 0.3], [0.3, 2.0]]))
    each = irf.Items(*(np.broadcast_to(x, (ROWS, *x.shape)) for x in pool.items))
    sure = np.zeros((ROWS, ITEMS, 3, 3))
    got = learn(CURVE, each, prior, np.zeros((ROWS, 2)), scores, weight, 1.0, sure, 20)
    posterior = scoring.Normal(prior.mean, np.linalg.inv(prior.covariance))
    mode = jax.vmap(lambda items, answers, posterior: scoring.mode(CURVE, items, answers, posterior), (None, 0, None))
    want = compiled(mode)(pool.items, scoring.Answers(scores, weight), posterior)
    np.testing.assert_allclose(got.mean, want.value, atol=1e-5)
    np.testing.assert_allclose(got.covariance, want.covariance, rtol=1e-4)


def test_doubt_about_an_item_is_noise_of_its_answers():
    pool, posterior, asked = problem(7)
    seen = outlook(CURVE, pool, posterior, asked, np.zeros(ROWS))
    for row in range(ROWS):
        x = np.append(posterior.mean[row], 1.0)
        for i in range(ITEMS):
            p, by_z = seen.p[row, i], seen.by_z[row, i]
            want = 0.8 * p * (1 - p) + by_z**2 * x @ pool.doubt[i] @ x
            np.testing.assert_allclose(seen.noise[row, i], want, rtol=1e-6)
    each, doubt = jax.tree.map(lambda x: np.broadcast_to(x, (ROWS, *x.shape)), (pool.items, pool.doubt))
    prior = sequential.Normal(np.zeros(2), np.eye(2))
    words = np.zeros((ROWS, 2)), np.ones((ROWS, ITEMS)), np.ones((ROWS, ITEMS)), pool.phi
    doubtful = learn(CURVE, each, prior, *words, doubt, 20)
    sure = learn(CURVE, each, prior, *words, 0 * doubt, 20)
    assert (np.linalg.det(doubtful.covariance) > np.linalg.det(sure.covariance)).all()


@pytest.mark.parametrize("rule", ["score", "information"])
@pytest.mark.parametrize("size", [1, 3])
def test_no_prices_are_equal_prices(rule, size):
    pool, posterior, asked = problem(8)
    seen = outlook(CURVE, pool, posterior, asked, np.zeros(ROWS))
    key = jax.random.key(0)
    free, equal = pool._replace(price=None), pool._replace(price=np.full(ITEMS, 2.0))
    got, want = (choose(rule, p, posterior, seen, ~asked, size, key) for p in (free, equal))
    assert got.tolist() == want.tolist()
    both = [gain(rule, p, posterior, seen, seen.pull) for p in (free, equal)]
    np.testing.assert_allclose(both[0], 2 * both[1], rtol=1e-6)
