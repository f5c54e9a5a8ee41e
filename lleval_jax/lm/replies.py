"""Replies on disk: what was answered once is never asked again, also after a kill, also by another process.

An entry is found by the SHA-256 of the whole request (`Request.canonical`: messages, model, all settings, the number of
the draw) and of what answers: a server's address, or the hash of a local model's weights. So a change of any of them is
another entry. To sample again ask for another `draw`.

Entries lie in `replies/` of the cache folder (LLEVAL_CACHE, else lleval in the user's cache folder), or where the
caller says; one small JSON file each, readable by its user alone, written whole or not at all. Two processes may share
the folder; if both ask for the same at the same moment both get an answer and one of them stays. Replies cost time or
money, so none is ever removed by itself: `Replies().size()` says what they take, `Replies().clear()` removes them, and
so does deleting the folder. No key of a server is in them.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from lleval_jax import writing
from lleval_jax.errors import DataWarning, outside, require
from lleval_jax.lm.client import Client, Failed, Reply, Request
from lleval_jax.places import cache_folder

VERSION = 1  # of an entry


@dataclasses.dataclass(frozen=True)
class Replies:
    """A folder of replies; None keeps none, as with LLEVAL_CACHE=off.

    Example:
        ```python
        replies = lm.Replies()      # in the user's cache folder
        replies.size()              # (412, 603_114): replies, bytes
        replies.clear()
        ```
    """

    folder: pathlib.Path | None = dataclasses.field(default_factory=lambda: _usual())

    def get(self, request: Request, server: str) -> Reply | None:
        """The reply that was kept; None where there is none, or it is not as it was written.

        Warns:
            DataWarning: an entry is damaged; it is asked again.
        """
        path = self._path(request, server)
        if path is None:
            return None
        try:
            return _unpacked(path.read_bytes(), request, server)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not as it was written"
            warnings.warn(DataWarning(f"{path}: {why}; it is asked again."), stacklevel=outside())
            return None

    def put(self, request: Request, server: str, reply: Reply) -> None:
        """Keep a reply.

        Warns:
            DataWarning: it cannot be written. The caller has it all the same, for it may have cost money.
        """
        path = self._path(request, server)
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            writing.put(path, _packed(request, server, reply), private=True)
        except OSError as error:
            text = f"{path}: {error.strerror}; replies are not kept, and will be asked again."
            warnings.warn(DataWarning(text), stacklevel=outside())

    def size(self) -> tuple[int, int]:
        """(replies, bytes on disk)."""
        sizes = [path.stat().st_size for path in self._entries()]
        return len(sizes), sum(sizes)

    def clear(self) -> int:
        """Remove all replies; how many there were."""
        entries = self._entries()
        for path in entries:
            path.unlink(missing_ok=True)
        return len(entries)

    def _entries(self) -> list[pathlib.Path]:
        return [] if self.folder is None else sorted(self.folder.glob("??/" + "?" * 64 + ".json"))

    def _path(self, request: Request, server: str) -> pathlib.Path | None:
        if self.folder is None:
            return None
        name = _key(request, server)
        return self.folder / name[:2] / f"{name}.json"


class Cached:
    """A client that looks among the replies first, made by `cached`. Threads that share it ask the same only once."""

    def __init__(self, client: Client, replies: Replies, server: str) -> None:
        self.client, self.replies, self.server = client, replies, server
        self.model: str = getattr(client, "model", "")
        self.at_once: int = getattr(client, "at_once", 1)
        self._lock, self._asked = threading.Lock(), dict[str, Future[Reply]]()

    def __repr__(self) -> str:
        return f"cached({self.client!r}, folder={os.fspath(self.replies.folder or '')!r})"

    def complete(self, request: Request) -> Reply:
        """The reply that was kept, else the client's, which is kept then. Errors are the client's, and are not kept."""
        request = request.of(self.model)
        key = request.key
        with self._lock:
            mine = key not in self._asked
            coming = self._asked.setdefault(key, Future())
        if not mine:
            return dataclasses.replace(coming.result(), cached=True)
        try:
            reply = self._found(request) or self._new(request)
            coming.set_result(reply)
            return reply
        except BaseException as error:
            coming.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asked[key]

    def _found(self, request: Request) -> Reply | None:
        return self.replies.get(request, self.server)

    def _new(self, request: Request) -> Reply:
        reply = self.client.complete(request)
        self.replies.put(request, self.server, reply)
        return reply


class CachedBatch(Cached):
    """The same around a client that answers several requests together; only those without a reply reach it."""

    def __init__(self, client: Any, replies: Replies, server: str) -> None:
        super().__init__(client, replies, server)
        self.batch: int = client.batch

    def complete_batch(self, requests: Sequence[Request]) -> list[Reply | Failed]:
        """A reply, or a failure, to each request."""
        requests = [request.of(self.model) for request in requests]
        found: dict[Request, Reply | Failed] = {}
        for request in dict.fromkeys(requests):
            if (reply := self._found(request)) is not None:
                found[request] = reply
        missing = [request for request in dict.fromkeys(requests) if request not in found]
        asked: Sequence[Reply | Failed] = self.client.complete_batch(missing) if missing else []  # type: ignore[attr-defined]
        for request, reply in zip(missing, asked, strict=True):
            found[request] = reply
            if isinstance(reply, Reply):
                self.replies.put(request, self.server, reply)
        return [found[request] for request in requests]


def cached(client: Client, folder: str | os.PathLike[str] | None = None, *, server: str = "") -> Cached:
    """A client that never asks twice for the same.

    Args:
        client: any client.
        folder: where replies are kept; None: `replies` in the user's cache folder, and none if LLEVAL_CACHE is "off".
        server: what answers, where the client does not say it by an attribute `server`.

    Raises:
        BadInput: neither `server` nor the client says what answers: the replies of two could be confused.

    Example:
        ```python
        client = lm.cached(lm.OpenAIClient("qwen3-8b"), "runs/today/replies")
        list(lm.complete_all(client, requests))    # killed and run again, it goes on
        ```
    """
    server = server or getattr(client, "server", "")
    text = f"{type(client).__name__} does not say what answers, so its replies could be taken for another's."
    require(bool(server), text, python="Name it: cached(client, server='my model, version 2').")
    replies = Replies() if folder is None else Replies(pathlib.Path(folder))
    return (CachedBatch if getattr(client, "batch", 0) else Cached)(client, replies, server)


def _usual() -> pathlib.Path | None:
    place = cache_folder()
    return None if place is None else place / "replies"


def _key(request: Request, server: str) -> str:
    return hashlib.sha256(json.dumps([VERSION, server, request.canonical()]).encode()).hexdigest()


def _packed(request: Request, server: str, reply: Reply) -> bytes:
    """An entry: what was asked of what, the reply, and the hash of all that."""
    facts = {"server": server, "request": request.canonical(), "reply": dataclasses.asdict(reply)}
    return json.dumps({"sha256": _hash(facts), **facts}).encode()


def _unpacked(content: bytes, request: Request, server: str) -> Reply:
    """The reply in an entry; ValueError, KeyError or TypeError where it is not as it was written."""
    facts = json.loads(content)
    told = facts.pop("sha256")
    if told != _hash(facts) or (facts["server"], facts["request"]) != (server, request.canonical()):
        raise ValueError("damaged")
    return Reply(**facts["reply"] | {"cached": True})


def _hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
