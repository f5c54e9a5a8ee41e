"""Texts to numbers: one vector each, or the logits of an encoder's head, in batches of like lengths."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from lleval_jax.core import shapes
from lleval_jax.errors import BadInput, require, require_known
from lleval_jax.lm.encoder import POOLINGS, Encoder
from lleval_jax.lm.text_encoder import TextEncoder
from lleval_jax.lm.tokens import Tokens
from lleval_jax.values.progress import Progress, Tell, silent

TOKENS = 4096  # of a batch, padding included: so many keep two cores busy, and their numbers stay in the cache
EIGHT = 8  # lengths are multiples of it

Text = str | tuple[str, str]


class Framed(NamedTuple):
    """A text as an encoder reads it: its tokens, and 0 or 1 for the text of a pair that each belongs to."""

    ids: list[int]
    types: list[int]


class Batch(NamedTuple):
    """Texts of like lengths, in the leading rows of padded arrays.

    texts     index of each text
    tokens    int32 (rows, tokens)
    segments  int32 (rows, tokens): 1 for a token, 0 for padding
    types     int32 (rows, tokens): 1 for a token of a pair's second text
    """

    texts: np.ndarray
    tokens: np.ndarray
    segments: np.ndarray
    types: np.ndarray


def embed(
    model: TextEncoder,
    texts: Sequence[Text],
    *,
    pooling: str | None = None,
    unit: bool | None = None,
    batch: int = TOKENS,
    tell: Tell = silent,
) -> np.ndarray:
    """One vector for each text.

    Args:
        model: From `lm.load_encoder`.
        texts: Texts, or pairs of them that are read together. What goes beyond `model.use.limit` tokens is cut off.
        pooling: "mean" of a text's tokens, "first" (the token [CLS]) or "pooler" (BERT's dense layer on it); None for
            what the model was made for.
        unit: Vectors of length 1, so that a product of two is their cosine; None for what the model was made for.
        batch: Tokens computed at once, padding included.
        tell: Called as it goes on.

    Returns:
        float32 (texts, width), in the order of the texts. A text's vector does not depend on the other texts.

    Raises:
        BadInput: A text is none, or the pooling is not known or not in the model.

    >>> encoder = lm.load_encoder("minilm")                            # doctest: +SKIP
    >>> lm.embed(encoder, ["A cat sat.", "There sat a cat."]).shape    # doctest: +SKIP
    (2, 384)
    """
    pooling = model.use.pooling if pooling is None else pooling
    require_known(pooling, POOLINGS, "pooling")
    require(pooling != "pooler" or model.config.pooled, f"{model.name} has no pooler")
    unit = model.use.unit if unit is None else unit
    return _run(model, texts, model.config.width, batch, "embedding", tell, functools.partial(_pooled, pooling, unit))


def classify(model: TextEncoder, texts: Sequence[Text], *, batch: int = TOKENS, tell: Tell = silent) -> np.ndarray:
    """The logits of the classification head: float32 (texts, labels), in the order of `model.config.labels`.

    Args:
        model: From `lm.load_encoder`, of a checkpoint with a classification head.
        texts: Texts, or pairs of them, as for `embed`.
        batch: Tokens computed at once, padding included.
        tell: Called as it goes on.

    Raises:
        BadInput: The model has no such head, or a text is none.
    """
    require(bool(model.config.labels), f"{model.name} has no classification head")
    return _run(model, texts, len(model.config.labels), batch, "classifying", tell, _classified)


def _run(
    model: TextEncoder, texts: Sequence[Text], width: int, batch: int, word: str, tell: Tell, kernel: Callable[..., Any]
) -> np.ndarray:
    """A kernel's numbers for each text. While one batch is computed the next is laid out and sent."""
    graph, state = nnx.split(model.encoder)
    found = np.zeros((len(texts), width), np.float32)
    waiting: list[tuple[np.ndarray, jax.Array]] = []
    done = 0
    for each in batches(model, texts, batch):
        waiting.append((each.texts, kernel(graph, state, each.tokens, each.segments, each.types)))
        if len(waiting) > 1:
            done += _take(found, waiting.pop(0))
            tell(Progress(word, done, len(texts), unit="texts"))
    for last in waiting:
        done += _take(found, last)
        tell(Progress(word, done, len(texts), unit="texts"))
    return found


