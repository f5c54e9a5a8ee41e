"""On a GPU float32 says what float64 says on the CPU: `pytest -m gpu tests/test_gpu.py`.

Differences are held against what the answers leave open anyway. A fit ends when no parameter moves by more than its
`tol`, so two arithmetics may end a few such moves apart; more than a twentieth of a parameter's standard error would
change what a reader is told. Matrix products of a GPU may round inputs to ten bits of mantissa (TF32, 5e-4 relative),
and such rounding would show here.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.core.irt import scoring
from lleval_jax.estimators import irt, prompts, tiny
from lleval_jax.estimators.irt import ability
from lleval_jax.estimators.prompts import kernel
from lleval_jax.values import ItemBank, Responses

pytestmark = pytest.mark.gpu
SHARE = 0.05  # of a standard error
POINT = 1e-3  # of a score in [0, 1]: a tenth of the point that reports are rounded to


@pytest.fixture(autouse=True, scope="module")
def gpu():
    """The device that every test of this file runs on by default."""
    if jax.default_backend() != "gpu":
        pytest.skip(f"needs a GPU; JAX has {jax.default_backend()!r} only")


def on_cpu(call):
    """What the call gives on the host's CPU, in the same process."""
    with jax.default_device(jax.devices("cpu")[0]):
        return call()


@functools.cache
def answers(rows=400, items=200, missing=0.1):
    rng = np.random.default_rng(0)
    slope, intercept = np.exp(0.3 * rng.standard_normal((items, 1))), rng.standard_normal(items)
    logit = rng.standard_normal((rows, 1)) @ slope.T + intercept
    scores = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    return Responses.build(scores, seen=rng.random(scores.shape) >= missing)


@functools.cache
def bank(items=200, dims=2):
    rng = np.random.default_rng(1)
    return ItemBank(
        name="known",
        version="1",
        items=tuple(answers().items),
        slope=rng.standard_normal((items, dims)).astype(np.float32),
        intercept=rng.standard_normal(items).astype(np.float32),
        floor=np.zeros(items, np.float32),
        ceiling=np.ones(items, np.float32),
        weight=np.full(items, 1 / items),
        group=np.zeros(items, np.int32),
        groups=("all",),
        covariance=np.zeros((items, dims + 1, dims + 1), np.float32),
        prior_mean=np.zeros(dims),
        prior_cov=np.eye(dims),
    )


def close(got, want, error, share=SHARE):
    """No NaN, and within a share of the standard error everywhere."""
    assert np.isfinite(got).all()
    assert np.max(np.abs(got - want) / error) < share


@pytest.mark.parametrize("dims", [1, 3])
def test_a_fit_in_float32_is_that_in_float64(dims):
    """Probabilities of all cells for three dimensions: axes that differ little in spread turn against each other."""
    got = irt.fit(answers(), dims=dims, tol=1e-4)
    want = on_cpu(lambda: irt.fit(answers(), dims=dims, tol=1e-4, precision="float64"))
    assert got.status == want.status == "ok"
    assert got.params.slope.dtype == np.float32
    assert abs(got.ended.value / want.ended.value - 1) < 1e-5  # of 45,000 nats: half a nat
    if dims == 1:
        error = np.sqrt(np.diagonal(want.covariance, axis1=1, axis2=2))
        close(got.params.slope[:, 0], want.params.slope[:, 0], error[:, 0])
        close(got.params.intercept, want.params.intercept, error[:, 1])
        close(got.params.ability, want.params.ability, np.sqrt(want.params.ability_cov[:, 0]))
    logit = [fit.params.ability @ fit.params.slope.T + fit.params.intercept for fit in (got, want)]
    first, second = (1 / (1 + np.exp(-z)) for z in logit)
    assert np.isfinite(first).all()
    # Probabilities themselves are uncertain by .03 and more: the joint engine stops a few hundredths of that apart.
    assert np.abs(first - second).max() < (5 if dims > 1 else 2) * POINT


@pytest.mark.parametrize("method", ability.METHODS)
def test_abilities_in_float32_are_those_in_float64(method):
    """Scoring is float32 throughout: its core is given float64 on the CPU to compare."""
    here, given = answers(), bank()
    value, cov, status = ability.score(here, given, method)

    def exact():
        with jax.enable_x64(True):
            items = jax.tree.map(lambda x: x.astype("float64"), ability.bank_items(given, np.arange(200)))
            belief = jax.tree.map(lambda x: x.astype("float64"), ability.prior(given, method))
            rows = scoring.Answers(*(jnp.asarray(x, float) for x in (here.scores, here.seen * here.weight)))
            return ability._score(rows, items, belief, method, True)

    want, spread, _ = map(np.asarray, on_cpu(exact))
    error = np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
    assert (status == 1).all()
    # A mode ends where the slope is below .035 (float32's), times the variance of at most one: SHARE at worst.
    close(value, want, error)
    close(np.sqrt(np.diagonal(cov, axis1=1, axis2=2)), error, error)


def grid():
    rng = np.random.default_rng(2)
    logit = 0.5 + 0.6 * rng.standard_normal((60, 1)) + 1.5 * rng.standard_normal((1, 150))
    scores = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    return Responses.build(scores, seen=rng.random(scores.shape) < 0.1)


def test_prompts_in_float32_are_those_in_float64():
    """Sizes of effects and effects follow without chance; scores are draws, other ones in float64."""
    got = prompts.fit(grid())
    want = on_cpu(lambda: prompts.fit(grid(), precision="float64"))
    assert got.status == want.status == "ok"
    close(got.params.effect, want.params.effect, want.params.effect_sd)
    wide = np.log(want.params.scale_high / want.params.scale_low) / 4  # about a standard error
    close(np.log(got.params.scale), np.log(want.params.scale), wide)
    draws, exact = got.params.draws, want.params.draws
    chance = exact.std(0) * np.sqrt(2 / len(exact))  # of a mean of as many draws, EACH of which share the columns
    # 60 means: 6 such errors doubled for what draws share are passed by chance less than once in a million runs.
    close(draws.mean(0), exact.mean(0), 2 * chance + POINT, share=6)


def test_no_step_of_a_grid_is_broken_by_rounding():
    """Sparse grids, where a matrix that rounding makes indefinite would show as NaN or as no end."""
    rng = np.random.default_rng(3)
    for share in (0.02, 0.8):
        full = grid()
        seen = rng.random(full.scores.shape) < share
        fit = prompts.fit(Responses.build(full.scores, seen=seen))
        assert fit.status == "ok"
        assert fit.steps < kernel.STEPS
        found = prompts.estimate(fit)
        assert np.isfinite(np.asarray([found.value, found.low, found.high])).all()


@pytest.mark.parametrize("method", ["pirt", "gpirt"])
def test_an_estimate_is_the_same_and_finite(method):
    """Accuracy on a whole benchmark from 40 items, with its interval; the CPU computes in float32 too."""
    few = answers().select(answers().items[:40])
    got = tiny.estimate(few, bank=bank(dims=1), by=method)
    want = on_cpu(lambda: tiny.estimate(few, bank=bank(dims=1), by=method))
    for ours, theirs in ((got.value, want.value), (got.low, want.low), (got.high, want.high)):
        assert np.isfinite(ours).all()
        assert np.abs(ours - theirs).max() < POINT
