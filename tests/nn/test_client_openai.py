"""A client of a server: what is sent, what is read, and each way in which a server can fail, on this machine alone."""

import email.utils
import logging
import socket
import threading
import time
import traceback

import pytest
from loopback import Answer, Clock, Loopback, chat

from lleval_jax import lm
from lleval_jax.errors import BadInput, NoReply, NoServer
from lleval_jax.lm.client import Failed, Message, Request, TokenLogprob
from lleval_jax.lm.pace import Retry

KEY = "sk-5ecret-0123456789"
QUESTION = Request.ask("Why?")


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_ORG_ID", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client_of(monkeypatch, clock):
    """A client of a server, or of an address, for which no time passes."""

    def made(server, **more):
        monkeypatch.setenv("OPENAI_BASE_URL", getattr(server, "url", server))
        return lm.OpenAIClient("m", clock=clock, sleep=clock.sleep, **({"timeout": 10} | more))

    return made


def always(answer):
    return Loopback(lambda asked, number: answer)


# ---- what is sent and read


def test_a_chat_is_sent_as_servers_want_it(client_of):
    request = Request(
        messages=[Message("system", "Be brief."), Message("user", "What is this?", ["data:image/png;base64,AAAA"])],
        limit=9, temperature=0.5, top_p=0.9, stop=["\n"], seed=3, logprobs=2, schema='{"type": "object"}',
    )  # fmt: skip
    tokens = [{"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1}]}]
    with always(chat("a", logprobs={"content": tokens})) as server:
        reply = client_of(server).complete(request)
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    shape = {"name": "reply", "strict": True, "schema": {"type": "object"}}
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert asked.body == {
        "model": "m", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ["\n"], "seed": 3, "logprobs": True,
        "top_logprobs": 2, "response_format": {"type": "json_schema", "json_schema": shape},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}],
    }  # fmt: skip
    assert (reply.text, reply.ended, reply.model, reply.asked, reply.written) == ("a", "stop", "m-1", 5, 2)
    assert reply.logprobs == (TokenLogprob("a", -0.5, (("b", -1.0),)),)


def test_a_prompt_is_continued(client_of):
    scores = {"tokens": ["a", "b"], "token_logprobs": [None, -2.0], "top_logprobs": [None, {"b": -2.0, "c": -3.0}]}
    choice = {"text": "ab", "finish_reason": "length", "logprobs": scores}
    with always(Answer({"choices": [choice]})) as server:
        reply = client_of(server).complete(Request(prompt="Once", temperature=None, seed=None, logprobs=2))
    assert server.asked[0].path == "/v1/completions"
    assert server.asked[0].body == {"model": "m", "prompt": "Once", "max_tokens": 256, "logprobs": 2}
    assert (reply.text, reply.ended, reply.model, reply.asked) == ("ab", "limit", "m", None)
    assert reply.logprobs == (TokenLogprob("b", -2.0, (("b", -2.0), ("c", -3.0))),)


def test_what_is_left_alone_is_not_sent(client_of):
    with always(chat("a")) as server:
        client_of(server, limit_as="max_completion_tokens").complete(Request.ask("Why?", temperature=None))
    assert server.asked[0].body.keys() == {"model", "messages", "seed", "max_completion_tokens"}


@pytest.mark.parametrize(
    ("choice", "text", "ended"),
    [
        ({"finish_reason": "content_filter"}, "a", "filter"),
        ({"finish_reason": None}, "a", "stop"),
        ({"finish_reason": "eos_token"}, "a", "eos_token"),
        ({"message": {"content": None, "refusal": "I cannot."}}, "I cannot.", "refusal"),
        ({"message": {"content": None}, "finish_reason": "length"}, "", "limit"),
    ],
)
def test_why_a_reply_ended(client_of, choice, text, ended):
    with always(chat("a", **choice)) as server:
        reply = client_of(server).complete(QUESTION)
    assert (reply.text, reply.ended) == (text, ended)


def test_a_large_reply_in_any_script_arrives_whole(client_of, tmp_path):
    text = 'Ünïcödé 日本語 🦜 \u2028 \\ " \x00 \r\n' * 50_000
    with Loopback(lambda asked, number: chat(asked.body["messages"][0]["content"])) as server:
        client = lm.cached(client_of(server), tmp_path)
        assert [client.complete(Request.ask(text)).text == text for _ in range(2)] == [True, True]
    assert len(server.asked) == 1


