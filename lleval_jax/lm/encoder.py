"""One encoder for BERT, RoBERTa and MiniLM: every token attends to every other of its text.

Devlin et al. 2019 (BERT), Liu et al. 2019 (RoBERTa: positions that begin past the padding token's number, no second
type), Wang et al. 2020 (MiniLM: a small BERT). Norms stand after each sum ("post-norm"). The families' classification
heads are the same function under two names: a dense layer with tanh on the first token, then a linear one.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from lleval_jax.core.precision import full_precision
from lleval_jax.errors import BadInput, require_known
from lleval_jax.lm.decoder import within
from lleval_jax.lm.encoder_config import EncoderConfig
from lleval_jax.lm.layers import MLP, Attention, Dtype, Embedding, Linear, Norm, Stack
from lleval_jax.lm.mesh import STREAM, constrain, looked_up

POOLINGS = ("mean", "first", "pooler")


class Block(nnx.Module):
    """Attention and a feed-forward layer, each added to what came in and normed after."""

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs, dtype: Dtype, stack: Stack = ()) -> None:
        common: dict[str, Any] = {"rngs": rngs, "dtype": dtype, "stack": stack}
        self.scale = (config.width // config.heads) ** -0.5
        self.attention = Attention(config.block, **common)
        self.attention_norm = norm(config, **common)
        self.mlp = MLP(config.block, **common)
        self.mlp_norm = norm(config, **common)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Tokens after the block, "rows tokens width"; `mask` says who sees whom, "rows tokens tokens"."""
        x = self.attention_norm(x + self.attention(x, mask, None, self.scale)[0])
        return self.mlp_norm(x + self.mlp(x))


def norm(config: EncoderConfig, **common: Any) -> Norm:
    """A layer norm over the width."""
    return Norm(config.width, kind="layer", eps=config.norm_eps, **common)


class Encoder(nnx.Module):
    """A text encoder, its blocks stacked by layer and scanned.

    Args:
        config: Its shape.
        rngs: For random weights; `nnx.Rngs(0)` if not given.
        dtype: Of the parameters.
        compute: Of products and what passes between layers; None is `dtype`. Norms, softmax, pooling and logits are
            computed in float32 whatever it is.
        mesh: The devices that its work is shared out to (`mesh.place`); None for one.

    Example:
        >>> encoder = Encoder(EncoderConfig("bert", vocab=32, layers=2, width=16, heads=4, hidden=32))
        >>> encoder.hidden(jnp.array([[1, 2, 3]])).shape
        (1, 3, 16)
    """

    def __init__(
        self,
        config: EncoderConfig,
        *,
        rngs: nnx.Rngs | None = None,
        dtype: Dtype = jnp.float32,
        compute: Dtype | None = None,
        mesh: Mesh | None = None,
    ) -> None:
        common: dict[str, Any] = {"rngs": rngs or nnx.Rngs(0), "dtype": dtype}
        self.config, self.mesh = config, mesh
        self.compute = jnp.dtype(dtype if compute is None else compute)
        self.words = Embedding(config.vocab, config.width, **common)
        self.positions = Embedding(config.positions, config.width, axis=None, **common)
        self.types = Embedding(config.types, config.width, axis=None, **common)
        self.norm = norm(config, **common)
        self.blocks = Block(config, stack=(config.layers,), **common)
        square = {"axes": (None, "embed"), "bias": True, **common}
        self.pooler = Linear(config.width, config.width, **square) if config.pooled else None
        self.classifier = Linear(config.width, len(config.labels), **square) if config.labels else None

    @full_precision
    def hidden(
        self,
        tokens: jax.Array,
        positions: jax.Array | None = None,
        segments: jax.Array | None = None,
        types: jax.Array | None = None,
    ) -> jax.Array:
        """Each token after all blocks, "rows tokens width".

        Args:
            tokens: "rows tokens", int32.
            positions: "rows tokens", int32, from 0 in both families. None: counted from 0 within each segment.
            segments: "rows tokens", int32: tokens of one number, which lie together, see each other and no others;
                0 is padding. None: each row is one text.
            types: "rows tokens", int32: 0, or 1 for a pair's second text. None: all 0.
        """
        positions = within(segments, tokens) if positions is None else positions
        segments = jnp.ones_like(tokens) if segments is None else segments
        mask = (segments[:, :, None] == segments[:, None]) & (segments != 0)[:, None]
        x = self._embed(tokens, positions, types)
        shape, state = nnx.split(self.blocks)

        def layer(x: jax.Array, weights: nnx.State) -> tuple[jax.Array, None]:
            return constrain(nnx.merge(shape, weights)(x, mask), STREAM, self.mesh), None

        return jax.lax.scan(layer, x, state)[0]

    @full_precision
    def pooled(
        self, tokens: jax.Array, *, pooling: str = "mean", unit: bool = False, **given: jax.Array | None
    ) -> jax.Array:
        """One vector for each row, "rows width", float32.

        Args:
            tokens: "rows tokens", int32: one text a row.
            pooling: "mean" over the row's tokens, padding left out; "first", the first token's; or "pooler", that of
                the pooler on the first token.
            unit: Scaled to length 1 (Reimers & Gurevych 2019 compare by cosine).
            **given: As for `hidden`.

        Raises:
            BadInput: The pooling is not known, or there is no pooler.
        """
        require_known(pooling, POOLINGS, "pooling")
        hidden = self.hidden(tokens, **given).astype(jnp.float32)
        if pooling == "mean":
            vectors = mean(hidden, given.get("segments"))
        else:
            vectors = hidden[:, 0] if pooling == "first" else self._first(hidden)
        return vectors / jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12) if unit else vectors

    @full_precision
    def classify(self, tokens: jax.Array, **given: jax.Array | None) -> jax.Array:
        """Logits of the labels, "rows labels", float32; arguments as for `hidden`, one text a row.

        Raises:
            BadInput: There is no classification head.
        """
        if self.classifier is None:
            raise BadInput("the encoder has no classification head: its config has no labels")
        return self.classifier(self._first(self.hidden(tokens, **given).astype(jnp.float32)))

    def _embed(self, tokens: jax.Array, positions: jax.Array, types: jax.Array | None) -> jax.Array:
        types = jnp.zeros_like(tokens) if types is None else types
        parts = (self.words, tokens), (self.types, types), (self.positions, positions + self.config.first)
        words, kinds, places = (table(rows, self.compute) for table, rows in parts)
        return self.norm(looked_up(words + kinds + places, self.mesh))

    def _first(self, hidden: jax.Array) -> jax.Array:
        """The pooler: a dense layer with tanh on the first token, "rows width"."""
        if self.pooler is None:
            raise BadInput("the encoder has no pooler: its config has pooled=False")
        return jnp.tanh(self.pooler(hidden[:, 0]))


def mean(hidden: jax.Array, segments: jax.Array | None) -> jax.Array:
    """The mean of a row's tokens, "rows width"; 0 for a row of padding."""
    if segments is None:
        return hidden.mean(1)
    seen = (segments != 0).astype(hidden.dtype)
    return jnp.einsum("rtw,rt->rw", hidden, seen) / jnp.maximum(seen.sum(1, keepdims=True), 1)
