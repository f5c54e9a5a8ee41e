"""GGUF files as Hugging Face would have written them: the same configuration, names and order of rows.

An architecture is a table of differences: how its tensors are called there, which are stored otherwise, and what its
metadata means. Everything after this file knows one form of a checkpoint only.

Sources: llama.cpp, conversion and `llama_model::load_hparams`, for how each is stored.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lleval_jax.errors import BadFile, BadInput, require, require_known
from lleval_jax.lm.gguf_file import Gguf
from lleval_jax.lm.tensors import Stored

NAMES = {  # GGUF's name -> Hugging Face's; {} is the layer
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
    "blk.{}.attn_norm.weight": "model.layers.{}.input_layernorm.weight",
    "blk.{}.attn_q.weight": "model.layers.{}.self_attn.q_proj.weight",
    "blk.{}.attn_k.weight": "model.layers.{}.self_attn.k_proj.weight",
    "blk.{}.attn_v.weight": "model.layers.{}.self_attn.v_proj.weight",
    "blk.{}.attn_output.weight": "model.layers.{}.self_attn.o_proj.weight",
    "blk.{}.ffn_norm.weight": "model.layers.{}.post_attention_layernorm.weight",
    "blk.{}.ffn_gate.weight": "model.layers.{}.mlp.gate_proj.weight",
    "blk.{}.ffn_up.weight": "model.layers.{}.mlp.up_proj.weight",
    "blk.{}.ffn_down.weight": "model.layers.{}.mlp.down_proj.weight",
}
BIASES = {f"blk.{{}}.attn_{part}.bias": f"model.layers.{{}}.self_attn.{part}_proj.bias" for part in ("q", "k", "v")}
QK_NORMS = {
    f"blk.{{}}.attn_{part}_norm.weight": f"model.layers.{{}}.self_attn.{part}_norm.weight" for part in ("q", "k")
}
GEMMA = {
    "blk.{}.post_attention_norm.weight": "model.layers.{}.post_attention_layernorm.weight",
    "blk.{}.ffn_norm.weight": "model.layers.{}.pre_feedforward_layernorm.weight",
    "blk.{}.post_ffw_norm.weight": "model.layers.{}.post_feedforward_layernorm.weight",
}
LAYER = re.compile(r"(?<=^blk\.)\d+(?=\.)")
GEMMA_GLOBAL = 6  # every so many layers of Gemma 3 attends to all, the others within a window
GEMMA_LOCAL_THETA = 1e4
GEMMA_27B = 62  # layers of the one Gemma 3 whose attention is scaled by its width a head
FACTORS = "rope_freqs.weight"  # by which Llama 3.1 and later divide the frequencies of the rotation
STRETCHED = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}  # all of them

Turn = Callable[[Gguf, str, Stored], Stored]


def _as_it_is(gguf: Gguf, name: str, tensor: Stored) -> Stored:
    return tensor


def _paired(gguf: Gguf, name: str, tensor: Stored) -> Stored:
    """Rows of q and k, which llama.cpp lays in pairs for its rotation, in halves again as Hugging Face has them.

    Unturned the model still writes fluently, and its perplexity is four times what it should be.
    """
    part = re.search(r"attn_([qk])\.weight$", name)
    if part is None:
        return tensor
    heads = _count(gguf, "attention.head_count")
    if part[1] == "k":
        heads = _count(gguf, "attention.head_count_kv", heads)
    if tensor.shape[0] % (2 * heads):
        raise BadFile(f"{tensor.place} has {tensor.shape[0]} rows, which {heads} heads cannot share in pairs")
    return tensor.turned(functools.partial(_halves, heads))


def _halves(heads: int, rows: np.ndarray) -> np.ndarray:
    """(heads, pair, 2, in) -> (heads, 2, pair, in), in the shape it had."""
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def _less_one(gguf: Gguf, name: str, tensor: Stored) -> Stored:
    """Weights of norms, which are stored as 1 + w, as w."""
    return tensor.turned(lambda weight: weight - 1) if name.endswith("_norm.weight") else tensor


def _llama(gguf: Gguf) -> dict[str, Any]:
    require(not gguf.meta.get("llama.expert_count"), f"{gguf.file} is a mixture of experts, which is not known")
    found = _common(gguf, _count(gguf, "rope.dimension_count", _head_dim(gguf)))
    width = found["head_dim"] * found["num_attention_heads"]
    rows = _shape(gguf, "blk.0.attn_q.weight")[0]
    require(rows == width, f"{gguf.file}: the rotation turns {found['head_dim']} of a head's numbers, not all")
    if FACTORS in gguf.tensors:
        found["rope_parameters"] |= _stretched(gguf, found["head_dim"], found["rope_parameters"]["rope_theta"])
    return found | {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu"}


def _stretched(gguf: Gguf, head_dim: int, theta: float) -> dict[str, Any]:
    """Llama 3.1's stretched rotation. The file holds what it does to each frequency; the rule is found from that."""
    own = gguf.tensors[FACTORS].read().astype(float).reshape(-1)
    said = {"rope_type": "llama3", "factor": float(own.max()), **STRETCHED}
    lengths = 2 * np.pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    low, high = said["low_freq_factor"], said["high_freq_factor"]
    kept = np.clip((said["original_max_position_embeddings"] / lengths - low) / (high - low), 0, 1)
    factors = 1 / ((1 - kept) / said["factor"] + kept)
    what = f"{gguf.file}: the factors of its rotation ({FACTORS}) are not those of Llama 3.1 and later."
    hint = "Take the model's safetensors."
    known = own.shape == factors.shape and np.allclose(own, factors, rtol=1e-4)
    require(known, what, python=hint, shell=hint)
    return said


