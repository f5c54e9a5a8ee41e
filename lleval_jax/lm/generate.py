"""Writing: greedy or drawn, in groups of rows that fit, with a cache that grows as the text does.

A row's text depends on its own prompt, the seed and the settings, not on its neighbours: its random key is made of
these, and the mask keeps rows apart. (Another group may add up a product in another order; where two tokens are equally
probable to the last digit, that can decide.)
"""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.shapes import rung
from lleval_jax.errors import require
from lleval_jax.lm import decoding, groups
from lleval_jax.lm.cache import Cache
from lleval_jax.lm.decoding import CHUNK, Choice, State
from lleval_jax.lm.groups import Prompt, Row
from lleval_jax.lm.sampling import Sampling
from lleval_jax.lm.stream import Stream
from lleval_jax.values.progress import Progress, Tell, silent

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

Ended = Literal["stop", "eos", "limit"]


@dataclasses.dataclass(frozen=True)
class Written:
    """What a model wrote on one prompt.

    Attributes:
        text: Without the prompt, the stop string and control tokens.
        tokens: The tokens written, up to the one that completed the stop string; without the one that ends a text.
        ended: By a "stop" string, by "eos", or by the "limit" of tokens.
    """

    text: str
    tokens: tuple[int, ...]
    ended: Ended


def generate(
    model: "LanguageModel",
    prompts: Sequence[Prompt],
    *,
    limit: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    penalty: float = 1.0,
    stop: str | Sequence[str] = (),
    eos: Sequence[int] | None = None,
    chat: bool = False,
    seed: int | Sequence[int] = 0,
    prefix: str = "",
    batch: int | None = None,
    tell: Tell = silent,
) -> tuple[Written, ...]:
    r"""Let a language model go on from each prompt.

    Args:
        model: From `lm.load`.
        prompts: Texts; with `chat=True` conversations, each a list of messages or the user's text alone. An empty text
            is written on from the token that begins a text, if the model has one.
        limit: Tokens that a row may write. Prompt and limit must fit in the model's context: nothing is cut off.
        temperature: 0 takes the most probable token each time; above 0 tokens are drawn.
        top_p: Draw among the most probable tokens that together have this probability.
        top_k: Draw among the k most probable tokens; 0 is all.
        penalty: For tokens that the prompt or the text holds; 1 is none. See `lm.Sampling`.
        stop: Texts that end the writing. They are not part of the text.
        eos: Tokens that end the writing; None is the tokenizer's own.
        chat: Put each prompt into the model's chat template.
        seed: Of the draws, one for all prompts or one for each. Each row has a key of its own, made of its seed, its
            prompt and how many prompts with the same seed before it are equal to it: its text is the same alone, in
            another batch and in another order.
        prefix: A text before every prompt. What prompts have in common is read once, here and wherever it is found.
        batch: Rows at once; None is as many as fit in a quarter of the free memory.
        tell: Called with `Progress` in tokens, with tokens a second, after every few tokens; what it raises ends the
            call.

    Returns:
        A `Written` for each prompt, in order.

    Raises:
        BadInput: A prompt is empty where it may not be, or too long for the context (it is named by its number), or a
            setting is out of range.

    Example:
        >>> model = lm.load("tiny-lm")  # doctest: +SKIP
        >>> lm.generate(model, ["Natalia sold 48 clips."], limit=20, stop="\n")[0].text  # doctest: +SKIP
    """
    require(isinstance(limit, int) and limit > 0, f"limit is {limit!r}; it must be a whole number of tokens above 0")
    require(batch is None or batch > 0, f"batch is {batch}; it must be a number of rows above 0, or None")
    how = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, penalty=penalty)
    task = _Task(how, limit, _stops(stop), tuple(model.tokens.eos if eos is None else eos))
    rows = groups.rows_of(model, prompts, limit=limit, chat=chat, seed=seed, prefix=prefix)
    found = {line.row.number: line.written() for line in _lines(model, rows, task, batch, tell)}
    return tuple(found[number] for number in range(len(rows)))


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is asked of every row."""

    how: Sampling
    limit: int
    stop: tuple[str, ...]
    ends: tuple[int, ...]

    @property
    def choice(self) -> Choice:
        return Choice.of(self.how, self.ends)


def _stops(stop: str | Sequence[str]) -> tuple[str, ...]:
    found = (stop,) if isinstance(stop, str) else tuple(stop)
    for i, text in enumerate(found):
        known = isinstance(text, str) and text != ""
        require(known, f"stop string {i} is {text!r}; give texts of one character at least")
    return found


class Growing:
    """The text of one row as it grows: until a stop string, a token that ends a text, or so many tokens."""

    def __init__(self, stream: Stream, ends: Sequence[int], limit: int) -> None:
        self.stream, self.ends, self.limit = stream, ends, limit
        self.tokens: list[int] = []
        self.ended: Ended | None = None

    def take(self, tokens: Iterable[int]) -> None:
        """Tokens that the model wrote; those after the end are dropped."""
        for token in tokens:
            if self.ended is None:
                self._add(token)

    def _add(self, token: int) -> None:
        if token in self.ends:
            self.ended = "eos"
            return
        self.tokens.append(token)
        self.stream.push(token)
        if self.stream.stopped is not None:
            self.ended = "stop"
        elif len(self.tokens) == self.limit:
            self.ended = "limit"

    def written(self) -> Written:
        """All of it, once no more comes."""
        self.stream.finish()
        return Written(self.stream.text, tuple(self.tokens), self.ended or "limit")


class _Line(Growing):
    """The text of one of the prompts."""

    def __init__(self, model: "LanguageModel", row: Row, task: _Task) -> None:
        super().__init__(model.tokens.stream(row.tokens.tolist(), task.stop), task.ends, task.limit)
        self.row = row


class _Pace:
    """Tells how many tokens are written, of how many at most, and how many a second."""

    def __init__(self, tell: Tell, rows: int, task: _Task) -> None:
        self.tell, self.limit, self.since = tell, task.limit, time.perf_counter()
        self.open, self.done = rows, 0  # rows that have not ended; tokens of those that have
        self.tell(Progress("writing", 0, rows * task.limit, unit="tokens"))

    def say(self, lines: Sequence[_Line]) -> None:
        """Where the rows of the group are."""
        over = [len(line.tokens) for line in lines if line.ended]
        now = self.done + sum(len(line.tokens) for line in lines)
        most = self.done + sum(over) + (self.open - len(over)) * self.limit
        rate = now / max(time.perf_counter() - self.since, 1e-9)
        self.tell(Progress("writing", now, most, unit="tokens", rate=rate))

    def over(self, lines: Sequence[_Line]) -> None:
        """A group has ended."""
        self.done += sum(len(line.tokens) for line in lines)
        self.open -= len(lines)


def _lines(model: "LanguageModel", rows: Sequence[Row], task: _Task, batch: int | None, tell: Tell) -> Iterator[_Line]:
    """Every row's text, group by group."""
    if not rows:
        return
    program, pace = decoding.program(model.decoder), _Pace(tell, len(rows), task)
    longest = groups.length_of(max(len(row.tokens) for row in rows), task.limit, task.limit)
    fit = groups.rows_at_once(program.bytes_of_row(longest), program.device)
    shared = groups.common(rows)
    beginning = _beginning(program, shared) if shared.size else None
    for group in groups.grouped(rows, min(batch or fit, len(rows))):
        lines = [_Line(model, row, task) for row in group]
        for _ in _steps(program, lines, task, beginning, shared.size):
            pace.say(lines)
        pace.over(lines)
        yield from lines


