import asyncio
import pathlib
import sys
import types

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.data.answers import Options
from lleval_jax.errors import BadInput, BankMismatch
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import Stop
from lleval_jax.harness.inspect_stop import AdaptiveStopping, planned_first

IDS = [f"q{i}" for i in range(120)]
ITEMS = [f"sums/{each}" for each in IDS]


class Stopped(types.SimpleNamespace):
    """Stands for inspect_ai.util.EarlyStop."""


class Source(types.SimpleNamespace):
    """Stands for inspect_ai.SampleSource."""

    @classmethod
    def from_samples(cls, initial_samples, **callbacks):
        return cls(initial=initial_samples, **callbacks)


@pytest.fixture
def fake_inspect(monkeypatch):
    """The two names that the plug-in takes from Inspect, so that its logic is tested without it."""
    monkeypatch.setitem(sys.modules, "inspect_ai", types.SimpleNamespace(SampleSource=Source))
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
    stop = Stop(std_error=0.05)
    ran, refused, told = asyncio.run(offer(AdaptiveStopping(bank, stop), answers_of(bank)))
    assert 5 < len(ran) < 90
    assert len(ran) + len(refused) == len(IDS)
    assert told["n_seen"] == len(ran)
    assert told["std_error"] <= 0.05
    assert told["why"].startswith("standard error")
    assert told["low"] <= told["value"] <= told["high"]
    reasons = {each.reason.split(" ")[0] for each in refused}
    assert reasons == {"not", "standard"}


def test_a_budget_is_never_exceeded(fake_inspect, bank, answers_of):
    for width in (1, 7, 30):
        stopping = AdaptiveStopping(bank, Stop(budget=20))
        ran, _, told = asyncio.run(offer(stopping, answers_of(bank), width=width))
        assert len(ran) == told["n_seen"] == 20
        assert told["why"] == "the budget of 20 answers is spent"


def test_the_order_of_worth_needs_fewer_answers_than_the_data_sets(fake_inspect, bank, answers_of):
    right, stop = answers_of(bank), Stop(std_error=0.06)
    ids = [each.id for each in planned_first([sample(each) for each in IDS], bank, task="sums")]
    assert sorted(ids) == sorted(IDS)
    first, _, _ = asyncio.run(offer(AdaptiveStopping(bank, stop), right, ids))
    plain, _, _ = asyncio.run(offer(AdaptiveStopping(bank, stop), right))
    assert len(first) <= len(plain)


def test_epochs_follow_the_first_decision(fake_inspect, bank, answers_of):
    stopping = AdaptiveStopping(bank, Stop(budget=10))
    ran, _, told = asyncio.run(offer(stopping, answers_of(bank), epochs=2))
    assert len(ran) == 20
    assert len(set(ran)) == told["n_seen"] == 10
    assert set(stopping.session.responses().weight[0].tolist()) == {2.0}


def test_scores_are_taken_as_the_reader_takes_them(fake_inspect, bank, answers_of):
    letters = AdaptiveStopping(bank, Stop(budget=10))
    asyncio.run(offer(letters, answers_of(bank), value=lambda x: "C" if x else "I"))
    tens = AdaptiveStopping(bank, Stop(budget=10), options=Options(scale=(0, 10)))
    asyncio.run(offer(tens, answers_of(bank), value=lambda x: 10 * x))
    assert letters.session.scores == tens.session.scores
    with pytest.raises(BadInput, match=r"sample 'q\d+': score 7 lies outside \[0, 1\]"):
        asyncio.run(offer(AdaptiveStopping(bank, Stop(budget=10)), {}, value=lambda x: 7))


def test_what_was_not_scored_is_counted(fake_inspect, bank):
    stopping = AdaptiveStopping(bank, Stop(budget=10), options=Options(no_answer="missing"))
    _, _, told = asyncio.run(offer(stopping, {}, value=lambda x: "N"))
    assert told["n_seen"] == 0
    assert told["unscored_samples"] >= 10


@pytest.mark.parametrize(("unknown", "more"), [("refuse", 0), ("run", 5)])
def test_samples_that_the_bank_does_not_know(fake_inspect, bank, answers_of, unknown, more):
    ids = [f"new{i}" for i in range(5)] + IDS
    stopping = AdaptiveStopping(bank, Stop(budget=10), unknown=unknown)
    ran, refused, told = asyncio.run(offer(stopping, answers_of(bank), ids))
    assert len(ran) == 10 + more
    assert told["n_seen"] == 10
    assert told["unknown_samples"] == 5
    assert ("not in bank 'test-bank'" in {each.reason for each in refused}) == (unknown == "refuse")


def test_a_bank_of_another_benchmark_ends_the_run_at_once(fake_inspect, bank):
    with pytest.raises(BankMismatch, match="none of the 2 samples of task 'sums'.*Pass item_of"):
        asyncio.run(AdaptiveStopping(bank, Stop()).start_task(spec(), [sample("x"), sample("y")], 1))
    with pytest.raises(BankMismatch, match="no sample of task 'other'"):
        planned_first([sample("q1")], bank, task="other")


def test_one_object_serves_one_run(fake_inspect, bank):
    stopping, samples = AdaptiveStopping(bank, Stop()), [sample("q1")]
    asyncio.run(stopping.start_task(spec(), samples, 1))
    asyncio.run(stopping.start_task(spec(), samples, 1))  # a retry
    with pytest.raises(BadInput, match="one AdaptiveStopping serves one task and model"):
        asyncio.run(stopping.start_task(spec(run="run-2"), samples, 1))


