"""How probable a language model finds given answers, in nats; and a text, as perplexity."""

import dataclasses
import functools
import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np
from flax import nnx

from lleval_jax.errors import require
from lleval_jax.lm.cache import Cache
from lleval_jax.lm.logprobs import CHUNKS, Chunks, answer_logprobs, at_places
from lleval_jax.lm.packing import Row, Stage, plan
from lleval_jax.lm.rows import Text, long_rows, token_rows
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.value import Value

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

SHARED = 32  # tokens of a beginning from which reading it once is worth the work
BATCH = {"cpu": 2048}  # tokens of a batch by platform
LARGE = 16_384  # and on all others


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Scored(Value):
    """Log-probabilities of answers, each given its prompt: natural logarithms, in nats.

    sums      float64 (rows,)           of whole answers
    logprobs  float32 (rows, longest)   of each token, 0 where an answer has ended
    tokens    int32 (rows, longest)     the answers' tokens, 0 where an answer has ended
    seen      bool (rows, longest)      where an answer has a token
    """

    sums: np.ndarray
    logprobs: np.ndarray
    tokens: np.ndarray
    seen: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each answer, int (rows,)."""
        return self.seen.sum(1)

    @property
    def means(self) -> np.ndarray:
        """Log-probability per token of each answer, (rows,)."""
        return self.sums / self.lengths


def score(
    model: "LanguageModel",
    prompts: Sequence[Text],
    answers: Sequence[Text],
    *,
    chat: bool = False,
    share: int = SHARED,
    batch: int | None = None,
    chunks: Chunks = CHUNKS,
    tell: Tell = silent,
) -> Scored:
    """The log-probability of each answer after its prompt.

    **Where the answer begins** is settled as lm-evaluation-harness does: prompt and answer are encoded in one piece,
    and the answer's tokens are those after as many as the prompt has by itself, without blanks and line breaks at its
    end, which count to the answer. So "The capital is" with " Paris" and "The capital is " with "Paris" are the same.
    Prompts and answers may be token ids, which are taken as they are; where only one of them is, the other is encoded
    alone. What the model expects before every text (bos) is put before prompts that are texts; for an empty prompt it
    is all that comes before the answer.

    Args:
        model: what `lm.load` gives.
        prompts: texts or token ids.
        answers: one for each prompt.
        chat: put each prompt that is a text into the model's chat template, as what the user says; the answer is then
            encoded alone, as the assistant's.
        share: beginnings of at least so many tokens that prompts have in common are read once; 0 for never. Results
            depend on it, as on `batch` and `chunks`, by rounding only.
        batch: tokens that are computed at a time, about; None: 2,048 on a CPU, 16,384 elsewhere.
        chunks: how much of the logits exists at a time.
        tell: called with the tokens done, of how many.

    Returns:
        Sums, and the log-probability of each token.

    Raises:
        BadInput: an answer is empty, a prompt is and the model has no bos, a row is longer than the model's context, an
            id is no token of the model, or prompts and answers are not of one number. The row is named, from 0.

    Example:
        >>> model = lm.load("tiny-lm")  # doctest: +SKIP
        >>> lm.score(model, ["2 + 2 ="] * 2, [" 4", " 5"]).sums  # doctest: +SKIP
    """
    rows = token_rows(model, prompts, answers, chat=chat)
    return _gathered(rows, _scored(model, rows, share, batch, chunks, tell))


def perplexity(
    model: "LanguageModel",
    text: Text,
    *,
    window: int | None = None,
    stride: int | None = None,
    batch: int | None = None,
    tell: Tell = silent,
) -> float:
    """Perplexity of a text: exp of the mean negative log-probability of its tokens.

    Each token is scored once, given what comes before it, as far as that is in its window: the first window is scored
    whole, and each later one `stride` tokens further, where only its last `stride` tokens are. Without a token that
    begins every text (bos) the first token of the text is only read.

    Args:
        model: what `lm.load` gives.
        text: a text, or its token ids.
        window: tokens that are read at a time; None is the model's context.
        stride: from 1 to window - 1; None is half a window: each token is given at least as much as that.
        batch: as in `score`.
        tell: called with the tokens done, of how many.

    Raises:
        BadInput: the text is of less than two tokens, or window or stride are out of bounds.
    """
    rows = long_rows(model, text, window, stride)
    return math.exp(-_scored(model, rows, 0, batch, CHUNKS, tell).mean(dtype=np.float64))


def _scored(
    model: "LanguageModel", rows: Sequence[Row], share: int, batch: int | None, chunks: Chunks, tell: Tell
) -> np.ndarray:
    """Log-probabilities of the scored tokens of all rows, one after another."""
    batch = batch or BATCH.get(jax.default_backend(), LARGE)
    require(batch >= 1 and share >= 0, f"batch is {batch} and share {share}; they must be positive")
    chunks, multiple = _on_mesh(model, chunks)
    stages = plan(rows, batch=batch, share=share, multiple=multiple)
    total = sum(stage.count for stage in stages)
    found = np.zeros(sum(len(row.tokens) - row.start for row in rows), np.float32)
    began, done, waiting = time.perf_counter(), 0, []
    tell(Progress("scoring", 0, total, unit="tokens"))
    for count, into, result in _run(model, stages, chunks):
        waiting.append((count, into, result))
        if len(waiting) > 1:  # the next is under way while this one is taken in
            done += _take_in(found, *waiting.pop(0))
            tell(_progress(done, total, began))
    for one in waiting:
        done += _take_in(found, *one)
    tell(_progress(done, total, began))
    return found


def _on_mesh(model: "LanguageModel", chunks: Chunks) -> tuple[Chunks, int]:
    """Chunks as the vocabulary is shared out, and what the number of rows is a multiple of."""
    on = model.decoder.mesh
    if on is None:
        return chunks, 1
    return chunks.on(on, model.config.vocab), on.shape["data"] * on.shape["fsdp"]


def _progress(done: int, total: int, began: float) -> Progress:
    return Progress("scoring", done, total, unit="tokens", rate=done / (time.perf_counter() - began))


def _take_in(found: np.ndarray, count: int, into: np.ndarray, result: jax.Array) -> int:
    found[into] = np.asarray(result)[: len(into)]
    return count


def _run(
    model: "LanguageModel", stages: Sequence[Stage], chunks: Chunks
) -> Iterator[tuple[int, np.ndarray, jax.Array]]:
    """Tokens, where results go, and results, of one batch after another."""
    shape, weights = nnx.split(model.decoder)
    for stage in stages:
        cache, read = None, stage.beginnings
        if read:
            cache = _read(shape, weights, stage.tokens, stage.segments)
        for batch in stage.batches:
            arrays = (batch.tokens, batch.positions, batch.segments, batch.places)
            if cache is None:
                result = _whole(shape, weights, *arrays, chunks=chunks)
            else:
                result = _onwards(shape, weights, cache, batch.owners, *arrays, chunks=chunks)
            yield read + batch.count, batch.into, result
            read = 0


@functools.partial(jax.jit, static_argnums=0, static_argnames="chunks")
def _whole(shape, weights, tokens, positions, segments, places, *, chunks):  # noqa: ANN001, ANN202
    decoder = nnx.merge(shape, weights)
    return answer_logprobs(decoder, tokens, places, positions=positions, segments=segments, chunks=chunks)


@functools.partial(jax.jit, static_argnums=0)
def _read(shape, weights, tokens, segments) -> Cache:  # noqa: ANN001
    """The cache of beginnings."""
    decoder = nnx.merge(shape, weights)
    return decoder.extend(tokens, decoder.cache(*tokens.shape), segments=segments)[1]


@functools.partial(jax.jit, static_argnums=0, static_argnames="chunks")
def _onwards(shape, weights, cache, owners, tokens, positions, segments, places, *, chunks):  # noqa: ANN001, ANN202
    """What goes on from beginnings; each row from the one that owns it."""
    decoder = nnx.merge(shape, weights)
    hidden, _ = decoder.extend(tokens, cache.take(owners, tokens.shape[1]), positions, segments)
    return at_places(hidden, decoder.head(), tokens, places, cap=decoder.config.final_cap, chunks=chunks)


def _gathered(rows: Sequence[Row], flat: np.ndarray) -> Scored:
    """Results one after another, as a table with a row for each answer."""
    lengths = np.array([len(row.tokens) - row.start for row in rows], int)
    seen = np.arange(lengths.max(initial=0)) < lengths[:, None]
    logprobs, tokens = np.zeros(seen.shape, np.float32), np.zeros(seen.shape, np.int32)
    logprobs[seen] = flat
    tokens[seen] = np.concatenate([row.tokens[row.start :] for row in rows]) if rows else 0
    return Scored(logprobs.sum(1, dtype=np.float64), logprobs, tokens, seen)
