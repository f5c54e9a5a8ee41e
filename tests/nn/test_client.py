"""Requests and replies, the pace of asking, many requests at once, and what is kept."""

import dataclasses
import json
import pathlib
import re
import signal
import subprocess
import sys
import threading

import pytest
from loopback import Clock, Loopback, chat

from lleval_jax import lm
from lleval_jax.errors import BadFile, BadInput, DataWarning, NoReply, NoServer
from lleval_jax.lm.client import Failed, Message, Reply, Request, TokenLogprob
from lleval_jax.lm.pace import Pace, Retry, asked_wait

LARGE = 'Ünïcödé 日本語 🦜 \u2028 \\ " \x00' * 20_000


class Echo:
    """Answers with the prompt; counts what reaches it."""

    model, server = "echo", "test"

    def __init__(self, at_once=1, fails=()):
        self.at_once, self.fails, self.asked = at_once, dict(fails), []

    def complete(self, request):
        self.asked.append(request.prompt)
        if request.prompt in self.fails:
            raise self.fails[request.prompt]
        return Reply(f"{request.prompt}!", "stop", "echo", 1, 1)


class EchoBatch(Echo):
    batch = 4

    def complete_batch(self, requests):
        return [self.complete(each) for each in requests]


def prompts(*texts, **more):
    return [Request(prompt=text, **more) for text in texts]


# ---- requests


def test_the_key_of_a_request_never_changes():
    """Stored replies are found by it: whoever changes it makes all users ask, and pay, again."""
    sampled = {"temperature": 0.5, "stop": "\n", "draw": 2, "logprobs": 3}
    request = Request.ask("Why?", system="Be brief.", model="m", limit=8, **sampled)
    said = (
        '{"draw":2,"limit":8,"logprobs":3,"messages":[{"content":"Be brief.","role":"system"},'
        '{"content":"Why?","role":"user"}],"model":"m","stop":["\\n"],"temperature":0.5}'
    )
    assert request.canonical() == said
    assert request.key == "317de66bd13c90d8e2ae23eaf2d56995f1a02fe2d78cc2d6252d7f49208d52c4"
    assert Request(prompt="é").canonical() == '{"prompt":"é"}'


def test_equal_requests_have_one_key_however_they_are_written():
    one = Request(messages=[{"role": "user", "content": "a"}], temperature=1, top_p=1, stop=["x"])
    other = Request.ask("a", temperature=1.0, stop=("x",))
    assert one == other
    assert hash(one) == hash(other)
    assert one.key == other.key


OTHER = {"model": "b", "limit": 3, "temperature": None, "top_p": 0.5, "stop": "x", "seed": None, "draw": 1}
OTHER |= {"logprobs": 0, "schema": "{}"}


def test_every_setting_is_part_of_the_key():
    assert OTHER.keys() == {each.name for each in dataclasses.fields(Request)} - {"messages", "prompt"}
    keys = {Request(prompt="a", **{name: value}).key for name, value in OTHER.items()}
    assert len(keys | {Request(prompt="a").key}) == 1 + len(OTHER)


