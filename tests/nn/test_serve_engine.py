"""Requests written on together: each as if it were alone, with its own adapter, whoever comes and goes."""

import threading

import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax import lm
from lleval_jax.errors import BadInput
from lleval_jax.lm.generate import Written
from lleval_jax.lm.sampling import Sampling
from lleval_jax.training.compress.fit import Search, compress
from lleval_jax.training.compress.folders import read_adapters
from lleval_jax.training.low_rank import adapter_files, lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.serve.asking import Piece, Request
from lleval_jax.training.serve.engine import Engine
from lleval_jax.training.serve.resident import Residents

SETTINGS = Lora(rank=2, targets=("query", "value"))
PROMPTS = ("Tom has 3 apples.", "A train goes", "Question: how many?", "Natalia sold 48 clips to her friends in April.")


@pytest.fixture(scope="module")
def model():
    return lm.load("tiny-lm")


@pytest.fixture(scope="module")
def adapters(model, tmp_path_factory):
    """Four adapters that change what is written, as folders, and the models with them."""
    place, models = tmp_path_factory.mktemp("adapters"), {}
    for k in range(4):
        adapted = lora.attach(model.decoder, SETTINGS)
        for number, (_, each) in enumerate(lora.adapters(adapted)):
            rng = np.random.default_rng(10 * k + number)
            each.b[...] = jnp.asarray(0.2 * rng.normal(size=each.b[...].shape), jnp.float32)
        adapter_files.save_peft(adapted, SETTINGS, place / f"task-{k}", base="tiny-lm")
        models[f"task-{k}"] = adapted
    return place, models


@pytest.fixture(scope="module")
def residents(model, adapters):
    collection = read_adapters(adapters[0])
    found = Residents.apart(model.decoder, collection.shapes, rank=2, capacity=6)
    for each in collection.adapters:
        found.add(each.name, found.padded(each))
    return found


def alone(model, decoder, prompt: str, limit: int, **how) -> str:
    """What the model writes without company."""
    import dataclasses

    return lm.generate(dataclasses.replace(model, decoder=lora.merge(decoder)), [prompt], limit=limit, **how)[0].text


def request(model, prompt: str, adapter: str | None, limit: int, **more) -> Request:
    return Request(tuple(model.tokens.prompt(prompt)), adapter, limit=limit, **more)


def test_each_request_is_written_as_if_alone(model, adapters, residents):
    wanted = [(PROMPTS[k % 4], f"task-{k % 3}" if k % 5 else None, 5 + k) for k in range(11)]
    with Engine(model, residents, rows=4, length=96) as engine:
        found = engine.write([request(model, *each) for each in wanted])
    assert engine.counts.requests == 11
    exact = {}
    for prompt, name, _ in wanted:
        decoder = model.decoder if name is None else adapters[1][name]
        exact[prompt, name] = alone(model, decoder, prompt, 20)
    same = [exact[prompt, name].startswith(each.text) for each, (prompt, name, _) in zip(found, wanted, strict=True)]
    assert all(same)
    assert (
        len({exact["A train goes", name] for name in ("task-1",)} | {alone(model, model.decoder, "A train goes", 20)})
        == 2
    )


def test_a_draw_does_not_depend_on_company(model, residents):
    warm = [
        request(model, PROMPTS[k], f"task-{k}", 8, how=Sampling(temperature=0.9, top_p=0.9), seed=k) for k in range(3)
    ]
    cold = [request(model, PROMPTS[3], None, 12)]
    with Engine(model, residents, rows=4, length=96) as engine:
        together = engine.write(warm + cold)
        one_by_one = [engine.write([each])[0] for each in warm + cold]
    assert [each.tokens for each in together] == [each.tokens for each in one_by_one]


def test_pieces_join_to_the_text_and_stops_end_it(model, residents):
    said, over = [], threading.Event()

    def told(event):
        said.append(event)
        if not isinstance(event, Piece):
            over.set()

    with Engine(model, residents, rows=2, length=96) as engine:
        whole = engine.write([request(model, PROMPTS[0], None, 24)])[0]
        stop = whole.text[6:9]
        engine.submit(request(model, PROMPTS[0], None, 24, stop=(stop,)), told)
        assert over.wait(300)
    *pieces, written = said
    assert "".join(each.text for each in pieces) == written.text == whole.text.partition(stop)[0]
    assert written.ended == "stop"


def test_a_cancelled_request_frees_its_row_and_its_adapter(model, residents):
    with Engine(model, residents, rows=1, length=96) as engine:
        first = threading.Event()
        line = engine.submit(request(model, PROMPTS[0], "task-0", 60), lambda event: first.set())
        assert first.wait(300)
        line.cancel()
        assert isinstance(engine.write([request(model, PROMPTS[1], "task-1", 4)])[0], Written)
    assert not any(residents._rows.values())


def test_an_adapter_taken_away_finishes_what_it_writes(model, adapters):
    collection = read_adapters(adapters[0])
    shared = compress(collection, 4, search=Search(starts=1))
    residents = Residents.of(model.decoder, shared, capacity=6)
    with Engine(model, residents, rows=2, length=96) as engine:
        exact = engine.write([request(model, PROMPTS[3], "task-2", 16)])[0]
        found, over, begun = [], threading.Event(), threading.Event()

        def told(event):
            begun.set()
            if isinstance(event, Written):
                found.append(event)
                over.set()

        engine.submit(request(model, PROMPTS[3], "task-2", 16), told)
        assert begun.wait(300)
        residents.remove("task-2")
        with pytest.raises(BadInput, match="there is no adapter 'task-2'"):
            engine.submit(request(model, PROMPTS[3], "task-2", 16), told)
        assert over.wait(300)
    assert found[0].tokens == exact.tokens


def test_what_does_not_fit_is_refused(model, residents):
    with Engine(model, residents, rows=1, length=32) as engine:
        with pytest.raises(BadInput, match="there is room for 32"):
            engine.submit(request(model, PROMPTS[3], None, 30), print)
        with pytest.raises(BadInput, match="the prompt is empty"):
            engine.submit(Request(()), print)
    with pytest.raises(BadInput, match="the engine is closing"):
        engine.submit(request(model, PROMPTS[0], None, 4), print)
