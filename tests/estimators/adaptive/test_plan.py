"""How many answers a session expects to need, and choosing among some of the items."""

import numpy as np
import pytest

from lleval_jax.data import simulate
from lleval_jax.errors import BadInput
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import Stop
from lleval_jax.values import ItemBank, Responses

N = 60


@pytest.fixture(scope="module")
def bank():
    _, truth = simulate(1, N, seed=5, dims=2, model="3pl")
    return ItemBank(
        name="plan",
        version="1",
        items=tuple(f"item-{i}" for i in range(N)),
        slope=truth.slope.astype(np.float32),
        intercept=truth.intercept.astype(np.float32),
        floor=truth.floor.astype(np.float32),
        ceiling=np.ones(N, np.float32),
        weight=np.full(N, 1 / N, np.float32),
        group=np.zeros(N, np.int32),
        groups=("all",),
        covariance=np.zeros((N, 3, 3), np.float32),
        prior_mean=np.zeros(2, np.float32),
        prior_cov=np.eye(2, dtype=np.float32),
    )


def expected(bank, items):
    """Answers just as expected at the prior's mean, which they leave where it is."""
    at = [bank.items.index(item) for item in items]
    p = bank.floor[at] + (1 - bank.floor[at]) / (1 + np.exp(-bank.intercept[at]))
    return Responses.build(p[None, :], rows=["model"], items=items)


def test_a_plan_is_just_long_enough_when_all_goes_as_expected(bank):
    for goal in (0.10, 0.06):
        items = adaptive.choose(None, bank=bank, k=None, stop=Stop(std_error=goal)).items[0]
        assert 1 < len(items) < N
        assert adaptive.estimate(expected(bank, items), bank=bank).std_error[0] <= goal
        assert adaptive.estimate(expected(bank, items[:-1]), bank=bank).std_error[0] > goal


def test_a_plan_is_what_one_by_one_would_ask_when_all_goes_as_expected(bank):
    items = adaptive.choose(None, bank=bank, k=None, stop=Stop(budget=4)).items[0]
    asked = adaptive.choose(None, bank=bank).items[0]
    while len(asked) < 4:
        asked += adaptive.choose(expected(bank, asked), bank=bank).items[0]
    assert items == asked


def test_goals_as_standard_errors(bank):
    wide = adaptive.choose(None, bank=bank, k=None, stop=Stop(width=0.3)).items[0]
    found = adaptive.estimate(expected(bank, wide), bank=bank)
    assert found.high[0] - found.low[0] <= 0.3 + 1e-6
    value = adaptive.estimate(expected(bank, wide), bank=bank).value[0]
    near, far = (
        len(adaptive.choose(None, bank=bank, k=None, stop=Stop(threshold=value - gap)).items[0]) for gap in (0.05, 0.2)
    )
    assert far < near
    assert adaptive.choose(None, bank=bank, k=None).items[0] == adaptive.choose(None, bank=bank, k=N).items[0]


def test_only_what_can_be_asked_is(bank):
    among = bank.items[::3]
    assert set(adaptive.choose(None, bank=bank, k=N, among=among).items[0]) == set(among)
    first = adaptive.choose(None, bank=bank, among=among[:1])
    assert first.items[0] == among[:1]
    assert adaptive.choose(expected(bank, among[:1]), bank=bank, among=among[:1]).enough
    with pytest.raises(BadInput, match=r"1 items to choose among are not in bank 'plan' \(first: \['other'\]\)"):
        adaptive.choose(None, bank=bank, among=["other", *among])
    two = Responses.build(np.eye(2), rows=["a", "b"], items=bank.items[:2])
    with pytest.raises(BadInput, match="a comparison needs k"):
        adaptive.choose(two, bank=bank, k=None, compare=("a", "b"))
