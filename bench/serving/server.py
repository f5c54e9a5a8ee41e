"""`lleval serve` in a process of its own: its address, its memory, and how it ends."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import IO, NamedTuple

KEY = "a key of this study"
PATIENCE = 300.0  # seconds for a server to start


class Server(NamedTuple):
    """A server that answers.

    process  its own
    url      with /v1
    said     what it writes on stderr
    """

    process: subprocess.Popen
    url: str
    said: IO[str]

    @property
    def memory(self) -> float:
        """MB that are resident now."""
        words = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(words[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def lines(self) -> list[str]:
        """What it has said so far."""
        self.said.seek(0)
        return self.said.read().splitlines()


@contextlib.contextmanager
def serving(folder: pathlib.Path, model: str, *words: str) -> Iterator[Server]:
    """A server of these adapters, at a port that is free; killed at the end, if it has not ended."""
    command = [sys.executable, "-m", "lleval_jax", "serve", str(folder), "--model", model, "--port", "0", *words]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stderr=said, env={**os.environ, "LLEVAL_SERVE_KEY": KEY})
        try:
            server = Server(process, "", said)
            yield server._replace(url=_url(server))
        finally:
            process.kill()
            process.wait()


def _url(server: Server) -> str:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.process.poll() is None:
        for line in server.lines():
            if " at http" in line:
                return line.split(" at ")[1].partition(";")[0]
        time.sleep(0.1)
    raise RuntimeError("the server did not start: " + "\n".join(server.lines()))