def test_draws_and_seeds_do_not_share_samples():
    seeds = {Request(prompt="a", seed=seed, draw=draw).draw_seed for seed in range(20) for draw in range(20)}
    assert len(seeds) == 400
    assert Request(prompt="a", seed=7).draw_seed == 7
    assert Request(prompt="a", seed=None, draw=3).draw_seed is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "either messages or a prompt"),
        ({"prompt": "a", "messages": [Message("user", "b")]}, "either messages or a prompt"),
        ({"prompt": 3}, "prompt is 3; it must be a text"),
        ({"prompt": "a\ud800b"}, "prompt has a half of a character at character 1"),
        ({"messages": "hello"}, re.escape("Request.ask(text)")),
        ({"messages": [{"role": "user"}]}, "it has role, content"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "role is 'robot'; it is one of system,"),
        ({"prompt": "a", "limit": 0}, "limit is 0; it must be a whole number, at least 1"),
        ({"prompt": "a", "limit": 2.5}, "limit is 2.5"),
        ({"prompt": "a", "limit": True}, "limit is True"),
        ({"prompt": "a", "temperature": -1}, "temperature is -1; it must be a number, at least 0"),
        ({"prompt": "a", "temperature": float("nan")}, "temperature is nan"),
        ({"prompt": "a", "top_p": 0}, "top_p is 0"),
        ({"prompt": "a", "seed": 2**31}, "seed is 2147483648; it must be a whole number, from 0 to 2147483647"),
        ({"prompt": "a", "logprobs": 21}, "logprobs is 21"),
        ({"prompt": "a", "stop": ["a", ""]}, "stop holds an empty text"),
        ({"prompt": "a", "schema": "[1]"}, "must be a JSON schema"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(BadInput, match=message):
        Request(**fields)


# ---- pace


def test_waits_double_and_are_partly_random():
    retry = Retry(first=1, most=10)
    assert [retry.seconds(tried, None, 1.0) for tried in (1, 2, 3, 4, 5, 900)] == [1, 2, 4, 8, 10, 10]
    assert [retry.seconds(tried, None, 0.0) for tried in (1, 2)] == [0.5, 1]
    assert 7 <= retry.seconds(1, 7.0, 0.5) <= 7.7  # what the server asks for is never cut short
    assert retry.seconds(3, 0.0, 1.0) == 4


def test_a_rate_of_requests_is_held_in_every_minute():
    clock = Clock()
    pace, began = Pace(requests=30, clock=clock, sleep=clock.sleep), []
    for _ in range(90):
        pace.wait()
        began.append(clock.now)
    assert clock.now - began[0] == pytest.approx(178)
    assert max(sum(start <= each < start + 60 for each in began) for start in began) == 30


def test_tokens_count_as_they_were_used_not_as_they_were_guessed():
    clock = Clock()
    pace = Pace(tokens=600, clock=clock, sleep=clock.sleep)
    pace.wait(100)
    pace.settle(100, 40)
    pace.wait(100)
    assert clock.now == pytest.approx(1004)


def test_threads_together_keep_the_rate():
    clock, began = Clock(), []
    pace = Pace(requests=60, clock=clock, sleep=clock.sleep)

    def ask():
        for _ in range(5):
            pace.wait()
            began.append(clock.now)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(began) == 20
    assert clock.now >= 1019


def test_a_pause_holds_for_all():
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    pace.pause(9)
    pace.pause(3)
    pace.wait()
    assert clock.now == 1009


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "-7"}, 0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 50),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_what_a_server_asks_to_wait(headers, seconds):
    assert asked_wait(headers, now=10.0) == seconds


@pytest.mark.parametrize(("kind", "bad"), [(Retry, {"tries": 0}), (Retry, {"first": -1}), (Pace, {"requests": 0})])
def test_a_pace_that_cannot_be_is_refused(kind, bad):
    with pytest.raises(BadInput, match=f"{next(iter(bad))}.* is {next(iter(bad.values()))}"):
        kind(**bad)


# ---- many requests


@pytest.mark.parametrize("kind", [Echo, EchoBatch])
@pytest.mark.parametrize("count", [0, 1, 3000])
def test_replies_come_in_order_and_are_counted(kind, count):
    told = []
    found = list(lm.complete_all(kind(at_once=7), prompts(*map(str, range(count))), tell=told.append))
    assert [each.text for each in found] == [f"{n}!" for n in range(count)]
    assert [each.done for each in told][-1:] == [count] * bool(count)
    assert all(each.total == count and each.unit == "requests" for each in told)


def test_a_reply_is_given_out_before_later_ones_are_there():
    held = threading.Event()

    class Slow(Echo):
        def complete(self, request):
            assert request.prompt == "0" or held.wait(60)
            return super().complete(request)

    found = lm.complete_all(Slow(at_once=2), prompts("0", "1"))
    assert next(found).text == "0!"
    held.set()
    assert next(found).text == "1!"


