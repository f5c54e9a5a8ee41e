"""Adapters in files: PEFT's folders, which transformers and vLLM open, and files of our own that hold B and a seed.

A PEFT folder holds `adapter_config.json` and `adapter_model.safetensors`; its tensors are called
`base_model.model.<layer>.lora_A.weight` (rank, in) and `...lora_B.weight` (out, rank). Decoders and encoders alike.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, TypeVar

import jax.numpy as jnp
import msgspec
import numpy as np
import safetensors.numpy

from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.lm import safetensors_files
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.families import FAMILIES
from lleval_jax.lm.tensors import Tensors
from lleval_jax.training.low_rank import adapter_names, lora
from lleval_jax.training.low_rank.adapter_names import HEAD, fits, layers, paths
from lleval_jax.training.low_rank.lora import FactorA, FactorB, Lora, LowRank
from lleval_jax.writing import new_folder

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # PEFT's
OWN, FACTORS = "adapter.json", "adapter.safetensors"  # ours
SCHEMA = "lleval/adapter/1"
READ = {"r", "lora_alpha", "use_rslora", "target_modules", "lora_dropout"}
ABOUT = {  # keys that change nothing of what the adapter computes
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"),
    *("fan_in_fan_out", "layers_pattern", "megatron_core", "qalora_group_size", "exclude_modules", "runtime_config"),
}
PLAIN = {"peft_type": "LORA", "inference_mode": True, "bias": "none", "init_lora_weights": True}  # of what is written
PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva", "lora_ga")  # those that leave the base's weights alone

Factors = Mapping[str, tuple[np.ndarray, np.ndarray]]
Model = TypeVar("Model", Decoder, Encoder)


def save_peft(model: Decoder | Encoder, adapters: Lora, folder: "str | os.PathLike[str]", *, base: str = "") -> None:
    """Write the adapters of a model as PEFT does.

    Args:
        model: with adapters attached.
        adapters: what was attached.
        folder: a new one.
        base: name or folder of the base model, which PEFT looks for.

    Raises:
        BadInput: the model has none, or a layer that its family's files keep in one piece with others: PEFT has one
            adapter for all of them. Merge it instead.
    """
    factors = {each.name: each.factors() for each in layers(model)}
    require(bool(factors), "the model has no adapters to write")
    put_peft(folder, factors, _config(model, adapters, adapter_names.targets(model), base))


def put_peft(folder: "str | os.PathLike[str]", factors: Factors, config: Mapping[str, Any]) -> None:
    """Write a PEFT folder.

    Args:
        folder: a new one.
        factors: of each layer, by the name that files give it, A (rank, in) and B (out, rank), float32.
        config: what its configuration says of them; that it is plain LoRA is added.
    """
    sides = ("A", "B")
    tensors = {
        f"{HEAD}{name}.lora_{side}.weight": np.ascontiguousarray(factor, np.float32)
        for name, pair in factors.items()
        for side, factor in zip(sides, pair, strict=True)
    }
    with new_folder(pathlib.Path(folder)) as place:
        (place / WEIGHTS).write_bytes(safetensors.numpy.save(tensors, metadata={"format": "pt"}))
        (place / CONFIG).write_text(json.dumps(PLAIN | dict(config), indent=2), encoding="utf-8")


def load_peft(model: Model, folder: "str | os.PathLike[str]") -> tuple[Model, Lora]:
    """The model with the adapters of a PEFT folder, and what they are.

    Args:
        model: their base.
        folder: what `PeftModel.save_pretrained` wrote.

    Raises:
        BadInput: the folder is none, an option of its configuration changes what is computed in a way that is not known
            here (DoRA, biases, ranks by layer, ...; it is named), or it is of another model.
        BadFile: a file is damaged, or a tensor is missing, of no layer of the model, or of another shape.
    """
    place = pathlib.Path(folder)
    require((place / CONFIG).is_file(), f"{place} is no PEFT folder: it has no {CONFIG}")
    said = settings(place / CONFIG)
    tensors = tensors_of(place)
    ours = paths(model)
    adapters = _lora(said, tensors, ours, place)
    adapted = lora.attach(model, adapters)
    _fill(adapted, tensors, place / WEIGHTS)
    return adapted, adapters


def save(model: Decoder | Encoder, adapters: Lora, folder: "str | os.PathLike[str]") -> None:
    """Write adapters in our own form: what learned, and of what did not only the seed.

    With `Lora(learn="B")` that is half of a PEFT folder. A that is the weight's singular vectors is written too.

    Args:
        model: with adapters attached.
        adapters: what was attached.
        folder: a new one.
    """
    kinds = stored(adapters)
    factors = {
        f"{lora.name_of(path)}.{name}": np.asarray(factor[...], np.float32)
        for path, each in lora.adapters(model)
        for name, factor in (("a", each.a), ("b", each.b))
        if isinstance(factor, kinds)
    }
    require(bool(factors), "the model has no adapters to write")
    about = {"schema": SCHEMA, "lora": dataclasses.asdict(adapters), "draws": "threefry2x32"}
    with new_folder(pathlib.Path(folder)) as place:
        (place / FACTORS).write_bytes(safetensors.numpy.save(factors))
        (place / OWN).write_text(json.dumps(about, indent=1), encoding="utf-8")


def load(model: Model, folder: "str | os.PathLike[str]") -> tuple[Model, Lora]:
    """The model with the adapters that `save` wrote, and what they are.

    Raises:
        BadInput: the folder is none of ours, or of a model with other layers.
        BadFile: a file is damaged.
    """
    place = pathlib.Path(folder)
    about = _json(place / OWN, f"{place} holds no adapter of ours: it has no {OWN}")
    require(
        about.get("schema") == SCHEMA, f"{place / OWN} has the schema {about.get('schema')!r}; it must be {SCHEMA!r}"
    )
    try:
        adapters = msgspec.convert(about.get("lora"), Lora)
    except msgspec.ValidationError as error:
        raise BadFile(f"{place / OWN}: the settings of the adapters cannot be read ({error})") from error
    adapted = lora.attach(model, adapters)
    tensors = safetensors_files.read_file(place / FACTORS)
    for path, each in lora.adapters(adapted):
        for name, factor in (("a", each.a), ("b", each.b)):
            if isinstance(factor, stored(adapters)):
                factor[...] = jnp.asarray(
                    taken(tensors, f"{lora.name_of(path)}.{name}", factor[...].shape, place / FACTORS)
                )
    return adapted, adapters


def _config(model: Decoder | Encoder, adapters: Lora, targets: list[str], base: str) -> dict[str, Any]:
    decodes = isinstance(model, Decoder)
    named = FAMILIES[model.config.family].tensors(model.config) if isinstance(model, Decoder) else ()
    transposed = any(each.form == "transposed" for each in named)
    alpha = adapters.scale * adapters.rank**0.5 if adapters.stabilised else adapters.scale * adapters.rank
    return {
        "task_type": "CAUSAL_LM" if decodes else "FEATURE_EXTRACTION",
        "base_model_name_or_path": base or None,
        "r": adapters.rank,
        "lora_alpha": int(alpha) if float(alpha).is_integer() else alpha,
        "lora_dropout": adapters.dropout,
        "use_rslora": adapters.stabilised,
        "target_modules": targets,
        "fan_in_fan_out": transposed,
    }


def tensors_of(folder: pathlib.Path) -> Tensors:
    """The tensors of a PEFT folder, not read yet.

    Raises:
        BadFile: it has none, or the file is damaged.
    """
    if not (folder / WEIGHTS).is_file():
        raise BadFile(f"{folder} has no {WEIGHTS}; an adapter kept as a pickle must be saved again by PEFT")
    return safetensors_files.read_file(folder / WEIGHTS)


def settings(path: pathlib.Path) -> dict[str, Any]:
    """PEFT's configuration, every option of it known.

    Raises:
        BadInput: an option is not known here, or one is missing.
        BadFile: the file is damaged.
    """
    found = _json(path, "")
    kind = found.get("peft_type")
    require(kind == "LORA", f"{path}: peft_type is {kind!r}; only LORA is known")
    start = found.get("init_lora_weights", True)
    changes = f"{path}: init_lora_weights is {start!r}, which changes the base's weights; that is not known here"
    require(start in PLAIN_STARTS, changes)
    for key in ("r", "lora_alpha", "target_modules"):
        require(key in found, f"{path} has no {key!r}")
    known = {*READ, *ABOUT, "peft_type", "init_lora_weights"}
    for key, value in found.items():
        off = value in (None, False, "none", "", 0) or value == {} or value == []
        require(key in known or off, f"{path}: {key} is {value!r}; that option is not known here")
    return found


def _lora(said: Mapping[str, Any], tensors: Tensors, ours: Mapping[str, str], place: pathlib.Path) -> Lora:
    """What is attached: the layers that the tensors name."""
    found = set()
    for name in tensors:
        path = next((path for path, file in ours.items() if fits(name, file)), None)
        if path is None:
            raise BadFile(
                f"{place / WEIGHTS}: tensor {name!r} is of no linear layer of the model; its base is another one"
            )
        found.add(path)
    targets = tuple(path.removeprefix("blocks.") for path in ours if path in found)
    return Lora(
        rank=int(said["r"]),
        alpha=float(said["lora_alpha"]),
        targets=targets,
        stabilised=bool(said.get("use_rslora", False)),
        dropout=float(said.get("lora_dropout", 0.0)),
    )


def _fill(model: Decoder | Encoder, tensors: Tensors, file: pathlib.Path) -> None:
    """Put the tensors into the factors of the layers, stacked where these are."""
    stacks: dict[int, tuple[LowRank, list[np.ndarray], list[np.ndarray]]] = {}
    for each in layers(model):
        shapes = (factor[...].shape[-2:] for factor in (each.adapter.a, each.adapter.b))
        names = (f"{HEAD}{each.name}.lora_{side}.weight" for side in "AB")
        a, b = (taken(tensors, name, shape, file) for name, shape in zip(names, shapes, strict=True))
        _, first, second = stacks.setdefault(id(each.adapter), (each.adapter, [], []))
        first.append(a)
        second.append(b)
    for adapter, first, second in stacks.values():
        stacked = adapter.a[...].ndim == 3
        adapter.a[...] = jnp.asarray(np.stack(first) if stacked else first[0])
        adapter.b[...] = jnp.asarray(np.stack(second) if stacked else second[0])


def taken(tensors: Tensors, name: str, shape: tuple[int, ...], file: pathlib.Path) -> np.ndarray:
    """A tensor of a file, float32; `BadFile` if it is missing or misshapen, `BadInput` if it is not finite."""
    if name not in tensors:
        raise BadFile(f"{file}: tensor {name!r} is missing")
    if tensors[name].shape != shape:
        raise BadFile(f"{file}: tensor {name!r} has the shape {tensors[name].shape}; the model needs {shape}")
    values = np.asarray(tensors[name].read(), np.float32)
    require(bool(np.isfinite(values).all()), f"{file}: tensor {name!r} holds numbers that are not finite")
    return values


def stored(adapters: Lora) -> tuple[type, ...]:
    """The factors that a file of ours holds: what learned, and what no seed gives again."""
    learned = {"both": (FactorA, FactorB), "A": (FactorA,), "B": (FactorB,)}[adapters.learn]
    return (FactorA, FactorB) if adapters.draw == "singular" else learned


def _json(path: pathlib.Path, missing: str) -> dict[str, Any]:
    require(path.is_file(), missing or f"there is no {path}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadFile(f"{path} is not JSON ({str(error)[:80]})") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} is no JSON object")
    return found
