"""What a config.json may ask for: what is known, what changes nothing, and what is refused by name."""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from lleval_jax.errors import BadInput, require, require_known

Hf = Mapping[str, Any]

ACTIVATIONS = {  # Hugging Face's name -> ours
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
}

HARMLESS = re.compile(  # of training, of generation, of other programs: the numbers stay the same
    "^_|dropout|pdrop|^attn_implementation$|^initializer_range$|^reorder_and_upcast_attn$|^pretraining_tp$|^output_"
)
SHAPING = re.compile(
    "expert|moe|rout|quanti|rope|rotary|rotat|position|window|sliding|att|norm|bias|scal|cap|multipl|factor|resid"
    "|hidden|activ|gat|glu|rank|latent|alibi|cross|parallel|sink|layer|sparse|nextn|mtp|conv|ssm|memory|head|encoder"
)


COUNTS = {  # keys with whole numbers above 0 -> the most that is taken for one; what is larger is a damaged file
    **dict.fromkeys(("num_hidden_layers", "n_layer"), 10_000),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads", "n_head", "head_dim"), 1 << 20),
    **dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size", "n_embd", "n_inner"), 1 << 31),
    **dict.fromkeys(("max_position_embeddings", "original_max_position_embeddings", "n_positions"), 1 << 31),
    **dict.fromkeys(("sliding_window", "sliding_window_pattern", "_sliding_window_pattern"), 1 << 31),
    "max_window_layers": 10_000,
}
ZERO = {"sliding_window", "max_window_layers"}  # of these, what may be 0
NUMBERS = {  # keys with numbers above 0
    *("rope_theta", "rope_local_base_freq", "rotary_emb_base", "rotary_pct", "partial_rotary_factor", "factor"),
    *("low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim"),
    *("query_pre_attn_scalar", "final_logit_softcapping", "attn_logit_softcapping"),
    *("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"),
}
TEXTS = {"layer_types", "architectures"}  # keys with lists of texts
TABLES = {"rope_scaling", "rope_parameters", "full_attention", "sliding_attention", "text_config"}  # keys with options


def check_values(hf: Hf, read: Collection[str]) -> None:
    """Refuse a value that is of another kind than its key; null is as good as missing.

    Args:
        hf: The config.json.
        read: Keys that are read.

    Raises:
        BadInput: names the key and the value.
    """
    for key, value in hf.items():
        if value is None or key not in read or (key in ZERO and value == 0):
            continue
        what = f"the option {key!r} is {str(value)[:60]!r}; it must be"
        if key in COUNTS:
            good = type(value) is int and 0 < value <= COUNTS[key]
            require(good, f"{what} a whole number from 1 to {COUNTS[key]:,}")
        elif key in NUMBERS:
            good = type(value) in (int, float) and 0 < value < math.inf
            require(good, f"{what} a number above 0")
        elif key in TEXTS:
            require(isinstance(value, list) and all(isinstance(each, str) for each in value), f"{what} a list of texts")
        elif key in TABLES:
            require(isinstance(value, dict), f"{what} an object with options")
            check_values(value, {*COUNTS, *NUMBERS, *TABLES})


def activation(name: Any) -> str:
    """Our name of an activation. Raises `BadInput` where it is not known."""
    require_known(str(name), ACTIVATIONS, "activation")
    return ACTIVATIONS[name]


def check_options(hf: Hf, read: Collection[str], must: Mapping[str, tuple]) -> None:
    """Refuse what would change the model's numbers and is not known.

    Args:
        hf: The config.json.
        read: Keys that are read.
        must: Keys that are known with these values only; None is as good as missing.

    Raises:
        BadInput: names the first option that is refused, and its value.
    """
    for key, value in hf.items():
        if key in must:
            if value is not None and value not in must[key]:
                raise BadInput(f"the option {key!r} is {value!r}; known is {' or '.join(map(repr, must[key])) or None}")
        elif value and key not in read and not HARMLESS.search(key) and SHAPING.search(key):
            raise BadInput(f"the option {key!r} ({value!r}) is not known")


def check_architecture(hf: Hf, own: Collection[str]) -> None:
    """Refuse files of anything but a causal language model."""
    stated = hf.get("architectures") or ()
    if stated and not set(stated) & set(own):
        known = " or ".join(own)
        raise BadInput(f"architectures is {list(stated)}; a causal language model of this family is a {known}")
