"""Dropout of an encoder's own, in training steps: what transformers calls `hidden_dropout_prob`.

BERT drops numbers after its embeddings, and of what attention and the feed-forward layer add. The encoder knows nothing
of it: a training step wraps these three layers of a copy.
"""

from collections.abc import Callable
from typing import cast

import jax
from flax import nnx

from lleval_jax.lm.encoder import Encoder
from lleval_jax.training.low_rank.lora import Noise, dropped


class Noisy(nnx.Module):
    """A layer of whose output a share is dropped."""

    def __init__(self, base: nnx.Module, share: float, key: jax.Array) -> None:
        self.base, self.share, self.noise = base, share, Noise(key)

    def __call__(self, x: jax.Array) -> jax.Array:
        """As the layer, in training."""
        return dropped(cast(Callable[[jax.Array], jax.Array], self.base)(x), self.share, self.noise[...])


def with_dropout(encoder: Encoder, share: float, key: jax.Array) -> Encoder:
    """The encoder with dropout where BERT has it, for one training step; weights are shared, not copied.

    Args:
        encoder: adapters or none.
        share: of the numbers that are dropped.
        key: of this step.
    """
    encoder = nnx.merge(*nnx.split(encoder))
    layers = (encoder.config.layers,)
    keys = jax.random.split(key, 3)
    encoder.norm = Noisy(encoder.norm, share, keys[0])  # type: ignore[assignment]
    blocks = encoder.blocks
    blocks.attention.output = Noisy(blocks.attention.output, share, jax.random.split(keys[1], layers))  # type: ignore[assignment]
    blocks.mlp.down = Noisy(blocks.mlp.down, share, jax.random.split(keys[2], layers))  # type: ignore[assignment]
    return encoder
