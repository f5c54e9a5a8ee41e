"""What each weight of an encoder is called in Hugging Face's files."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from lleval_jax.lm.encoder_config import EncoderConfig
from lleval_jax.lm.tensors import Tensors

INNER = {  # our module -> theirs, in both families
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "blocks.attention.query": "encoder.layer.{layer}.attention.self.query",
    "blocks.attention.key": "encoder.layer.{layer}.attention.self.key",
    "blocks.attention.value": "encoder.layer.{layer}.attention.self.value",
    "blocks.attention.output": "encoder.layer.{layer}.attention.output.dense",
    "blocks.attention_norm": "encoder.layer.{layer}.attention.output.LayerNorm",
    "blocks.mlp.up": "encoder.layer.{layer}.intermediate.dense",
    "blocks.mlp.down": "encoder.layer.{layer}.output.dense",
    "blocks.mlp_norm": "encoder.layer.{layer}.output.LayerNorm",
}
POOLER = {"pooler": "pooler.dense"}
HEADS = {  # of a checkpoint that classifies: RoBERTa's has the dense layer inside the head
    "bert": {"classifier": "classifier"},
    "roberta": {"pooler": "classifier.dense", "classifier": "classifier.out_proj"},
}
WITHOUT_BIAS = ("words", "positions", "types")
OLDER = {".gamma": ".weight", ".beta": ".bias"}  # how the first BERT files name the parts of a norm
UNUSED = ("cls.", "lm_head.")  # heads of the first training
FIRST = "embeddings.word_embeddings.weight"


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a checkpoint: one parameter as it is, or a layer of one (`weights.Named`)."""

    file: str
    ours: tuple[str, ...]

    def apart(self, stored: np.ndarray, config: Any) -> tuple[np.ndarray, ...]:
        """The parameter in a tensor."""
        return (stored,)

    def together(self, arrays: Sequence[np.ndarray], config: Any) -> np.ndarray:
        """The tensor of a parameter."""
        return arrays[0]


def tensors(config: EncoderConfig, stored: Collection[str] = ()) -> tuple[Tensor, ...]:
    """All tensors of an encoder of this shape.

    Args:
        config: The shape.
        stored: Names in a file: some put the family before all but the head, "bert.embeddings...". Without them names
            are as transformers writes them, which does so where there is a head.
    """
    before = f"{config.family}."
    inner = INNER | (POOLER if config.pooled else {})
    head = HEADS[config.family] if config.labels else {}
    prefix = before if (before + FIRST in stored if stored else head) else ""
    modules = {ours: prefix + theirs for ours, theirs in inner.items()} | head
    return tuple(
        Tensor(f"{theirs}.{kind}", (f"{ours}.{kind}",))
        for ours, theirs in modules.items()
        for kind in (("weight",) if ours in WITHOUT_BIAS else ("weight", "bias"))
    )


def is_extra(name: str) -> bool:
    """Whether a tensor may be left out that is none of the encoder's: a head of its first training, or 0, 1, 2, ..."""
    return name.startswith(UNUSED) or name.endswith("position_ids")


def renamed(found: Tensors) -> Tensors:
    """A checkpoint's tensors under the names of today."""
    return {_today(name): tensor for name, tensor in found.items()}


def _today(name: str) -> str:
    kind = name[name.rfind(".") :]
    return name.removesuffix(kind) + OLDER.get(kind, kind)


def has_pooler(found: Collection[str], config: EncoderConfig) -> bool:
    """Whether a checkpoint has the dense layer on the first token: some were trained without."""
    head = HEADS[config.family].get("pooler") if config.labels else None
    return head is not None or any(name.endswith("pooler.dense.weight") for name in found)
