import asyncio
import sys
import types

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.data.answers import Options
from lleval_jax.errors import BadInput, BankMismatch
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import Stop
from lleval_jax.harness import inspect_stop
from lleval_jax.harness.inspect_stop import AdaptiveStopping

IDS = [f"q{i}" for i in range(60)]
ITEMS = [f"sums/{each}" for each in IDS]


class Stopped(types.SimpleNamespace):
    """Stands for inspect_ai.util.EarlyStop."""


@pytest.fixture
def fake_inspect(monkeypatch):
    """The one name that the manager takes from Inspect, so that its logic is tested without it."""
    monkeypatch.setitem(sys.modules, "inspect_ai", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "inspect_ai.util", types.SimpleNamespace(EarlyStop=Stopped))


@pytest.fixture
def bank(bank_of):
    return bank_of(ITEMS)


def sample(name):
    return types.SimpleNamespace(id=name)


def score(value):
    return {"match": types.SimpleNamespace(score=types.SimpleNamespace(value=value))}


def spec(task="sums", run="run-1"):
    return types.SimpleNamespace(task=task, model="mockllm/model", task_id=run)


async def offer(stopping, right, ids=IDS, width=4, epochs=1, value=lambda x: x):
    """Inspect's loop: samples offered in order, `width` in flight. -> (ids that ran, refusals, metadata)."""
    await stopping.start_task(spec(), [sample(each) for each in ids], epochs)
    flying, ran, refused = [], [], []
    for epoch in range(1, epochs + 1):
        for each in ids:
            stop = await stopping.schedule_sample(each, epoch)
            if stop is not None:
                refused.append(stop)
                continue
            flying.append((each, epoch))
            ran.append(each)
            if len(flying) == width:
                done = flying.pop(0)
                await stopping.complete_sample(*done, score(value(right.get(f"sums/{done[0]}", 0.0))))
    for done in flying:
        await stopping.complete_sample(*done, score(value(right.get(f"sums/{done[0]}", 0.0))))
    return ran, refused, await stopping.complete_task()


def test_a_plan_is_run_and_the_rest_refused_with_reasons(fake_inspect, bank, answers_of):
    stop = Stop(std_error=0.07)
    ran, refused, told = asyncio.run(offer(AdaptiveStopping(bank, stop=stop), answers_of(bank)))
    assert 3 < len(ran) < 40
    assert len(ran) + len(refused) == len(IDS)
    assert told["n_seen"] == len(ran)
    assert told["std_error"] <= 0.07
    assert told["why"].startswith("standard error")
    assert told["low"] <= told["value"] <= told["high"]
    assert all("planned after" in each.reason or each.reason.startswith("standard error") for each in refused)


def test_a_budget_is_never_exceeded(fake_inspect, bank, answers_of):
    for width in (1, 30):
        stopping = AdaptiveStopping(bank, stop=Stop(budget=20))
        ran, _, told = asyncio.run(offer(stopping, answers_of(bank), width=width))
        assert len(ran) == told["n_seen"] == 20
        assert told["why"] == "the budget of 20 answers is spent"


@pytest.mark.slow
def test_a_plan_needs_fewer_answers_than_the_order_of_the_data_set(fake_inspect, bank, answers_of, monkeypatch):
    right, stop = answers_of(bank), Stop(std_error=0.07)
    planned, _, _ = asyncio.run(offer(AdaptiveStopping(bank, stop=stop), right))
    monkeypatch.setattr(inspect_stop, "SPARE", 100)  # all that is offered
    plain, _, _ = asyncio.run(offer(AdaptiveStopping(bank, stop=stop), right))
    assert len(planned) < 0.9 * len(plain)


def test_epochs_follow_the_first_decision(fake_inspect, bank, answers_of):
    stopping = AdaptiveStopping(bank, stop=Stop(budget=10))
    ran, _, told = asyncio.run(offer(stopping, answers_of(bank), epochs=2))
    assert len(ran) == 20
    assert len(set(ran)) == told["n_seen"] == 10
    assert set(stopping.run.session.responses().weight[0].tolist()) == {2.0}


