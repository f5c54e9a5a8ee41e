"""Requests that come and go, written on together, each with its own adapter.

One thread computes: it takes waiting requests into free rows, writes a few tokens in all rows, hands out what is new,
and begins again. Whoever submits a request is told by a function of its own, called on that thread.
"""

import collections
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.shapes import rung
from lleval_jax.errors import LlevalError, RunFailed, require
from lleval_jax.lm.decoding import NONE, pieces
from lleval_jax.lm.generate import Written
from lleval_jax.training.serve import steps
from lleval_jax.training.serve.asking import Busy, Event, Line, Piece, Request, Tell, drawing, steps_of
from lleval_jax.training.serve.counts import Counts
from lleval_jax.training.serve.resident import Residents

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

TOGETHER = 4  # prompts that are read at once; a few sizes, so that few programs are compiled
PATIENCE = 100  # looks at a request whose adapter cannot be had, while others pass it; then all wait for it


class Engine:
    """A model with resident adapters that serves requests.

    Args:
        model: tokenizer and ends of texts are its own.
        residents: its decoder with adapters.
        rows: texts that are written at once.
        length: tokens of a prompt with what is written, at most.
        chunk: tokens between two looks at who waits.
        queue: requests that may wait.

    Example:
        >>> with Engine(model, Residents.of(model.decoder, shared)) as engine:  # doctest: +SKIP
        ...     engine.write([Request(tuple(model.tokens.prompt("SELECT")), "sql")])[0].text
    """

    def __init__(
        self,
        model: "LanguageModel",
        residents: Residents,
        *,
        rows: int = 16,
        length: int = 512,
        chunk: int = 4,
        queue: int = 1024,
    ) -> None:
        require(length <= model.config.context, f"length is {length}; {model.name} reads {model.config.context} tokens")
        self.model, self.residents = model, residents
        self.rows, self.length, self.chunk, self.queue = rows, length, chunk, queue
        self.counts = Counts()
        self._ends = jnp.asarray(tuple(model.tokens.eos) or (NONE,), jnp.int32)
        self._state = steps.fresh(*residents.model, length, *drawing((), rows))
        self._lines: list[Line | None] = [None] * rows
        self._waiting: collections.deque[Line] = collections.deque()
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether requests are taken."""
        return self._thread.is_alive() and not self._closing

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._waiting)

    @property
    def writing(self) -> int:
        """Requests that are written now."""
        return sum(line is not None for line in self._lines)

    def submit(self, request: Request, tell: Tell) -> Line:
        """Take a request.

        Args:
            request: what to write.
            tell: called on the engine's thread with each piece of text, and at last with `Written` or an error. It must
                be quick.

        Raises:
            BadInput: there is no such adapter, the prompt is empty or too long, or too many wait.
        """
        size = len(request.tokens)
        require(size > 0, "the prompt is empty")
        fits = f"the prompt has {size:,} tokens and {request.limit:,} may be written; there is room for {self.length:,}"
        require(request.limit > 0 and size + request.limit <= self.length, fits)
        with self._change:
            require(not self._closing, "the engine is closing")
            if len(self._waiting) >= self.queue:
                raise Busy(f"{self.queue:,} requests are waiting; try again later")
            stream = self.model.tokens.stream(request.tokens, request.stop)
            line = Line(request, self.residents.take(request.adapter), tell, stream, self.model.tokens.eos)
            self._waiting.append(line)
            self.counts.requests += 1
            self._change.notify()
        return line

    def write(self, requests: Sequence[Request]) -> tuple[Written, ...]:
        """All of these, waited for. Raises what the first that failed was told."""
        found: list[Event | None] = [None] * len(requests)
        left = threading.Semaphore(0)

        def told(number: int, event: Event) -> None:
            if not isinstance(event, Piece):
                found[number] = event
                left.release()

        for number, request in enumerate(requests):
            self.submit(request, lambda event, number=number: told(number, event))
        for _ in requests:
            left.acquire()
        for each in found:
            if isinstance(each, LlevalError):
                raise each
        return tuple(each for each in found if isinstance(each, Written))

    def close(self, seconds: float | None = None) -> bool:
        """Finish what is written and what waits, for so long, and take nothing more; whether all was finished."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._wait():
                self._admit()
                self._go_on()
        except Exception as error:  # noqa: BLE001  whoever waits must hear of it
            with self._change:
                self._closing = True
                lines = [*self._waiting, *(line for line in self._lines if line is not None)]
                self._waiting.clear()
            for line in lines:
                self._over(line, RunFailed(f"the engine stopped: {error}"))

    def _wait(self) -> bool:
        """Until there is something to do; whether there is."""
        with self._change:
            while not self._waiting and not any(self._lines):
                if self._closing:
                    return False
                self._change.wait()
        return True

    def _admit(self) -> None:
        """Waiting requests into free rows."""
        while (free := [row for row, line in enumerate(self._lines) if line is None]) and (
            some := self._next(len(free))
        ):
            some = [line for line in some if not self._gone(line)]
            if some:
                self._begin(some, free[: len(some)])

    def _next(self, most: int) -> list[Line]:
        """Those that wait longest, less those whose adapters cannot be had now."""
        found: list[Line] = []
        passed: list[Line] = []
        with self._change:
            while self._waiting and len(found) < min(most, TOGETHER):
                line = self._waiting.popleft()
                line.seat = None if line.cancelled else self.residents.seat(line.place)
                if line.cancelled or line.seat is not None:
                    found.append(line)
                    continue
                passed.append(line)
                line.looked += 1
                if line.looked > PATIENCE:
                    break
            self._waiting.extendleft(reversed(passed))
        return found

    def _begin(self, lines: Sequence[Line], rows: Sequence[int]) -> None:
        """Read prompts together, and put them into rows."""
        for line in lines:
            self.counts.queued.add(line.seconds)
        count = rung(len(lines), 2)
        *before, last = pieces([np.asarray(line.request.tokens, np.int32) for line in lines], count)
        size = sum(piece.shape[1] for piece, _ in (*before, last))
        state = steps.fresh(*self.residents.model, min(self.length, size + 1), *drawing(lines, count))
        for piece in before:
            state = steps.read(*self.residents.model, state, *piece)
        state = steps.begun(*self.residents.model, state, *last, steps_of(lines), self._ends)
        where = np.full(count, self.rows, np.int32)
        where[: len(rows)] = rows
        tokens = np.asarray(state.token)
        self._state = steps.joined(self._state, state, where)
        self.counts.prompts += sum(len(line.request.tokens) for line in lines)
        for line, row, token in zip(lines, rows, tokens, strict=False):
            self._lines[row] = line
            self.counts.first.add(line.seconds)
            self._take(row, [int(token)])

    def _go_on(self) -> None:
        """A few tokens in all rows."""
        lines = [line for line in self._lines if line is not None]
        if not lines:
            return
        self._state, tokens = steps.written(*self.residents.model, self._state, steps_of(lines), self._ends, self.chunk)
        for row, written in enumerate(np.asarray(tokens).tolist()):
            if self._lines[row] is not None:
                self._take(row, [token for token in written if token != NONE])

    def _take(self, row: int, tokens: Sequence[int]) -> None:
        """What a row has written, to whom it concerns; the row is free once it has ended."""
        line = self._lines[row]
        assert line is not None
        before = len(line.stream.text)
        line.take(tokens)
        self.counts.written += len(tokens)
        written = None if line.ended is None else line.written()
        said = line.stream.text[before:]
        if said and not line.cancelled:
            line.tell(Piece(said))
        if line.ended is not None or self._gone(line):
            self._lines[row] = None
            if line.ended in (None, "stop"):  # the device does not know
                self._state = self._state._replace(left=self._state.left.at[row].set(0))
            if written is not None:
                self.counts.whole.add(line.seconds)
                self._over(line, written)

    def _gone(self, line: Line) -> bool:
        """Whether it was cancelled; then its adapter is let go."""
        if line.cancelled:
            self._let_go(line)
        return line.cancelled

    def _over(self, line: Line, event: Event) -> None:
        self._let_go(line)
        if not line.cancelled:
            line.tell(event)

    def _let_go(self, line: Line) -> None:
        """Once, whoever says so."""
        if line.place >= 0:
            if line.seat is not None:
                self.residents.leave(line.seat)
            self.residents.let_go(line.place)
            line.place = -1