def test_requests_are_read_only_a_little_ahead():
    read = []

    def endless():
        while True:
            read.append(0)
            yield Request(prompt="a")

    found = lm.complete_all(Echo(), endless())
    for _ in range(3):
        next(found)
    found.close()
    assert len(read) < 1100


def test_a_failure_keeps_its_place_and_the_rest_goes_on():
    client = Echo(at_once=3, fails={"b": NoReply("b is too long."), "d": BadInput("d is empty.", python="Fill d.")})
    found = list(lm.complete_all(client, prompts(*"abcde")))
    assert [isinstance(each, Failed) for each in found] == [False, True, False, True, False]
    assert [found[1].reason, found[3].reason] == ["b is too long.", "d is empty. Fill d."]
    assert found[1].request.prompt == "b"
    assert not hasattr(found[1], "text")


def test_asking_ends_where_it_is_of_no_use():
    client = Echo(fails={"5": NoServer("The key is refused.", python="Look.")})
    found = lm.complete_all(client, prompts(*map(str, range(500))))
    with pytest.raises(NoServer, match=r"^The key is refused. 5 of 500 replies had come. Look.$"):
        list(found)
    assert len(client.asked) == 6


def test_an_error_of_ones_own_client_comes_out():
    with pytest.raises(ZeroDivisionError, match="mine"):
        list(lm.complete_all(Echo(fails={"a": ZeroDivisionError("mine")}), prompts("a")))


def test_none_at_a_time_is_refused():
    with pytest.raises(BadInput, match="at_once is 0"):
        lm.complete_all(Echo(), [], at_once=0)


# ---- what is kept


def test_what_was_answered_is_not_asked_again(tmp_path):
    asked = prompts("a", LARGE.replace("\x00", ""), "a", temperature=0.7)
    client = Echo()
    first = list(lm.complete_all(lm.cached(client, tmp_path), asked))
    assert len(client.asked) == 2
    assert [each.cached for each in first] == [False, False, True]
    second = list(lm.complete_all(lm.cached(client, tmp_path), asked))
    assert len(client.asked) == 2
    assert [dataclasses.replace(each, cached=False) for each in first] == [
        dataclasses.replace(each, cached=False) for each in second
    ]


@pytest.mark.parametrize("change", [{"draw": 1}, {"model": "other"}, {"temperature": 0.1}])
def test_another_draw_model_or_setting_is_asked(tmp_path, change):
    client = Echo()
    for more in ({}, change):
        lm.cached(client, tmp_path).complete(Request(prompt="a", **more))
    assert len(client.asked) == 2


def test_another_server_is_asked_and_one_without_a_name_is_refused(tmp_path):
    client = Echo()
    for server in ("here", "there"):
        lm.cached(client, tmp_path, server=server).complete(Request(prompt="a"))
    assert len(client.asked) == 2
    with pytest.raises(BadInput, match="SimpleClient does not say what answers.*server="):
        lm.cached(type("SimpleClient", (), {"complete": None})())


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: b"",
        lambda text: text.replace(b"a!", b"b!"),
        lambda text: b"[1]",
        lambda text: b"\xff\xfe" + text,
    ],
)
def test_a_damaged_entry_is_asked_again_with_a_warning(tmp_path, damage):
    client = lm.cached(Echo(), tmp_path)
    client.complete(Request(prompt="a"))
    (path,) = tmp_path.glob("*/*.json")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(DataWarning, match=f"{path.name}: it is not as it was written; it is asked again"):
        reply = client.complete(Request(prompt="a"))
    assert (reply.text, reply.cached) == ("a!", False)
    assert client.complete(Request(prompt="a")).cached


