"""Linear estimators: a loop in numpy, and the variance against simulated truth."""

import numpy as np
import pytest
from scipy import stats

from lleval_jax.estimators.irt import ability
from lleval_jax.estimators.tiny import linear, plans
from lleval_jax.values import ItemBank, Responses

FALSE_ALARM = 1e-5  # of this file


def a_bank(items=24, dims=1, seed=0, error=0.0, floor=0.0, groups=1):
    """A bank whose parameters are drawn; `error` is the standard deviation that it admits of each parameter."""
    rng = np.random.default_rng(seed)
    weight = rng.random(items) + 0.5
    return ItemBank(
        name="drawn",
        version="1",
        items=tuple(f"item-{i}" for i in range(items)),
        slope=np.exp(0.3 * rng.standard_normal((items, dims))).astype(np.float32),
        intercept=rng.standard_normal(items).astype(np.float32),
        floor=np.full(items, floor, np.float32),
        ceiling=np.ones(items, np.float32),
        weight=weight / weight.sum(),
        group=np.arange(items) % groups,
        groups=tuple(f"group-{g}" for g in range(groups)) if groups > 1 else ("all",),
        covariance=np.tile(error**2 * np.eye(dims + 1, dtype=np.float32), (items, 1, 1)),
        prior_mean=np.zeros(dims),
        prior_cov=np.eye(dims),
    )


def chance(bank, theta):
    return bank.floor + (bank.ceiling - bank.floor) / (1 + np.exp(-(theta @ bank.slope.T + bank.intercept)))


def some_answers(bank, rows=5, seed=1, asked=10, repeats=1):
    rng = np.random.default_rng(seed)
    p = chance(bank, rng.standard_normal((rows, bank.dims)))
    truth = rng.binomial(repeats, p) / repeats
    seen = rng.random(p.shape).argsort(1) < asked
    weight = np.full(p.shape, float(repeats))
    return Responses.build(truth.astype(np.float32), seen=seen, weight=weight, items=bank.items), truth


@pytest.mark.parametrize("repeats", [1, 5])
@pytest.mark.parametrize(("dims", "floor"), [(1, 0.0), (2, 0.0), (1, 0.2)])
def test_value_and_variance_are_those_of_a_loop(dims, floor, repeats):
    bank = a_bank(dims=dims, floor=floor, error=0.3, groups=2)
    here, _ = some_answers(bank, repeats=repeats)
    w, rng = bank.target_weight, np.random.default_rng(2)
    shape = (len(here.rows), *w.shape)
    c, h = np.where(here.seen[:, None], rng.random(shape), 0) / 10, rng.random(shape) / 24
    found = linear.apply(here, bank, w, c, h)
    assert found.value.shape == shape[:2]
    theta, cov, _ = (np.asarray(x, float) for x in ability.score(here, bank, "map"))
    for r in range(shape[0]):
        p = chance(bank, theta[r])
        by_z = (p - bank.floor) * (bank.ceiling - p) / (bank.ceiling - bank.floor)
        noise = p * (1 - p)
        for t in range(shape[1]):
            value = variance = offset = 0.0
            tilt = np.zeros(dims)
            for i in range(len(bank.items)):
                asked = here.seen[r, i]
                value += c[r, t, i] * here.scores[r, i] + h[r, t, i] * p[i]
                left = (c[r, t, i] - w[t, i]) if asked else w[t, i]
                variance += left**2 * noise[i] / (repeats if asked else 1)
                offset += (c[r, t, i] + h[r, t, i] - w[t, i]) * p[i]
                tilt += h[r, t, i] * by_z[i] * bank.slope[i]
            variance += offset**2 + tilt @ cov[r] @ tilt
            for i in range(len(bank.items)):  # of the curve, and of the ability that was found with it
                through = here.seen[r, i] * repeats * noise[i] * (bank.slope[i] @ cov[r] @ tilt)
                gradient = (h[r, t, i] * by_z[i] - through) * np.append(theta[r], 1)
                variance += gradient @ bank.covariance[i] @ gradient
            np.testing.assert_allclose(found.value[r, t], value, rtol=1e-4)
            np.testing.assert_allclose(found.variance[r, t], variance, rtol=1e-3)


def test_a_plan_that_answers_everything_has_no_variance():
    bank = a_bank(error=0.3)
    here, truth = some_answers(bank, asked=24)
    w = bank.target_weight
    for plan in (plans.weighted, plans.pirt):
        found = linear.apply(here, bank, w, *plan(here, bank, w))
        np.testing.assert_allclose(found.value[:, 0], truth @ bank.weight, atol=1e-6)
        np.testing.assert_allclose(found.variance, 0, atol=1e-12)


@pytest.mark.parametrize("error", [0.0, 0.25])
@pytest.mark.parametrize("plan", ["pirt", "weighted"])
def test_errors_are_as_large_as_the_variance_says(plan, error):
    """z = (T - truth) / sd over abilities from the prior and curves from the bank's own error.

    z^2 has mean 1 to first order, and variance 2 as it is nearly normal. The normal approximation of the ability
    is off by a share 1 / information; squared offsets at the estimated ability by as much again.
    """
    rows, items, asked = 1500, 120, 60
    bank, rng = a_bank(items, error=error), np.random.default_rng(3)
    theta = rng.standard_normal((rows, 1))
    slope = bank.slope[None, :, 0] + error * rng.standard_normal((rows, items))
    intercept = bank.intercept + error * rng.standard_normal((rows, items))
    p = 1 / (1 + np.exp(-(theta * slope + intercept)))
    scores = (rng.random(p.shape) < p).astype(np.float32)
    seen = np.broadcast_to(rng.random(items).argsort() < asked, p.shape)
    here = Responses.build(scores, seen=seen, items=bank.items)
    w = bank.target_weight
    found = linear.apply(here, bank, w, *plans.PLANS[plan](here, bank, w))
    z = (found.value[:, 0] - scores @ bank.weight) / np.sqrt(found.variance[:, 0])
    p = chance(bank, theta)
    information = float((p * (1 - p))[:, :asked].mean(0) @ bank.slope[:asked, 0] ** 2)
    chance_of = stats.norm.isf(FALSE_ALARM / 8)
    assert abs((z**2).mean() - 1) < chance_of * np.sqrt(2 / rows) + 2 / information
    assert abs(z.mean()) < chance_of / np.sqrt(rows) + 1 / information


def test_repeats_of_an_answer_count():
    """n answers behind each score shrink the ability's variance, so p-IRT's interval."""
    bank = a_bank()
    once, _ = some_answers(bank)
    often = Responses.build(once.scores, seen=once.seen, weight=np.full(once.scores.shape, 8.0), items=bank.items)
    w = bank.target_weight
    a, b = (linear.apply(x, bank, w, *plans.pirt(x, bank, w)) for x in (once, often))
    assert (b.variance < a.variance).all()
