"""What is asked of an engine, what it tells, and a request on its way."""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lleval_jax.errors import BadInput, LlevalError
from lleval_jax.lm.generate import Growing, Written
from lleval_jax.lm.sampling import Numbers, Sampling, Steps
from lleval_jax.lm.stream import Stream


class Busy(BadInput):
    """As many requests wait as may."""


class Piece(NamedTuple):
    """More of a text."""

    text: str


Event = Piece | Written | LlevalError  # of one request: pieces, and then how it ended
Tell = Callable[[Event], None]


@dataclasses.dataclass(frozen=True)
class Request:
    """What to write.

    Attributes:
        tokens: of the prompt.
        adapter: its name; None: the bare model.
        how: the sampling; its top_k and penalty are not used.
        limit: tokens to write, at most.
        stop: texts that end the writing.
        seed: of the draws.
    """

    tokens: tuple[int, ...]
    adapter: str | None = None
    how: Sampling = Sampling()
    limit: int = 64
    stop: tuple[str, ...] = ()
    seed: int = 0


class Line(Growing):
    """A request being written; `cancel` ends it."""

    def __init__(self, request: Request, place: int, tell: Tell, stream: Stream, ends: Sequence[int]) -> None:
        super().__init__(stream, ends, request.limit)
        self.request, self.place, self.tell = request, place, tell
        self.seat: int | None = None  # where its adapter is in the tables, once it is written
        self.looked = 0  # how often its adapter could not be had
        self.cancelled = False
        self.asked = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it was asked for."""
        return time.monotonic() - self.asked

    def cancel(self) -> None:
        """Write no more of it; nothing more is told."""
        self.cancelled = True


def drawing(lines: Sequence[Line], count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Numbers]:
    """What rows for new requests begin with, as `steps.fresh` takes it; those past the last are not written."""
    left, place, keys = np.zeros(count, np.int32), np.zeros(count, np.int32), np.zeros((count, 2), np.uint32)
    numbers = np.ones((len(Numbers._fields), count), np.float32)
    for row, line in enumerate(lines):
        left[row], place[row], keys[row] = line.request.limit, line.seat or 0, _key(line.request)
        numbers[:, row] = line.request.how.temperature, line.request.how.top_p, 1.0
    return left, place, keys, Numbers(*numbers)


def steps_of(lines: Sequence[Line]) -> Steps:
    """The steps that any of the rows needs."""
    asked = [line.request.how.steps for line in lines]
    return Steps(False, any(each.drawn for each in asked), 0, any(each.top_p for each in asked))


def _key(request: Request) -> np.ndarray:
    """Of the request and nothing else: its text is the same in any company."""
    found = hashlib.sha256(f"{request.seed} {request.adapter} ".encode() + np.asarray(request.tokens, "<i4").tobytes())
    return np.frombuffer(found.digest()[:8], "<u4").astype(np.uint32)
