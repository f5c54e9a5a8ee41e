"""The parts that decoders and encoders are built from: linear layers, norms, embeddings, attention, MLP.

Every part takes `stack`: leading axes of its weights, (layers,) where one `lax.scan` runs over all layers.
Weights keep the names of their axes as `axes` ("vocab", "embed", "heads", "kv_heads", "mlp", "layers"), which
`mesh` turns into shardings. Linear weights lie as (out, in), as in Hugging Face's files: what is read needs no
transposing, and on a CPU products with few rows are no slower.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from lleval_jax.lm.config import Config
from lleval_jax.lm.rotary import Angles, rotate

Dtype = jax.typing.DTypeLike
Stack = tuple[int, ...]
Keep = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array, Any]] | None
ACTIVATION: dict[str, Callable[[jax.Array], jax.Array]] = {
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": jax.nn.gelu,
    "relu": jax.nn.relu,
}


def normal(scale: float) -> nnx.Initializer:
    """Weights drawn from N(0, scale^2)."""
    return nnx.initializers.normal(scale)


def parameter(
    rngs: nnx.Rngs,
    init: nnx.Initializer,
    shape: tuple[int, ...],
    axes: tuple[str | None, ...],
    dtype: Dtype,
    stack: Stack,
) -> nnx.Param:
    """A weight of `shape` with named axes, `stack` in front."""
    names = ("layers",) * len(stack) + axes
    return nnx.Param(init(rngs.params(), (*stack, *shape), dtype), axes=names)


def product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """From x "... in" and a weight "out in" to "... out", as a product of two matrices.

    With the leading axes apart, the weight's gradient on a CPU is computed from transposed copies of x and of what
    comes back, into which all that is elementwise is fused, column by column: an MLP's backward pass takes 1.7 times
    as long.
    """
    *leading, inner = x.shape
    flat = jnp.einsum("ni,oi->no", x.reshape(math.prod(leading), inner), weight)
    return flat.reshape(*leading, weight.shape[0])


class Linear(nnx.Module):
    """x -> x W' + b, in the type of x. `weight` is "out in", `bias` "out" or None.

    All products with weights go through this class, but for embedding and head: adapters wrap it.
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        *,
        axes: tuple[str | None, str | None],
        rngs: nnx.Rngs,
        bias: bool = False,
        dtype: Dtype = jnp.float32,
        stack: Stack = (),
        scale: float = 0.02,
    ) -> None:
        self.weight = parameter(rngs, normal(scale), (outer, inner), axes, dtype, stack)
        zeros = nnx.initializers.zeros
        self.bias = parameter(rngs, zeros, (outer,), axes[:1], dtype, stack) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """From "... in" to "... out"."""
        y = product(x, self.weight[...].astype(x.dtype))
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class Norm(nnx.Module):
    """RMSNorm (arXiv 1910.07467) or LayerNorm (arXiv 1607.06450) over the last axis, computed in float32.

    The scale is `weight` + `offset`: Gemma's files hold w of 1 + w.
    """

    def __init__(
        self,
        width: int,
        *,
        kind: str,
        eps: float,
        rngs: nnx.Rngs,
        offset: float = 0.0,
        axes: tuple[str | None] = ("embed",),
        dtype: Dtype = jnp.float32,
        stack: Stack = (),
    ) -> None:
        self.kind, self.eps, self.offset = kind, eps, offset
        self.weight = parameter(rngs, nnx.initializers.constant(1 - offset), (width,), axes, dtype, stack)
        zeros = nnx.initializers.zeros
        self.bias = parameter(rngs, zeros, (width,), axes, dtype, stack) if kind == "layer" else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Of the same shape and type."""
        y = x.astype(jnp.float32)
        if self.kind == "layer":
            y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.eps)
        y = y * (self.weight[...].astype(jnp.float32) + self.offset)
        return (y if self.bias is None else y + self.bias[...].astype(jnp.float32)).astype(x.dtype)


class Embedding(nnx.Module):
    """A row of `weight`, "vocab width", for each token."""

    def __init__(
        self, vocab: int, width: int, *, rngs: nnx.Rngs, axis: str | None = "vocab", dtype: Dtype = jnp.float32
    ) -> None:
        self.weight = parameter(rngs, normal(0.02), (vocab, width), (axis, "embed"), dtype, ())

    def __call__(self, tokens: jax.Array, dtype: Dtype) -> jax.Array:
        """Rows in `dtype`, "... width"; a token out of range gets the nearest row, never NaN."""
        return jnp.take(self.weight[...], tokens, axis=0, mode="clip").astype(dtype)


def soft_cap(logits: jax.Array, cap: float | None) -> jax.Array:
    """Each logit z as c tanh(z / c); as it is where there is no cap."""
    return logits if cap is None else cap * jnp.tanh(logits / cap)


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array,
    scale: float | jax.Array,
    cap: float | None,
    single: bool = False,
) -> jax.Array:
    """Attention with shared key and value heads; logits and softmax in float32.

    Args:
        query: "rows tokens heads head_dim".
        key: "rows places kv_heads head_dim"; kv_heads divides heads.
        value: As `key`.
        mask: "rows tokens places" (or 1 row), True where a token looks. A token that looks nowhere gets a mean: no NaN.
        scale: What logits are multiplied with.
        cap: Their soft cap, before the mask.
        single: All lies on one device: where that is a CPU, heads may be gone through one by one.
    """
    if single and jax.default_backend() == "cpu":
        return _one_by_one(query, key, value, mask, scale, cap)
    if cap is None:
        return jax.nn.dot_product_attention(query, key, value, mask=mask[:, None], scale=scale)  # type: ignore[arg-type]
    return look_back(query, jnp.transpose(key, (0, 2, 3, 1)), jnp.swapaxes(value, 1, 2), mask, scale, cap)


def _one_by_one(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array, scale: float | jax.Array, cap: float | None
) -> jax.Array:
    """`attend`, a row's key head and the query heads that share it at a time: what is between the two products stays in
    a core's cache, which makes attention over 256 tokens 2.4 times as fast.
    """
    (rows, tokens, heads, width), (places, shared) = query.shape, key.shape[1:3]
    groups = query.reshape(rows, tokens, shared, -1, width).transpose(0, 2, 3, 1, 4)
    queries = groups.reshape(rows * shared, 1, -1, width)  # an axis of 1: a product of attention, not one with weights
    keys, values = (jnp.swapaxes(part, 1, 2).reshape(rows * shared, 1, places, width) for part in (key, value))

    def one(part: tuple[jax.Array, ...]) -> jax.Array:
        query, key, value, row = part
        logits = jnp.einsum("xnd,xsd->xns", query, key, preferred_element_type=jnp.float32) * scale
        logits = soft_cap(logits, cap).reshape(1, -1, tokens, places)
        logits = jnp.where(mask[row][None, None], logits, jnp.finfo(jnp.float32).min)
        weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True))).reshape(1, -1, places)
        seen = jnp.einsum("xns,xsd->xnd", weights.astype(value.dtype), value, preferred_element_type=jnp.float32)
        return (seen / weights.sum(-1, keepdims=True)).astype(query.dtype)

    owner = jnp.arange(rows * shared) // shared % mask.shape[0]
    seen = jax.lax.map(one, (queries, keys, values, owner)).reshape(groups.shape)
    return seen.transpose(0, 3, 1, 2, 4).reshape(rows, tokens, heads, width)


def look_back(
    query: jax.Array, keys: jax.Array, values: jax.Array, mask: jax.Array, scale: float | jax.Array, cap: float | None
) -> jax.Array:
    """As `attend`, to keys "rows kv_heads head_dim places" and values "rows kv_heads places head_dim" of a cache."""
    rows, tokens, heads, width = query.shape
    shared = keys.shape[1]
    groups = jnp.swapaxes(query.reshape(rows, tokens, shared, -1, width), 1, 2)
    flat = groups.reshape(rows, shared, -1, width)  # as `matmul` takes it: an einsum may turn keys and values around
    logits = jnp.matmul(flat, keys, preferred_element_type=jnp.float32).reshape(*groups.shape[:4], -1)
    logits = jnp.where(mask[:, None, :, None], soft_cap(logits * scale, cap), jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(logits).astype(values.dtype).reshape(*flat.shape[:3], -1)
    seen = jnp.matmul(weights, values).reshape(groups.shape)
    return jnp.swapaxes(seen, 1, 2).reshape(rows, tokens, heads, width)


class Attention(nnx.Module):
    """Self-attention with grouped heads (GQA, arXiv 2305.13245), rotary positions and norms of queries and keys."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs, dtype: Dtype = jnp.float32, stack: Stack = ()) -> None:
        self.head_dim, self.cap = config.head_dim, config.attention_cap
        inner, shared = config.heads * config.head_dim, config.kv_heads * config.head_dim
        common: dict[str, Any] = {"rngs": rngs, "dtype": dtype, "stack": stack}
        into = {"bias": config.qkv_bias, **common}
        self.query = Linear(config.width, inner, axes=("heads", "embed"), **into)
        self.key = Linear(config.width, shared, axes=("kv_heads", "embed"), **into)
        self.value = Linear(config.width, shared, axes=("kv_heads", "embed"), **into)
        out = 0.02 / (2 * config.layers) ** 0.5  # GPT-2: residual layers start small
        bias = config.output_bias
        self.output = Linear(inner, config.width, axes=("embed", "heads"), bias=bias, scale=out, **common)
        kind = {"kind": config.norm, "eps": config.norm_eps, "offset": config.norm_offset, "axes": (None,)}
        self.query_norm = Norm(config.head_dim, **kind, **common) if config.qk_norm else None
        self.key_norm = Norm(config.head_dim, **kind, **common) if config.qk_norm else None

    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array,
        turned: Angles | None,
        scale: float | jax.Array,
        keep: Keep = None,
        single: bool = False,
    ) -> tuple[jax.Array, Any]:
        """The sum that each token takes in, "rows tokens width", and what `keep` hands on.

        `keep` takes this call's keys and values and gives all that may be looked at, as a cache holds them; without it
        tokens of this call look at each other.
        """
        flat = x.reshape(-1, x.shape[-1])  # once, so that a backward pass keeps one input of all three
        parts = (part(flat) for part in (self.query, self.key, self.value))
        query, key, value = (self.heads(part.reshape(*x.shape[:-1], part.shape[-1])) for part in parts)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        if turned is not None:
            query, key = rotate(query, turned), rotate(key, turned)
        kept = None
        if keep is None:
            seen = attend(query, key, value, mask, scale, self.cap, single)
        else:
            keys, values, kept = keep(key, value)
            seen = look_back(query, keys.astype(query.dtype), values.astype(query.dtype), mask, scale, self.cap)
        return self.output(seen.reshape(*x.shape[:-1], -1)), kept

    def heads(self, x: jax.Array) -> jax.Array:
        """From "rows tokens (heads head_dim)" to "rows tokens heads head_dim"."""
        return x.reshape(*x.shape[:-1], -1, self.head_dim)


