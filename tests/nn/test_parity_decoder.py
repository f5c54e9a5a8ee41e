"""Decoders against transformers' torch models: tiny random checkpoints of every variant, in both directions."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.families import family, read_config, write_config

torch = pytest.importorskip("torch", reason="parity: pip install 'lleval-jax[train,parity]'")
transformers = pytest.importorskip("transformers", reason="parity: pip install 'lleval-jax[train,parity]'")

pytestmark = pytest.mark.parity

TEXT = 40
SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
MANY = {**SIZES, "num_key_value_heads": 4}
NEOX = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
GPT2 = {
    "vocab_size": 96,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GEMMA = {**SIZES, "head_dim": 16, "pad_token_id": 0, "query_pre_attn_scalar": 24}
HEADS = {"head_dim": 16}  # wider than hidden_size / heads


def rope(kind: str, **options) -> dict:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 500.0, **options}}


CASES = {
    "llama": ("llama", SIZES),
    "llama-many-heads": ("llama", MANY),
    "llama-one-kv-head": ("llama", {**SIZES, "num_key_value_heads": 1}),
    "llama-tied": ("llama", {**SIZES, "tie_word_embeddings": True}),
    "llama-biases": ("llama", {**SIZES, "attention_bias": True, "mlp_bias": True}),
    "llama-head-dim": ("llama", {**SIZES, **HEADS}),
    "llama-gelu": ("llama", {**SIZES, "hidden_act": "gelu", "rms_norm_eps": 1e-3}),
    "llama-theta": ("llama", {**SIZES, **rope("default")}),
    "llama-linear": ("llama", {**SIZES, **rope("linear", factor=3.0)}),
    "llama-dynamic-shorter": ("llama", {**SIZES, **rope("dynamic", factor=2.0)}),
    "llama-dynamic-longer": ("llama", {**SIZES, "max_position_embeddings": 16, **rope("dynamic", factor=2.0)}),
    "llama-yarn": ("llama", {**SIZES, **rope("yarn", factor=4.0, original_max_position_embeddings=16)}),
    "llama-yarn-options": (
        "llama",
        {
            **SIZES,
            **HEADS,
            **rope(
                "yarn",
                factor=4.0,
                original_max_position_embeddings=16,
                beta_fast=8.0,
                beta_slow=0.5,
                mscale=0.7,
                mscale_all_dim=0.9,
                truncate=False,
            ),
        },
    ),
    "llama-yarn-attention": (
        "llama",
        {**SIZES, **rope("yarn", factor=4.0, original_max_position_embeddings=16, attention_factor=1.3)},
    ),
    "llama-3.1": (
        "llama",
        {
            **SIZES,
            **HEADS,
            **rope(
                "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
            ),
        },
    ),
    "mistral-window-shorter": ("mistral", {**SIZES, "sliding_window": 7}),
    "mistral-window-longer": ("mistral", {**SIZES, "sliding_window": TEXT + 5}),
    "mistral-no-window": ("mistral", {**SIZES, "sliding_window": None, "tie_word_embeddings": True}),
    "qwen2": ("qwen2", SIZES),
    "qwen2-tied": ("qwen2", {**SIZES, "tie_word_embeddings": True, **rope("yarn", factor=2.0)}),
    "qwen2-windows": (
        "qwen2",
        {**SIZES, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    ),
    "qwen3": ("qwen3", {**SIZES, **HEADS}),
    "qwen3-biases-tied": ("qwen3", {**SIZES, **HEADS, "attention_bias": True, "tie_word_embeddings": True}),
    "qwen3-layer-types": (
        "qwen3",
        {
            **SIZES,
            **HEADS,
            "use_sliding_window": True,
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "gemma2": ("gemma2", {**GEMMA, "sliding_window": 7, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 1.5}),
    "gemma2-untied": ("gemma2", {**GEMMA, "sliding_window": 60, "tie_word_embeddings": False}),
    "gemma3": ("gemma3_text", {**GEMMA, "sliding_window": 7, "num_hidden_layers": 7}),
    "gemma3-window-longer": ("gemma3_text", {**GEMMA, "sliding_window": 60, "sliding_window_pattern": 2}),
    "gemma3-capped-untied-biases": (
        "gemma3_text",
        {
            **GEMMA,
            "sliding_window": 9,
            "layer_types": ["full_attention", "sliding_attention", "full_attention"],
            "final_logit_softcapping": 1.5,
            "tie_word_embeddings": False,
            "attention_bias": True,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 900.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
        },
    ),
    "neox": ("gpt_neox", {**NEOX, **rope("default", partial_rotary_factor=0.5)}),
    "neox-serial": ("gpt_neox", {**NEOX, "use_parallel_residual": False, "hidden_act": "gelu_new"}),
    "neox-whole-rotary-tied": (
        "gpt_neox",
        {**NEOX, "tie_word_embeddings": True, **rope("linear", factor=2.0, partial_rotary_factor=1.0)},
    ),
    "neox-no-attention-bias": ("gpt_neox", {**NEOX, "attention_bias": False}),
    "gpt2": ("gpt2", GPT2),
    "gpt2-untied-relu": ("gpt2", {**GPT2, "tie_word_embeddings": False, "activation_function": "relu", "n_inner": 40}),
    "gpt2-scales": ("gpt2", {**GPT2, "scale_attn_by_inverse_layer_idx": True}),
    "gpt2-unscaled": ("gpt2", {**GPT2, "scale_attn_weights": False}),
}
TOKENS = np.random.default_rng(5).integers(0, 96, (2, TEXT))


def torch_model(hf) -> "torch.nn.Module":
    """A random model all of whose weights matter: biases and norms are not at their start."""
    torch.manual_seed(11)
    model = transformers.AutoModelForCausalLM.from_config(hf, attn_implementation="eager").eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.15 * torch.randn_like(weight))
    return model


def torch_logits(model) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.tensor(TOKENS)).logits.numpy()


def filled(config, stored: dict[str, np.ndarray]) -> Decoder:
    """A decoder with the weights of files."""
    ours: dict[str, list] = {}
    for named in family({"model_type": config.family}).tensors(config, stored):
        for layer in range(config.layers) if named.by_layer else (0,):
            parts = named.apart(stored[named.file.format(layer=layer)], config)
            for path, part in zip(named.ours, parts, strict=True):
                ours.setdefault(path, []).append(part)
    shape, state = nnx.split(nnx.eval_shape(lambda: Decoder(config)))
    flat = dict(nnx.to_flat_state(state))
    assert {".".join(map(str, path)) for path in flat} == set(ours)
    for path, weight in flat.items():
        name = ".".join(map(str, path))
        array = np.stack(ours[name]) if name.startswith("blocks.") else ours[name][0]
        assert array.shape == weight.shape, name
        flat[path] = weight.replace(jnp.asarray(array))
    return nnx.merge(shape, nnx.from_flat_state(flat))


def written(decoder: Decoder) -> dict[str, np.ndarray]:
    """The tensors of files, from a decoder's weights."""
    config, tensors = decoder.config, {}
    flat = {".".join(map(str, path)): np.asarray(weight[...]) for path, weight in nnx.to_flat_state(nnx.state(decoder))}
    for named in family({"model_type": config.family}).tensors(config):
        for layer in range(config.layers) if named.by_layer else (None,):
            parts = [flat[path] if layer is None else flat[path][layer] for path in named.ours]
            tensors[named.file.format(layer=layer)] = named.together(parts, config)
    return tensors


