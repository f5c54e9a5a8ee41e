"""Uncompressed adapters that take turns on the device: every request has its own, and one in use stays."""

import threading

import numpy as np
import pytest
from nn.test_serve_engine import PROMPTS, adapters, alone, model, request  # noqa: F401  (fixtures)

from lleval_jax.training.compress.folders import read_adapters
from lleval_jax.training.serve.asking import Piece
from lleval_jax.training.serve.engine import Engine
from lleval_jax.training.serve.rotating import Rotating


@pytest.fixture
def residents(model, adapters):  # noqa: F811
    """Four adapters, two of them on the device at a time."""
    collection = read_adapters(adapters[0])
    found = Rotating.few(model.decoder, collection.shapes, rank=2, seats=2, capacity=6)
    for each in collection.adapters:
        found.add(each.name, found.padded(each))
    return found


def test_every_request_has_its_own_adapter(model, adapters, residents):  # noqa: F811
    names = [f"task-{k % 4}" if k % 7 else None for k in range(15)]
    with Engine(model, residents, rows=4, length=64) as engine:
        found = engine.write([request(model, PROMPTS[1], name, 6) for name in names])
    exact = {name: alone(model, adapters[1].get(name, model.decoder), PROMPTS[1], 6) for name in {*names}}
    assert len({*exact.values()}) > 3
    assert [each.text for each in found] == [exact[name] for name in names]
    assert residents.loaded == residents.evicted + 2
    assert residents.evicted >= 2
    assert not any(residents._rows.values())
    assert not any(residents._sitting.values())


def test_an_adapter_in_use_is_not_evicted(residents):
    one, two, three = (residents.take(f"task-{k}") for k in range(3))
    first, second = residents.seat(one), residents.seat(two)
    assert first != second
    assert residents.seat(one) == first  # a second row of it
    assert residents.seat(three) is None
    assert residents.seat(0) == 0
    residents.leave(first)
    assert residents.seat(three) is None
    residents.leave(second)
    assert residents.seat(three) == second
    assert residents.seat(two) is None
    residents.leave(first)
    residents.leave(second)
    assert residents.seat(two) == first  # task-2 was used later than task-0
    assert (residents.loaded, residents.evicted) == (4, 2)


def test_one_that_takes_the_place_of_another_is_read_again(residents, adapters):  # noqa: F811
    collection = read_adapters(adapters[0])
    place = residents.take("task-1")
    seat = residents.seat(place)
    residents.leave(seat)
    residents.let_go(place)
    residents.remove("task-1")
    residents.add("other", residents.padded(collection.adapters[3]))
    assert residents.take("other") == place
    seat = residents.seat(place)
    table, value, _ = next(residents._by_table(residents.padded(collection.adapters[3])))
    assert np.array_equal(table[...][seat], value)


def test_a_request_that_waits_for_a_seat_is_passed_and_then_waited_for(model, residents, monkeypatch):  # noqa: F811
    monkeypatch.setattr("lleval_jax.training.serve.engine.PATIENCE", 1)
    order, over = [], threading.Semaphore(0)

    def told(name):
        def tell(event):
            if not isinstance(event, Piece):
                order.append(name)
                over.release()

        return tell

    names = ["task-0", "task-1", "task-2", *["task-0", "task-1"] * 8]
    with Engine(model, residents, rows=3, length=64) as engine:
        for name in names:
            engine.submit(request(model, PROMPTS[1], name, 6), told(name))
        for _ in names:
            assert over.acquire(timeout=300)
    assert order.index("task-2") < len(names) - 4