# ---- when a server fails


def refused():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def test_a_server_that_is_down_is_asked_again_then_named(client_of, clock):
    address = refused()
    with pytest.raises(
        NoServer, match=rf"^{address} cannot be reached \(.*refused\), 6 times. Start the server, or put "
    ):
        client_of(address).complete(QUESTION)
    assert len(clock.slept) == 5
    assert all(2**n / 2 <= seconds <= 2**n for n, seconds in enumerate(clock.slept))


def test_a_server_that_does_not_answer_in_time(client_of):
    def answer(asked, number):
        server.hold()
        return Answer()

    with Loopback(answer) as server:
        client = client_of(server, timeout=0.05, retry=Retry(tries=2))
        with pytest.raises(
            NoReply, match=rf"^{server.url} gave no answer within 0.05 seconds, 2 times. Pass a larger time"
        ):
            client.complete(QUESTION)


KEY_SAID = {"error": {"message": f"Incorrect key {KEY}."}}
NO_CREDIT = {"error": {"message": "You exceeded", "code": "insufficient_quota"}}
FAULTS = {  # name: (answer, error, times asked, message)
    "key": (Answer(KEY_SAID, 401), NoServer, 1, r"refuses the key \(401: Incorrect key \*\*\*\.\)\. Set OPENAI_API_"),
    "forbidden": (Answer({"detail": "no"}, 403), NoServer, 1, r"refuses the key \(403: no\)"),
    "credit": (Answer(NO_CREDIT, 429), NoServer, 1, r"no credit left \(429: You exceeded\)"),
    "busy": (Answer({"error": {"message": "slow down"}}, 429), NoServer, 6,
             r"takes no more requests \(429: slow down\), 6 times. Run it again later, or ask more slowly. Pass req"),
    "long": (Answer({"message": "maximum context is 8"}, 400), NoReply, 1,
             r"refuses the request \(400: maximum context is 8\). Change the request.$"),
    "broken": (Answer(b"<html>\n<b>Bad</b>", 500), NoReply, 6, r"failed \(500: <html> <b>Bad</b>\), 6 times"),
    "elsewhere": (Answer(b"", 304), NoServer, 1, "points elsewhere"),
    "page": (Answer(b"<html>\x1b[31m Hi"), NoReply, 6, r"answered what is not JSON: '<html>.+ Hi', 6 times. Is OPENAI"),
    "cut": (Answer(b'{"choices": [{"mess'), NoReply, 6, r"what is not JSON: '\{\"choices\": \[\{\"mess', 6 times"),
    "nothing": (Answer(b""), NoReply, 6, "answered what is not JSON, 6 times"),
    "not utf-8": (Answer(b'{"model": "\xff"}'), NoReply, 6, "answered what is not JSON"),
    "shape": (Answer({"choices": [{"message": {"content": 3}}]}), NoReply, 6, r"JSON that is no reply \(Expected `str"),
    "list": (Answer([1]), NoReply, 6, "JSON that is no reply"),
    "empty": (Answer({"choices": []}), NoReply, 6, r"answered without a reply \(it has no choice\), 6 times"),
    "error": (Answer({"error": {"message": "overloaded"}}), NoReply, 6, r"answered without a reply \(overloaded\)"),
    "no text": (Answer({"choices": [{"text": "a"}]}), NoReply, 6, "answered a choice without a text"),
    "broken off": (Answer(b'{"choices"', promise=5), NoReply, 6, r"broke off its answer \(.+\), 6 times. Look at"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_failure_is_one_line_that_names_the_server(client_of, name):
    answer, error, times, message = FAULTS[name]
    with always(answer) as server:
        with pytest.raises(error, match=f"^{server.url} .*{message}") as found:
            client_of(server).complete(QUESTION)
    assert len(server.asked) == times
    assert type(found.value) is error
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400
    assert not found.value.__cause__
    assert not found.value.__context__


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            {"data": [{"id": "qwen3-8b"}, {"id": "mm"}]},
            r"knows no model 'm'; it has mm, qwen3-8b; did you mean 'mm'\?\.$",
        ),
        ({"data": [{"id": f"model-{n}"} for n in range(30)]}, "model-17 and 20 more"),
        (
            {"data": [{"id": "m"}]},
            r"has not what was asked for \(404: no\). It has the model, .*ask by a prompt, not by messages",
        ),
        ({}, r"\(404: no\). Does it have the model 'm'\? Does OPENAI_BASE_URL end where its version does, as in /v1\?"),
        (b"<html>", r"\(404: no\). Does it have the model 'm'\?"),
    ],
)
def test_an_unknown_model_is_told_from_a_wrong_address(client_of, models, message):
    def answer(asked, number):
        return Answer(models) if asked.path == "/v1/models" else Answer({"error": {"message": "no"}}, 404)

    with Loopback(answer) as server:
        with pytest.raises(NoServer, match=f"^{server.url} .*{message}"):
            client_of(server).complete(QUESTION)


