"""The engine behind HTTP, as OpenAI's clients ask: the name of a model is the name of an adapter.

GET  /v1/models             the base model and all adapters
POST /v1/chat/completions   whole, or in pieces with "stream": true
POST /v1/completions        likewise
GET  /health                200 while requests are taken
GET  /metrics               for Prometheus
"""

import asyncio
import contextlib
import hmac
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from lleval_jax.errors import BadInput, LlevalError
from lleval_jax.lm.generate import Written
from lleval_jax.training.serve import wire
from lleval_jax.training.serve.asking import Busy, Event, Line, Piece
from lleval_jax.training.serve.counts import BOUNDS, Spread
from lleval_jax.training.serve.engine import Engine
from lleval_jax.training.serve.resident import NoAdapter

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

STATUS: dict[type[BadInput], int] = {NoAdapter: 404, Busy: 429}  # of a refused request; of all others 400
LARGEST = 1_000_000  # bytes of a request


def app(engine: Engine, *, base: str, key: str = "", most: int = 512) -> "Starlette":
    """The application.

    Args:
        engine: that writes.
        base: name of the model without an adapter.
        key: that clients must give as `Authorization: Bearer KEY`; "" for none.
        most: tokens that a request may ask for.
    """
    from prometheus_client import CollectorRegistry  # extras, and slow to load
    from starlette.applications import Starlette
    from starlette.routing import Route

    registry = CollectorRegistry()
    registry.register(_Collector(engine))
    server = _Server(engine, base, key, most, registry)
    routes = [
        Route("/v1/models", server.guarded(server.models), methods=["GET"]),
        Route("/v1/chat/completions", server.guarded(server.chat), methods=["POST"]),
        Route("/v1/completions", server.guarded(server.text), methods=["POST"]),
        Route("/health", server.health, methods=["GET"]),
        Route("/metrics", server.metrics, methods=["GET"]),
    ]
    return Starlette(routes=routes)


class _Server:
    def __init__(self, engine: Engine, base: str, key: str, most: int, registry: Any) -> None:
        self.engine, self.base, self.key, self.most, self.registry = engine, base, key, most, registry

    def guarded(
        self, handle: Callable[["Request"], Awaitable["Response"]]
    ) -> Callable[["Request"], Awaitable["Response"]]:
        """`handle` for those who have the key, with every mistake of theirs as its status."""

        async def answer(request: "Request") -> "Response":
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self.key and not hmac.compare_digest(given.encode(), self.key.encode()):
                return _json(wire.problem("the key is missing or wrong", "authentication_error"), 401)
            try:
                return await handle(request)
            except _TooLarge as error:
                return _json(wire.problem(str(error), "invalid_request_error"), 413)
            except BadInput as error:
                status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
                return _json(wire.problem(error.what, "invalid_request_error"), status)
            except LlevalError as error:
                return _json(wire.problem(error.what, "server_error"), 503)

        return answer

    async def models(self, request: "Request") -> "Response":
        return _json(wire.models(lambda: self.engine.residents.names, self.base))

    async def chat(self, request: "Request") -> "Response":
        return await self._complete(request, chat=True)

    async def text(self, request: "Request") -> "Response":
        return await self._complete(request, chat=False)

    async def health(self, request: "Request") -> "Response":
        fine = self.engine.alive
        return _json({"status": "ok" if fine else "closing"}, 200 if fine else 503)

    async def metrics(self, request: "Request") -> "Response":
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
        from starlette.responses import Response

        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    async def _complete(self, request: "Request", chat: bool) -> "Response":
        from starlette.responses import StreamingResponse

        asked = wire.asked(await _body(request), chat)
        wanted = asked.request(self.engine.model, self.base, self.most)
        reply = wire.Reply(asked, chat, len(wanted.tokens))
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()
        line = self.engine.submit(wanted, lambda event: _pass(loop, events, event))
        if asked.stream:
            return StreamingResponse(_stream(line, events, reply), media_type="text/event-stream")
        try:
            written = await _end(request, events)
        finally:
            line.cancel()
        return _json(reply.whole(written))


class _TooLarge(ValueError):
    """A request of more bytes than are read."""


class _Collector:
    """The engine's counts as Prometheus asks for them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def collect(self) -> Any:
        """All metrics, as they are now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counts = self.engine.counts
        yield CounterMetricFamily("lleval_requests", "Requests taken.", counts.requests)
        yield CounterMetricFamily("lleval_prompt_tokens", "Tokens of prompts read.", counts.prompts)
        yield CounterMetricFamily("lleval_written_tokens", "Tokens written.", counts.written)
        yield GaugeMetricFamily("lleval_waiting", "Requests that wait.", self.engine.waiting)
        yield GaugeMetricFamily("lleval_writing", "Requests that are written.", self.engine.writing)
        yield GaugeMetricFamily("lleval_adapters", "Adapters that are there.", len(self.engine.residents.names))
        yield _histogram("lleval_queue_seconds", "From asking until it was written.", counts.queued)
        yield _histogram("lleval_first_token_seconds", "From asking to the first token.", counts.first)
        yield _histogram("lleval_request_seconds", "From asking to the end.", counts.whole)


def _histogram(name: str, about: str, spread: Spread) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    bounds = [*map(str, BOUNDS), "+Inf"]
    return HistogramMetricFamily(
        name, about, list(zip(bounds, itertools.accumulate(spread.counts), strict=True)), spread.total
    )


def _pass(loop: asyncio.AbstractEventLoop, events: "asyncio.Queue[Event]", event: Event) -> None:
    """From the engine's thread to the server's; where that has ended, the event is dropped."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(events.put_nowait, event)


async def _body(request: "Request") -> bytes:
    """The body, unless it is larger than it may be: read no further than that."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            raise _TooLarge(f"the request has more than {LARGEST:,} bytes")
        parts.append(part)
    return b"".join(parts)


async def _end(request: "Request", events: "asyncio.Queue[Event]") -> Written:
    """The whole text, or the engine's error; none for a client that has gone."""
    while True:
        try:
            event = await asyncio.wait_for(events.get(), 1.0)
        except TimeoutError:
            if await request.is_disconnected():
                raise BadInput("the client has gone") from None
            continue
        if isinstance(event, Written):
            return event
        if isinstance(event, LlevalError):
            raise event


async def _stream(line: Line, events: "asyncio.Queue[Event]", reply: wire.Reply) -> AsyncIterator[bytes]:
    """Pieces as they come; the line is cancelled when the client goes."""
    try:
        while True:
            event = await events.get()
            if isinstance(event, Piece):
                yield reply.piece(event.text)
            elif isinstance(event, Written):
                yield reply.last(event)
                return
            else:
                yield b"data: " + msgspec.json.encode(wire.problem(str(event), "server_error")) + b"\n\n"
                return
    finally:
        line.cancel()


def _json(content: Any, status: int = 200) -> "Response":
    from starlette.responses import Response

    return Response(msgspec.json.encode(content), status, media_type="application/json")
