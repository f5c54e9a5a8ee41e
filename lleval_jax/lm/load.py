"""A language model by name, folder or file: its decoder, its tokenizer and where they came from; and written again.

What is read: a folder as Hugging Face publishes it (config.json, safetensors, tokenizer), a GGUF file, or a name of
`lleval models list`.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from lleval_jax import writing
from lleval_jax.errors import BadFile, BadInput, nearest, require, require_known
from lleval_jax.lm import families, gguf_families, gguf_file, registry, safetensors_files, token_writing, weights
from lleval_jax.lm.config import Config
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.encoder_config import FAMILIES as ENCODERS
from lleval_jax.lm.families import Family
from lleval_jax.lm.tensors import Tensors
from lleval_jax.lm.tokens import Tokens
from lleval_jax.values.progress import Tell, silent

DTYPES = ("float32", "bfloat16", "float16")
CONFIG = "config.json"
LICENCE = re.compile(r"^license: *['\"]?([\w.+-]+)", re.MULTILINE)  # in the head of a model's README.md


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where a model came from.

    path     the folder or file that was read
    files    the files of its weights
    licence  what its makers say that it may be used for; "" where they do not say
    """

    path: pathlib.Path
    files: tuple[pathlib.Path, ...]
    licence: str = ""

    @functools.cached_property
    def sha256(self) -> dict[str, str]:
        """The hash of each file of weights, by its name; computed when it is first asked for."""
        return {file.name: registry.sha256(file) for file in self.files}


@dataclasses.dataclass(frozen=True, eq=False)
class LanguageModel:
    """A model that scores and writes: `lm.score(model, ...)`, `lm.generate(model, ...)`.

    name     as it was asked for, or the name of its folder or file
    decoder  the weights and what they compute
    tokens   text to numbers and back
    config   everything that shapes the decoder
    mesh     the devices that it lies on; None: one
    source   where it came from
    """

    name: str
    decoder: Decoder
    tokens: Tokens
    config: Config
    mesh: Mesh | None
    source: Source


@dataclasses.dataclass(frozen=True)
class _Found:
    """What a folder or file holds, before any weight is read."""

    hf: dict[str, Any]
    tensors: Tensors
    tokens: Tokens
    source: Source


def load(
    model: str | os.PathLike[str],
    *,
    mesh: Mesh | None = None,
    dtype: str = "float32",
    compute: str | None = None,
    tell: Tell = silent,
) -> LanguageModel:
    """A language model, its weights on the devices.

    Weights are read a tensor at a time, straight to where they lie; all names, shapes and types are compared before.
    Nothing is ever downloaded here: see `lleval models fetch`.

    Args:
        model: a name of `lleval models list`; a folder of config.json, safetensors and a tokenizer; or a .gguf file.
        mesh: where the weights lie (`lm.mesh.mesh`); None: whole on the first device.
        dtype: of the weights in memory: "float32", "bfloat16" or "float16".
        compute: of products; None: as `dtype`. Norms, softmax and logits are computed in float32 whatever it is.
        tell: called with how far it is, in bytes.

    Raises:
        BadInput: there is no such model, or its architecture, an option of it, or its packing is not known.
        BadFile: a file is damaged or cut short, or a tensor is missing, misshapen or none of this model's.

    Example:
        >>> model = load("tiny-lm")
        >>> model.config.family
        'llama'
    """
    for kind in filter(None, (dtype, compute)):
        require_known(kind, DTYPES, "dtype")
    found = _opened(model)
    family, config = _shaped(found.hf, found.source.path)
    found.tokens.require_fits(config)
    decoder = nnx.eval_shape(lambda: Decoder(config, dtype=jnp.dtype(dtype), compute=compute and jnp.dtype(compute)))
    weights.fill(
        decoder,
        family.tensors(config, found.tensors),
        found.tensors,
        found.source.path,
        is_extra=lambda name: family.is_extra(name, config),
        mesh=mesh,
        tell=tell,
    )
    decoder.mesh = mesh
    return LanguageModel(_name(model), decoder, found.tokens, config, mesh, found.source)