def _qwen2(gguf: Gguf) -> dict[str, Any]:
    own = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_act": "silu"}
    return _common(gguf, _head_dim(gguf)) | own


def _qwen3(gguf: Gguf) -> dict[str, Any]:
    own = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_act": "silu", "attention_bias": False}
    return _common(gguf, _count(gguf, "attention.key_length", _head_dim(gguf))) | own


def _gemma3(gguf: Gguf) -> dict[str, Any]:
    found = _common(gguf, _count(gguf, "attention.key_length"))
    layers, width, heads = (found[key] for key in ("num_hidden_layers", "hidden_size", "num_attention_heads"))
    every = _count(gguf, "attention.sliding_window_pattern", GEMMA_GLOBAL)
    rotation = found["rope_parameters"]
    return found | {
        "model_type": "gemma3_text",
        "architectures": ["Gemma3ForCausalLM"],
        "hidden_activation": "gelu_pytorch_tanh",
        "sliding_window": _count(gguf, "attention.sliding_window"),
        "layer_types": ["sliding_attention" if (at + 1) % every else "full_attention" for at in range(layers)],
        "query_pre_attn_scalar": width // heads if layers == GEMMA_27B else found["head_dim"],
        "rope_parameters": {
            "full_attention": rotation,
            "sliding_attention": {"rope_type": "default", "rope_theta": GEMMA_LOCAL_THETA},
        },
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "attention_bias": False,
    }


@dataclasses.dataclass(frozen=True)
class Architecture:
    """How GGUF stores a family: names, the tensors it keeps otherwise, and what the metadata means."""

    names: Mapping[str, str]
    config: Callable[[Gguf], dict[str, Any]]
    turn: Turn = _as_it_is


ARCHITECTURES = {
    "llama": Architecture(NAMES, _llama, _paired),
    "qwen2": Architecture(NAMES | BIASES, _qwen2),
    "qwen3": Architecture(NAMES | QK_NORMS, _qwen3),
    "gemma3": Architecture(NAMES | QK_NORMS | GEMMA, _gemma3, _less_one),
}


