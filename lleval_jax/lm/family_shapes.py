"""What each family's config.json says beyond sizes: read into fields of `Config`, and written back."""

from collections.abc import Mapping
from typing import Any

from lleval_jax.errors import require, require_known
from lleval_jax.lm.config import Config, Rotary
from lleval_jax.lm.family_rotary import FULL, LOCAL_THETA, SLIDING, read_rotary, read_two, written

Hf = Mapping[str, Any]


def sliding(kinds: list[str], window: int | None) -> tuple[int, ...]:
    """Windows of layers whose kinds are named; () where none has one."""
    for kind in kinds:
        require_known(kind, (FULL, SLIDING), "kind of attention (layer_types)")
    windows = tuple((window or 0) if kind == SLIDING else 0 for kind in kinds)
    require(
        bool(window) or SLIDING not in kinds, "layer_types has layers with a window, and sliding_window is not given"
    )
    return windows if any(windows) else ()


def named_kinds(config: Config) -> list[str]:
    """The kind of each layer's attention, for `layer_types`."""
    return [SLIDING if window else FULL for window, _ in config.kinds]


def one_window(config: Config) -> int | None:
    """The window of the first layer that has one."""
    return next((window for window in config.windows if window), None)


def flat_rotary(config: Config, share: bool = False) -> dict[str, Any]:
    """Rotary positions as transformers 5 and as 4 read them."""
    return both_versions(options := written(config.rotary or Rotary(), share), options)


def two_rotaries(config: Config) -> dict[str, Any]:
    """As `flat_rotary`, for Gemma 3."""
    full = config.rotary or Rotary()
    local = config.local_rotary or full
    one, two = written(full, False), written(local, False)
    return {**both_versions(one, {FULL: one, SLIDING: two}), LOCAL_THETA: local.theta}