def test_a_failure_that_passes_is_not_noticed(client_of, clock):
    answers = [Answer(b"", 503), Answer(b"oops"), Answer({"choices": []}), Answer(b"", 408), chat("a")]
    with Loopback(lambda asked, number: answers[number - 1]) as server:
        assert client_of(server).complete(QUESTION).text == "a"
    assert len(clock.slept) == 4


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["seconds", "date"])
def test_what_a_server_asks_to_wait_is_waited(client_of, clock, status, header):
    wait = "37" if header == "seconds" else email.utils.formatdate(time.time() + 37, usegmt=True)
    with Loopback(
        lambda asked, number: chat("a") if number > 1 else Answer(b"", status, {"Retry-After": wait})
    ) as server:
        client_of(server).complete(QUESTION)
    assert 35 <= clock.now - 1000 <= 37 * 1.1


def test_a_wait_that_is_too_long_ends_the_run(client_of, clock):
    with always(Answer(b"", 429, {"Retry-After": "86400"})) as server:
        with pytest.raises(NoServer, match="takes no more requests .*; it asks to wait 86,400 seconds"):
            client_of(server).complete(QUESTION)
    assert clock.slept == []


# ---- many requests


def test_no_more_are_under_way_than_allowed(client_of):
    together = threading.Barrier(3)

    def answer(asked, number):
        together.wait(60)  # nothing is answered before three have come
        return chat(asked.body["messages"][0]["content"])

    with Loopback(answer) as server:
        client = client_of(server, at_once=3)
        requests = [Request.ask(str(n)) for n in range(12)]
        assert [reply.text for reply in lm.complete_all(client, requests, at_once=9)] == [str(n) for n in range(12)]
    assert server.most == 3


def test_a_rate_of_requests_and_tokens_is_held(client_of, clock):
    with always(chat("a")) as server:
        client = client_of(server, requests_per_minute=30)
        list(lm.complete_all(client, [Request.ask(str(n)) for n in range(10)]))
        assert clock.now == pytest.approx(1018)
        client = client_of(server, tokens_per_minute=60)
        for _ in range(3):
            client.complete(Request.ask("Why?", limit=50))
        assert clock.now == pytest.approx(1018 + 14)  # 7 tokens each, as the server counts them


def test_replies_that_are_kept_never_reach_the_server(client_of, tmp_path):
    requests = [Request.ask(str(n)) for n in range(5)]
    with always(chat("a")) as server:
        for _ in range(2):
            found = list(lm.complete_all(lm.cached(client_of(server), tmp_path), requests))
        assert all(reply.cached for reply in found)
        assert len(server.asked) == 5
    with always(chat("a")) as server:  # another port: another server
        lm.cached(client_of(server), tmp_path).complete(requests[0])
        assert len(server.asked) == 1


def test_one_bad_request_does_not_end_the_others(client_of):
    def answer(asked, number):
        question = asked.body["messages"][0]["content"]
        return Answer({"error": {"message": "too long"}}, 400) if question == "2" else chat(question)

    with Loopback(answer) as server:
        found = list(lm.complete_all(client_of(server), [Request.ask(str(n)) for n in range(5)]))
    assert [isinstance(each, Failed) for each in found] == [False, False, True, False, False]
    assert found[2].reason == f"{server.url} refuses the request (400: too long). Change the request."


