"""The compiled part of writing: prompts are read into a cache, then a few tokens are written at a time.

The loop over tokens stays on the device: the host looks at what was written after `CHUNK` tokens, for stop strings and
for the end, so that it costs nothing whether a step takes 100 microseconds or 100 milliseconds.
"""

import dataclasses
import functools
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from lleval_jax.core.shapes import few, pad, rung
from lleval_jax.lm.cache import Cache
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.sampling import Numbers, Sampling, Steps, pick

CHUNK = 16  # tokens between two looks of the host
LEAST, PIECE = 8, 512  # tokens of prompts that are read at once: fewest and most
NONE = -1  # in place of a token that was not written

Shape: TypeAlias = nnx.GraphDef
Weights: TypeAlias = nnx.State


class Choice(NamedTuple):
    """How tokens are chosen and where a text ends; what is the same for all rows.

    Attributes:
        numbers: Of the sampling.
        ends: "ends", int32: tokens that end a text, filled up with `NONE`.
    """

    numbers: Numbers
    ends: np.ndarray

    @classmethod
    def of(cls, how: Sampling, ends: Sequence[int]) -> "Choice":
        """Ends in an array of few lengths: one token more compiles nothing."""
        return cls(how.numbers, pad(np.asarray(ends, np.int32), (few(len(ends)),), NONE))


class State(NamedTuple):
    """What the next token of each row needs.

    Attributes:
        cache: Prompt and what was written, but for the last token.
        token: "rows", int32: the last token written.
        used: "rows vocab", bool: tokens of the prompt and of the text; "rows 0" where no penalty asks for them.
        keys: "rows": a random key of each row.
        count: How many tokens were written.
        ended: "rows", bool: rows that write no more. They take no room in the cache.
    """

    cache: Cache
    token: jax.Array
    used: jax.Array
    keys: jax.Array
    count: jax.Array
    ended: jax.Array


@functools.partial(jax.jit, static_argnums=0, donate_argnums=2)
def read(shape: Shape, weights: Weights, cache: Cache, tokens: ArrayLike, segments: ArrayLike) -> Cache:
    """The cache with a piece of each prompt; `segments` is 0 for padding."""
    return nnx.merge(shape, weights).extend(tokens, cache, segments=segments)[1]


@functools.partial(jax.jit, static_argnums=0, static_argnames="steps", donate_argnums=2)
def begin(
    shape: Shape,
    weights: Weights,
    state: State,
    tokens: ArrayLike,
    segments: ArrayLike,
    choice: Choice,
    *,
    steps: Steps,
) -> State:
    """Read the last piece of each prompt, which ends with the row, and write the first token."""
    decoder = nnx.merge(shape, weights)
    hidden, cache = decoder.extend(tokens, state.cache, segments=segments)
    return _chosen(decoder.logits(hidden[:, -1]), state._replace(cache=cache), choice, steps)


@functools.partial(jax.jit, static_argnums=0, static_argnames="steps", donate_argnums=2)
def write(
    shape: Shape, weights: Weights, state: State, choice: Choice, most: jax.Array, *, steps: Steps
) -> tuple[State, jax.Array]:
    """Up to `most` tokens more in each row, fewer when all rows have ended.

    Args:
        shape: Of the decoder.
        weights: Of the decoder.
        state: Of the text so far. The cache has room for `most` tokens.
        choice: How tokens are chosen.
        most: At most `CHUNK`.
        steps: Of the sampling.

    Returns:
        The state, and "rows CHUNK" tokens, `NONE` where none was written.
    """
    decoder = nnx.merge(shape, weights)
    rows = state.token.shape[0]

    def goes_on(carry: tuple[jax.Array, State, jax.Array]) -> jax.Array:
        done, state, _ = carry
        return (done < most) & ~state.ended.all()

    def step(carry: tuple[jax.Array, State, jax.Array]) -> tuple[jax.Array, State, jax.Array]:
        done, state, out = carry
        live = ~state.ended
        hidden, cache = decoder.extend(state.token[:, None], state.cache, segments=live[:, None].astype(jnp.int32))
        state = _chosen(decoder.logits(hidden[:, 0]), state._replace(cache=cache), choice, steps)
        return done + 1, state, out.at[:, done].set(jnp.where(live, state.token, NONE))

    none = jnp.full((rows, CHUNK), NONE, jnp.int32)
    _, state, out = jax.lax.while_loop(goes_on, step, (jnp.int32(0), state, none))
    return state, out


def _chosen(logits: jax.Array, state: State, choice: Choice, steps: Steps) -> State:
    """The state with the next token of the rows that write."""
    keys = jax.vmap(jax.random.fold_in, (0, None))(state.keys, state.count)
    choose = functools.partial(pick, numbers=choice.numbers, steps=steps)
    token = jnp.where(state.ended, 0, jax.vmap(choose)(logits, state.used, keys))
    used = state.used
    if steps.penalised:
        used = used.at[np.arange(token.shape[0]), token].max(~state.ended)
    ended = state.ended | (token[:, None] == choice.ends).any(1)
    return state._replace(token=token, used=used, count=state.count + 1, ended=ended)


def pieces(texts: Sequence[np.ndarray], rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tokens and segments of prompts, "rows tokens" each, in pieces of at most `PIECE` tokens and few widths.

    Each text stands at the end of its row, padding (segment 0) before it: all end in the last column of the last piece.
    """
    size = max(len(text) for text in texts)
    size = max(LEAST, rung(size, 2)) if size <= PIECE else -(-size // PIECE) * PIECE
    tokens, segments = np.zeros((2, rows, size), np.int32)
    for i, text in enumerate(texts):
        tokens[i, size - len(text) :] = text
        segments[i, size - len(text) :] = 1
    cuts = range(0, size, PIECE)
    return [(tokens[:, i : i + PIECE], segments[:, i : i + PIECE]) for i in cuts]


def some(state: State, rows: jax.Array) -> State:
    """The state of these rows alone."""
    alone = {name: getattr(state, name)[rows] for name in ("token", "used", "keys", "ended")}
    return state._replace(cache=state.cache.take(rows, 0), **alone)


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A decoder in the form that writes fastest."""

    decoder: Decoder
    model: tuple[Shape, Weights]
    device: Any

    @property
    def vocab(self) -> int:
        """Tokens that there are."""
        return self.decoder.config.vocab

    def cache(self, rows: int, length: int) -> Cache:
        """An empty cache."""
        return self.decoder.cache(rows, length)

    def bytes_of_row(self, length: int) -> int:
        """Memory of one row's cache."""
        shapes = jax.eval_shape(lambda: self.decoder.cache(1, length))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def program(decoder: Decoder) -> Program:
    """On a CPU the unrolled form: a scan would copy each layer's weights for every token."""
    first, *others = decoder.head().devices()
    fast = decoder if others or first.platform != "cpu" else unrolled(decoder)
    return Program(fast, nnx.split(fast), first)


_UNROLLED: weakref.WeakKeyDictionary[Decoder, tuple[list[weakref.ref], Decoder]] = weakref.WeakKeyDictionary()


def unrolled(decoder: Decoder) -> Decoder:
    """`decoder.unrolled()`, made once: again only where a weight has been replaced since."""
    leaves = jax.tree.leaves(nnx.state(decoder))
    made, found = _UNROLLED.get(decoder, ([], decoder))
    if len(made) != len(leaves) or any(ref() is not leaf for ref, leaf in zip(made, leaves, strict=True)):
        found = decoder.unrolled()
        _UNROLLED[decoder] = ([weakref.ref(leaf) for leaf in leaves], found)
    return found