def both_versions(options: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """`rope_parameters` of version 5, and what version 4 reads in its place."""
    old = {key: value for key, value in options.items() if key not in ("rope_theta", "partial_rotary_factor")}
    scaling = {"rope_scaling": old} if old["rope_type"] != "default" else {}
    return {"rope_theta": options["rope_theta"], "rope_parameters": parameters, **scaling}


def read_llama(hf: Hf) -> dict[str, Any]:
    """Llama 2 and 3."""
    bias = bool(hf["attention_bias"])
    return {"rotary": read_rotary(hf), "qkv_bias": bias, "output_bias": bias, "mlp_bias": bool(hf["mlp_bias"])}


def write_llama(config: Config) -> dict[str, Any]:
    """`read_llama` undone."""
    return {"attention_bias": config.qkv_bias, "mlp_bias": config.mlp_bias, **flat_rotary(config)}


def read_mistral(hf: Hf) -> dict[str, Any]:
    """Mistral: one window for all layers, or none."""
    window = hf["sliding_window"]
    return {
        "rotary": read_rotary(hf),
        "windows": sliding([SLIDING] * hf["num_hidden_layers"], window) if window else (),
    }


def write_mistral(config: Config) -> dict[str, Any]:
    """`read_mistral` undone."""
    return {"sliding_window": one_window(config), **flat_rotary(config)}


def qwen_windows(hf: Hf) -> tuple[int, ...]:
    """Of Qwen: from some layer on, or as `layer_types` says; switched on by `use_sliding_window`."""
    window = hf["sliding_window"] if hf["use_sliding_window"] else None
    from_layer = hf["max_window_layers"] if window else hf["num_hidden_layers"]
    kinds = [SLIDING if layer >= from_layer else FULL for layer in range(hf["num_hidden_layers"])]
    return sliding(hf.get("layer_types") or kinds, window)


def write_qwen_windows(config: Config) -> dict[str, Any]:
    """`qwen_windows` undone."""
    kinds = named_kinds(config)
    first = kinds.index(SLIDING) if SLIDING in kinds else config.layers
    window = {"sliding_window": one_window(config), "use_sliding_window": SLIDING in kinds}
    return {**window, "max_window_layers": first, "layer_types": kinds}


def read_qwen2(hf: Hf) -> dict[str, Any]:
    """Qwen 2 and 2.5: biases of query, key and value."""
    return {"rotary": read_rotary(hf), "windows": qwen_windows(hf), "qkv_bias": True}


def write_qwen2(config: Config) -> dict[str, Any]:
    """`read_qwen2` undone."""
    return {**write_qwen_windows(config), **flat_rotary(config)}


def read_qwen3(hf: Hf) -> dict[str, Any]:
    """Qwen 3: norms of query and key heads."""
    bias = bool(hf["attention_bias"])
    own = {"qk_norm": True, "qkv_bias": bias, "output_bias": bias}
    return {"rotary": read_rotary(hf), "windows": qwen_windows(hf), **own}


def write_qwen3(config: Config) -> dict[str, Any]:
    """`read_qwen3` undone."""
    return {"attention_bias": config.qkv_bias, **write_qwen_windows(config), **flat_rotary(config)}


def read_gemma(hf: Hf) -> dict[str, Any]:
    """What Gemma 2 and 3 have in common."""
    bias = bool(hf["attention_bias"])
    return {
        "norm_offset": 1.0,
        "post_norms": True,
        "embedding_scale": hf["hidden_size"] ** 0.5,
        "scale": hf["query_pre_attn_scalar"] ** -0.5,
        "final_cap": hf["final_logit_softcapping"],
        "qkv_bias": bias,
        "output_bias": bias,
    }


def write_gemma(config: Config) -> dict[str, Any]:
    """`read_gemma` undone."""
    scalar = config.scales[0] ** -2
    return {
        "query_pre_attn_scalar": round(scalar) if abs(scalar - round(scalar)) < 1e-6 else scalar,
        "final_logit_softcapping": config.final_cap,
        "attention_bias": config.qkv_bias,
        "sliding_window": one_window(config),
        "layer_types": named_kinds(config),
    }


def read_gemma2(hf: Hf) -> dict[str, Any]:
    """Gemma 2: every other layer has a window; both soft caps."""
    kinds = [FULL if layer % 2 else SLIDING for layer in range(hf["num_hidden_layers"])]
    windows = sliding(hf.get("layer_types") or kinds, hf["sliding_window"])
    own = {"rotary": read_rotary(hf), "windows": windows, "attention_cap": hf["attn_logit_softcapping"]}
    return {**read_gemma(hf), **own}


def write_gemma2(config: Config) -> dict[str, Any]:
    """`read_gemma2` undone."""
    return {**write_gemma(config), "attn_logit_softcapping": config.attention_cap, **flat_rotary(config)}


def read_gemma3(hf: Hf) -> dict[str, Any]:
    """Gemma 3: five layers with a window, then one without, each kind with its own base."""
    every = hf.get("sliding_window_pattern") or hf.get("_sliding_window_pattern") or 6
    kinds = [SLIDING if (layer + 1) % every else FULL for layer in range(hf["num_hidden_layers"])]
    windows = sliding(hf.get("layer_types") or kinds, hf["sliding_window"])
    full, local = read_two(hf, 1_000_000.0, 10_000.0)
    differs = {"local_rotary": local} if windows and local != full else {}
    return {**read_gemma(hf), "qk_norm": True, "windows": windows, "rotary": full, **differs}


def write_gemma3(config: Config) -> dict[str, Any]:
    """`read_gemma3` undone."""
    return {**write_gemma(config), **two_rotaries(config)}


def read_neox(hf: Hf) -> dict[str, Any]:
    """GPT-NeoX: part of each head is rotated, attention and MLP read the same input."""
    bias = bool(hf["attention_bias"])
    return {
        "norm": "layer",
        "gated": False,
        "parallel": bool(hf["use_parallel_residual"]),
        "rotary": read_rotary(hf, share=0.25, partial=True),
        "qkv_bias": bias,
        "output_bias": bias,
        "mlp_bias": True,
    }


def write_neox(config: Config) -> dict[str, Any]:
    """`read_neox` undone."""
    rotary = flat_rotary(config, share=True)
    old = {
        "rotary_emb_base": rotary.pop("rope_theta"),
        "rotary_pct": rotary["rope_parameters"]["partial_rotary_factor"],
    }
    return {"use_parallel_residual": config.parallel, "attention_bias": config.qkv_bias, **rotary, **old}


def read_gpt2(hf: Hf) -> dict[str, Any]:
    """GPT-2: learned positions."""
    return {
        "norm": "layer",
        "gated": False,
        "rotary": None,
        "learned_positions": True,
        "scale": None if hf["scale_attn_weights"] else 1.0,
        "scale_by_layer": bool(hf["scale_attn_by_inverse_layer_idx"]),
        "qkv_bias": True,
        "output_bias": True,
        "mlp_bias": True,
    }


def write_gpt2(config: Config) -> dict[str, Any]:
    """`read_gpt2` undone."""
    return {"scale_attn_weights": config.scale is None, "scale_attn_by_inverse_layer_idx": config.scale_by_layer}
