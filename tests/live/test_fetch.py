import email.utils

import pytest
from loopback import Answer, Clock, Loopback

from lleval_jax.live.fetch import DELAY, Fetcher, Memory, NotFetched


def asked(answer, times=1, path="/a", **how):
    """(what `get` gave or raised for each call, the server, the clock)."""
    clock, found = Clock(), []
    with Loopback(answer) as server:
        with Fetcher(clock=clock, sleep=clock.sleep, now=clock, **how) as fetcher:
            for _ in range(times):
                try:
                    found.append(fetcher.get(server.url + path))
                except NotFetched as error:
                    found.append(error)
    return found, server, clock


def test_requests_wait_for_each_other():
    found, server, clock = asked(lambda *_: Answer(b"x"), times=3)
    assert [each.content for each in found] == [b"x"] * 3
    assert clock.slept == [DELAY, DELAY]
    assert server.most == 1
    assert server.asked[0].headers["User-Agent"].startswith("lleval_jax")


def test_retry_after_is_obeyed_in_seconds_and_as_a_date():
    date = email.utils.formatdate(1050, usegmt=True)  # the clock begins at 1000

    def answer(_, number):
        waits = {1: "20", 2: date}
        return Answer(b"", 503, {"Retry-After": waits[number]}) if number in waits else Answer(b"x")

    (found,), server, clock = asked(answer)
    assert found.content == b"x"
    assert clock.slept == [20.0, 30.0]
    assert len(server.asked) == 3


def test_a_failure_is_said_after_the_last_try():
    (found,), server, clock = asked(lambda *_: Answer(b"", 500), retries=2)
    assert isinstance(found, NotFetched)
    assert "500, 3 times" in found.finding.reason
    assert clock.slept == [3.0, 6.0]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"", 404), "404"),
        (Answer(b"", 503, {"Retry-After": "90000"}), "asks to wait 90000 s"),
        (Answer(b"x" * 11), "longer than 10 bytes"),
        (Answer(b"x", promise=5), "RemoteProtocolError"),
        (Answer(b"", 304), "never fetched"),
    ],
)
def test_what_gives_nothing(answer, reason):
    blobs = Memory()
    (found,), _, _ = asked(lambda *_: answer, most=10, retries=1, blobs=blobs)
    assert isinstance(found, NotFetched)
    assert reason in found.finding.reason
    assert found.finding.step == "fetch"
    assert not blobs


def test_no_server():
    clock = Clock()
    with Fetcher(clock=clock, sleep=clock.sleep, retries=1) as fetcher:
        with pytest.raises(NotFetched, match="2 times"):
            fetcher.get("http://127.0.0.1:9/x")


def test_what_is_not_modified_is_not_sent_again():
    def answer(asked, _):
        same = asked.headers.get("If-None-Match") == '"v1"'
        return (
            Answer(b"", 304)
            if same
            else Answer(b"long", headers={"ETag": '"v1"', "Content-Disposition": 'attachment; filename="../a.tar.gz"'})
        )

    found, server, _ = asked(answer, times=2)
    assert [each.known for each in found] == [False, True]
    assert found[0].sha256 == found[1].sha256
    assert (found[1].content, found[1].name) == (b"long", "a.tar.gz")
    assert len(server.asked) == 2