def _beginning(program: decoding.Program, tokens: np.ndarray) -> Cache:
    """The cache of what all prompts begin with, one row."""
    *pieces, last = decoding.pieces([tokens], 1)
    cache = program.cache(1, groups.length_of(tokens.size, 0, 0))
    for piece in [*pieces, last]:
        cache = decoding.read(*program.model, cache, *piece)
    return cache


def _steps(
    program: decoding.Program, lines: Sequence[_Line], task: _Task, beginning: Cache | None, shared: int
) -> Iterator[None]:
    """Write on all lines of a group until all have ended; yields after every few tokens."""
    longest, count, steps = max(len(line.row.tokens) for line in lines), 1, task.how.steps
    state = _begun(program, lines, task, beginning, shared)
    _take(lines, np.asarray(state.token)[:, None])
    yield
    while not all(line.ended for line in lines):
        lines, state = _open(lines, state)
        most = min(CHUNK, task.limit - count)
        if longest + count - 1 + most > state.cache.length:
            longer = state.cache.longer(groups.length_of(longest, task.limit, count + most))
            state = state._replace(cache=longer)
        state, tokens = decoding.write(*program.model, state, task.choice, jnp.int32(most), steps=steps)
        _take(lines, np.asarray(tokens))
        count += most
        yield


def _open(lines: Sequence[_Line], state: State) -> tuple[Sequence[_Line], State]:
    """The host's word on which rows have ended; once half of many have, the others go on alone."""
    rows = [i for i, line in enumerate(lines) if not line.ended]
    size = rung(len(rows), 2)
    if groups.FEWEST <= size <= state.token.shape[0] // 2:
        state = decoding.some(state, jnp.array([*rows, *[rows[0]] * (size - len(rows))]))
        lines, rows = [lines[i] for i in rows], range(len(rows))
    ended = np.ones(state.token.shape[0], bool)
    ended[list(rows)] = False
    return lines, state._replace(ended=jnp.asarray(ended))


def _take(lines: Sequence[_Line], tokens: np.ndarray) -> None:
    for line, row in zip(lines, tokens.tolist(), strict=False):
        line.take(token for token in row if token != decoding.NONE)


def _begun(
    program: decoding.Program, lines: Sequence[_Line], task: _Task, beginning: Cache | None, shared: int
) -> State:
    """The prompts read, and one token written on each."""
    rows, steps = rung(len(lines), 2), task.how.steps
    length = groups.length_of(max(len(line.row.tokens) for line in lines), task.limit, CHUNK)
    cache = program.cache(rows, length) if beginning is None else beginning.repeat(rows).longer(length)
    *pieces, last = decoding.pieces([line.row.tokens[shared:] for line in lines], rows)
    for piece in pieces:
        cache = decoding.read(*program.model, cache, *piece)
    used = np.zeros((rows, program.vocab if steps.penalised else 0), bool)
    keys = np.zeros((rows, 2), np.uint32)
    for i, line in enumerate(lines):
        keys[i] = line.row.key
        if steps.penalised:
            used[i, line.row.tokens] = True
    key = jax.random.wrap_key_data(jnp.asarray(keys), impl="threefry2x32")
    ended = jnp.arange(rows) >= len(lines)
    state = State(cache, jnp.zeros(rows, jnp.int32), jnp.asarray(used), key, jnp.int32(0), ended)
    return decoding.begin(*program.model, state, *last, task.choice, steps=steps)