def test_wrong_words(bank):
    with pytest.raises(BadInput, match="unknown is 'skip'"):
        AdaptiveStopping(bank, Stop(), unknown="skip")
    with pytest.raises(BadInput, match="replan is 0"):
        AdaptiveStopping(bank, Stop(), replan=0)
    with pytest.raises(BadInput, match="batch is 0"):
        AdaptiveStopping(bank, Stop()).source([], task="sums", batch=0)
    with pytest.raises(BadInput, match="two samples of task 'sums' have one id"):
        AdaptiveStopping(bank, Stop()).source([sample("q1"), sample("q1")], task="sums")
    with pytest.raises(BadInput, match="item_of gives two samples of task 'sums' one name"):
        AdaptiveStopping(bank, Stop(), item_of=lambda task, name: "sums/q1").source(
            [sample("q1"), sample("q2")], task="sums"
        )


async def drain(source, right, fail=frozenset()):
    """Inspect's loop over a source. -> ids in the order in which they ran."""
    queue, ran = list(source.initial), []
    while True:
        while queue:
            each = queue.pop(0)
            ran.append(each.id)
            value = types.SimpleNamespace(value=right[f"sums/{each.id}"])
            done = types.SimpleNamespace(id=each.id, epoch=1, scores=None if each.id in fail else {"match": value})
            queue += await source.sample_complete(done)
        more = await source.next_samples()
        if more is None:
            return ran
        queue += more


def test_a_source_asks_what_choose_asks(fake_inspect, bank, answers_of):
    right = answers_of(bank)
    stopping = AdaptiveStopping(bank, Stop(std_error=0.06))
    ran = asyncio.run(drain(stopping.source([sample(each) for each in IDS], task="sums", batch=1), right))
    asked, responses = [], None
    while True:
        choice = adaptive.choose(responses, bank, stop=Stop(std_error=0.06))
        if choice.enough:
            break
        asked += choice.items[0]
        other = AdaptiveStopping(bank, Stop()).session
        for item in asked:
            other.add(item, right[item])
        responses = other.responses()
    assert [f"sums/{each}" for each in ran] == asked
    assert len(ran) < 60


def test_a_source_goes_on_after_samples_that_fail(fake_inspect, bank, answers_of):
    stopping = AdaptiveStopping(bank, Stop(budget=12))
    source = stopping.source([sample(each) for each in IDS], task="sums", batch=5)
    failed = frozenset(each.id for each in source.initial)
    ran = asyncio.run(drain(source, answers_of(bank), failed))
    assert len(stopping.session.scores) == 12
    assert len(ran) == 12 + len(failed)
    assert asyncio.run(stopping.complete_task())["unscored_samples"] == len(failed)


def test_a_source_is_of_one_task(fake_inspect, bank):
    stopping = AdaptiveStopping(bank, Stop())
    stopping.source([sample("q1")], task="sums")
    with pytest.raises(BadInput, match="this is task 'other', its source was made for 'sums'"):
        asyncio.run(stopping.start_task(spec(task="other"), [], 1))


def true_run(folder: pathlib.Path, bank, right, *, sourced: bool, epochs: int = 1):
    """A task of Inspect with a model that knows some of the answers. -> (its log, the session)."""
    inspect_ai = pytest.importorskip("inspect_ai", reason="Inspect AI is not installed")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    def answer(messages, *_):
        name = messages[-1].text
        output = ModelOutput.from_content("mockllm/model", "yes" if right[f"sums/{name}"] else "no")
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    samples = [Sample(id=each, input=each, target="yes") for each in IDS]
    stopping = AdaptiveStopping(bank, Stop(std_error=0.05))
    task = inspect_ai.Task(
        dataset=stopping.source(samples, task="sums", batch=4) if sourced else samples,
        solver=generate(),
        scorer=match(),
        name="sums",
        early_stopping=stopping,
        epochs=epochs,
    )
    model = get_model("mockllm/model", custom_outputs=answer)
    log = inspect_ai.eval(task, model=model, log_dir=str(folder), display="none", max_samples=4)[0]
    assert log.status == "success", log.error
    return log, stopping


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # other people's
@pytest.mark.parametrize(("sourced", "epochs"), [(True, 1), (False, 1), (True, 2), (False, 2)])
def test_true_inspect(tmp_path, bank, answers_of, sourced, epochs):
    log, stopping = true_run(tmp_path, bank, answers_of(bank), sourced=sourced, epochs=epochs)
    told = log.results.early_stopping.metadata
    responses = data.read(log.location)
    assert 5 < len(responses.items) < 100
    assert len(log.samples) == epochs * len(responses.items)
    found = adaptive.estimate(responses, bank)
    np.testing.assert_allclose(
        [told[name] for name in ("value", "low", "high", "std_error")],
        [found.value[0], found.low[0], found.high[0], found.std_error[0]],
        rtol=1e-5,
    )
    assert told["n_seen"] == found.n_seen[0] == len(responses.items)
    assert responses.rows == (stopping.session.row,)
    assert told["why"].startswith("standard error")
    reasons = [stop.reason for stop in log.results.early_stopping.early_stops]
    if not sourced:
        assert len(reasons) == epochs * len(IDS) - len(log.samples)
        assert any("planned after" in reason for reason in reasons)
