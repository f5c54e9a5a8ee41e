"""Adapters that were never trained, for measuring: what a forward pass takes does not depend on their values."""

from collections.abc import Mapping, Sequence

import numpy as np

from lleval_jax.errors import require
from lleval_jax.lm.decoder import Decoder
from lleval_jax.training.low_rank import adapter_names, lora
from lleval_jax.values.shared_adapters import Module, Shared

TARGETS = ("query", "key", "value")  # the paper's
SIZE = 0.3  # Frobenius norm of a drawn update, relative to the root of the sizes: enough to change what is written


def drawn(
    decoder: Decoder, count: int, *, rank: int = 16, clusters: int = 1, targets: Sequence[str] = TARGETS, seed: int = 0
) -> Shared:
    """Drawn cores in drawn bases, as if of `count` adapters of the same rank.

    Args:
        decoder: the base model.
        count: adapters; they are called "adapter-0000" and so on.
        rank: of the bases, and of each adapter uncompressed.
        clusters: bases a module.
        targets: layers with adapters, as `Lora` has them.
        seed: of all that is drawn.

    Raises:
        BadInput: a target matches no layer, or the rank is above a layer's size.
    """
    rng = np.random.default_rng(seed)
    shapes = shapes_of(decoder, targets)
    least = min(min(shape) for shape in shapes.values())
    require(0 < rank <= least, f"the rank is {rank}; it is from 1 to {least}, the smallest side of a layer")
    modules = {name: _module(rng, shape, count, rank, clusters) for name, shape in shapes.items()}
    values = rank * sum(map(sum, shapes.values()))
    return Shared(
        names=tuple(f"adapter-{k:04}" for k in range(count)),
        modules=modules,
        cluster=np.arange(count) % clusters,
        error=np.zeros((count, len(modules))),
        method="full",
        before=np.full(count, values),
        settled=True,
    )


def shapes_of(decoder: Decoder, targets: Sequence[str] = TARGETS) -> Mapping[str, tuple[int, int]]:
    """Module, as files call it -> (d_out, d_in), of the layers that match."""
    names, found = adapter_names.paths(decoder), {}
    for path, base in lora.matching(decoder, targets):
        *_, out, inner = base.weight.shape  # type: ignore[attr-defined]
        for layer in range(decoder.config.layers):
            found[names[lora.name_of(path)].format(layer=layer)] = (out, inner)
    return found


def _module(rng: np.random.Generator, shape: tuple[int, int], count: int, rank: int, clusters: int) -> Module:
    u, v = (
        np.stack([np.linalg.qr(rng.standard_normal((side, rank)))[0] for _ in range(clusters)]).astype(np.float32)
        for side in shape
    )
    size = SIZE * np.sqrt(np.prod(shape)) / rank
    return Module(u, v, size * rng.standard_normal((count, rank, rank), np.float32))
