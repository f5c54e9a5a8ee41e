"""Log-probabilities of tokens from hidden states, by a log-sum-exp that runs over chunks of the vocabulary.

The log-probability of token t after hidden state h is

    log p(t | h) = z_t - log sum over v of exp z_v,   z_v = cap tanh(h . head_v / cap), or h . head_v without a cap.

Logits of `positions` states and `vocab` tokens are the most that exists at a time: with 262,144 tokens and 4,096 states
all of them are 4.3 GB, a chunk of the defaults 16.8 MB. A chunk brings its maximum and its sum of exponentials, and
those of all chunks are joined as they come (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018,
Algorithm 3). Gradients go over the same chunks once more: the softmax is made again from the log-sum-exp, so that the
backward pass keeps no more than the forward one (and cannot itself be differentiated).
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from lleval_jax.lm.mesh import constrain, parts

if TYPE_CHECKING:
    from lleval_jax.lm.decoder import Decoder

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Chunks:
    """How much of the logits exists at a time. Results depend on it by rounding only.

    vocab      tokens of a chunk
    positions  hidden states of a chunk
    shards     over how many devices the vocabulary is split: each takes its own part of every chunk, of `vocab` tokens
    mesh       of these devices; hidden states are shared out over it by rows. `answer_logprobs` sets both
    """

    vocab: int = 4096
    positions: int = 1024
    shards: int = 1
    mesh: Mesh | None = None

    def on(self, mesh: Mesh | None, vocab: int) -> "Chunks":
        """The same for a model that lies on a mesh."""
        return dataclasses.replace(self, shards=max(self.shards, parts("vocab", vocab, mesh)), mesh=mesh)


CHUNKS = Chunks()


def answer_logprobs(
    decoder: "Decoder",
    tokens: Array,
    places: Array,
    *,
    positions: Array | None = None,
    segments: Array | None = None,
    chunks: Chunks = CHUNKS,
) -> Array:
    """Log-probabilities of some tokens of a batch, each given those before it in its row (and segment).

    Pure and differentiable in the decoder's parameters (in reverse); for use under `jit`. Only hidden states that
    predict a token of `places` meet the head.

    Args:
        decoder: a language model.
        tokens: int32 (rows, length).
        places: int32 (n,), where the tokens stand in `tokens.reshape(-1)`; negative for none, whose result is 0.
            The first token of a row or segment has nothing before it and cannot be asked for.
        positions: int32 (rows, length), as `Decoder.hidden` takes them.
        segments: int32 (rows, length), as `Decoder.hidden` takes them.
        chunks: how much of the logits exists at a time.

    Returns:
        float32 (n,), in nats.

    Example:
        >>> def loss(decoder, tokens, places):
        ...     return -answer_logprobs(decoder, tokens, places).sum()
    """
    hidden = decoder.hidden(tokens, positions, segments)
    chunks = chunks.on(decoder.mesh, decoder.config.vocab)
    return at_places(hidden, decoder.head(), tokens, places, cap=decoder.config.final_cap, chunks=chunks)


def at_places(
    hidden: Array, head: Array, tokens: Array, places: Array, *, cap: float | None = None, chunks: Chunks = CHUNKS
) -> Array:
    """Log-probabilities of the tokens at `places`, from hidden states (rows, length, width) of all tokens.

    The state before a place predicts its token. See `answer_logprobs`.
    """
    before = jnp.maximum(places - 1, 0)
    states = hidden.reshape(-1, hidden.shape[-1])[before]
    targets = tokens.reshape(-1)[jnp.maximum(places, 0)]
    return jnp.where(places >= 0, token_logprobs(states, head, targets, cap, chunks), 0.0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def token_logprobs(
    hidden: Array, head: Array, targets: Array, cap: float | None = None, chunks: Chunks = CHUNKS
) -> Array:
    """Log-probability of one token after each hidden state.

    Args:
        hidden: (n, width), float32 or less exact.
        head: (vocab, width); cast to the type of `hidden`. `chunks.shards` divides vocab.
        targets: int32 (n,), tokens.
        cap: of the logits, `cap tanh(logit / cap)`; None for none.
        chunks: how much of the logits exists at a time.

    Returns:
        float32 (n,), in nats. Products are summed in float32 whatever the type of `hidden`.
    """
    return _forward(hidden, head, targets, cap, chunks)[0]


class _Running(NamedTuple):
    """What the chunks seen so far have brought, of each hidden state: float32 (n,)."""

    most: Array  # the largest logit
    total: Array  # sum of exponentials, in units of exp(most)
    picked: Array  # the target's logit; 0 until its chunk has come


class _Part(NamedTuple):
    """A chunk of the vocabulary: its rows of the head, and which tokens they are."""

    head: Array  # (shards, size, width)
    tokens: Array  # (shards, size)


def _forward(hidden: Array, head: Array, targets: Array, cap: float | None, chunks: Chunks) -> tuple[Array, Any]:
    blocks, known = _in_chunks(chunks, hidden, targets)
    start = jnp.zeros(known.shape, jnp.float32)

    def step(running: _Running, part: _Part) -> tuple[_Running, None]:
        one = functools.partial(_joined, cap=cap, part=part)
        return lax.map(lambda block: one(*block), (running, blocks, known)), None

    running, _ = _over_parts(step, _Running(start - jnp.inf, start, start), head, chunks)
    found = running.picked - running.most - jnp.log(running.total)  # never above 0, in this order
    return found.reshape(-1)[: len(targets)], (hidden, head, targets, running.most + jnp.log(running.total))


def _backward(cap: float | None, chunks: Chunks, kept: Any, cotangent: Array) -> tuple[Array, Array, None]:
    hidden, head, targets, normaliser = kept
    blocks, known, pull = _in_chunks(chunks, hidden, targets, cotangent)

    def step(gradient: Array, part: _Part) -> tuple[Array, Array]:
        def one(of_part: Array, block: tuple[Array, ...]) -> tuple[Array, Array]:
            states, towards = block[0], _towards(*block[:4], cap=cap, part=part).astype(hidden.dtype)
            back = _product("nsc,scw->nw", towards, part.head)
            return of_part + _product("nsc,nw->scw", towards, states), block[4] + back

        of_part, gradient = lax.scan(
            one, jnp.zeros(part.head.shape, jnp.float32), (blocks, known, normaliser, pull, gradient)
        )
        return gradient, of_part.astype(head.dtype)

    gradient, of_head = _over_parts(step, jnp.zeros(blocks.shape, jnp.float32), head, chunks)
    of_hidden = gradient.reshape(-1, hidden.shape[-1])[: len(hidden)]
    return of_hidden.astype(hidden.dtype), of_head, None


token_logprobs.defvjp(_forward, _backward)


def _joined(running: _Running, states: Array, targets: Array, *, cap: float | None, part: _Part) -> _Running:
    """What is known after one more chunk."""
    logits = _capped(_product("nw,scw->nsc", states, part.head), cap)
    most = jnp.maximum(running.most, logits.max((1, 2)))
    more = jnp.exp(logits - most[:, None, None]).sum((1, 2))
    here = jnp.where(part.tokens[None] == targets[:, None, None], logits, 0.0).sum((1, 2))
    return _Running(most, running.total * jnp.exp(running.most - most) + more, running.picked + here)


def _towards(states: Array, targets: Array, normaliser: Array, pull: Array, *, cap: float | None, part: _Part) -> Array:
    """Derivative by the products of a chunk, before the cap: pull x (1 at the target, less the softmax)."""
    logits = _capped(_product("nw,scw->nsc", states, part.head), cap)
    hit = (part.tokens[None] == targets[:, None, None]).astype(jnp.float32)
    slope = 1.0 if cap is None else 1 - (logits / cap) ** 2
    return pull[:, None, None] * (hit - jnp.exp(logits - normaliser[:, None, None])) * slope


def _product(shape: str, left: Array, right: Array) -> Array:
    """A product summed in float32; of float32 itself without the short cuts that accelerators take."""
    exact = lax.Precision.HIGHEST if left.dtype == jnp.float32 else None
    return jnp.einsum(shape, left, right.astype(left.dtype), precision=exact, preferred_element_type=jnp.float32)


def _capped(logits: Array, cap: float | None) -> Array:
    return logits if cap is None else cap * jnp.tanh(logits / cap)


def _in_chunks(chunks: Chunks, *arrays: Array) -> tuple[Array, ...]:
    """Arrays (n, ...) as (chunks, size or less, ...): as even as can be, the last padded with zeros."""
    count = max(1, math.ceil(len(arrays[0]) / chunks.positions))
    each = math.ceil(len(arrays[0]) / count)
    more = count * each - len(arrays[0])
    padded = (jnp.pad(one, [(0, more), *[(0, 0)] * (one.ndim - 1)]) for one in arrays)
    blocks = (one.reshape(count, each, *one.shape[1:]) for one in padded)
    return tuple(constrain(one, (None, "rows", None)[: one.ndim], chunks.mesh) for one in blocks)


def _over_parts(step: Callable[[Any, _Part], tuple[Any, Any]], start: Any, head: Array, chunks: Chunks) -> Any:
    """A scan over the chunks of the vocabulary, the last of which may be shorter; what steps bring back, put together.

    The head is cut where each chunk is needed, never padded or reordered, which would copy it.
    """
    vocab, width = head.shape
    each = vocab // chunks.shards
    whole = head.reshape(chunks.shards, each, width)
    names = jnp.arange(vocab, dtype=jnp.int32).reshape(chunks.shards, each)
    size = min(chunks.vocab, each)
    count, rest = divmod(each, size)

    def cut(first: Array | int, size: int) -> _Part:
        head, tokens = (lax.dynamic_slice_in_dim(one, first, size, axis=1) for one in (whole, names))
        return _Part(constrain(head, ("vocab", None, None), chunks.mesh), tokens)

    carried, brought = lax.scan(lambda held, k: step(held, cut(k * size, size)), start, jnp.arange(count))
    if brought is not None:  # (count, shards, size, width)
        brought = brought.transpose(1, 0, 2, 3).reshape(chunks.shards, count * size, width)
    if rest:
        carried, last = step(carried, cut(count * size, rest))
        brought = None if brought is None else jnp.concatenate([brought, last], axis=1)
    return carried, None if brought is None else brought.reshape(vocab, width)
