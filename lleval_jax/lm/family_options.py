"""What a config.json may ask for: what is known, what changes nothing, and what is refused by name."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from lleval_jax.errors import BadInput, require_known

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