def translated(gguf: Gguf) -> tuple[dict[str, Any], dict[str, Stored]]:
    """(config.json, tensors) as Hugging Face has them. A tensor that has no name there keeps its own.

    Raises:
        BadInput: the architecture is not known, or the file uses something of it that is not.
        BadFile: the metadata lacks something, or a tensor that is always there.
    """
    name = gguf.get("general.architecture", str)
    require_known(name, ARCHITECTURES, f"{gguf.file}: the architecture")
    architecture = ARCHITECTURES[name]
    tensors = {}
    for own, tensor in gguf.tensors.items():
        if own == FACTORS and name == "llama":  # the configuration says it
            continue
        layer = LAYER.search(own)
        plain = architecture.names.get(LAYER.sub("{}", own), own)
        tensors[plain.format(layer[0]) if layer else plain] = architecture.turn(gguf, own, tensor)
    return architecture.config(gguf), tensors


def _common(gguf: Gguf, head_dim: int) -> dict[str, Any]:
    """What all architectures say alike."""
    heads = _count(gguf, "attention.head_count")
    return {
        "vocab_size": _shape(gguf, "token_embd.weight")[0],
        "hidden_size": _count(gguf, "embedding_length"),
        "intermediate_size": _count(gguf, "feed_forward_length"),
        "num_hidden_layers": _count(gguf, "block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _count(gguf, "attention.head_count_kv", heads),
        "head_dim": head_dim,
        "max_position_embeddings": _count(gguf, "context_length"),
        "rms_norm_eps": _number(gguf, "attention.layer_norm_rms_epsilon"),
        "rope_parameters": _rotation(gguf),
        "tie_word_embeddings": "output.weight" not in gguf.tensors,
        **{f"{key}_token_id": _token(gguf, name) for key, name in TOKENS.items()},
    }


TOKENS = {"bos": "bos", "eos": "eos", "pad": "padding"}  # in config.json, in GGUF


def _rotation(gguf: Gguf) -> dict[str, Any]:
    """The rotation's base, and its scaling where there is one."""
    found: dict[str, Any] = {"rope_type": "default", "rope_theta": _number(gguf, "rope.freq_base", 1e4)}
    kind = str(gguf.meta.get(_key(gguf, "rope.scaling.type"), "none"))
    if kind == "none":
        return found
    if kind != "linear":
        raise BadInput(f"{gguf.file}: scaling {kind!r} of the rotation is not read from GGUF; 'linear' is")
    return found | {"rope_type": "linear", "factor": _number(gguf, "rope.scaling.factor")}


def _token(gguf: Gguf, name: str) -> int | None:
    found = gguf.meta.get(f"tokenizer.ggml.{name}_token_id")
    return None if found is None else int(found)


def _key(gguf: Gguf, name: str) -> str:
    return f"{gguf.meta['general.architecture']}.{name}"


def _count(gguf: Gguf, name: str, default: int | None = None) -> int:
    """A whole number above 0."""
    value = gguf.get(_key(gguf, name), int, default)
    if value <= 0:
        raise BadFile(f"{gguf.file}: {_key(gguf, name)!r} in its metadata is {value}")
    return value


def _number(gguf: Gguf, name: str, default: float | None = None) -> float:
    """A finite number; one of float32 as it was meant: 1e-05 and not 9.999999747378752e-06."""
    value = float(str(np.float32(gguf.get(_key(gguf, name), (int, float), default))))
    if not math.isfinite(value) or value <= 0:
        raise BadFile(f"{gguf.file}: {_key(gguf, name)!r} in its metadata is {value}")
    return value


def _head_dim(gguf: Gguf) -> int:
    return _count(gguf, "embedding_length") // _count(gguf, "attention.head_count")


def _shape(gguf: Gguf, name: str) -> tuple[int, ...]:
    if name not in gguf.tensors:
        raise BadFile(f"{gguf.file}: tensor {name!r} is missing")
    return gguf.tensors[name].shape
