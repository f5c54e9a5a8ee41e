"""Families of decoders: how the config.json and the tensors of each say what `Config` and `Decoder` hold.

A family is a table of differences. Names work both ways: what is read from files is written back byte for byte. Keys
and defaults are those of transformers' configuration classes, in the forms of its versions 4 and 5.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lleval_jax.errors import require, require_known
from lleval_jax.lm import family_shapes as shapes
from lleval_jax.lm.config import Config
from lleval_jax.lm.family_names import GEMMA, GPT2, LLAMA, NEOX, Named, expanded
from lleval_jax.lm.family_options import activation, check_architecture, check_options, check_values

Hf = Mapping[str, Any]

SIZES = {  # field of Config -> key of config.json; families that differ say so
    "vocab": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "hidden": "intermediate_size",
    "context": "max_position_embeddings",
    "norm_eps": "rms_norm_eps",
    "activation": "hidden_act",
    "tied": "tie_word_embeddings",
}
ROTARY = {"rope_theta", "rope_scaling", "rope_parameters", "original_max_position_embeddings", "partial_rotary_factor"}
NULL = {"kv_heads", "head_dim", "hidden"}  # fields that may be null in a file: they follow from others
MUST = {"is_encoder_decoder": (False,), "quantization_config": ()}


@dataclasses.dataclass(frozen=True)
class Family:
    """How the files of one family say what a decoder is.

    Attributes:
        architectures: Classes that config.json may name; the first is written.
        defaults: Values of keys that a config.json lacks.
        read: From a config.json with all `defaults` filled in: the fields of `Config` that `SIZES` does not name.
        write: The keys that `read` reads, from a `Config`.
        names: All tensors that a model of the family can have, without prefix and kind.
        sizes: `SIZES`, with this family's keys; a key "" is not written.
        keys: More keys that `read` reads.
        must: Keys that are known with these values only; None is as good as missing.
        prefixes: What precedes a tensor's name, and that of the head: first as written, then as also found.
        ignored: Pattern of tensors that hold nothing of the decoder: computed tables, parts for images.
        inner: The key under which the decoder's own config.json lies.
    """

    architectures: tuple[str, ...]
    defaults: Hf
    read: Callable[[Hf], dict[str, Any]]
    write: Callable[[Config], dict[str, Any]]
    names: tuple[Named, ...]
    sizes: Mapping[str, str] = dataclasses.field(default_factory=lambda: SIZES)
    keys: frozenset[str] = frozenset()
    must: Mapping[str, tuple] = dataclasses.field(default_factory=lambda: MUST)
    prefixes: tuple[tuple[str, str], ...] = (("model.", ""),)
    ignored: str = r"rotary_emb\.inv_freq$"
    inner: str = ""

    def config(self, hf: Hf) -> Config:
        """The shape that a config.json says.

        Raises:
            BadInput: it asks for what is not known: an option, an activation, a rotary scaling, another head than a
                causal language model's. The message names it.
        """
        check_values(hf, {"architectures", self.inner})
        check_architecture(hf, self.architectures)
        if self.inner:
            inner = hf.get(self.inner) or {}
            return family(inner).config({**inner, "architectures": None})
        read = {*self.sizes.values(), *ROTARY, *self.keys}
        check_options(hf, read, self.must)
        check_values(hf, {*read, "_sliding_window_pattern"})
        full = {**self.defaults, **hf}
        lacking = [key for field, key in self.sizes.items() if key and not _has(full, key, null=field in NULL)]
        require(not lacking, f"the configuration lacks {', '.join(lacking)}")
        found = {field: full[key] for field, key in self.sizes.items() if key}
        heads, width = found["heads"], found["width"]
        head_dim = found.get("head_dim") or width // heads
        require(found.get("head_dim") or width % heads == 0, f"{width} numbers do not go into {heads} heads alike")
        own = {"kv_heads": found.get("kv_heads") or heads, "head_dim": head_dim, "hidden": found["hidden"] or 4 * width}
        named = {"family": hf["model_type"], "activation": activation(found["activation"]), "tied": bool(found["tied"])}
        return Config(**{**found, **own, **named, **self.read(full)})

    def hf_config(self, config: Config) -> dict[str, Any]:
        """A config.json of this shape, which transformers 4 and 5 read alike.

        Raises:
            BadInput: the family's files cannot say something that `config` asks for; the message names it.
        """
        sizes = {key: getattr(config, field) for field, key in self.sizes.items() if key}
        act = {"gelu_tanh": "gelu_new" if config.family == "gpt2" else "gelu_pytorch_tanh"}
        acts = {self.sizes["activation"]: act.get(config.activation, config.activation)}
        stated = {"model_type": config.family, "architectures": [self.architectures[0]]}
        hf = {**stated, **sizes, **acts, **self.write(config)}
        back = self.config(hf)
        for field in dataclasses.fields(Config):
            asked, said = getattr(config, field.name), getattr(back, field.name)
            what = f"files of the family {config.family!r} cannot say {field.name} = {asked!r}; they say {said!r}"
            require(asked == said, what)
        return hf

    def tensors(self, config: Config, stored: Collection[str] = ()) -> tuple[Named, ...]:
        """All tensors of a model of this shape.

        Args:
            config: The shape.
            stored: Names in files, which decide between several prefixes; without them names are as written.
        """
        first = f"{self.names[0].file}.weight"
        prefix, head = next((pair for pair in self.prefixes if pair[0] + first in stored), self.prefixes[0])
        before = (head if row.file == "lm_head" else prefix for row in self.names)
        rows = zip(self.names, before, strict=True)
        return tuple(named for row, prefix in rows for named in expanded(row, config, prefix))

    def is_extra(self, name: str, config: Config) -> bool:
        """Whether a tensor that `tensors` does not name may be left out: computed, for images, or the tied head."""
        return (config.tied and name.endswith("lm_head.weight")) or re.search(self.ignored, name) is not None


def _has(hf: Hf, key: str, *, null: bool) -> bool:
    return key in hf and (null or hf[key] is not None)


def family(hf: Hf) -> Family:
    """The family of a config.json, by its `model_type`.

    Raises:
        BadInput: it has none, or one that is not known; the message lists those that are.
    """
    known = f"there are {', '.join(FAMILIES)}"
    require("model_type" in hf, f"the configuration has no 'model_type'; {known}")
    require_known(hf["model_type"], FAMILIES, "architecture (model_type)")
    return FAMILIES[hf["model_type"]]


def read_config(hf: Hf) -> Config:
    """The shape that a config.json says, of whatever family it is. Raises as `family` and `Family.config`.

    Example:
        >>> sizes = {"vocab_size": 96, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
        >>> read_config({"model_type": "gpt2", **sizes}).hidden
        128
    """
    return family(hf).config(hf)


def write_config(config: Config) -> dict[str, Any]:
    """A config.json of this shape, which transformers 4 and 5 read alike."""
    return family({"model_type": config.family}).hf_config(config)


FLAGS = {"num_key_value_heads": None, "head_dim": None, "hidden_act": "silu", "rms_norm_eps": 1e-6}
UNTIED, TIED = {"tie_word_embeddings": False}, {"tie_word_embeddings": True}
QWEN = {**FLAGS, **UNTIED, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28}
QWEN_KEYS = frozenset({"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"})
GEMMA_KEYS = frozenset(
    {
        "attention_bias",
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "hidden_act",  # published next to hidden_activation, which counts
        "layer_types",
        "query_pre_attn_scalar",
        "rope_local_base_freq",
        "sliding_window",
        "sliding_window_pattern",
    }
)
GEMMA_DEFAULTS = {
    **TIED,
    "vocab_size": 262_208,  # published files of Gemma 3 leave out what is as here
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "final_logit_softcapping": None,
}
GEMMA_SIZES = {**SIZES, "activation": "hidden_activation"}
CAUSAL = {**MUST, "use_bidirectional_attention": (False,)}
GEMMA3 = Family(
    architectures=("Gemma3ForCausalLM",),
    defaults=GEMMA_DEFAULTS,
    read=shapes.read_gemma3,
    write=shapes.write_gemma3,
    names=GEMMA,
    sizes=GEMMA_SIZES,
    keys=GEMMA_KEYS,
    must={**CAUSAL, "attn_logit_softcapping": ()},  # transformers does not apply it to this family
    prefixes=(("model.", ""), ("language_model.model.", "language_model."), ("model.language_model.", "")),
    ignored=r"rotary_emb\.inv_freq$|vision_tower\.|multi_modal_projector\.",
)

FAMILIES: dict[str, Family] = {  # by Hugging Face's `model_type`
    "llama": Family(
        architectures=("LlamaForCausalLM",),
        defaults={**FLAGS, **UNTIED, "attention_bias": False, "mlp_bias": False},
        read=shapes.read_llama,
        write=shapes.write_llama,
        names=LLAMA,
        keys=frozenset({"attention_bias", "mlp_bias"}),
    ),
    "mistral": Family(
        architectures=("MistralForCausalLM",),
        defaults={**FLAGS, **UNTIED, "num_key_value_heads": 8, "sliding_window": 4096},
        read=shapes.read_mistral,
        write=shapes.write_mistral,
        names=LLAMA,
        keys=frozenset({"sliding_window"}),
    ),
    "qwen2": Family(
        architectures=("Qwen2ForCausalLM",),
        defaults={**QWEN, "num_key_value_heads": 32},
        read=shapes.read_qwen2,
        write=shapes.write_qwen2,
        names=LLAMA,
        keys=QWEN_KEYS,
    ),
    "qwen3": Family(
        architectures=("Qwen3ForCausalLM",),
        defaults={**QWEN, "num_key_value_heads": 32, "head_dim": 128, "attention_bias": False},
        read=shapes.read_qwen3,
        write=shapes.write_qwen3,
        names=LLAMA,
        keys=QWEN_KEYS | {"attention_bias"},
    ),
    "gemma2": Family(
        architectures=("Gemma2ForCausalLM",),
        defaults={**GEMMA_DEFAULTS, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
        read=shapes.read_gemma2,
        write=shapes.write_gemma2,
        names=GEMMA,
        sizes=GEMMA_SIZES,
        keys=GEMMA_KEYS - {"rope_local_base_freq", "sliding_window_pattern"},
        must=CAUSAL,
    ),
    "gemma3_text": GEMMA3,
    "gemma3": dataclasses.replace(
        GEMMA3,
        architectures=("Gemma3ForConditionalGeneration", "Gemma3ForCausalLM"),
        inner="text_config",
    ),
    "gpt_neox": Family(
        architectures=("GPTNeoXForCausalLM",),
        defaults={
            **UNTIED,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
            "use_parallel_residual": True,
            "attention_bias": True,
        },
        read=shapes.read_neox,
        write=shapes.write_neox,
        names=NEOX,
        sizes={**SIZES, "kv_heads": "", "head_dim": "", "norm_eps": "layer_norm_eps"},
        keys=frozenset({"use_parallel_residual", "attention_bias", "rotary_pct", "rotary_emb_base"}),
        prefixes=(("gpt_neox.", ""),),
        ignored=r"rotary_emb\.inv_freq$|attention\.(masked_)?bias$",
    ),
    "gpt2": Family(
        architectures=("GPT2LMHeadModel",),
        defaults={
            **TIED,
            "n_inner": None,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
        },
        read=shapes.read_gpt2,
        write=shapes.write_gpt2,
        names=GPT2,
        sizes={
            **SIZES,
            "layers": "n_layer",
            "width": "n_embd",
            "heads": "n_head",
            "kv_heads": "",
            "head_dim": "",
            "hidden": "n_inner",
            "context": "n_positions",
            "norm_eps": "layer_norm_epsilon",
            "activation": "activation_function",
        },
        keys=frozenset({"scale_attn_weights", "scale_attn_by_inverse_layer_idx"}),
        must={**MUST, "add_cross_attention": (False,)},
        prefixes=(("transformer.", ""), ("", "")),
        ignored=r"attn\.(masked_)?bias$",
    ),
}
