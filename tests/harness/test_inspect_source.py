import asyncio
import sys
import types

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.errors import BadInput, BankMismatch
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import Stop
from lleval_jax.harness.inspect_source import AdaptiveSource
from lleval_jax.harness.session import Session

IDS = [f"q{i}" for i in range(60)]


class Source(types.SimpleNamespace):
    """Stands for inspect_ai.SampleSource."""

    @classmethod
    def from_samples(cls, initial_samples, **callbacks):
        return cls(initial=initial_samples, **callbacks)


@pytest.fixture
def fake_inspect(monkeypatch):
    """The one name that the source takes from Inspect, so that its logic is tested without it."""
    monkeypatch.setitem(sys.modules, "inspect_ai", types.SimpleNamespace(SampleSource=Source))


@pytest.fixture
def bank(bank_of):
    return bank_of([f"sums/{each}" for each in IDS])


def samples(names=IDS):
    return [types.SimpleNamespace(id=name) for name in names]


async def drain(source, right, fail=frozenset(), lost=frozenset()):
    """Inspect's loop over a source. -> ids in the order in which they ran."""
    queue, ran = list(source.initial), []
    while True:
        while queue:
            each = queue.pop(0)
            ran.append(each.id)
            if each.id in lost:
                queue += await source.sample_abandoned(each, 1)
                continue
            scores = None if each.id in fail else {"match": types.SimpleNamespace(value=right[f"sums/{each.id}"])}
            queue += await source.sample_complete(types.SimpleNamespace(id=each.id, epoch=1, scores=scores))
        more = await source.next_samples()
        if more is None:
            return ran
        queue += more


def test_it_asks_what_choose_asks(fake_inspect, bank, answers_of):
    right, stop = answers_of(bank), Stop(budget=7)
    here = AdaptiveSource(bank, stop=stop, samples=samples(), task="sums", batch=1)
    ran = asyncio.run(drain(here.source, right))
    session = Session(bank, stop, "model")
    while items := adaptive.choose(session.responses(), bank=bank, stop=stop).items[0]:
        session.add(items[0], right[items[0]])
    assert [f"sums/{each}" for each in ran] == list(session.scores)
    assert len(ran) == here.report()["n_seen"] == 7
    assert here.report()["why"] == "the budget of 7 answers is spent"


@pytest.mark.parametrize("kind", ["fail", "lost"])
def test_others_take_the_place_of_samples_that_fail(fake_inspect, bank, answers_of, kind):
    here = AdaptiveSource(bank, stop=Stop(budget=12), samples=samples(), task="sums", batch=5)
    source = here.source
    failed = frozenset(each.id for each in source.initial)
    ran = asyncio.run(drain(source, answers_of(bank), **{kind: failed}))
    assert len(here.run.session.scores) == 12
    assert len(ran) == len(set(ran)) == 12 + len(failed)
    assert here.report().get("unscored_samples", 0) == (len(failed) if kind == "fail" else 0)


def test_the_end_of_the_data_set(fake_inspect, bank, answers_of):
    here = AdaptiveSource(bank, stop=Stop(std_error=0.01), samples=samples([*IDS[:9], "new"]), task="sums", batch=4)
    assert len(asyncio.run(drain(here.source, answers_of(bank)))) == 9
    assert here.report()["why"].startswith("no sample was left to run; the standard error is 0.")
    assert here.report()["unknown_samples"] == 1


def test_samples_without_an_id_are_numbered_as_inspect_does(fake_inspect, bank_of):
    bank = bank_of(["sums/1", "sums/2", "sums/3"])
    here = AdaptiveSource(bank, stop=Stop(), samples=samples([None, None, None]), task="sums")
    assert sorted(each.id for each in here.source.initial) == [1, 2, 3]


def test_wrong_words(bank):
    with pytest.raises(BadInput, match="batch is 0"):
        AdaptiveSource(bank, stop=Stop(), samples=[], task="sums", batch=0)
    with pytest.raises(BadInput, match="two samples of task 'sums' have one id"):
        AdaptiveSource(bank, stop=Stop(), samples=samples(["q1", "q1"]), task="sums")
    with pytest.raises(BadInput, match="item_of gives two samples of task 'sums' one name"):
        AdaptiveSource(
            bank, stop=Stop(), samples=samples(["q1", "q2"]), task="sums", item_of=lambda task, name: "sums/q1"
        )
    with pytest.raises(BankMismatch, match="none of the 1 samples of task 'other'"):
        AdaptiveSource(bank, stop=Stop(), samples=samples(["q1"]), task="other")


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2])
def test_true_inspect(tmp_path, bank, answers_of, epochs, true_inspect):
    told, log, _ = true_inspect(tmp_path, bank, answers_of(bank), "source", epochs)
    responses = data.read(log)
    found = adaptive.estimate(responses, bank=bank)
    np.testing.assert_allclose(
        [told[name] for name in ("value", "low", "high", "std_error")],
        [found.value[0], found.low[0], found.high[0], found.std_error[0]],
        rtol=1e-5,
    )
    assert told["n_seen"] == found.n_seen[0] == len(responses.items) < 40
    assert set(responses.weight[0].tolist()) == {float(epochs)}
    assert told["why"].startswith("standard error")