def save(
    model: LanguageModel,
    folder: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    shard: int = safetensors_files.SHARD,
    tell: Tell = silent,
) -> pathlib.Path:
    """Write a model as Hugging Face publishes one, for transformers and for `load`: all of it, or nothing.

    Args:
        model: as `load` gives it.
        folder: a new one.
        dtype: of the weights in the files; None: as they are in memory.
        shard: bytes of weights in a file at most.
        tell: called with how far it is, in bytes.

    Returns:
        The folder.

    Raises:
        OSError: there is no room or no permission, or the folder holds something else.
    """
    if dtype is not None:
        require_known(dtype, DTYPES, "dtype")
    family, place = families.FAMILIES[model.config.family], pathlib.Path(folder)
    kind = None if dtype is None else jnp.dtype(dtype)
    tensors = weights.stored(model.decoder, family.tensors(model.config), kind)
    written = next(iter(tensors.values())).dtype.name
    with writing.new_folder(place) as part:
        (part / CONFIG).write_text(json.dumps(_hf_config(model, written), indent=2) + "\n", encoding="utf-8")
        token_writing.write(model.tokens, part, model.config.family)
        safetensors_files.write(part, tensors, shard=shard, tell=tell)
    return place


def _hf_config(model: LanguageModel, dtype: str) -> dict[str, Any]:
    ends = model.tokens.eos
    numbers = {
        "bos_token_id": model.tokens.bos,
        "eos_token_id": ends[0] if len(ends) == 1 else list(ends) or None,
        "pad_token_id": model.tokens.pad,
    }
    return families.write_config(model.config) | numbers | {"dtype": dtype}


def _opened(model: str | os.PathLike[str]) -> _Found:
    """What there is under a name, in a folder or in a file."""
    stated = registry.MODELS[model].licence if isinstance(model, str) and model in registry.MODELS else ""
    path = registry.located(str(model)) if stated else pathlib.Path(model)
    if path.is_dir():
        return _folder(path, stated)
    if not path.is_file():
        names = ", ".join(registry.MODELS)
        near = nearest(os.fspath(model), registry.MODELS)
        raise BadInput(f"there is no folder, file or model {os.fspath(model)!r}; models by name: {names}{near}")
    with path.open("rb") as stream:
        first = stream.read(len(gguf_file.MAGIC))
    if path.suffix == ".gguf" or first == gguf_file.MAGIC:
        return _gguf(path, stated)
    hint = f"Name its folder, {path.parent}." if path.suffix == ".safetensors" else ""
    raise BadInput(f"{path} is neither a folder nor a GGUF file.", python=hint, shell=hint)


def _folder(folder: pathlib.Path, stated: str) -> _Found:
    """A folder as Hugging Face publishes it."""
    if not (folder / CONFIG).is_file():
        (*several,) = sorted(folder.glob("*.gguf"))
        hint = f"Name a file: {several[0]}." if several else ""
        raise BadInput(f"{folder} holds no {CONFIG}.", python=hint, shell=hint)
    try:
        hf = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadFile(f"{folder / CONFIG} is damaged: it is no JSON ({error})") from error
    require(isinstance(hf, dict), f"{folder / CONFIG} is damaged: it is no JSON object")
    _shaped(hf, folder)  # before its weights are looked for
    tensors = safetensors_files.read(folder)
    files = tuple(dict.fromkeys(each.file for each in tensors.values()))
    return _Found(hf, tensors, Tokens.read(folder), Source(folder, files, stated or licence(folder)))


def _shaped(hf: dict[str, Any], where: pathlib.Path) -> tuple[Family, Config]:
    """What a config.json says. `BadInput` names the place too."""
    kind, hint = hf.get("model_type"), "Load it with lm.load_encoder."
    require(kind not in ENCODERS, f"{where} holds an encoder ({kind}), which does not write.", python=hint)
    try:
        return families.family(hf), families.read_config(hf)
    except BadInput as error:
        raise BadInput(f"{where}: {error.what}", python=error.python, shell=error.shell) from error


def licence(folder: pathlib.Path) -> str:
    """The licence that the head of a model's README states; "" where it states none."""
    card = folder / "README.md"
    found = LICENCE.search(card.read_text(encoding="utf-8", errors="replace")[:5000]) if card.is_file() else None
    return found[1] if found else ""


def _gguf(file: pathlib.Path, stated: str) -> _Found:
    read = gguf_file.read(file)
    hf, tensors = gguf_families.translated(read)
    source = Source(file, (file,), stated or str(read.meta.get("general.license", "")))
    return _Found(hf, tensors, Tokens.from_gguf(read.meta, os.fspath(file)), source)


def _name(model: str | os.PathLike[str]) -> str:
    path = pathlib.Path(model)
    return path.stem if path.suffix == ".gguf" else path.name or path.resolve().name
