"""A client of an OpenAI-compatible server: hosted, vLLM, llama.cpp's server and others that speak the same.

Where the server is and who asks is read from the environment, and nowhere else:

    OPENAI_BASE_URL   its address up to the version, such as http://127.0.0.1:8000/v1; unset: OpenAI's own
    OPENAI_API_KEY    the key; a server of your own may need none

The key is sent to that server and goes nowhere else: into no message, no cache, no recording, no representation.
"""

import contextlib
import os
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lleval_jax.errors import BadInput, NoReply, NoServer, require
from lleval_jax.lm import openai_faults, openai_wire
from lleval_jax.lm.client import Reply, Request
from lleval_jax.lm.openai_faults import Fault
from lleval_jax.lm.pace import Pace, Retry, asked_wait

if TYPE_CHECKING:
    import httpx2

OWN = "https://api.openai.com/v1"  # where the package goes when it is told nothing
CONNECT = 10.0  # seconds to wait for a connection
STREAK = 8  # requests in a row that failed at every try, after which no more are sent
NO_KEY = "none"  # the package insists on one; a server that needs none does not look at it


class OpenAIClient:
    """Asks a server, again where that may help, no faster and no more at a time than allowed. Threads may share it.

    Example:
        ```python
        # OPENAI_BASE_URL=http://127.0.0.1:8000/v1
        client = lm.cached(lm.OpenAIClient("qwen3-8b", at_once=16, requests_per_minute=600))
        client.complete(lm.Request.ask("What is the capital of France?")).text
        ```
    """

    def __init__(
        self,
        model: str,
        *,
        at_once: int = 8,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        timeout: float = 120.0,
        retry: Retry = Retry(),  # noqa: B008  (frozen)
        limit_as: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A client of the server that the environment names; nothing is sent yet.

        Args:
            model: its name there, for requests that name none.
            at_once: requests under way at most, whoever sends them.
            requests_per_minute: None for no bound.
            tokens_per_minute: of requests and replies together; None for no bound.
            timeout: seconds to wait for an answer, at each try.
            retry: how often to ask, and how long to wait in between.
            limit_as: what the server calls the limit of tokens, "max_tokens" or "max_completion_tokens"; "": the
                second at OpenAI's own address, the first elsewhere.
            clock: seconds, for the rate.
            sleep: waits so many seconds.

        Raises:
            BadInput: the package `openai` is not installed, no key is set for OpenAI's own address, the address is
                none, or a bound is not above 0.
        """
        require(bool(model), "no model is named; give its name at the server: OpenAIClient('gpt-4o-mini')")
        require(at_once >= 1, f"at_once is {at_once}; it must be at least 1")
        require(timeout > 0, f"timeout is {timeout:g}; it must be above 0 seconds")
        address, key = _address(), _key()
        self.server, self.model, self.at_once = shown(address), model, at_once
        require(bool(key) or self.server != OWN, _NO_KEY)
        self._package, self._http = _opened(address, key or NO_KEY, timeout)
        self._safe = _without(key)
        self._limit_as = limit_as or ("max_completion_tokens" if self.server == OWN else "max_tokens")
        self._timeout, self._retry, self._sleep = timeout, retry, sleep
        self._pace = Pace(requests_per_minute, tokens_per_minute, clock=clock, sleep=sleep)
        self._turn, self._lock, self._streak = threading.BoundedSemaphore(at_once), threading.Lock(), 0

    def __repr__(self) -> str:
        return f"OpenAIClient({self.model!r}, server={self.server!r})"

    def complete(self, request: Request) -> Reply:
        """The server's reply to one request, after as many tries as it takes.

        Raises:
            NoReply: it gave none to this request: refused it, took too long, or failed at every try.
            NoServer: it cannot be reached, refuses the key, knows no such model, or stays too busy.
        """
        request = request.of(self.model)
        tried, again = 0, True
        found: Reply | Fault = Fault("")
        while again:
            found, tried = self._tried(request), tried + 1
            again = isinstance(found, Fault) and self._waited(found, tried)
        if isinstance(found, Reply):
            self._streak = 0
            return found
        raise self._error(found, tried, request)

    def _tried(self, request: Request) -> Reply | Fault:
        """One try: the reply, or what is wrong. What the package raises ends here: it holds headers with the key."""
        with self._paced(request) as settle:
            try:
                path, body = openai_wire.sent(request, self._limit_as)
                answer = self._http.post(path, cast_to=_response_type(), body=body)
            except self._package.APIStatusError as error:
                after = asked_wait(error.response.headers, time.time())
                return openai_faults.of_status(self.server, error.status_code, error.body, after)
            except self._package.APIConnectionError as error:
                return openai_faults.of_connection(self.server, error, self._timeout)
            found = openai_wire.read(answer.content, request, self.server)
            if isinstance(found, Reply):
                settle(found)
            return found

    @contextlib.contextmanager
    def _paced(self, request: Request) -> Iterator[Callable[[Reply], None]]:
        """A turn of the few at once, begun when the rate lets it; called with the reply it counts its real tokens."""
        guess = openai_wire.guess(request)

        def settle(reply: Reply) -> None:
            if reply.asked is not None and reply.written is not None:
                self._pace.settle(guess, reply.asked + reply.written)

        with self._turn:
            self._pace.wait(guess)
            yield settle

    def _waited(self, fault: Fault, tried: int) -> bool:
        """Whether to ask again; if so the time until then is over."""
        if not fault.again or tried >= self._retry.tries or (fault.after or 0) > self._retry.longest:
            return False
        seconds = self._retry.seconds(tried, fault.after, random.random())
        if fault.after:  # it holds for all who ask
            self._pace.pause(fault.after)
        self._sleep(seconds)
        return True

    def _error(self, fault: Fault, tried: int, request: Request) -> NoReply:
        """What to raise: one line that names the server, what happened, how often, and what to do."""
        if fault.unknown:
            fault = openai_faults.of_unknown(self.server, request, fault, self._models())
        with self._lock:
            self._streak += fault.again
            longer = (fault.after or 0) > self._retry.longest
            lost = fault.everywhere or longer or self._streak >= STREAK
        times = f", {tried} times" if tried > 1 else ""
        wait = f"; it asks to wait {fault.after:,.0f} seconds" if longer else ""
        text = f"{self._safe(fault.what)}{times}{wait}. {self._safe(fault.hint)}".rstrip()
        return (NoServer if lost else NoReply)(text, python=fault.python)

    def _models(self) -> list[str]:
        """Names of the models that the server has; none where it does not say."""
        try:
            return openai_wire.models(self._http.get("/models", cast_to=_response_type()).content)
        except self._package.OpenAIError:
            return []


_NO_KEY = (
    "no key is set for OpenAI's server. Set OPENAI_API_KEY; or, for another server, OPENAI_BASE_URL, such as "
    "http://127.0.0.1:8000/v1"
)


def _without(key: str) -> Callable[[str], str]:
    """Takes the key, which a server may repeat, out of a text."""
    return lambda text: text.replace(key, "***") if len(key) > len(NO_KEY) else text


def shown(address: str) -> str:
    """An address that may be shown and kept: without user, password, query and the last slash."""
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _address() -> str:
    address = os.environ.get("OPENAI_BASE_URL", "").strip() or OWN
    example = "it must be an address such as http://127.0.0.1:8000/v1"
    require(_is_address(address), f"OPENAI_BASE_URL is not an address that can be asked; {example}")
    text = f"OPENAI_BASE_URL ({shown(address)}) holds a user or password; put the key into OPENAI_API_KEY"
    require("@" not in urllib.parse.urlsplit(address).netloc, text)
    return address


def _is_address(text: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def _key() -> str:
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    good = key.isascii() and key.isprintable() and " " not in key
    require(good, "OPENAI_API_KEY holds a space, a line break or a letter that no key has; copy it again")
    return key


def _opened(address: str, key: str, timeout: float) -> tuple[Any, Any]:
    """(the package, its client)."""
    try:
        import httpx2
        import openai
    except ModuleNotFoundError as error:
        text = f'asking a server needs the package {error.name}. Install it: pip install "lleval-jax[train]".'
        raise BadInput(text) from None
    limits = httpx2.Timeout(timeout, connect=min(CONNECT, timeout))
    return openai, openai.OpenAI(api_key=key, base_url=address, max_retries=0, timeout=limits)


def _response_type() -> "type[httpx2.Response]":
    import httpx2

    return httpx2.Response
