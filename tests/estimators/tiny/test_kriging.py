"""The default estimate: hand computation of its parts, exactness, invariances, and nothing seen of models left out."""

import numpy as np
import pytest

from lleval_jax.core.linalg import cluster
from lleval_jax.estimators.tiny import kriging

N, ITEMS, K = 20, 48, 12


def answers(rows=N, items=ITEMS, seed=0, repeats=1):
    rng = np.random.default_rng(seed)
    theta, b = rng.standard_normal((rows, 1)), np.random.default_rng(99).standard_normal(items)
    p = 1 / (1 + np.exp(-(1.2 * theta + b)))
    return rng.binomial(repeats, p) / repeats, p


def weights(items=ITEMS):
    whole = np.linspace(1, 2, items)
    half = np.where(np.arange(items) % 2 == 0, whole, 0)
    return np.stack([whole / whole.sum(), half / half.sum()])


@pytest.fixture(scope="module")
def learned():
    scores, _ = answers()
    w = weights()
    return kriging.fit(scores, w, scores @ w.T, K, 0)


def seen_of(rows, index):
    seen = np.zeros((rows, ITEMS), bool)
    seen[:, index] = True
    return seen


def predict(kept, new, seen, targets=(0, 1), calibration=None):
    calibration = answers()[0] if calibration is None else calibration
    targets = np.asarray(targets)
    return kriging.predict(kept, calibration, weights()[targets], targets, np.where(seen, new, 0), seen)


def test_anchors_are_different_and_their_shares_sum_to_one(learned):
    kept, index, share, left = learned
    assert len(set(index.tolist())) == K
    np.testing.assert_allclose(share.sum(), 1, rtol=1e-12)
    assert left.shape == (N, 2)
    assert kept.widen.shape == (2,)
    assert (kept.widen > 0).all()


def test_all_seen_is_the_exact_score_and_certain(learned):
    new, _ = answers(6, seed=1)
    value, sd = predict(learned[0], new, np.ones(new.shape, bool))
    np.testing.assert_allclose(value, new @ weights().T, atol=1e-12)
    np.testing.assert_allclose(sd, 0, atol=1e-9)


def test_all_items_may_be_anchors():
    scores, _ = answers()
    w = weights()
    kept, index, share, left = kriging.fit(scores, w, scores @ w.T, ITEMS, 0)
    assert sorted(index.tolist()) == list(range(ITEMS))
    np.testing.assert_allclose(share, w[0][index], atol=1e-12)
    np.testing.assert_allclose(left, 0, atol=1e-9)
    assert np.isfinite(kept.widen).all()


def test_the_prediction_is_the_formula(learned):
    """Value and variance, with loops over items and numerical abilities."""
    kept, index, _, _ = learned
    new = np.concatenate([answers(3, seed=1)[0], np.ones((1, ITEMS)), np.arange(ITEMS)[None] % 9 == 0])
    w, gaps = weights(), []
    value, sd = predict(kept, new, seen_of(5, index))
    near = kriging.embedding(kriging.Curves(kept.coef, kept.phi, kept.single, kept.ability), answers()[0][kept.models])
    slope = np.concatenate([kept.coef[:, 1:], np.ones((ITEMS, 1))], axis=1)
    prior = np.array([1.0, 1.0, 1 / kriging.SHIFT])
    rest = [i for i in range(ITEMS) if i not in set(index.tolist())]
    known = answers()[0][kept.models] @ w.T
    for r in range(5):
        theta = np.zeros(3)
        for _ in range(200):  # plain Newton
            p = 1 / (1 + np.exp(-(kept.coef[:, 0] + slope @ theta)))
            info = (slope[index].T * (p * (1 - p))[index]) @ slope[index] + np.diag(prior)
            theta = theta + 0.5 * np.linalg.solve(info, slope[index].T @ (new[r] - p)[index] - prior * theta)
        for t in range(2):
            free = np.where(np.isin(np.arange(ITEMS), index), 0, w[t])
            d = ((near[:, None] - near[None, index]) ** 2).sum(2)
            whole = np.where(np.isin(np.arange(ITEMS), index), 0, w[0])
            kernel = np.exp(-d / (2 * (whole @ d.min(1)) / whole.sum()))
            carry = kriging.RHO * np.linalg.solve(kernel[index] + np.eye(K), kernel.T @ free)
            expected = w[t, index] @ new[r, index] + sum(w[t, i] * p[i] for i in rest) + carry @ (new[r] - p)[index]
            gap = max(expected - known[:, t].max(), known[:, t].min() - expected, 0)
            gaps.append(gap)
            own = max(sum((new[r] - p)[index] ** 2) / sum((p * (1 - p))[index]), kept.phi)
            of_mean = own * (p * (1 - p))[index].mean() / K + 1e-12
            trust = (kriging.BEYOND * gap) ** 2 / ((kriging.BEYOND * gap) ** 2 + of_mean)
            outside = gap**2 / (gap**2 + kriging.NEAR**2 * of_mean)
            phi, left = kept.phi + outside * (own - kept.phi), free.sum() - carry.sum()
            expected += trust * left * (new[r] - p)[index].mean()
            carry = carry + trust * left / K
            tilt = sum(w[t, i] * p[i] * (1 - p[i]) * slope[i] for i in rest)
            tilt = tilt - sum(c * p[i] * (1 - p[i]) * slope[i] for c, i in zip(carry, index, strict=True))
            noise = sum(free[i] ** 2 * p[i] * (1 - p[i]) for i in rest)
            noise += sum(c**2 * p[i] * (1 - p[i]) for c, i in zip(carry, index, strict=True))
            variance = max(phi, 1) * tilt @ np.linalg.solve(info, tilt) + phi * noise
            variance = max(variance, outside * of_mean * free.sum() ** 2)
            offset = kriging.BEYOND * gap * (1 - trust) * left
            np.testing.assert_allclose(value[r, t], expected, atol=1e-6)
            np.testing.assert_allclose(sd[r, t] ** 2, variance * kept.widen[t] ** 2 + offset**2, rtol=1e-5)
    assert max(gaps) > 0
    assert min(gaps) == 0


