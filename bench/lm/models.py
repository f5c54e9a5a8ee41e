"""Llamas with random weights, in files that both sides read: of 5 and of 135 million parameters."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
from safetensors.numpy import save_file

COMMON = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
COMMON |= {"hidden_act": "silu", "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}
SHAPES: dict[str, dict[str, Any]] = {
    "small": {  # of smoke runs
        "vocab_size": 512,
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 128,
        "max_position_embeddings": 512,
    },
    "5M": {
        "vocab_size": 4096,
        "num_hidden_layers": 6,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "intermediate_size": 688,
        "max_position_embeddings": 2048,
    },
    "135M": {  # SmolLM2-135M
        "vocab_size": 49152,
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "intermediate_size": 1536,
        "max_position_embeddings": 8192,
    },
}


def tensors(shape: dict[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Weights by their names in files, float32, of a size that keeps what passes from layer to layer near 1."""
    rng = np.random.default_rng(seed)
    width, hidden, head = shape["hidden_size"], shape["intermediate_size"], shape["head_dim"]
    inner, shared = shape["num_attention_heads"] * head, shape["num_key_value_heads"] * head
    deep = (2 * shape["num_hidden_layers"]) ** -0.5

    def drawn(outer: int, into: int, scale: float = 1.0) -> np.ndarray:
        return rng.standard_normal((outer, into), np.float32) * np.float32(scale * into**-0.5)

    found = {"model.embed_tokens.weight": drawn(shape["vocab_size"], width), "model.norm.weight": np.ones(width, "f4")}
    for layer in range(shape["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        sizes = {"q": inner, "k": shared, "v": shared}
        found |= {f"{at}.self_attn.{part}_proj.weight": drawn(size, width) for part, size in sizes.items()}
        found |= {f"{at}.self_attn.o_proj.weight": drawn(width, inner, deep)}
        found |= {f"{at}.mlp.{name}_proj.weight": drawn(hidden, width) for name in ("gate", "up")}
        found |= {f"{at}.mlp.down_proj.weight": drawn(width, hidden, deep)}
        found |= {
            f"{at}.{name}.weight": np.ones(width, "f4") for name in ("input_layernorm", "post_attention_layernorm")
        }
    return found


def write(name: str, folder: pathlib.Path) -> int:
    """The model's files; how many parameters it has."""
    shape = SHAPES[name]
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0}}
    (folder / "config.json").write_text(json.dumps(COMMON | shape | rope))
    weights = tensors(shape)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return sum(each.size for each in weights.values())


def prompts(rows: int, length: int, vocab: int) -> np.ndarray:
    """Random tokens, "rows length"."""
    return np.random.default_rng(rows).integers(3, vocab, (rows, length)).astype(np.int32)
