"""`lleval serve` from start to stop, in a process of its own; and what it refuses before it listens."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

import httpx2
import pytest
from nn.test_serve_engine import adapters, model  # noqa: F401  (fixtures)

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT
from lleval_jax.errors import BadInput
from lleval_jax.training.serve import listening

pytest.importorskip("uvicorn", reason="needs the extra `serve`")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("{place} --model no-such", "there is no folder, file or model 'no-such'"),
        ("{place}/nowhere --model tiny-lm", "there is no folder"),
        ("{place} --model tiny-lm", "holds no folder with an adapter_config.json"),
        ("{place} --model tiny-lm --host 0.0.0.0", "can be reached from other machines; set LLEVAL_SERVE_KEY"),
        ("{place} --model tiny-lm --port {taken}", "Address already in use. Give another --port"),
        ("{adapters} --model tiny-lm --length 5000", "length is 5000; tiny-lm reads 512 tokens"),
    ],
)
def test_a_mistake_is_one_line(adapters, tmp_path, capsys, words, says):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as other:
        words = words.format(place=tmp_path, adapters=adapters[0], taken=other.getsockname()[1])
        port = [] if "--port" in words else ["--port", "0"]
        assert run(["serve", "-q", *words.split(), *port]) == BAD_INPUT
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_addresses_are_as_clients_write_them():
    with listening.bound("localhost", 0) as one:
        assert listening.address(one) == f"http://{one.getsockname()[0]}:{one.getsockname()[1]}"
        socket.create_connection(one.getsockname()).close()  # not refused before the server is up
    with pytest.raises(BadInput, match="cannot listen at no such host:1"):
        listening.bound("no such host", 1)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_once_texts_are_finished(adapters, sent):  # noqa: F811
    words = [sys.executable, "-m", "lleval_jax", "serve", str(adapters[0]), "--model", "tiny-lm", "--port", "0"]
    with tempfile.TemporaryFile("w+") as errors, started(words, errors) as server:
        address = said(errors, " at http").split(" at ")[1].split(";")[0]
        asked = {"model": "task-1", "prompt": "Tom has", "max_tokens": 300, "temperature": 1, "stream": True}
        with httpx2.stream("POST", f"{address}/completions", json=asked, timeout=300) as answer:
            lines = (each for each in answer.iter_lines() if each)
            assert answer.status_code == 200, next(lines)
            next(lines)
            server.send_signal(sent)
            assert [*lines][-1] == "data: [DONE]"
        assert server.wait(300) == 0
        assert "1 texts are finished first" in said(errors, "stopping")
        assert said(errors, "stopped")


@contextlib.contextmanager
def started(words, errors):
    server = subprocess.Popen(words, stderr=errors, env={**os.environ, "LLEVAL_SERVE_KEY": ""})
    try:
        yield server
    finally:
        server.kill()
        server.wait()


def said(errors, words: str) -> str:
    """The line with these words, waited for."""
    for _ in range(1500):
        errors.seek(0)
        found = [line for line in errors.read().splitlines() if words in line]
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(words)