def test_scores_are_taken_as_the_reader_takes_them(fake_inspect, bank, answers_of):
    letters = AdaptiveStopping(bank, stop=Stop(budget=10))
    asyncio.run(offer(letters, answers_of(bank), value=lambda x: "C" if x else "I"))
    tens = AdaptiveStopping(bank, stop=Stop(budget=10), options=Options(scale=(0, 10)))
    asyncio.run(offer(tens, answers_of(bank), value=lambda x: 10 * x))
    assert letters.run.session.scores == tens.run.session.scores
    with pytest.raises(BadInput, match=r"sample 'q\d+': score 7 lies outside \[0, 1\]"):
        asyncio.run(offer(AdaptiveStopping(bank, stop=Stop(budget=10)), {}, value=lambda x: 7))


def test_what_was_not_scored_is_counted(fake_inspect, bank):
    stopping = AdaptiveStopping(bank, stop=Stop(budget=10), options=Options(no_answer="missing"))
    _, _, told = asyncio.run(offer(stopping, {}, value=lambda x: "N"))
    assert told["n_seen"] == 0
    assert told["unscored_samples"] >= 10


@pytest.mark.parametrize(("unknown", "more"), [("refuse", 0), ("run", 5)])
def test_samples_that_the_bank_does_not_know(fake_inspect, bank, answers_of, unknown, more):
    ids = [f"new{i}" for i in range(5)] + IDS
    stopping = AdaptiveStopping(bank, stop=Stop(budget=10), unknown=unknown)
    ran, refused, told = asyncio.run(offer(stopping, answers_of(bank), ids))
    assert len(ran) == 10 + more
    assert told["n_seen"] == 10
    assert told["unknown_samples"] == 5
    assert ("not in bank 'test-bank'" in {each.reason for each in refused}) == (unknown == "refuse")


def test_a_bank_of_another_benchmark_ends_the_run_at_once(fake_inspect, bank):
    with pytest.raises(BankMismatch, match="none of the 2 samples of task 'sums'.*Pass item_of"):
        asyncio.run(AdaptiveStopping(bank, stop=Stop()).start_task(spec(), [sample("x"), sample("y")], 1))


def test_one_object_serves_one_run(fake_inspect, bank):
    stopping, samples = AdaptiveStopping(bank, stop=Stop()), [sample("q1")]
    asyncio.run(stopping.start_task(spec(), samples, 1))
    asyncio.run(stopping.start_task(spec(), samples, 1))  # a retry
    with pytest.raises(BadInput, match="one AdaptiveStopping serves one task and model"):
        asyncio.run(stopping.start_task(spec(run="run-2"), samples, 1))


def test_wrong_words(bank):
    with pytest.raises(BadInput, match="unknown is 'skip'"):
        AdaptiveStopping(bank, stop=Stop(), unknown="skip")
    with pytest.raises(BadInput, match="replan is 0"):
        AdaptiveStopping(bank, stop=Stop(), replan=0)


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2])
def test_true_inspect(tmp_path, bank, answers_of, epochs, true_inspect):
    told, log, reasons = true_inspect(tmp_path, bank, answers_of(bank), "stop", epochs)
    responses = data.read(log)
    found = adaptive.estimate(responses, bank=bank)
    assert 3 < len(responses.items) < 40
    np.testing.assert_allclose(
        [told[name] for name in ("value", "low", "high", "std_error")],
        [found.value[0], found.low[0], found.high[0], found.std_error[0]],
        rtol=1e-5,
    )
    assert told["n_seen"] == found.n_seen[0] == len(responses.items)
    assert responses.rows == ("mockllm/model",)
    assert set(responses.weight[0].tolist()) == {float(epochs)}
    assert told["why"].startswith("standard error")
    assert len(reasons) == epochs * (len(IDS) - len(responses.items))
    assert all("planned after" in reason or reason == told["why"] for reason in reasons)