def test_order_of_rows_items_and_targets_changes_nothing(learned):
    kept, index, _, _ = learned
    new, _ = answers(6, seed=1)
    seen = seen_of(6, index)
    seen[3:, index[:4]] = False  # two patterns
    value, sd = predict(kept, new, seen)
    other, _ = predict(kept, new[::-1], seen[::-1])
    np.testing.assert_allclose(other[::-1], value, atol=1e-12)
    second, _ = predict(kept, new, seen, targets=(0,))
    np.testing.assert_allclose(second, value[:, :1], atol=1e-12)
    order = np.random.default_rng(4).permutation(ITEMS)
    turned = kept._replace(coef=kept.coef[order], single=kept.single[order])
    w, targets = weights()[:, order], np.arange(2)
    a, b = kriging.predict(turned, answers()[0][:, order], w, targets, np.where(seen, new, 0)[:, order], seen[:, order])
    np.testing.assert_allclose(a, value, atol=1e-9)
    np.testing.assert_allclose(b, sd, atol=1e-9)


def test_curves_do_not_depend_on_the_order_of_items():
    scores, _ = answers()
    order = np.random.default_rng(4).permutation(ITEMS)
    a, b = kriging.fit_curves(scores), kriging.fit_curves(scores[:, order])
    np.testing.assert_allclose(b.single, a.single[order], atol=1e-6)
    np.testing.assert_allclose(np.abs(b.ability), np.abs(a.ability), atol=1e-6)
    np.testing.assert_allclose(b.phi, a.phi, atol=1e-6)
    near = cluster.squared_distance(*[kriging.embedding(a, scores)] * 2)
    turned = cluster.squared_distance(*[kriging.embedding(b, scores[:, order])] * 2)
    np.testing.assert_allclose(turned, near[np.ix_(order, order)], atol=1e-6)


def test_models_left_out_are_not_looked_at(monkeypatch):
    """Each fold's curves and anchors come from the other models alone."""
    scores, _ = answers()
    w, looked = weights(), []
    whole = kriging.fit_curves
    monkeypatch.setattr(kriging, "fit_curves", lambda s: looked.append(s.copy()) or whole(s))
    kriging.fit(scores, w, scores @ w.T, K, 0)
    fold = np.arange(N) % kriging.FOLDS
    assert len(looked) == kriging.FOLDS + 1
    for f in range(kriging.FOLDS):
        np.testing.assert_array_equal(looked[f], scores[fold != f])


def test_abilities_follow_the_truth_and_the_dispersion_the_noise():
    """Ten repeats leave a tenth of the variance around the curves."""
    for repeats, least, most in ((1, 0.7, 1.0), (10, 0.05, 0.2)):
        scores, p = answers(40, repeats=repeats)
        found = kriging.fit_curves(scores)
        assert np.corrcoef(found.ability, p.mean(1))[0, 1] > 0.8
        assert least < float(found.phi) <= most


def test_near_items_share_their_residuals():
    """A new model's luck on an item is carried to a twin of the item that was always answered alike."""
    scores, _ = answers(40)
    scores[:, 1] = scores[:, 0]
    curves = kriging.fit_curves(scores)
    near = kriging.embedding(curves, scores)
    np.testing.assert_allclose(near[0], near[1], atol=1e-9)
    unseen = np.zeros((1, ITEMS))
    unseen[0, 1] = 1
    carry = kriging._carry(near, unseen, np.array([0, 5, 9, 30]))
    assert carry[0].argmax() == 0
    np.testing.assert_allclose(carry[0, 0], 0.5, atol=0.05)  # noise as large as the signal


def test_many_answers_are_kriged_in_blocks_that_are_averaged(monkeypatch):
    near = np.random.default_rng(0).standard_normal((30, 3))
    index, unseen = np.arange(10), np.full((1, 30), 1 / 30)
    unseen[:, :10] = 0
    monkeypatch.setattr(kriging, "BLOCK", 5)
    got = kriging._carry(near, unseen, index)
    parts = [kriging._carry(near, unseen, index[b::2]) for b in (0, 1)]
    np.testing.assert_allclose(got[:, 0::2], parts[0] / 2, atol=1e-12)
    np.testing.assert_allclose(got[:, 1::2], parts[1] / 2, atol=1e-12)


def test_of_many_models_some_are_taken_from_the_whole_ranking():
    full = np.random.default_rng(0).random(500)
    rows = kriging._spread_over_ranking(full)
    assert len(np.unique(rows)) == kriging.MOST_MODELS
    assert {full.argmin(), full.argmax()} <= set(rows)
    assert (np.diff(rows) > 0).all()
    assert kriging._spread_over_ranking(full[:30]).tolist() == list(range(30))


@pytest.mark.parametrize("scores", [np.ones((12, 20)), np.zeros((12, 20)), np.eye(12, 20)])
def test_hard_calibrations_stay_finite(scores):
    w = np.full((1, 20), 1 / 20)
    kept, index, share, _ = kriging.fit(scores, w, scores @ w.T, 5, 0)
    assert len(set(index.tolist())) == 5
    for part in kept:
        assert np.isfinite(part).all()
    seen = np.isin(np.arange(20), index)[None]
    value, sd = kriging.predict(kept, scores, w, np.zeros(1, int), np.where(seen, 1.0, 0), seen)
    assert np.isfinite(value).all()
    assert np.isfinite(sd).all()
