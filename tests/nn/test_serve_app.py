"""The engine behind HTTP, asked by OpenAI's own client: answers, streams, mistakes, and clients that go away."""

import threading
import time

import httpx2
import openai
import pytest
from nn.test_serve_engine import PROMPTS, adapters, model, request, residents  # noqa: F401  (fixtures)

from lleval_jax.training.serve import app as apps
from lleval_jax.training.serve.engine import Engine
from lleval_jax.training.serve.listening import running

KEY = "a-key"
pytest.importorskip("uvicorn", reason="needs the extra `serve`")


@pytest.fixture(scope="module")
def served(model, residents):  # noqa: F811
    """(address, engine) of a running server."""
    with (
        Engine(model, residents, rows=4, length=128) as engine,
        running(apps.app(engine, base="tiny-lm", key=KEY)) as url,
    ):
        yield url, engine


@pytest.fixture
def client(served):
    return openai.OpenAI(base_url=f"{served[0]}/v1", api_key=KEY, max_retries=0, timeout=120)


def test_a_text_is_what_the_engine_writes(served, client, model):  # noqa: F811
    exact = served[1].write([request(model, PROMPTS[0], "task-1", 12)])[0]
    found = client.completions.create(model="task-1", prompt=PROMPTS[0], max_tokens=12, temperature=0)
    assert found.choices[0].text == exact.text
    assert found.usage.completion_tokens == len(exact.tokens)
    assert found.choices[0].finish_reason in ("stop", "length")


def test_a_stream_joins_to_the_same_text(client):
    asked = {"model": "task-0", "prompt": PROMPTS[2], "max_tokens": 14, "temperature": 0}
    whole = client.completions.create(**asked).choices[0].text
    parts = [each.choices[0].text for each in client.completions.create(**asked, stream=True)]
    assert "".join(parts) == whole


def test_models_are_the_base_and_the_adapters(client):
    assert [each.id for each in client.models.list().data] == ["tiny-lm", "task-0", "task-1", "task-2", "task-3"]


def test_many_clients_get_their_own_adapters(client, served, model):  # noqa: F811
    wanted = [(PROMPTS[k % 4], (None, "task-0", "task-1", "task-2")[k // 4 % 4], 6) for k in range(16)]
    exact = served[1].write([request(model, *each) for each in wanted])
    found: dict[int, str] = {}

    def ask(k: int) -> None:
        prompt, name, limit = wanted[k]
        found[k] = (
            client.completions.create(model=name or "tiny-lm", prompt=prompt, max_tokens=limit, temperature=0)
            .choices[0]
            .text
        )

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(16)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    assert [found[k] for k in range(16)] == [each.text for each in exact]


MISTAKES = [
    (b"{", 400, "cannot be read"),
    (b'{"model": "tiny-lm"}', 400, "has no prompt"),
    (b'{"model": "nobody", "prompt": "a"}', 404, "there is no adapter 'nobody'"),
    (b'{"model": "tiny-lm", "prompt": "a", "n": 2}', 400, "n is 2; only 1 is done here"),
    (b'{"model": "tiny-lm", "prompt": "a", "max_tokens": 100000}', 400, "max_tokens is 100000"),
    (b'{"model": "tiny-lm", "prompt": "a", "temperature": -1}', 400, "temperature is -1"),
    (b'{"model": "tiny-lm", "prompt": 3}', 400, "Expected `str | null`, got `int` - at `$.prompt`"),
    (b'{"model": "tiny-lm", "prompt": "' + b"a" * 2_000_000 + b'"}', 413, "more than 1,000,000 bytes"),
    (b'{"model": "tiny-lm", "prompt": "' + b"a b " * 500 + b'"}', 400, "there is room for 128"),
]


@pytest.mark.parametrize(("body", "status", "says"), MISTAKES, ids=lambda x: str(x)[:40])
def test_a_mistake_gets_its_status_and_a_line(served, body, status, says):
    found = httpx2.post(f"{served[0]}/v1/completions", content=body, headers={"Authorization": f"Bearer {KEY}"})
    assert found.status_code == status
    assert says in found.json()["error"]["message"]


def test_without_the_key_nothing_is_said(served):
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        found = httpx2.get(f"{served[0]}/v1/models", headers=headers)
        assert found.status_code == 401
        assert "task-0" not in found.text


def test_health_and_metrics_need_no_key(served):
    assert httpx2.get(f"{served[0]}/health").json() == {"status": "ok"}
    assert "lleval_requests_total" in httpx2.get(f"{served[0]}/metrics").text


def test_metrics_say_how_long_requests_took(served, client):
    def found() -> dict[str, float]:
        lines = httpx2.get(f"{served[0]}/metrics").text.splitlines()
        return {name: float(value) for name, value in (each.rsplit(" ", 1) for each in lines if each[0] != "#")}

    before = found()
    client.completions.create(model="task-1", prompt=PROMPTS[0], max_tokens=4, temperature=0)
    after = found()
    for name in ("lleval_queue_seconds", "lleval_first_token_seconds", "lleval_request_seconds"):
        assert after[f"{name}_count"] == before[f"{name}_count"] + 1
        assert after[f'{name}_bucket{{le="+Inf"}}'] == after[f"{name}_count"]
        assert after[f"{name}_sum"] > before[f"{name}_sum"]
    assert after["lleval_waiting"] == after["lleval_writing"] == 0  # nothing is asked now


def test_a_client_that_goes_frees_its_row(served, client, residents):  # noqa: F811
    asked = {"model": "task-3", "prompt": PROMPTS[0], "max_tokens": 100, "temperature": 0}
    for _ in range(6):
        with client.completions.create(**asked, stream=True) as stream:
            next(iter(stream))
    assert client.completions.create(model="tiny-lm", prompt=PROMPTS[1], max_tokens=4, temperature=0).choices[0].text
    for _ in range(2000):
        if not any(residents._rows.values()):
            break
        time.sleep(0.05)
    assert not any(residents._rows.values())
