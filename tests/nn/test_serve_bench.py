"""Servers that are compared write the same texts, each request is answered once, and the verb says what it found."""

import json

import numpy as np
import pytest
from nn.test_serve_engine import PROMPTS, model, request  # noqa: F401  (a fixture)

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT
from lleval_jax.errors import BadInput
from lleval_jax.training.compress import files
from lleval_jax.training.serve import load as loads
from lleval_jax.training.serve.drawn import drawn
from lleval_jax.training.serve.engine import Engine
from lleval_jax.training.serve.load import Load, measure, servers

SMALL = Load(requests=10, clients=3, prompt=8, new=3, rounds=2, rows=4)


@pytest.fixture(scope="module")
def shared(model):  # noqa: F811
    return drawn(model.decoder, 24, rank=4, clusters=2, targets=("query", "value"))


@pytest.mark.slow
def test_all_servers_write_what_the_adapter_writes(model, shared):  # noqa: F811
    found, name = {}, shared.names[0]
    for server, residents in servers(model, shared).items():
        with Engine(model, residents, rows=2, length=64) as engine:
            asked = [request(model, each, None if server == "merged" else name, 8) for each in PROMPTS[:2]]
            found[server] = [each.tokens for each in engine.write(asked)]
            bare = [each.tokens for each in engine.write([request(model, PROMPTS[0], None, 8)])]
    assert found["merged"] == found["rotating"] == found["compressed"]
    assert found["compressed"][:1] != bare  # the adapter says something


@pytest.mark.slow
def test_a_round_answers_all_requests_in_the_memory_it_says(model, shared):  # noqa: F811
    told: list[int] = []
    found = {each.server: each for each in measure(model, shared, SMALL, tell=lambda each: told.append(each.done))}
    assert tuple(found) == loads.SERVERS
    for each in found.values():
        assert each.latency.shape == (20,)
        assert len(each.speeds) == 2
        assert (each.latency > 0).all()
        assert each.speed > 0
    rotating, compressed = found["rotating"], found["compressed"]
    assert rotating.resident == int(shared.matched) < 24
    one = rotating.bytes / (rotating.resident + 1)  # the bare model has a place too
    assert abs(compressed.bytes - shared.matched * one) < 0.05 * compressed.bytes
    assert 0 < rotating.loads <= 1
    assert compressed.loads == found["merged"].loads == found["merged"].bytes == 0
    assert max(told) == 50


def test_servers_are_asked_the_same(model):  # noqa: F811
    one, other = (loads.asked(model, names, SMALL, 1) for names in (None, ("a", "b", "c")))
    assert [each.tokens for each in one] == [each.tokens for each in other]
    assert {each.adapter for each in other} == {"a", "b", "c"}
    assert [each.tokens for each in one] != [each.tokens for each in loads.asked(model, None, SMALL, 0)]


def test_what_cannot_be_drawn_or_asked_is_refused(model):  # noqa: F811
    with pytest.raises(BadInput, match="the rank is 99; it is from 1 to 64"):
        drawn(model.decoder, 3, rank=99)
    with pytest.raises(BadInput, match="clients is 0"):
        Load(clients=0)


def test_the_verb_measures_what_compress_keeps(shared, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    files.save(shared, tmp_path / "shared")
    words = f"serve-bench {tmp_path}/shared --model tiny-lm --adapters 24 --requests 6 --rounds 1 --rows 4 --clients 4"
    words += f" --prompt-tokens 8 --new-tokens 3 --json {tmp_path}/a.json --plot {tmp_path}/a.png"
    assert run(words.split()) == 0
    said, content = capsys.readouterr().out, json.loads((tmp_path / "a.json").read_text())
    assert "requests for drawn adapters" in said
    assert [each["server"] for each in content["servers"]] == list(loads.SERVERS)
    assert content["schema"] == "lleval/served/1"
    assert all(np.isfinite(each["speed"]) and each["adapters"] == 24 for each in content["servers"])
    assert (tmp_path / "a.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--model tiny-lm", "give a folder that `lleval compress` kept, or --random N"),
        ("{place} --random 3", "give a folder that `lleval compress` kept, or --random N"),
        ("{place}", "it is not what `lleval compress --out` keeps"),
        ("--random 8 --adapters 1,9", "--adapters is '1,9'; give numbers from 1 to 8"),
        ("--random 8 --rank 500", "the rank is 500"),
        ("--random 8 --prompt-tokens 600", "reads 512 tokens"),
        ("--random 8 --model no-such", "no-such"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, words, says):
    assert run(["serve-bench", "-q", *words.format(place=tmp_path).split()]) == BAD_INPUT
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