@pytest.mark.parametrize("case", CASES)
def test_same_logits_and_same_bytes(case):
    kind, options = CASES[case]
    hf = transformers.AutoConfig.for_model(kind, **options)
    model = torch_model(hf)
    expected = torch_logits(model)
    assert np.abs(expected).max() > 0.5
    stored = {name: tensor.numpy() for name, tensor in model.state_dict().items()}

    config = read_config({**hf.to_dict(), "architectures": [type(model).__name__]})
    decoder = filled(config, stored)
    np.testing.assert_allclose(decoder(TOKENS), expected, rtol=0, atol=1e-4)

    back = written(decoder)
    head = {"lm_head.weight"} if config.tied else set()
    assert set(back) == set(stored) - head
    for name, array in back.items():
        assert array.dtype == stored[name].dtype
        assert array.tobytes() == stored[name].tobytes(), name

    said = write_config(config)
    assert read_config(said) == config
    again = transformers.AutoConfig.for_model(**said)
    other = transformers.AutoModelForCausalLM.from_config(again, attn_implementation="eager").eval()
    assert type(other).__name__ == said["architectures"][0]
    lacking = other.load_state_dict({name: torch.tensor(array) for name, array in back.items()}, strict=False)
    assert set(lacking.missing_keys) == head
    assert not lacking.unexpected_keys
    np.testing.assert_allclose(torch_logits(other), expected, rtol=0, atol=1e-5)  # GELU has names that round otherwise


@pytest.mark.parametrize("case", ["llama-3.1", "gemma3", "neox", "gpt2"])
def test_a_cache_gives_what_torch_gives(case):
    kind, options = CASES[case]
    hf = transformers.AutoConfig.for_model(kind, **options)
    model = torch_model(hf)
    stored = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    decoder = filled(read_config({**hf.to_dict(), "architectures": None}), stored).unrolled()
    step = nnx.jit(lambda decoder, tokens, cache: decoder.extend(tokens, cache))
    cache, found = decoder.cache(2, TEXT), []
    for start, end in ((0, 30), (30, 31), (31, TEXT)):
        hidden, cache = step(decoder, TOKENS[:, start:end], cache)
        found.append(decoder.logits(hidden))
    np.testing.assert_allclose(np.concatenate(found, 1), torch_logits(model), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_round_trip(dtype):
    hf = transformers.AutoConfig.for_model("gpt2", **GPT2)
    config = read_config({**hf.to_dict(), "architectures": None})
    decoder = filled(config, {n: t.numpy() for n, t in torch_model(hf).state_dict().items()})
    half = nnx.merge(nnx.graphdef(decoder), nnx.map_state(lambda _, w: w.astype(dtype), nnx.state(decoder)))
    back = written(half)
    for name, array in written(filled(config, back)).items():
        assert array.dtype == jnp.dtype(dtype)
        assert array.tobytes() == back[name].tobytes()
