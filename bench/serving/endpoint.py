"""The endpoint under load and under faults: whether every request gets its own adapter's text, and nothing hangs.

Adapters are drawn, large enough that each writes another text. What each must write is found without the server: the
adapter is exported as PEFT has it, added to the weights, and the model writes alone. Where texts differ, the model's
two most probable tokens at the first difference are compared: closer than `TIE`, the sum's order decides and neither
text is wrong.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import pathlib
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx2
import jax.numpy as jnp
import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.serving import clients
from bench.serving.clients import PROMPTS, Answer, Ask
from bench.serving.server import KEY, Server, serving
from lleval_jax import lm
from lleval_jax.training.compress import files
from lleval_jax.training.low_rank.adapted import adapted
from lleval_jax.training.serve.drawn import drawn
from lleval_jax.values.shared_adapters import Shared

TIE = 1e-3  # nats between two tokens
MISTAKES = {
    "not JSON": (b"{", 400),
    "no prompt": (b'{"model": "adapter-0000"}', 400),
    "no such adapter": (b'{"model": "nothing", "prompt": "a"}', 404),
    "too many tokens asked for": (b'{"model": "adapter-0000", "prompt": "a", "max_tokens": 100000}', 400),
    "a prompt that is too long": (b'{"model": "adapter-0000", "prompt": "' + b"a b " * 2000 + b'"}', 400),
    "2 MB": (b'{"model": "adapter-0000", "prompt": "' + b"a" * 2_000_000 + b'"}', 413),
    "a field of another kind": (b'{"model": "adapter-0000", "prompt": 3}', 400),
    "bytes that are no text": (b"\xff\xfe\x00", 400),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much is asked of the server."""

    model: str = setting("tiny-lm", "that is served")
    requests: int = setting(1000, "of the load")
    clients: int = setting(50, "that ask at once")
    adapters: int = setting(200, "that they ask for")
    rank: int = setting(8, "of the bases")
    new: int = setting(12, "tokens of each text, at most")
    killed: int = setting(5, "clients that are killed while they read")
    stopped: int = setting(200, "requests of the load that a signal ends")
    seed: int = setting(0, "of all that is drawn")


def study(settings: Settings, record: Record) -> None:
    """Parts are kept as they end."""
    base = lm.load(settings.model)
    shared = drawn(base.decoder, settings.adapters, rank=settings.rank, seed=settings.seed)
    asks = clients.drawn(shared.names, settings.requests, settings.seed)
    known = Offline(base, shared, settings.new)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "shared"
        files.save(shared, folder)
        with serving(folder, settings.model) as server:
            for name, part in (("load", load), ("mistakes", mistakes), ("killed", killed), ("stopped", stopped)):
                found = part(server, asks, known, settings)
                record.part(name, {"settings": dataclasses.asdict(settings), **found})
                print(name, found, flush=True)
    found = removed(base, shared, known, settings)
    record.part("removed", {"settings": dataclasses.asdict(settings), **found})
    print("removed", found)


