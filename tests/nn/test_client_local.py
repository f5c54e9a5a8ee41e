"""A model in this process as a client: the same replies alone and in a batch, and what it refuses."""

import pytest
from nn.test_generate import model_of

from lleval_jax import lm
from lleval_jax.errors import BadInput
from lleval_jax.lm.client import Failed, Message, Reply, Request

CHAT = "{% for message in messages %}{{ message['role'][0] + ' ' + message['content'] + ' ' }}{% endfor %}"
PROMPTS = ("hello there", "x", "hello")


@pytest.fixture(scope="module")
def model():
    return model_of(templates={"default": CHAT})


@pytest.fixture
def client(model):
    return lm.LocalClient(model, batch=4)


def test_a_reply_says_what_was_read_and_written(client):
    reply = client.complete(Request(prompt="hello there", limit=8))
    written = lm.generate(client.source, ["hello there"], limit=8)[0]
    assert reply == Reply(written.text, "limit", "tiny", 11, 8)
    chat = client.complete(Request(messages=[Message("developer", "be"), Message("user", "hi")], limit=8))
    assert chat.text == client.complete(Request(prompt="s be u hi ", limit=8)).text
    assert chat.asked == len("s be u hi ")


@pytest.mark.slow
def test_replies_do_not_depend_on_their_company(client):
    """Also where they are drawn: each has the seed of its own draw."""
    requests = [Request(prompt="hello", limit=8, temperature=1, draw=draw) for draw in range(3)]
    requests += [Request(prompt="x", limit=8, temperature=1, seed=4), Request(prompt="x", limit=8)]
    together = list(lm.complete_all(client, requests[::-1]))[::-1]
    assert together == [client.complete(request) for request in requests]
    assert len({reply.text for reply in together[:3]}) == 3


def test_equal_requests_have_equal_replies(client):
    request = Request(prompt="hello", limit=8, temperature=1)
    first, second = client.complete_batch([request, request])
    assert first == second


def test_requests_with_the_same_settings_are_written_together(client, monkeypatch):
    calls = []
    monkeypatch.setattr("lleval_jax.lm.local.generate", lambda model, prompts, **_: calls.append(prompts) or ())
    with pytest.raises(ValueError, match="zip"):
        client.complete_batch([Request(prompt=text, draw=draw) for text in PROMPTS for draw in range(2)])
    assert sorted(calls[0]) == sorted(PROMPTS * 2)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(prompt="a", limit=8, model="other"), "for the model 'other'; this client is of 'tiny'"),
        (Request(prompt="a", limit=8, logprobs=0), "gives no log-probabilities of its reply; ask lm.score"),
        (Request(prompt="a", limit=8, schema="{}"), "tiny takes no JSON schema here"),
        (Request(messages=[Message("user", "a", ["data:,"])], limit=8), "tiny takes no pictures here"),
        (Request(prompt="", limit=8), "is empty, and tiny has no token that begins a text"),
        (Request(prompt="a" * 500, limit=8), "has 500 tokens; tiny reads and writes"),
    ],
)
def test_what_it_cannot_answer_is_said_and_the_rest_is_answered(client, request_, message):
    with pytest.raises(BadInput, match=message):
        client.complete(request_)
    good = Request(prompt="hello", limit=8)
    found = client.complete_batch([good, request_])
    assert isinstance(found[0], Reply)
    assert isinstance(found[1], Failed)
    assert message.split(";")[0] in found[1].reason


def test_the_cache_knows_models_by_their_weights(model, client, tmp_path):
    request = Request(prompt="hello", limit=8)
    assert not lm.cached(client, tmp_path).complete(request).cached
    assert lm.cached(lm.LocalClient(model), tmp_path).complete(request).cached
    other = model_of(templates={"default": CHAT})
    other.decoder.blocks.attention.query.weight[...] += 0.01
    assert not lm.cached(lm.LocalClient(other), tmp_path).complete(request).cached


def test_a_batch_of_none_is_refused(model):
    with pytest.raises(BadInput, match="batch is 0"):
        lm.LocalClient(model, batch=0)