def test_a_refused_key_ends_a_run_early(client_of):
    with always(Answer(b"", 401)) as server:
        with pytest.raises(NoServer, match="refuses the key .* 0 of 300 replies had come"):
            list(lm.complete_all(client_of(server, at_once=4), [Request.ask(str(n)) for n in range(300)]))
    assert len(server.asked) <= 4


def test_a_server_that_fails_on_everything_ends_a_run_early(client_of):
    with always(Answer(b"", 500)) as server:
        client = client_of(server, at_once=1, retry=Retry(tries=2))
        with pytest.raises(NoServer, match=r"failed \(500\), 2 times"):
            list(lm.complete_all(client, [Request.ask(str(n)) for n in range(300)]))
    assert len(server.asked) == 16


# ---- the key and the address


def test_the_key_is_nowhere(client_of, tmp_path, caplog):
    """In no message, traceback, representation, log, cache or recording: also where a server repeats it."""
    caplog.set_level(logging.DEBUG)
    texts = []
    for answer in [
        *(answer for answer, *_ in FAULTS.values()),
        Answer(f"key {KEY}".encode()),
        Answer(KEY.encode(), 500),
    ]:
        with always(answer) as server:
            client = lm.Recording(tmp_path / "r", lm.cached(client_of(server, retry=Retry(tries=1)), tmp_path / "c"))
            with pytest.raises(NoReply, match="127") as found:
                client.complete(QUESTION)
            texts += [repr(client), *traceback.format_exception(found.value)]
    with always(chat("fine")) as server:
        lm.Recording(tmp_path / "r", lm.cached(client_of(server), tmp_path / "c")).complete(QUESTION)
    texts += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    texts += [caplog.text]
    assert len(texts) > 30
    assert not any("5ecret" in text for text in texts)


@pytest.mark.parametrize("key", [" ", "a b", "a\nb", "clé-5ecret"])
def test_a_key_that_is_none_is_refused_without_showing_it(client_of, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    if key == " ":
        monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
        with pytest.raises(
            BadInput, match="no key is set for OpenAI's server. Set OPENAI_API_KEY; or, .*OPENAI_BASE_URL"
        ):
            lm.OpenAIClient("m")
    else:
        with pytest.raises(BadInput, match="OPENAI_API_KEY holds a space") as found:
            client_of("http://127.0.0.1:1/v1")
        assert "5ecret" not in str(found.value)


def test_a_server_of_ones_own_needs_no_key(client_of, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with always(chat("a")) as server:
        assert client_of(f"{server.url}/").complete(QUESTION).text == "a"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:8000/v1",
            "OPENAI_BASE_URL is not an address that can be asked; it must be .* http://127.0.0.1:8000/v1",
        ),
        ("http://", "is not an address"),
        ("http://a:port/v1", "is not an address"),
        ("ftp://a/v1", "is not an address"),
        ("http://me:5ecret@a/v1", r"OPENAI_BASE_URL \(http://a/v1\) holds a user or password; put the key into"),
    ],
)
def test_an_address_that_is_none_is_refused(client_of, address, message):
    with pytest.raises(BadInput, match=message) as found:
        client_of(address)
    assert "5ecret" not in str(found.value)


@pytest.mark.parametrize("bad", [{"at_once": 0}, {"timeout": 0}, {"tokens_per_minute": -1}])
def test_a_bound_that_cannot_be_is_refused(client_of, bad):
    with pytest.raises(BadInput, match=f"{next(iter(bad)).partition('_per')[0]}.* is {next(iter(bad.values()))}"):
        client_of("http://127.0.0.1:1/v1", **bad)


def test_a_server_that_has_no_log_probabilities_says_so(client_of):
    with always(chat("a")) as server:
        with pytest.raises(NoReply, match="gave no log-probabilities. It may have none to give: ask without logprobs."):
            client_of(server).complete(Request.ask("Why?", logprobs=0))
    assert len(server.asked) == 1


def test_its_representation_is_short(client_of):
    assert repr(client_of("http://127.0.0.1:1/v1/?a=b")) == "OpenAIClient('m', server='http://127.0.0.1:1/v1')"
    assert KEY not in repr(vars(client_of("http://127.0.0.1:1/v1")))