class Offline:
    """What an adapter writes on a prompt when the model writes alone; found when it is first asked for."""

    def __init__(self, base: lm.LanguageModel, shared: Shared, new: int) -> None:
        self.base, self.shared, self.new = base, shared, new
        self._found: dict[str, dict[str, str]] = {}

    def judged(self, asks: Sequence[Ask], answers: Sequence[Answer]) -> dict[str, int]:
        """How many answers are right, differ by a tie, are another text, or are an error by its kind."""
        found: collections.Counter[str] = collections.Counter()
        for one, answer in zip(asks, answers, strict=True):
            found[answer.error or self._judged(one, answer.text)] += 1
        return dict(found)

    def texts(self) -> int:
        """Different texts of those that were asked for."""
        return len({text for texts in self._found.values() for text in texts.values()})

    def _judged(self, one: Ask, text: str) -> str:
        if one.adapter not in self._found:
            model = self._model(one.adapter)
            written = lm.generate(model, PROMPTS, limit=self.new)
            self._found[one.adapter] = {prompt: each.text for prompt, each in zip(PROMPTS, written, strict=True)}
        right = self._found[one.adapter][one.prompt]
        if text == right:
            return "right"
        return "tie" if self._gap(one, text, right) < TIE else "wrong"

    def _gap(self, one: Ask, text: str, right: str) -> float:
        """Nats between the two most probable tokens where the texts part."""
        model, tokens = self._model(one.adapter), self.base.tokens
        ours, theirs = (tokens.prompt(one.prompt + each) for each in (text, right))
        same = next(
            (k for k, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(map(len, (ours, theirs)))
        )
        logits = np.sort(np.asarray(model.decoder(jnp.asarray([theirs[:same]]))[0, -1]))
        return float(logits[-1] - logits[-2])

    def _model(self, adapter: str) -> lm.LanguageModel:
        with tempfile.TemporaryDirectory() as place:
            files.export(self.shared, adapter, pathlib.Path(place) / "peft")
            return adapted(pathlib.Path(place) / "peft", self.base)


def load(server: Server, asks: Sequence[Ask], known: Offline, settings: Settings) -> dict[str, Any]:
    """All requests by all clients at once; memory when a tenth of them was answered, and most and last."""
    clients_of = (server.url, KEY, asks[: 2 * settings.clients], settings.clients, settings.new)
    asyncio.run(clients.ask_all(*clients_of))  # compiles what the load needs
    memory: list[float] = []

    def told(done: int) -> None:
        if done % max(1, len(asks) // 20) == 0:
            memory.append(round(server.memory, 1))

    began = time.perf_counter()
    answers = asyncio.run(clients.ask_all(server.url, KEY, asks, settings.clients, settings.new, told))
    seconds = time.perf_counter() - began
    quantiles = np.quantile([each.seconds for each in answers], (0.5, 0.9, 0.99))
    return {
        "answers": known.judged(asks, answers),
        "texts": known.texts(),
        "seconds": seconds,
        "latency": quantiles.tolist(),
        "memory": memory,
    }


def mistakes(server: Server, asks: Sequence[Ask], known: Offline, settings: Settings) -> dict[str, Any]:
    """Statuses of requests that must be refused, while others are answered."""
    good = asks[: 2 * settings.clients]
    running = Asking(server.url, good, settings)
    found = {}
    for name, (body, status) in MISTAKES.items():
        answer = _posted(server.url, body, KEY)
        found[name] = {"status": answer.status_code, "must": status, "says": answer.json()["error"]["message"][:80]}
    for name, key in (("no key", None), ("a wrong key", "wrong")):
        answer = _posted(server.url, b'{"model": "adapter-0000", "prompt": "a"}', key)
        found[name] = {"status": answer.status_code, "must": 401, "says": answer.json()["error"]["message"]}
    return {"refused": found, "meanwhile": known.judged(good, running.answers())}


def killed(server: Server, asks: Sequence[Ask], known: Offline, settings: Settings) -> dict[str, Any]:
    """Clients that are killed while they read: their rows are free again, and what others get is right."""
    good = asks[: 2 * settings.clients]
    running = Asking(server.url, good, settings)
    for one in asks[: settings.killed]:
        clients.killed(server.url, KEY, one.adapter)
    meanwhile = known.judged(good, running.answers())
    began = time.perf_counter()
    while (writing := _metric(server.url, "lleval_writing")) and time.perf_counter() - began < 30:
        time.sleep(0.05)
    return {"meanwhile": meanwhile, "still_written": writing, "seconds": time.perf_counter() - began}


def stopped(server: Server, asks: Sequence[Ask], known: Offline, settings: Settings) -> dict[str, Any]:
    """SIGTERM while all clients ask: each request is answered rightly or ends with an error, and the process ends."""
    some = asks[: settings.stopped]
    running = Asking(server.url, some, settings)
    while running.done < len(some) // 4:
        time.sleep(0.01)
    began = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    status = server.process.wait(120)
    seconds = time.perf_counter() - began
    return {
        "status": status,
        "seconds": seconds,
        "answers": known.judged(some, running.answers()),
        "said": server.lines()[-2:],
    }


def removed(base: lm.LanguageModel, shared: Shared, known: Offline, settings: Settings) -> dict[str, Any]:
    """Adapters taken away, and others put into their places, while all clients ask for them."""
    from lleval_jax.training.serve import app, listening
    from lleval_jax.training.serve.engine import Engine
    from lleval_jax.training.serve.resident import Residents

    residents = Residents.of(base.decoder, shared)
    asks = clients.drawn(shared.names[: max(1, len(shared.names) // 10)], settings.stopped, settings.seed + 1)
    gone: list[str] = []
    with Engine(base, residents) as engine, listening.running(app.app(engine, base=base.name, key=KEY)) as at:
        url = f"{at}/v1"
        running = Asking(url, asks, settings)
        for name, other in zip(shared.names, reversed(shared.names), strict=True):
            if name == other or len(gone) == len({each.adapter for each in asks}):
                break
            while running.done < len(asks) // 3 and running.thread.is_alive():
                time.sleep(0.01)
            residents.remove(name)
            gone.append(name)
            with contextlib.suppress(Exception):  # its place is free only once its last row is written
                residents.add(f"new-{name}", residents.within(shared, other))
        answers = running.answers()
        left = sum(residents._rows.values())
    return {"removed": len(gone), "answers": known.judged(asks, answers), "rows_left": left}


class Asking:
    """Requests that are asked on a thread."""

    def __init__(self, url: str, asks: Sequence[Ask], settings: Settings) -> None:
        self.done, self._found = 0, list[Answer]()

        def told(done: int) -> None:
            self.done = done

        def work() -> None:
            self._found = asyncio.run(clients.ask_all(url, KEY, asks, settings.clients, settings.new, told))

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def answers(self) -> list[Answer]:
        """All of them; an error if they do not come."""
        self.thread.join(300)
        if self.thread.is_alive():
            raise TimeoutError("requests hang")
        return self._found


def _posted(url: str, body: bytes, key: str | None) -> httpx2.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{url}/completions", content=body, headers=headers, timeout=60)


def _metric(url: str, name: str) -> float:
    lines = httpx2.get(f"{url.removesuffix('/v1')}/metrics", timeout=60).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