def _take(found: np.ndarray, computed: tuple[np.ndarray, jax.Array]) -> int:
    """Put a batch's rows where they belong; how many there are."""
    rows, values = computed
    found[rows] = np.asarray(values)[: len(rows)]
    return len(rows)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _pooled(pooling: str, unit: bool, graph: Any, state: Any, tokens: Any, segments: Any, types: Any) -> jax.Array:
    encoder: Encoder = nnx.merge(graph, state)
    return encoder.pooled(tokens, segments=segments, types=types, pooling=pooling, unit=unit)


@functools.partial(jax.jit, static_argnums=0)
def _classified(graph: Any, state: Any, tokens: Any, segments: Any, types: Any) -> jax.Array:
    encoder: Encoder = nnx.merge(graph, state)
    return encoder.classify(tokens, segments=segments, types=types)


def batches(model: TextEncoder, texts: Sequence[Text], batch: int = TOKENS) -> Iterator[Batch]:
    """The texts in batches, the longest first: shapes on a short ladder, so few programs are compiled."""
    require(batch >= 1, f"batch is {batch}; it is a number of tokens, 1 or more")
    read = framed(model.tokens, _checked(texts), model.use.limit)
    lengths = np.array([len(one.ids) for one in read], int)
    order = np.argsort(-lengths, kind="stable")
    at = 0
    while at < len(order):
        length = min(_rung(int(lengths[order[at]])), model.config.context)
        rows = min(_power(max(1, batch // length)), _power(len(order) - at, up=True))
        chosen = order[at : at + rows]
        yield _laid_out(chosen, [read[i] for i in chosen], (rows, length), model.config.pad)
        at += rows


def framed(tokens: Tokens, texts: Sequence[Text], limit: int) -> list[Framed]:
    """Each text or pair as the encoder reads it, cut to `limit` tokens, [CLS] and [SEP] among them.

    A pair is cut as transformers cuts it: the longer text first, then both alike.
    """
    single = [text for text in texts if isinstance(text, str)]
    room = limit - len(tokens.begin) - len(tokens.end)
    require(room > 0, f"the limit of {limit} tokens leaves no room for a text")
    bare = iter(tokens.encode_all(single))
    found = []
    for text in texts:
        if isinstance(text, str):
            ids = [*tokens.begin, *next(bare)[:room], *tokens.end]
            found.append(Framed(ids, [0] * len(ids)))
        else:
            found.append(_pair(tokens, text, limit))
    return found


def _pair(tokens: Tokens, texts: tuple[str, str], limit: int) -> Framed:
    ids, types = tokens.pair(*texts)
    excess = len(ids) - limit
    if excess <= 0:
        return Framed(ids, types)
    first, second = map(len, tokens.encode_all(texts))
    end = len(ids) - len(tokens.end)
    kept = _shares(first, second, first + second - excess)
    starts = len(tokens.begin), end - second
    gone = {*range(starts[0] + kept[0], starts[0] + first), *range(starts[1] + kept[1], end)}
    left = [at for at in range(len(ids)) if at not in gone]
    return Framed([ids[at] for at in left], [types[at] for at in left])


def _shares(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each of two texts are kept in so much room."""
    short, long = sorted((first, second))
    short = short if 2 * short <= room else room // 2
    long = min(long, room - short)
    return (short, long) if first <= second else (long, short)


def _checked(texts: Sequence[Text]) -> list[Text]:
    if isinstance(texts, str):
        raise BadInput("texts is one text; give a list of texts")
    for at, text in enumerate(texts):
        pair = isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text)
        require(isinstance(text, str) or pair, f"text {at} is {text!r}; it must be a text, or a pair of texts")
    return list(texts)


def _rung(length: int) -> int:
    """The next length of 8, 16, ..., 64, 80, ..., 128, 160, ...: four an octave."""
    return EIGHT * shapes.rung(-(-length // EIGHT), 4)


def _power(size: int, *, up: bool = False) -> int:
    """The power of two at or below `size`, or at or above it."""
    return 1 << ((size - 1).bit_length() if up else size.bit_length() - 1)


def _laid_out(texts: np.ndarray, read: Sequence[Any], shape: tuple[int, int], pad: int) -> Batch:
    """A padded batch; rows past the last text hold one token, so that no row is empty."""
    tokens = np.full(shape, pad, np.int32)
    segments, types = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    segments[:, 0] = 1
    for row, one in enumerate(read):
        size = len(one.ids)
        tokens[row, :size], segments[row, :size], types[row, :size] = one.ids, 1, one.types
    return Batch(texts, tokens, segments, types)