class MLP(nnx.Module):
    """down(act(gate x) * up x), or down(act(up x)) without a gate."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs, dtype: Dtype = jnp.float32, stack: Stack = ()) -> None:
        self.activation = config.activation
        common: dict[str, Any] = {"rngs": rngs, "bias": config.mlp_bias, "dtype": dtype, "stack": stack}
        into = {"axes": ("mlp", "embed"), **common}
        self.gate = Linear(config.width, config.hidden, **into) if config.gated else None
        self.up = Linear(config.width, config.hidden, **into)
        out = 0.02 / (2 * config.layers) ** 0.5
        self.down = Linear(config.hidden, config.width, axes=("embed", "mlp"), scale=out, **common)

    def __call__(self, x: jax.Array) -> jax.Array:
        """From "... width" to "... width"."""
        act, flat = ACTIVATION[self.activation], x.reshape(-1, x.shape[-1])
        inner = act(self.up(flat)) if self.gate is None else act(self.gate(flat)) * self.up(flat)
        return self.down(inner).reshape(x.shape)


class Block(nnx.Module):
    """One layer: attention and MLP, each after its norm, added to what comes in."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs, dtype: Dtype = jnp.float32, stack: Stack = ()) -> None:
        common: dict[str, Any] = {"rngs": rngs, "dtype": dtype, "stack": stack}
        kind = {"kind": config.norm, "eps": config.norm_eps, "offset": config.norm_offset}

        def norm() -> Norm:
            return Norm(config.width, **kind, **common)

        self.parallel = config.parallel
        self.attention_norm, self.attention = norm(), Attention(config, **common)
        self.mlp_norm, self.mlp = norm(), MLP(config, **common)
        self.attention_post_norm = norm() if config.post_norms else None
        self.mlp_post_norm = norm() if config.post_norms else None

    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array,
        turned: Angles | None,
        scale: float | jax.Array,
        keep: Keep = None,
        single: bool = False,
    ) -> tuple[jax.Array, Any]:
        """As `Attention`, for the whole layer."""
        seen, kept = self.attention(self.attention_norm(x), mask, turned, scale, keep, single)
        if self.attention_post_norm is not None:
            seen = self.attention_post_norm(seen)
        y = self.mlp(self.mlp_norm(x if self.parallel else x + seen))
        if self.mlp_post_norm is not None:
            y = self.mlp_post_norm(y)
        return x + seen + y, kept
