"""How well a model answers held-out questions when it is shown the answers up to each token."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lleval_jax.lm.decoder import Decoder
from lleval_jax.training.run.batches import Packed


class Answers(NamedTuple):
    """Of the tokens of all answers in a batch.

    logprobs  (n,) in nats
    greedy    (n,) the likeliest token
    wanted    (n,) the token of the answer
    answer    (n,) number of the answer that it belongs to
    """

    logprobs: np.ndarray
    greedy: np.ndarray
    wanted: np.ndarray
    answer: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """(answers,) whether all tokens of an answer are the likeliest: a greedy answer is then the wanted one."""
        return np.array([(self.greedy == self.wanted)[self.answer == k].all() for k in np.unique(self.answer)])

    def summary(self) -> dict[str, float]:
        """Nats a token, the share of tokens and the share of whole answers that are the likeliest."""
        found = (self.logprobs.mean(), (self.greedy == self.wanted).mean(), self.right.mean())
        named = zip(("logprob", "tokens", "answers"), found, strict=True)
        return {name: round(float(value), 5) for name, value in named} | {"count": len(self.right)}


def scored(model: Any, batch: Packed) -> Answers:
    """The answers of a batch under a decoder, adapted or not."""
    return scored_parts(*nnx.split(model), batch)


def scored_parts(shape: Any, state: Any, batch: Packed) -> Answers:
    """The same of a decoder that is taken apart."""
    there = batch.places >= 0
    logprobs, greedy = (np.asarray(each)[there] for each in _scored(shape, state, batch))
    return Answers(logprobs, greedy, batch.tokens.reshape(-1)[batch.places[there]], batch.answer[there])


@jax.jit(static_argnums=0)
def _scored(shape: Any, state: Any, batch: Packed) -> tuple[jax.Array, jax.Array]:
    """Log-probability of the token at each place, and the likeliest token there."""
    model: Decoder = nnx.merge(shape, state)
    tokens, positions, segments, places, _ = map(jnp.asarray, batch)
    hidden = model.hidden(tokens, positions, segments)
    logits = model.logits(hidden.reshape(-1, hidden.shape[-1])[jnp.maximum(places - 1, 0)]).astype(jnp.float32)
    picked = jnp.take_along_axis(logits, tokens.reshape(-1)[jnp.maximum(places, 0)][:, None], 1)[:, 0]
    return picked - jax.nn.logsumexp(logits, -1), jnp.argmax(logits, -1).astype(jnp.int32)