def test_a_folder_that_cannot_be_written_loses_no_reply(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(DataWarning, match="file.*not kept"):
        assert lm.cached(Echo(), tmp_path / "file").complete(Request(prompt="a")).text == "a!"


def test_size_and_clearing(tmp_path):
    replies = lm.Replies(tmp_path)
    list(lm.complete_all(lm.cached(Echo(), tmp_path), prompts(*"abc")))
    assert replies.size()[0] == 3
    assert replies.size()[1] == sum(each.stat().st_size for each in tmp_path.glob("*/*"))
    assert {each.stat().st_mode & 0o077 for each in tmp_path.glob("*/*")} == {0}
    assert replies.clear() == 3
    assert replies.size() == (0, 0)


def test_the_cache_folder_is_the_users_and_can_be_off(tmp_path, monkeypatch):
    assert lm.Replies().folder is None
    client = Echo()
    off = lm.cached(client)
    assert [off.complete(Request(prompt="a")).cached for _ in range(2)] == [False, False]
    monkeypatch.setenv("LLEVAL_CACHE", str(tmp_path))
    lm.cached(client).complete(Request(prompt="a"))
    assert len(list((tmp_path / "replies").glob("*/*.json"))) == 1


def test_threads_that_ask_the_same_ask_once(tmp_path):
    arrived = threading.Semaphore(0)

    class Slow(Echo):
        def complete(self, request):
            assert arrived.acquire(timeout=60)
            return super().complete(request)

    client = Slow(at_once=4)
    found = lm.complete_all(lm.cached(client, tmp_path), prompts(*"aaaa"))
    arrived.release()
    assert sorted(each.cached for each in found) == [False, True, True, True]
    assert client.asked == ["a"]


def test_failures_are_not_kept(tmp_path):
    client = Echo(fails={"a": NoReply("Too long.")})
    assert isinstance(next(lm.complete_all(lm.cached(client, tmp_path), prompts("a"))), Failed)
    client.fails.clear()
    assert lm.cached(client, tmp_path).complete(Request(prompt="a")).text == "a!"


def test_of_a_batch_only_what_is_missing_is_asked(tmp_path):
    client = EchoBatch()
    list(lm.complete_all(lm.cached(client, tmp_path), prompts(*"bd")))
    found = list(lm.complete_all(lm.cached(client, tmp_path), prompts(*"abcbdc")))
    assert [each.text for each in found] == ["a!", "b!", "c!", "b!", "d!", "c!"]
    assert client.asked == ["b", "d", "a", "c"]


def test_the_last_line_of_a_stopped_run_says_that_replies_are_kept(tmp_path):
    client = Echo(fails={"c": NoServer("It is down.")})
    with pytest.raises(NoServer, match="2 of 4 replies had come and are kept: run it again to go on"):
        list(lm.complete_all(lm.cached(client, tmp_path), prompts(*"abcd")))


PROGRAM = """
import sys, urllib.request
from lleval_jax.lm.asking import complete_all
from lleval_jax.lm.client import Reply, Request
from lleval_jax.lm.replies import cached

class Client:
    model, server, at_once = "m", "loopback", 2
    def complete(self, request):
        sent = urllib.request.Request(sys.argv[1], f'"{request.prompt}"'.encode())
        return Reply(urllib.request.urlopen(sent).read().decode(), "stop", "m")

requests = [Request(prompt=str(n)) for n in range(40)]
for reply in complete_all(cached(Client(), sys.argv[2]), requests):
    print(reply.text, flush=True)
"""


def test_a_killed_run_goes_on_without_asking_again(tmp_path):
    enough = threading.Event()

    def answer(asked, number):
        if number > 12:
            enough.set()
            server.hold()
        return chat(f"{asked.body} is done")

    def start(url):
        words = [sys.executable, "-c", PROGRAM, url, str(tmp_path / "replies")]
        root = str(pathlib.Path(__file__).parents[2])
        return subprocess.Popen(words, stdout=subprocess.PIPE, env={"PYTHONPATH": root, "LLEVAL_CACHE": "off"})

    with Loopback(answer) as server, start(server.url) as program:
        assert enough.wait(300)
        program.send_signal(signal.SIGKILL)
    kept = len(list((tmp_path / "replies").glob("*/*.json")))
    assert kept >= 10
    with Loopback(lambda asked, number: chat(f"{asked.body} is done")) as server, start(server.url) as program:
        out, _ = program.communicate(timeout=300)
    assert [json.loads(line)["choices"][0]["message"]["content"] for line in out.splitlines()] == [
        f"{n} is done" for n in range(40)
    ]
    assert len(server.asked) == 40 - kept


# ---- recordings


def test_a_recording_is_made_once_and_replayed_without_a_client(tmp_path):
    path, client = tmp_path / "new" / "replies.jsonl", Echo(at_once=4)
    asked = prompts(*"abc", "é🦜\n", logprobs=1)
    made = list(lm.complete_all(lm.Recording(path, client), asked))
    replayed = lm.Recording(path)
    found = list(lm.complete_all(replayed, asked))
    assert [each.text for each in made] == [each.text for each in found]
    assert all(each.cached for each in found)
    assert len(replayed) == len(path.read_text().splitlines()) == len(client.asked) == 4
    assert "é🦜" in path.read_text()


def test_a_recording_keeps_log_probabilities(tmp_path):
    reply = Reply("a", "limit", "m", 1, 1, [TokenLogprob("a", -0.5, [("a", -0.5), ("b", -1.0)])])

    class One(Echo):
        def complete(self, request):
            return reply

    lm.Recording(tmp_path / "a", One()).complete(Request(prompt="a"))
    assert lm.Recording(tmp_path / "a").complete(Request(prompt="a")) == dataclasses.replace(reply, cached=True)


def test_a_request_that_is_not_recorded_is_one_clear_error(tmp_path):
    path = tmp_path / "r.jsonl"
    recording = lm.Recording(path, Echo())
    for request in [Request.ask("What is 2+2? " * 9 + "Now!", limit=8), Request.ask("Who are you?")]:
        recording.client = type("Any", (), {"complete": lambda *_: Reply("4", "stop", "echo")})()
        recording.complete(request)
    message = r"r.jsonl: the request is not among its 2 recorded ones \(\w{12}; the nearest, "
    with pytest.raises(BadInput, match=message) as found:
        lm.Recording(path).complete(Request.ask("What is 2+2? " * 9 + "Then!", limit=8))
    assert "has messages …s 2+2? What is 2+2? Now!, not …s 2+2? What is 2+2? Then!)" in str(found.value)
    with pytest.raises(BadInput, match="has limit 8, not 9.*Recording"):
        lm.Recording(path).complete(Request.ask("What is 2+2? " * 9 + "Now!", limit=9))


def test_a_recording_that_is_not_there_or_damaged_is_named(tmp_path):
    with pytest.raises(BadInput, match="none.jsonl: there is no such recording"):
        lm.Recording(tmp_path / "none.jsonl")
    good = tmp_path / "good.jsonl"
    lm.Recording(good, Echo()).complete(Request(prompt="a"))
    line = good.read_text()
    for text, message in [
        (line + "{}\n" + line, ":2: this is no recorded reply"),
        ('{"request": {"prompt": "a", "colour": 1}, "reply": {}}\n', "1: this is no.*colour"),
        (line.replace('"prompt": "a"', '"prompt": "b"'), "1: the key is not that of the request"),
        ("\ufffd\n", "1: this is no recorded reply"),
    ]:
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(BadFile, match=f"bad.jsonl:.*{message.lstrip(':')}"):
            lm.Recording(tmp_path / "bad.jsonl")


@pytest.mark.parametrize("cut", [1, 20, 2])
def test_a_line_that_a_kill_cut_is_recorded_again(tmp_path, cut):
    path = tmp_path / "r.jsonl"
    for request in prompts("a", "b"):
        lm.Recording(path, Echo()).complete(request)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:-cut])
    if cut > 1:
        with pytest.warns(DataWarning, match="r.jsonl:2: the last line is cut"):
            recording = lm.Recording(path, client := Echo())
    else:
        recording = lm.Recording(path, client := Echo())
    for request in prompts("b", "c"):
        assert recording.complete(request).text == f"{request.prompt}!"
    assert client.asked == (["b", "c"] if cut > 1 else ["c"])
    assert len(lm.Recording(path)) == 3
