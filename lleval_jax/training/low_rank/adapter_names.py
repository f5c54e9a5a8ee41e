"""What the adapted layers of a model are called in its family's files, and in PEFT's."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from lleval_jax.errors import require
from lleval_jax.lm import encoder_files
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.families import FAMILIES
from lleval_jax.lm.layers import Linear
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import LowRank

HEAD = "base_model.model."


class Layer(NamedTuple):
    """One adapted layer of a model, under the name that files give it.

    name     "model.layers.3.self_attn.q_proj"
    part     what it is of each layer, in our words: "blocks.attention.query"
    adapter  where its factors are
    layer    its number in the stack; None where they are not stacked
    """

    name: str
    part: str
    adapter: LowRank
    layer: int | None

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """A (rank, in) and B (out, rank), float32."""
        pair = (np.asarray(factor[...], np.float32) for factor in (self.adapter.a, self.adapter.b))
        a, b = (each if self.layer is None else each[self.layer] for each in pair)
        return a, b


def layers(model: Decoder | Encoder) -> Iterator[Layer]:
    """The adapted layers of a model under the names of its family's files, layer by layer.

    Raises:
        BadInput: a layer has no file of its own.
    """
    names = paths(model)
    for path, adapter in lora.adapters(model):
        part = _part(path)
        hint = "merge the adapters and save the model instead"
        fused = f"{part}: files of {model.config.family} keep it in one piece with other weights; {hint}"
        require(part in names, fused, python="Use lora.merge.")
        number = next((step for step in path if isinstance(step, int)), None)
        if adapter.a[...].ndim == 3:
            yield from (Layer(names[part].format(layer=k), part, adapter, k) for k in range(adapter.a[...].shape[0]))
        else:
            yield Layer(names[part].format(layer=number), part, adapter, None)


def paths(model: Decoder | Encoder) -> dict[str, str]:
    """Path of each linear layer of ours -> its name in files, "{layer}" in it."""
    named: Iterable[Any]
    if isinstance(model, Encoder):
        named = encoder_files.tensors(model.config)
    else:
        named = FAMILIES[model.config.family].tensors(model.config)
    linear = {_part(path) for path, module in nnx.iter_modules(model) if isinstance(module, Linear)}
    files = {each.ours[0].removesuffix(".weight"): each.file for each in named if len(each.ours) == 1}
    return {path: file.removesuffix(".weight") for path, file in files.items() if path in linear}


def _part(path: lora.Path) -> str:
    """The path of a linear layer, adapted or not, without the numbers of layers."""
    return ".".join(str(step) for step in path if not isinstance(step, int)).removesuffix(".base")


def targets(model: Decoder | Encoder) -> list[str]:
    """PEFT's `target_modules`: ends of names that fit the adapted layers and no others; whole names where none does."""
    names: dict[str, list[str]] = {}
    for each in layers(model):
        names.setdefault(each.part, []).append(each.name)
    files = paths(model)
    others = [f".{file}" for path, file in files.items() if path not in names]
    found: set[str] = set()
    for path, whole in names.items():
        words = files[path].rpartition("{layer}.")[2].split(".")
        ends = [".".join(words[first:]) for first in reversed(range(len(words)))]
        free = [end for end in ends if not any(other.endswith(f".{end}") for other in others)]
        is_all = len(whole) == (model.config.layers if "{layer}" in files[path] else 1)
        found |= {free[0]} if free and is_all else set(whole)
    return sorted(found)


def fits(name: str, file: str) -> bool:
    """Whether a tensor of PEFT's is of this layer, whatever its number."""
    before, numbered, after = file.partition("{layer}")
    middle = name.removeprefix(f"{HEAD}{before}")
    number, dot, rest = middle.partition(".") if numbered else ("0", "", middle)
    whole = name.startswith(HEAD + before) and number.isdigit()
    return whole and f"{dot}{rest}" in (f"{after}.lora_A.weight", f"{after}.lora_B.weight")
