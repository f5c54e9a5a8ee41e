"""What shapes an encoder, and how BERT, RoBERTa and MiniLM say it in their `config.json`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from lleval_jax.errors import BadInput, chosen, require, require_known
from lleval_jax.lm.config import Config

FAMILIES = ("bert", "roberta")  # by Hugging Face `model_type`; MiniLM is a BERT of 6 layers and 384 numbers


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """An encoder's shape: equal configurations share one compilation.

    family      "bert" or "roberta": the names of its tensors and the form of its classification head
    vocab       tokens it knows
    layers      blocks
    width       numbers that stand for a token
    heads       of attention; each has `width / heads` numbers
    hidden      numbers inside a block's feed-forward layer
    positions   rows of the table of positions
    first       row of the first token's position: 0 in BERT, one past the padding token's number in RoBERTa
    types       kinds of token: a pair's first text is 0 and its second 1
    norm_eps    added to the variance in layer norms
    activation  "gelu" (with the error function), "gelu_tanh", "relu" or "silu"
    pad         the token that fills short rows
    pooled      a dense layer with tanh stands on the first token: BERT's pooler, and the "dense" of RoBERTa's head
    labels      what its classification head distinguishes, in order; () where it has none
    """

    family: str
    vocab: int
    layers: int
    width: int
    heads: int
    hidden: int
    positions: int = 512
    first: int = 0
    types: int = 2
    norm_eps: float = 1e-12
    activation: str = "gelu"
    pad: int = 0
    pooled: bool = True
    labels: tuple[str, ...] = ()

    @property
    def context(self) -> int:
        """The most tokens in a row."""
        return self.positions - self.first

    @property
    def block(self) -> Config:
        """The attention and feed-forward layer of a block, as decoders describe theirs."""
        return Config(
            vocab=self.vocab,
            layers=self.layers,
            width=self.width,
            heads=self.heads,
            kv_heads=self.heads,
            head_dim=self.width // self.heads,
            hidden=self.hidden,
            context=self.context,
            family=self.family,
            norm="layer",
            norm_eps=self.norm_eps,
            activation=self.activation,
            gated=False,
            qkv_bias=True,
            output_bias=True,
            mlp_bias=True,
            rotary=None,
        )


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}
WANTED = {
    "vocab": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
}


def read_config(stated: Mapping[str, Any], *, where: str = "config.json") -> EncoderConfig:
    """The encoder that a Hugging Face `config.json` describes.

    Args:
        stated: What the file holds.
        where: Its name, for errors.

    Returns:
        The configuration. `pooled` and `labels` say what the named architecture has; the file of weights decides
        (`load_encoder`).

    Raises:
        BadInput: The architecture, its activation or its positions are not known here; a size is missing or absurd.

    >>> sizes = dict(vocab_size=9, num_hidden_layers=1, hidden_size=8, num_attention_heads=2, intermediate_size=16)
    >>> read_config({"model_type": "bert", **sizes}).head_dim
    4
    """
    family = str(stated.get("model_type", ""))
    require_known(family, FAMILIES, f"{where}: the encoder")
    _require_plain(stated, where)
    pad = int(stated.get("pad_token_id") or 0)
    sizes: dict[str, Any] = {ours: _size(stated, theirs, where) for ours, theirs in WANTED.items()}
    config = EncoderConfig(
        family=family,
        **sizes,
        positions=int(stated.get("max_position_embeddings", 512)),
        first=pad + 1 if family == "roberta" else 0,
        types=int(stated.get("type_vocab_size", 2)),
        norm_eps=float(stated.get("layer_norm_eps", 1e-12)),
        activation=chosen(ACTIVATIONS, str(stated.get("hidden_act", "gelu")), f"{where}: hidden_act"),
        pad=pad,
        labels=_labels(stated) if _classifies(stated) else (),
    )
    _require_sound(config, where)
    return config


def written_config(config: EncoderConfig) -> dict[str, Any]:
    """The `config.json` from which `read_config` reads the same encoder, as transformers writes it."""
    kind = {"bert": "Bert", "roberta": "Roberta"}[config.family]
    stated = {
        "architectures": [f"{kind}{'ForSequenceClassification' if config.labels else 'Model'}"],
        "model_type": config.family,
        **{theirs: getattr(config, ours) for ours, theirs in WANTED.items()},
        "max_position_embeddings": config.positions,
        "type_vocab_size": config.types,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": next(theirs for theirs, ours in ACTIVATIONS.items() if ours == config.activation),
        "pad_token_id": config.pad,
        "position_embedding_type": "absolute",
    }
    if config.labels:
        stated["id2label"] = {str(i): label for i, label in enumerate(config.labels)}
        stated["label2id"] = {label: i for i, label in enumerate(config.labels)}
    return stated


def _classifies(stated: Mapping[str, Any]) -> bool:
    return any(str(name).endswith("ForSequenceClassification") for name in stated.get("architectures") or ())


def _labels(stated: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels in order; transformers leaves them out where there are two without a name."""
    named = stated.get("id2label") or {i: f"LABEL_{i}" for i in range(int(stated.get("num_labels", 2)))}
    return tuple(str(label) for _, label in sorted((int(i), label) for i, label in named.items()))


def _size(stated: Mapping[str, Any], name: str, where: str) -> int:
    found = stated.get(name)
    if not isinstance(found, int) or found < 1:
        raise BadInput(f"{where}: {name} is {found!r}; it must be a whole number of 1 or more")
    return found


def _require_plain(stated: Mapping[str, Any], where: str) -> None:
    """Refuse what would be read as another model than it is."""
    kind = stated.get("position_embedding_type") or "absolute"
    require(kind == "absolute", f"{where}: positions are {kind!r}; only 'absolute' ones are known")
    require(not stated.get("is_decoder"), f"{where}: is_decoder is true; an encoder reads in both directions")
    own = stated.get("embedding_size")
    require(not own, f"{where}: embedding_size is {own}; embeddings of a width of their own are not known")


def _require_sound(config: EncoderConfig, where: str) -> None:
    whole = config.width % config.heads == 0
    require(whole, f"{where}: hidden_size {config.width} is not a multiple of num_attention_heads {config.heads}")
    room = f"{where}: max_position_embeddings is {config.positions}, of which {config.first} lie before the first token"
    require(config.context > 0, room)
