"""Replies from a file, one line a request: a run that can be repeated anywhere, without a server and without a key.

A recording is made once, with a client, and replayed without:

    lm.Recording("replies.jsonl", client)    asks what is not in the file yet, and adds it
    lm.Recording("replies.jsonl")            replays; a request that is not in the file is an error

Each line is a JSON object with `request` (as `Request.canonical` writes it), `key` (its SHA-256) and `reply`.
"""

import dataclasses
import json
import os
import pathlib
import threading
import warnings
from typing import Any

from lleval_jax.errors import BadFile, BadInput, DataWarning, outside, require
from lleval_jax.lm.client import Client, Reply, Request
from lleval_jax.words import brief

BEFORE = 20  # letters shown before a difference
SHOWN = 60  # letters shown of a text that differs


class Recording:
    """A client whose replies are in a file. Threads may share it; one process at a time records.

    Example:
        ```python
        client = lm.Recording("tests/replies.jsonl")
        client.complete(lm.Request.ask("What is the capital of France?")).text
        ```
    """

    def __init__(self, path: str | os.PathLike[str], client: Client | None = None) -> None:
        """Read a recording.

        Args:
            path: the file. With a client it may be absent.
            client: answers what is not in the file; None: nothing is asked.

        Raises:
            BadFile: a line is no reply; the message names it.
            BadInput: there is no such file, and no client to ask.

        Warns:
            DataWarning: the last line is cut, as by a kill; it is left out, and asked again.
        """
        self.path, self.client = pathlib.Path(path), client
        text = f"{self.path}: there is no such recording."
        require(client is not None or self.path.is_file(), text, python="To make it: Recording(path, client).")
        self._lock = threading.Lock()
        self._found, self._end = _read(self.path) if self.path.exists() else ({}, 0)
        names = {request.model for request, _ in self._found.values()}
        self.model: str = getattr(client, "model", "") or (names.pop() if len(names) == 1 else "")
        self.at_once: int = getattr(client, "at_once", 1)
        self.server = f"recording {self.path.name}" if client is None else getattr(client, "server", "")

    def __repr__(self) -> str:
        return f"Recording({os.fspath(self.path)!r}{'' if self.client is None else f', {self.client!r}'})"

    def __len__(self) -> int:
        return len(self._found)

    def complete(self, request: Request) -> Reply:
        """The recorded reply; else the client's, which is recorded.

        Raises:
            BadInput: it is not recorded, and there is no client; the message says what the nearest one has otherwise.
        """
        request = request.of(self.model)
        if request.key in self._found:
            return dataclasses.replace(self._found[request.key][1], cached=True)
        if self.client is None:
            raise BadInput(self._missing(request), python="To ask and record it: Recording(path, client).")
        reply = self.client.complete(request)
        self._add(request, reply)
        return reply

    def _add(self, request: Request, reply: Reply) -> None:
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                if self._end is not None:  # after a line that was cut, or one without its end
                    stream.truncate(self._end)
                    stream.write(b"\n" if self._end else b"")
                    self._end = None
                stream.write(_packed(request, reply))
            self._found[request.key] = request, reply

    def _missing(self, request: Request) -> str:
        text = f"{self.path}: the request is not among its {len(self._found):,} recorded ones"
        near = min(self._found.values(), key=lambda each: _distance(request, each[0]), default=None)
        return f"{text} ({request.key[:12]}{'' if near is None else f'; {_difference(request, near[0])}'})."


def _read(path: pathlib.Path) -> tuple[dict[str, tuple[Request, Reply]], int | None]:
    """(what is recorded, where the file must end before a line can be added; None: where it ends)."""
    content = path.read_bytes()
    *lines, rest = content.split(b"\n")
    found = dict(_line(path, number, each) for number, each in enumerate(lines, 1) if each.strip())
    if not rest.strip():
        return found, None
    try:
        found |= [_line(path, len(lines) + 1, rest)]
        return found, len(content)
    except BadFile:
        text = f"{path}:{len(lines) + 1}: the last line is cut; it is left out, and asked again."
        warnings.warn(DataWarning(text), stacklevel=outside())
        return found, max(0, len(content) - len(rest) - 1)


def _line(path: pathlib.Path, number: int, content: bytes) -> tuple[str, tuple[Request, Reply]]:
    """(key, what was asked and answered) of a line."""
    try:
        facts = json.loads(content)
        request, reply = Request(**facts["request"]), Reply(**facts["reply"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"{path}:{number}: this is no recorded reply ({brief(error, 80)}). Remove the line."
        raise BadFile(text) from None
    if facts.get("key", request.key) != request.key:
        raise BadFile(f"{path}:{number}: the key is not that of the request, which was changed. Remove the key.")
    return request.key, (request, reply)


def _packed(request: Request, reply: Reply) -> bytes:
    said = dataclasses.asdict(reply) | {"cached": False}
    facts = {"key": request.key, "request": json.loads(request.canonical()), "reply": said}
    return json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _fields(request: Request) -> dict[str, Any]:
    return {each.name: getattr(request, each.name) for each in dataclasses.fields(request)}


def _distance(one: Request, other: Request) -> tuple[int, int]:
    """(fields that differ, letters that do not begin alike)."""
    differ = sum(value != getattr(other, name) for name, value in _fields(one).items())
    texts = one.canonical(), other.canonical()
    return differ, max(map(len, texts)) - len(os.path.commonprefix(texts))


def _difference(request: Request, near: Request) -> str:
    """What a near request has otherwise: "the nearest, 1f2e3d, has limit 8, not 16"."""
    name = next(name for name, value in _fields(request).items() if value != getattr(near, name))
    one, other = _from_there(*(_text(getattr(each, name)) for each in (near, request)))
    return f"the nearest, {near.key[:12]}, has {name} {one}, not {other}"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " / ".join(getattr(each, "content", each) for each in value)
    return repr(value)


def _from_there(one: str, other: str) -> tuple[str, str]:
    """Two texts from a little before the first letter that differs."""
    start = max(0, len(os.path.commonprefix([one, other])) - BEFORE)
    dots = "…" if start else ""
    return dots + brief(one[start:], SHOWN), dots + brief(other[start:], SHOWN)
