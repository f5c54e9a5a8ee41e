"""A text encoder by name or folder: its weights, its tokenizer, and how its vectors are made of tokens."""

import dataclasses
import json
import os
import pathlib
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from lleval_jax import writing
from lleval_jax.errors import BadFile, BadInput, require, require_known
from lleval_jax.lm import encoder_files, registry, safetensors_files, token_writing, weights
from lleval_jax.lm.codecs import read_json
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.encoder_config import EncoderConfig, read_config, written_config
from lleval_jax.lm.load import CONFIG, DTYPES, Source, licence
from lleval_jax.lm.tokens import Tokens
from lleval_jax.values.progress import Tell, silent

Pooling = Literal["mean", "first"]
TOKENIZER, MODULES, SBERT = "tokenizer_config.json", "modules.json", "sentence_bert_config.json"
KNOWN = ("Transformer", "Pooling", "Normalize")  # parts of sentence-transformers
POOLED: dict[str, Pooling] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"}


class Use(NamedTuple):
    """How vectors are made of tokens.

    pooling  "mean" of a text's tokens, or "first", the token [CLS]
    unit     vectors have length 1, so that a product of two is their cosine
    limit    tokens of a text that are read, [CLS] and [SEP] among them
    """

    pooling: Pooling
    unit: bool
    limit: int


@dataclasses.dataclass(frozen=True, eq=False)
class TextEncoder:
    """An encoder with its tokenizer: `lm.embed(encoder, texts)`, `lm.classify(encoder, texts)`.

    name     as it was asked for, or the name of its folder
    encoder  the weights and what they compute
    tokens   text to numbers
    config   everything that shapes the encoder
    use      how it makes a vector of a text
    mesh     the devices that it lies on; None: one
    source   where it came from
    """

    name: str
    encoder: Encoder
    tokens: Tokens
    config: EncoderConfig
    use: Use
    mesh: Mesh | None
    source: Source


def load_encoder(
    model: str | os.PathLike[str],
    *,
    mesh: Mesh | None = None,
    dtype: str = "float32",
    compute: str | None = None,
    tell: Tell = silent,
) -> TextEncoder:
    """A BERT, RoBERTa or sentence-transformers model of these, its weights on the devices.

    Nothing is ever downloaded here: see `lleval models fetch`.

    Args:
        model: "minilm", or a folder of config.json, safetensors and a tokenizer.
        mesh: where the weights lie (`lm.mesh`); None: whole on the first device.
        dtype: of the weights in memory: "float32", "bfloat16" or "float16".
        compute: of products; None: as `dtype`. Norms, softmax, vectors and logits are float32 whatever it is.
        tell: called with how far it is, in bytes.

    Returns:
        The encoder. A folder of sentence-transformers says how vectors are made; of others they are the mean of a
        text's tokens, of length 1.

    Raises:
        BadInput: there is no such model, or its architecture, an option, or a part of it is not known.
        BadFile: a file is damaged or cut short, or a tensor is missing, misshapen or none of this model's.

    Example:
        >>> encoder = load_encoder("minilm")  # doctest: +SKIP
        >>> encoder.config.width              # doctest: +SKIP
        384
    """
    for kind in filter(None, (dtype, compute)):
        require_known(kind, DTYPES, "dtype")
    folder, terms = _located(model)
    stated = read_json(folder / CONFIG)
    require(bool(stated), f"{folder} holds no {CONFIG}, or an empty one")
    config = read_config(stated, where=os.fspath(folder / CONFIG))
    found = encoder_files.renamed(safetensors_files.read(folder))
    config = dataclasses.replace(config, pooled=encoder_files.has_pooler(found, config))
    tokens, use = Tokens.read(folder), _use(folder, config)
    tokens.require_fits(config)
    kinds = {"dtype": jnp.dtype(dtype), "compute": compute and jnp.dtype(compute)}
    encoder = nnx.eval_shape(lambda: Encoder(config, mesh=mesh, **kinds))
    named = encoder_files.tensors(config, found)
    weights.fill(encoder, named, found, folder, is_extra=encoder_files.is_extra, mesh=mesh, tell=tell)
    files = tuple(dict.fromkeys(each.file for each in found.values()))
    source = Source(folder, files, terms)
    return TextEncoder(os.path.basename(os.fspath(model)) or folder.name, encoder, tokens, config, use, mesh, source)


