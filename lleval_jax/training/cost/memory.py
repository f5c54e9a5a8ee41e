"""The memory of a training step on a device, from shapes alone: for models that are not there, on meshes that are not.

What a device does of a model that lies in parts is what one device would do of a model with so many heads, hidden
numbers and tokens fewer, and with its part of the rows: that model is traced (`live`), not compiled.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.mesh import parts, sharding
from lleval_jax.training import losses
from lleval_jax.training.cost import live
from lleval_jax.training.losses import Loss, Sides
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import step
from lleval_jax.training.run.batches import Packed


class Memory(NamedTuple):
    """Bytes on a device.

    weights   all parameters
    state     the optimiser's state and the gradient
    passing   what lives besides at the fullest moment of a step
    """

    weights: int
    state: int
    passing: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


class Shape(NamedTuple):
    """A micro-batch of all devices together.

    rows      packed rows
    length    tokens of each
    scored    tokens whose probability is asked
    answers   of the whole batch, of both sides
    alone     whether the batch is this one micro-batch
    """

    rows: int
    length: int
    scored: int
    answers: tuple[int, int]
    alone: bool = True


def estimate(
    decoder: Decoder, adapters: Lora | None, batch: Shape, *, loss: Loss | None = None, on: Mesh | None = None
) -> Memory:
    """What a step of AdamW takes.

    Args:
        decoder: its shape counts: it may be one of `nnx.eval_shape`.
        adapters: what learns; None for all weights.
        batch: a micro-batch.
        loss: what is minimised; None: `losses.AOT()`.
        on: the devices; None for one. An abstract mesh will do.

    Example:
        >>> config = Config(vocab=32, layers=2, width=16, heads=4, kv_heads=2, head_dim=4, hidden=32, context=64)
        >>> estimate(Decoder(config), None, Shape(2, 16, 16, (2, 2))).weights
        25536
    """
    model = _model(decoder, decoder.config, adapters)
    learns: Any = nnx.Param if adapters is None else lora.learned(adapters.learn)
    _, learned, fixed = nnx.split(model, learns, ...)
    own = _held(learned, on, decoder.config, jnp.float32)
    passing = _passing(decoder, adapters, batch, loss, on) + (0 if batch.alone else own)  # two gradients are added
    return Memory(own + _held(fixed, on, decoder.config), 3 * own, passing)


def _passing(decoder: Decoder, adapters: Lora | None, batch: Shape, loss: Loss | None, on: Mesh | None) -> int:
    loss = losses.AOT() if loss is None else loss
    part, across = local(decoder.config, on), 1 if on is None else on.shape["data"] * on.shape["fsdp"]
    learns: Any = nnx.Param if adapters is None else lora.learned(adapters.learn)
    shape, learned, fixed = nnx.split(_model(decoder, part, adapters), learns, ...)
    learned = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), learned)
    grid: Any = jax.ShapeDtypeStruct((math.ceil(batch.rows / across), batch.length), jnp.int32)
    places: Any = jax.ShapeDtypeStruct((math.ceil(batch.scored / across),), jnp.int32)
    counts: Any = (jax.ShapeDtypeStruct((count,), jnp.float32) for count in batch.answers)
    sides = Sides(*counts)
    packed = Packed(grid, grid, grid, places, places)

    def whole(learned: Any, fixed: Any, packed: Packed, sides: Sides) -> Any:
        return step.value_and_slope(loss, shape, learned, fixed, packed, sides)

    passing = live.live(whole, learned, fixed, packed, sides, size=_sizes(learned, fixed, on))
    return passing + (0 if on is None or on.shape["fsdp"] == 1 else _head(part, decoder))


def _head(part: Config, decoder: Decoder) -> int:
    """Bytes of the head, which every device of `fsdp` gathers whole; layers are gathered one by one."""
    return part.vocab * part.width * jnp.dtype(decoder.compute).itemsize


def local(config: Config, on: Mesh | None) -> Config:
    """The model whose work one device does."""
    if on is None:
        return config
    heads, hidden = parts("heads", config.heads, on), parts("mlp", config.hidden, on)
    shared, vocab = parts("kv_heads", config.kv_heads, on), parts("vocab", config.vocab, on)
    sizes = {"heads": config.heads // heads, "kv_heads": config.kv_heads // shared, "hidden": config.hidden // hidden}
    return dataclasses.replace(config, vocab=config.vocab // vocab, **sizes)


def _model(decoder: Decoder, config: Config, adapters: Lora | None) -> nnx.Module:
    """A decoder of another shape, without a byte."""
    kept = decoder.embedding.weight.get_value().dtype
    more: dict[str, Any] = {"dtype": kept, "compute": decoder.compute, "recompute": decoder.recompute}

    def made() -> nnx.Module:
        own = Decoder(config, unrolled=isinstance(decoder.blocks, nnx.List), **more)
        return own if adapters is None else lora.attach(own, adapters)

    return nnx.eval_shape(made)


def _held(state: Any, on: Mesh | None, config: Config, dtype: Any = None) -> int:
    """Bytes of one device's part of some variables."""
    variables = jax.tree.leaves(state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
    total = 0
    for each in variables:
        value = each.get_value()
        shape = value.shape if on is None else sharding(each, on, config).shard_shape(value.shape)
        total += int(np.prod(shape, dtype=np.int64)) * jnp.dtype(dtype or value.dtype).itemsize
    return total


def _sizes(learned: Any, fixed: Any, on: Mesh | None) -> live.Size:
    """Bytes of a value: one of a parameter's shape lies in parts over `fsdp`, as the parameter does."""
    if on is None or on.shape["fsdp"] == 1:
        return live.whole
    stacked = {leaf.shape for leaf in jax.tree.leaves((learned, fixed)) if len(leaf.shape) == 3}

    def size(value: Any) -> int:
        return live.whole(value) // (on.shape["fsdp"] if value.shape in stacked else 1)

    return size
