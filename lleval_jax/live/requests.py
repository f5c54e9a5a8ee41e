"""What models are asked, stored before it is sent: a run that was killed sends again only what had no reply yet.

Pictures stand in a stored request by their hash, and are put in when it is sent. Replies lie in `replies/`, as
`lm.replies` keeps them; so the same is never paid for twice.
"""

import dataclasses
import hashlib
import json
import pathlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lleval_jax import writing
from lleval_jax.live import ask
from lleval_jax.live.recipe import Model
from lleval_jax.live.steps import Blobs
from lleval_jax.live.values import Element
from lleval_jax.lm.client import Client, Message, Reply, Request
from lleval_jax.lm.replies import Cached, cached

MILLION = 1e6


class Sending:
    """A client that stores each request before it is sent, and puts the pictures in."""

    def __init__(self, client: Client, folder: pathlib.Path, blobs: Blobs, server: str) -> None:
        self.client, self.folder, self.blobs, self.server = client, folder, blobs, server
        self.model: str = getattr(client, "model", "")
        self.at_once: int = getattr(client, "at_once", 1)
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Reply:
        """The client's reply. Errors are the client's."""
        self._store(request)
        return self.client.complete(with_pictures(request, self.blobs))

    def _store(self, request: Request) -> None:
        """Write what is sent, and how often it was."""
        name = hashlib.sha256(json.dumps([self.server, request.canonical()]).encode()).hexdigest()
        path = self.folder / name[:2] / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        sent = 1 + (_sent(path) if path.exists() else 0)
        facts = {"server": self.server, "sent": sent, "request": json.loads(request.canonical())}
        with self._lock:
            writing.put(path, json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass"))


class Spent(NamedTuple):
    """What models took. `extra` requests were sent again, as after a kill; tokens are those of replies that came."""

    requests: int = 0
    extra: int = 0
    replies: int = 0
    asked: int = 0
    written: int = 0
    unknown: int = 0
    money: float = 0.0


def client_of(model: Model, elements: Sequence[Element]) -> Client:
    """The client that a recipe names; scripted ones know what is behind the elements."""
    if model.client == "scripted":
        from lleval_jax.live.example.models import Scripted
        from lleval_jax.live.example.truth import behind

        return Scripted(model.model, map(behind, elements), at_once=model.at_once)
    from lleval_jax import lm

    return (
        lm.Recording(model.model)
        if model.client == "recording"
        else lm.OpenAIClient(model.model, at_once=model.at_once)
    )


def kept(client: Client, folder: pathlib.Path, blobs: Blobs, model: Model) -> Cached:
    """A client whose requests and replies are kept in the folder of a run."""
    server = getattr(client, "server", "") or f"{model.client}:{model.model}"
    return cached(Sending(client, folder / "requests", blobs, server), folder / "replies", server=server)


def with_pictures(request: Request, blobs: Blobs) -> Request:
    """The request with each picture in place of its hash."""
    messages = [dataclasses.replace(each, images=_pictures(each, blobs)) for each in request.messages]
    return dataclasses.replace(request, messages=tuple(messages))


def spent(folder: pathlib.Path, models: Iterable[Model]) -> dict[str, Spent]:
    """Model -> what it took so far in this run, from the files; money from the prices of the recipe."""
    prices = {each.model: each.price for each in models}
    found = dict.fromkeys(prices, Spent())
    for facts in _files(folder / "requests"):
        name = facts["request"].get("model", "")
        before = found.get(name, Spent())
        found[name] = before._replace(requests=before.requests + 1, extra=before.extra + facts["sent"] - 1)
    for facts in _files(folder / "replies"):
        name = json.loads(facts["request"]).get("model", "")
        found[name] = _added(found.get(name, Spent()), facts["reply"], prices.get(name, (0.0, 0.0)))
    return found


def _added(before: Spent, reply: Mapping[str, Any], price: tuple[float, float]) -> Spent:
    asked, written = reply["asked"] or 0, reply["written"] or 0
    return before._replace(
        replies=before.replies + 1,
        asked=before.asked + asked,
        written=before.written + written,
        unknown=before.unknown + (reply["asked"] is None or reply["written"] is None),
        money=before.money + (asked * price[0] + written * price[1]) / MILLION,
    )


def _pictures(message: Message, blobs: Blobs) -> tuple[str, ...]:
    found = []
    for each in message.images:
        held = each.startswith(ask.IMAGE)
        found.append(ask.data_url(blobs.get(each.removeprefix(ask.IMAGE))) if held else each)
    return tuple(found)


def _files(folder: pathlib.Path) -> Iterable[dict[str, Any]]:
    for path in sorted(folder.glob("??/*.json")):
        try:
            yield json.loads(path.read_bytes())
        except ValueError:  # damaged: it is asked again
            continue


def _sent(path: pathlib.Path) -> int:
    try:
        return int(json.loads(path.read_bytes())["sent"])
    except (ValueError, KeyError):
        return 0
