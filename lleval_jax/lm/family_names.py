"""How a family's files name and lay out the weights of a decoder, in both directions, byte for byte."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from lleval_jax.lm.config import Config

Form = Literal["same", "transposed", "thirds", "thirds transposed", "interleaved"]
LAYER = "{layer}"


@dataclasses.dataclass(frozen=True)
class Named:
    """One tensor of a file, or one of every layer, and the parameters of a `Decoder` that it holds.

    Attributes:
        file: Its name; "{layer}" is the number of the layer, from 0.
        ours: Paths of parameters, as "blocks.mlp.up.weight". Where `file` has a layer, their axis 0 is the layer.
        form: How it lies there: "same"; "transposed" to (in, out); "thirds", query, key and value one after the other;
            "interleaved", query, key and value of one head after those of another.
    """

    file: str
    ours: tuple[str, ...]
    form: Form = "same"

    @property
    def by_layer(self) -> bool:
        """Whether there is one for each layer."""
        return LAYER in self.file

    def apart(self, stored: np.ndarray, config: Config) -> tuple[np.ndarray, ...]:
        """What the file holds (of one layer), as one array for each of `ours`: views wherever that can be."""
        array = stored.T if self.form.endswith("transposed") else stored
        if self.form == "interleaved":
            heads = array.reshape(config.heads, 3, config.head_dim, *array.shape[1:])
            return tuple(heads[:, part].reshape(-1, *array.shape[1:]) for part in range(3))
        return tuple(np.split(array, len(self.ours)))

    def together(self, arrays: Sequence[np.ndarray], config: Config) -> np.ndarray:
        """What the file holds (of one layer), from the arrays of `ours`: `apart` undone."""
        rest = arrays[0].shape[1:]
        if self.form == "interleaved":
            heads = [array.reshape(config.heads, 1, config.head_dim, *rest) for array in arrays]
            return np.concatenate(heads, 1).reshape(-1, *rest)
        array = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        return np.ascontiguousarray(array.T) if self.form.endswith("transposed") else array


def parts(layer: str, names: dict[str, str]) -> tuple[Named, ...]:
    """Rows of a family's table: paths within a block, and names within a file's `layer`."""
    return tuple(Named(f"{layer}.{LAYER}.{file}", (f"blocks.{ours}",)) for ours, file in names.items())


LLAMA = (
    Named("embed_tokens", ("embedding",)),
    *parts(
        "layers",
        {
            "attention_norm": "input_layernorm",
            "attention.query": "self_attn.q_proj",
            "attention.key": "self_attn.k_proj",
            "attention.value": "self_attn.v_proj",
            "attention.query_norm": "self_attn.q_norm",
            "attention.key_norm": "self_attn.k_norm",
            "attention.output": "self_attn.o_proj",
            "mlp_norm": "post_attention_layernorm",
            "mlp.gate": "mlp.gate_proj",
            "mlp.up": "mlp.up_proj",
            "mlp.down": "mlp.down_proj",
        },
    ),
    Named("norm", ("norm",)),
    Named("lm_head", ("unembedding",)),
)

GEMMA = (
    *(each for each in LLAMA if each.ours != ("blocks.mlp_norm",)),
    *parts(
        "layers",
        {
            "attention_post_norm": "post_attention_layernorm",
            "mlp_norm": "pre_feedforward_layernorm",
            "mlp_post_norm": "post_feedforward_layernorm",
        },
    ),
)

QKV = tuple(f"blocks.attention.{part}" for part in ("query", "key", "value"))

NEOX = (
    Named("embed_in", ("embedding",)),
    Named(f"layers.{LAYER}.attention.query_key_value", QKV, "interleaved"),
    *parts(
        "layers",
        {
            "attention_norm": "input_layernorm",
            "attention.output": "attention.dense",
            "mlp_norm": "post_attention_layernorm",
            "mlp.up": "mlp.dense_h_to_4h",
            "mlp.down": "mlp.dense_4h_to_h",
        },
    ),
    Named("final_layer_norm", ("norm",)),
    Named("lm_head", ("unembedding",)),
)

GPT2 = (
    Named("wte", ("embedding",)),
    Named("wpe", ("position_embedding",)),
    Named(f"h.{LAYER}.attn.c_attn", QKV, "thirds transposed"),
    *(
        dataclasses.replace(each, form="transposed")
        for each in parts("h", {"attention.output": "attn.c_proj", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"})
    ),
    *parts("h", {"attention_norm": "ln_1", "mlp_norm": "ln_2"}),
    Named("ln_f", ("norm",)),
    Named("lm_head", ("unembedding",)),
)


def has_weight(config: Config, part: str) -> bool:
    """Whether a decoder of this shape has the part at all."""
    when = {
        "position_embedding": config.learned_positions,
        "unembedding": not config.tied,
        "query_norm": config.qk_norm,
        "key_norm": config.qk_norm,
        "gate": config.gated,
        "attention_post_norm": config.post_norms,
        "mlp_post_norm": config.post_norms,
    }
    return when.get(part.rsplit(".", 1)[-1], True)


def has_bias(config: Config, part: str) -> bool:
    """Whether the part adds a bias."""
    name = part.rsplit(".", 1)[-1]
    if name.endswith("norm"):
        return config.norm == "layer"
    qkv, mlp = dict.fromkeys(("query", "key", "value"), config.qkv_bias), config.mlp_bias
    return {**qkv, "output": config.output_bias, "gate": mlp, "up": mlp, "down": mlp}.get(name, False)


def expanded(row: Named, config: Config, prefix: str) -> tuple[Named, ...]:
    """The tensors of a row of the table, with prefix and kind: the weight, and the bias where there is one."""
    if not has_weight(config, row.ours[0]):
        return ()
    kinds = ("weight", "bias") if has_bias(config, row.ours[0]) else ("weight",)
    flat: dict[str, Form] = {"transposed": "same", "thirds transposed": "thirds"}
    return tuple(
        Named(
            f"{prefix}{row.file}.{kind}",
            tuple(f"{part}.{kind}" for part in row.ours),
            flat.get(row.form, row.form) if kind == "bias" else row.form,
        )
        for kind in kinds
    )
