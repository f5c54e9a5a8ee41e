"""Families: config.json in all its forms, what is refused by name, and names of tensors in both directions."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from lleval_jax.errors import BadInput
from lleval_jax.lm.config import Config, Rotary, Scaling
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.families import FAMILIES, family, read_config, write_config
from lleval_jax.lm.family_names import Named

SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
GPT2 = {"vocab_size": 96, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
LLAMA = {"model_type": "llama", **SIZES}
OWN_SIZES = {"gpt2": GPT2, "gpt_neox": SIZES, "llama": SIZES}
YARN = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 16}
KINDS = ["sliding_attention", "full_attention", "sliding_attention"]
WINDOWS = {"sliding_window": 7, "use_sliding_window": True}


def smallest(kind: str) -> dict:
    """A config.json of a family with sizes only."""
    if kind == "gemma3":
        return {"model_type": kind, "text_config": smallest("gemma3_text")}
    return {"model_type": kind, **OWN_SIZES.get(kind, GROUPED)}


VARIANTS = {
    **{kind: smallest(kind) for kind in FAMILIES if kind != "gemma3"},
    "tied": {**LLAMA, "tie_word_embeddings": True, "num_key_value_heads": 2, "head_dim": 16},
    "theta": {**LLAMA, "rope_theta": 500.0},
    "linear": {**LLAMA, "rope_scaling": {"type": "linear", "factor": 2.0}},
    "yarn": {**LLAMA, "rope_parameters": YARN},
    "no window": {"model_type": "mistral", **GROUPED, "sliding_window": None},
    "qwen from layer 1": {"model_type": "qwen2", **GROUPED, **WINDOWS, "max_window_layers": 1},
    "qwen by layer": {"model_type": "qwen3", **GROUPED, **WINDOWS, "layer_types": KINDS},
    "gemma by layer": {"model_type": "gemma2", **GROUPED, "layer_types": KINDS},
    "gemma pattern": {
        "model_type": "gemma3_text",
        **GROUPED,
        "sliding_window_pattern": 2,
        "rope_local_base_freq": 99.0,
    },
    "gemma scaled": {"model_type": "gemma3_text", **GROUPED, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
    "neox old": {"model_type": "gpt_neox", **SIZES, "rotary_pct": 0.5, "rotary_emb_base": 99},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_as_transformers_reads_it(variant):
    """What a file leaves out, and old forms of what it says, mean what transformers makes of them."""
    transformers = pytest.importorskip("transformers", reason="needs the extra `train`")
    hf = VARIANTS[variant]
    theirs = transformers.AutoConfig.for_model(**hf).to_dict()
    assert read_config(hf) == read_config(theirs)
    assert read_config(write_config(read_config(hf))) == read_config(hf)


def test_gemma3_with_images_is_its_text():
    outer = {"architectures": ["Gemma3ForConditionalGeneration"], "vision_config": {"num_hidden_layers": 9}}
    inner = {"model_type": "gemma3_text", "hidden_size": 64, "num_hidden_layers": 2}
    config = read_config({"model_type": "gemma3", **outer, "text_config": inner})
    assert config == read_config(inner)
    assert (config.vocab, config.heads, config.windows) == (262_208, 8, (4096, 4096))
    named = FAMILIES["gemma3"].tensors(config, {"language_model.model.embed_tokens.weight"})
    assert named[0].file == "language_model.model.embed_tokens.weight"
    assert FAMILIES["gemma3"].is_extra("vision_tower.layer.weight", config)


def test_scalings():
    assert read_config({**LLAMA, "rope_parameters": YARN}).rotary == Rotary(
        500.0, 1.0, Scaling("yarn", 4.0, original=16, attention=0.1 * np.log(4.0) + 1)
    )
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = read_config({**LLAMA, "rope_scaling": llama3})
    assert config.rotary == Rotary(1e4, 1.0, Scaling("llama3", 8.0, original=64, low=1.0, high=4.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, r"architecture \(model_type\) 'bert' is not known; there are llama, mistral, qwen2"),
        ({"architectures": ["LlamaForSequenceClassification"]}, r"\['LlamaForSequenceClassification'\]; a causal"),
        ({"architectures": ["LlamaModel"]}, "a causal language model of this family is a LlamaForCausalLM"),
        ({"hidden_act": "xielu"}, "activation 'xielu' is not known; there are silu"),
        ({"num_local_experts": 8}, r"the option 'num_local_experts' \(8\) is not known"),
        ({"quantization_config": {"bits": 4}}, "'quantization_config' is {'bits': 4}; known is None"),
        ({"use_qk_norm": True}, "'use_qk_norm'"),
        ({"residual_multiplier": 0.2}, "'residual_multiplier'"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, r"rotary scaling \(rope_type\) 'longrope'"),
        ({"rope_scaling": {"rope_type": "linear"}}, "rotary scaling 'linear' needs a 'factor'"),
        ({"rope_parameters": {"mrope_section": [2, 2, 4]}}, "the rotary option 'mrope_section'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; this family rotates whole heads"),
        ({"hidden_size": 30}, "30 numbers do not go into 4 heads alike"),
        ({"vocab_size": None}, "the configuration lacks vocab_size"),
        ({"vocab_size": "96"}, "'vocab_size' is '96'; it must be a whole number from 1 to 2,147,483,648"),
        (
            {"num_hidden_layers": 10**9},
            "'num_hidden_layers' is '1000000000'; it must be a whole number from 1 to 10,000",
        ),
        ({"hidden_size": 0}, "'hidden_size' is '0'; it must be a whole number"),
        ({"rope_theta": "large"}, "'rope_theta' is 'large'; it must be a number above 0"),
        ({"rms_norm_eps": float("nan")}, "'rms_norm_eps' is 'nan'; it must be a number above 0"),
        ({"rope_scaling": "linear"}, "'rope_scaling' is 'linear'; it must be an object with options"),
        ({"rope_scaling": {"rope_type": "linear", "factor": -2}}, "'factor' is '-2'; it must be a number above 0"),
        ({"model_type": "qwen3", "layer_types": 3}, "'layer_types' is '3'; it must be a list of texts"),
        ({"architectures": [["LlamaForCausalLM"]]}, "'architectures' is .* a list of texts"),
        ({"num_key_value_heads": 3}, "heads is 4 and kv_heads 3"),
        ({"model_type": "gemma3_text", "attn_logit_softcapping": 50.0}, "'attn_logit_softcapping' is 50.0"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "'use_bidirectional_attention' is True"),
        ({"model_type": "gemma3_text", "rope_parameters": {"factor": 2.0}}, r"rotary option 'factor' \(2.0\)"),
        ({"add_cross_attention": True}, "'add_cross_attention'"),
        ({"model_type": "qwen3", "layer_types": ["linear_attention"] * 3}, "'linear_attention' is not known"),
        ({"model_type": "qwen3", "layer_types": KINDS}, "sliding_window is not given"),
    ],
)
def test_refused_by_name(change, message):
    with pytest.raises(BadInput, match=message):
        read_config({**LLAMA, **change})


def test_what_is_lacking_is_named():
    with pytest.raises(BadInput, match="has no 'model_type'; there are llama"):
        read_config({})
    with pytest.raises(BadInput, match="lacks vocab_size, num_hidden_layers"):
        read_config({key: value for key, value in LLAMA.items() if key not in ("vocab_size", "num_hidden_layers")})


def test_harmless_options_are_let_through():
    extra = {
        "attention_dropout": 0.1,
        "pretraining_tp": 2,
        "torch_dtype": "bfloat16",
        "rope_interleaved": False,
        "_attn_implementation_autoset": True,
        "transformers.js_config": {"dtype": "q4"},
        "task_specific_params": {"text": 1},
    }
    assert read_config({**LLAMA, **extra}) == read_config(LLAMA)


@pytest.mark.parametrize(
    "change", [{"qk_norm": True}, {"final_cap": 3.0}, {"local_rotary": Rotary(9.0), "windows": (1, 0, 1)}]
)
def test_what_files_cannot_say_is_not_written(change):
    config = dataclasses.replace(read_config(LLAMA), **change)
    with pytest.raises(BadInput, match=f"files of the family 'llama' cannot say {next(iter(sorted(change)))}"):
        write_config(config)


@pytest.mark.parametrize("variant", [*VARIANTS])
def test_names_are_those_of_the_parameters(variant):
    """Each parameter has one tensor, and each tensor goes there and back byte for byte."""
    config = read_config(VARIANTS[variant])
    shapes = {
        ".".join(map(str, path)): weight.shape
        for path, weight in nnx.to_flat_state(nnx.state(nnx.eval_shape(lambda: Decoder(config))))
    }
    named = family(VARIANTS[variant]).tensors(config)
    assert sorted(path for each in named for path in each.ours) == sorted(shapes)
    for each in named:
        sizes = [shapes[path][1:] if each.by_layer else shapes[path] for path in each.ours]
        rows = [np.arange(np.prod(size)).reshape(size).astype(ml_dtypes.bfloat16) for size in sizes]
        stored = each.together(rows, config)
        assert stored.flags.c_contiguous
        for one, two in zip(each.apart(stored, config), rows, strict=True):
            np.testing.assert_array_equal(one, two)


def test_how_heads_lie():
    """GPT-NeoX: query, key and value of the first head, then of the second. GPT-2: all queries first, (in, out)."""
    config = Config(vocab=4, layers=1, width=4, heads=2, kv_heads=2, head_dim=2, hidden=4, context=4)
    stored = np.arange(12)
    three = ("a", "b", "c")
    query, key, value = Named("f", three, "interleaved").apart(stored, config)
    assert [query.tolist(), key.tolist(), value.tolist()] == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    query, key, _ = Named("f", three, "thirds transposed").apart(np.arange(48).reshape(4, 12), config)
    assert query[1].tolist() == [1, 13, 25, 37]
    assert key[0].tolist() == [4, 16, 28, 40]


def test_prefixes_and_extras():
    config = read_config(VARIANTS["gpt2"])
    gpt2 = FAMILIES["gpt2"]
    assert gpt2.tensors(config)[0].file == "transformer.wte.weight"
    assert gpt2.tensors(config, {"wte.weight", "h.0.ln_1.weight"})[0].file == "wte.weight"
    assert gpt2.is_extra("h.3.attn.bias", config)
    assert gpt2.is_extra("lm_head.weight", config)
    assert not gpt2.is_extra("h.3.attn.other", config)
    assert not FAMILIES["llama"].is_extra("lm_head.weight", read_config(LLAMA))
    assert FAMILIES["llama"].is_extra("model.layers.0.self_attn.rotary_emb.inv_freq", read_config(LLAMA))