def save_encoder(model: TextEncoder, folder: str | os.PathLike[str], *, tell: Tell = silent) -> pathlib.Path:
    """Write an encoder for transformers, sentence-transformers and `load_encoder`: all of it, or nothing.

    Args:
        model: as `load_encoder` gives it.
        folder: a new one.
        tell: called with how far it is, in bytes.

    Returns:
        The folder.

    Raises:
        OSError: there is no room or no permission, or the folder holds something else.
    """
    place = pathlib.Path(folder)
    tensors = weights.stored(model.encoder, encoder_files.tensors(model.config))
    dtype = next(iter(tensors.values())).dtype.name
    with writing.new_folder(place) as part:
        _write_json(part / CONFIG, written_config(model.config) | {"dtype": dtype})
        token_writing.write(model.tokens, part, model.config.family)
        _write_use(part, model)
        safetensors_files.write(part, tensors, tell=tell)
    return place


def _located(model: str | os.PathLike[str]) -> tuple[pathlib.Path, str]:
    """The folder of a model, and what it may be used for."""
    if isinstance(model, str) and model in registry.MODELS:
        return registry.located(model), registry.MODELS[model].licence
    folder = pathlib.Path(model)
    require(folder.is_dir(), f"there is no folder {folder} of an encoder, and no model of this name")
    return folder, licence(folder)


def _use(folder: pathlib.Path, config: EncoderConfig) -> Use:
    """What sentence-transformers' files say."""
    told = read_json(folder / SBERT).get("max_seq_length"), read_json(folder / TOKENIZER).get("model_max_length")
    limit = int(min((length for length in told if length), default=config.context))
    limit = min(limit, config.context)
    if not (folder / MODULES).is_file():
        return Use("mean", True, limit)
    parts = {str(each.get("type", "")).rpartition(".")[2]: str(each.get("path", "")) for each in _modules(folder)}
    for name in parts:
        require_known(name, KNOWN, f"{folder / MODULES}: the part")
    return Use(_pooling(folder / parts.get("Pooling", "")), "Normalize" in parts, limit)


def _modules(folder: pathlib.Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((folder / MODULES).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadFile(f"{folder / MODULES} is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadFile(f"{folder / MODULES} is not a list of parts")
    return found


def _pooling(folder: pathlib.Path) -> Pooling:
    """The one pooling that is asked for; several one after the other are not known here."""
    stated = read_json(folder / CONFIG)
    asked = [name for name, value in stated.items() if name.startswith("pooling_mode_") and value is True]
    if len(asked) != 1 or asked[0] not in POOLED:
        found = f"{folder / CONFIG} asks for {', '.join(asked) or 'no pooling'}"
        raise BadInput(f"{found}; one of {', '.join(POOLED)} is known")
    return POOLED[asked[0]]


def _write_use(folder: pathlib.Path, model: TextEncoder) -> None:
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), *([("2_Normalize", "Normalize")] if model.use.unit else [])]
    kinds = [(path, f"sentence_transformers.models.{kind}") for path, kind in parts]
    listed = [{"idx": at, "name": str(at), "path": path, "type": kind} for at, (path, kind) in enumerate(kinds)]
    _write_json(folder / MODULES, listed)
    _write_json(folder / SBERT, {"max_seq_length": model.use.limit, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    modes = {name: ours == model.use.pooling for name, ours in POOLED.items()}
    _write_json(folder / "1_Pooling" / CONFIG, {"word_embedding_dimension": model.config.width, **modes})


def _write_json(file: pathlib.Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
