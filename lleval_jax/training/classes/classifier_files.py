"""Classifiers in files: settings as JSON, and of the numbers those that learned; the encoder is not among them.

With `Lora(learn="B")` these are B and the head: A is drawn from its seed again.
"""

import dataclasses
import json
import os
import pathlib
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import safetensors.numpy
from flax import nnx

from lleval_jax.errors import BadFile, require
from lleval_jax.lm import safetensors_files
from lleval_jax.lm.encoder import POOLINGS, Encoder
from lleval_jax.lm.text_encoder import TextEncoder
from lleval_jax.training.classes.classifier import Classifier, Network, network
from lleval_jax.training.classes.labelled import Label
from lleval_jax.training.low_rank import adapter_files
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.writing import new_folder

SETTINGS, NUMBERS = "classifier.json", "classifier.safetensors"
SCHEMA = "lleval/classifier/1"


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """What `classifier.json` holds.

    schema    "lleval/classifier/1"
    encoder   name of the encoder, for people
    shape     of the encoder: its configuration
    base      sum of its weights before training; None if all of them learned
    classes   what is distinguished
    pooling   how a text becomes a vector
    lora      which adapters
    draws     the generator of what seeds give
    """

    schema: str
    encoder: str
    shape: dict[str, Any]
    base: str | None
    classes: tuple[Label, ...]
    pooling: str
    lora: Lora | None
    draws: str = "threefry2x32"


def save(classifier: Classifier, folder: "str | os.PathLike[str]") -> None:
    """Write what a classifier has learned.

    Args:
        classifier: as `classify.fit` gives it.
        folder: a new one.
    """
    made, encoder = classifier.lora, classifier.encoder
    shape = json.loads(json.dumps(dataclasses.asdict(encoder.config)))
    base = None if made is None else _sum(encoder.encoder)
    settings = Settings(SCHEMA, encoder.name, shape, base, classifier.classes, classifier.pooling, made)
    numbers = {name: np.asarray(value, np.float32) for name, value in _kept(_network(classifier), made)}
    with new_folder(pathlib.Path(folder)) as place:
        (place / NUMBERS).write_bytes(safetensors.numpy.save(numbers))
        (place / SETTINGS).write_bytes(msgspec.json.format(msgspec.json.encode(settings), indent=1))


def load(encoder: TextEncoder, folder: "str | os.PathLike[str]") -> Classifier:
    """The classifier that `save` wrote.

    Args:
        encoder: the one that it was learned on.
        folder: what `save` wrote.

    Raises:
        BadInput: the folder is none of ours, or the encoder is another one.
        BadFile: a file is damaged, or a tensor is missing, misshapen or none of the classifier's.
    """
    place = pathlib.Path(folder)
    require((place / SETTINGS).is_file(), f"{place} holds no classifier: it has no {SETTINGS}")
    settings = _settings(place / SETTINGS)
    shape = json.loads(json.dumps(dataclasses.asdict(encoder.config)))
    require(shape == settings.shape, f"{place} is of an encoder of another shape, {settings.encoder}")
    whole = network(encoder.encoder, settings.lora, len(settings.classes), 0)
    is_base = settings.base in (None, _sum(whole.encoder))
    require(is_base, f"{place} was learned on {settings.encoder}; the weights of {encoder.name} are others")
    _fill(whole, settings.lora, place / NUMBERS)
    adapted = dataclasses.replace(encoder, encoder=whole.encoder)
    return Classifier(adapted, whole.head, settings.classes, settings.pooling, settings.lora)


def _settings(path: pathlib.Path) -> Settings:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Settings)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} cannot be read as the settings of a classifier ({error})") from error
    require(found.schema == SCHEMA, f"{path} has the schema {found.schema!r}; it must be {SCHEMA!r}")
    require(found.pooling in POOLINGS, f"{path}: pooling is {found.pooling!r}; it is one of {', '.join(POOLINGS)}")
    require(len(found.classes) > 1, f"{path} names {len(found.classes)} classes; there are two at least")
    return found


def _network(classifier: Classifier) -> Network:
    whole = Network(classifier.encoder.encoder, len(classifier.classes), nnx.Rngs(0))
    whole.head = classifier.head
    return whole


def _fill(whole: Network, adapters: Lora | None, file: pathlib.Path) -> None:
    """Put the numbers of a file in place of those that are kept in one."""
    if not file.is_file():
        raise BadFile(f"{file.parent} has no {file.name}")
    tensors = safetensors_files.read_file(file)
    wanted = dict(_kept(whole, adapters))
    for name in tensors:
        if name not in wanted:
            raise BadFile(f"{file}: tensor {name!r} is none of this classifier")
    state = nnx.state(whole, _filter(adapters))
    found = [
        (path, variable.replace(jnp.asarray(_taken(tensors, path, variable, file))))
        for path, variable in nnx.to_flat_state(state)
    ]
    nnx.update(whole, nnx.from_flat_state(found))


def _taken(tensors: Any, path: tuple[Any, ...], variable: Any, file: pathlib.Path) -> np.ndarray:
    values = adapter_files.taken(tensors, ".".join(map(str, path)), variable[...].shape, file)
    return values.astype(variable[...].dtype)


def _kept(whole: Network, adapters: Lora | None) -> list[tuple[str, jax.Array]]:
    """What a file holds, by the paths in the network."""
    flat = nnx.to_flat_state(nnx.state(whole, _filter(adapters)))
    return [(".".join(map(str, path)), variable[...]) for path, variable in flat]


def _filter(adapters: Lora | None) -> Any:
    return nnx.Param if adapters is None else nnx.Any(nnx.PathContains("head"), *adapter_files.stored(adapters))


def _sum(encoder: Encoder) -> str:
    """A checksum of the weights below adapters, whatever carries them."""
    found = 0
    for path, variable in nnx.to_flat_state(nnx.state(encoder, nnx.Param)):
        if not isinstance(variable, nnx.LoRAParam):
            name = ".".join(str(part) for part in path if part != "base")
            found ^= zlib.crc32(np.asarray(variable[...]).tobytes(), zlib.crc32(name.encode()))
    return f"crc32:{found:08x}"
