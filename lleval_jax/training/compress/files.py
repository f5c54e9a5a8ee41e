"""Shared bases in a folder: `shared.json` says what they are, `shared.safetensors` holds them; and adapters as PEFT's.

Tensors are called `<module>.u` (clusters, d_out, rank), `<module>.v` (clusters, d_in, rank) and `<module>.cores`
(adapters, rank, rank) or, for diagonal ones, (adapters, rank); scales of the adapters are in the cores. Where two
factors of the adapters' own rank are fewer numbers than a full core, these are kept: `<module>.left`
(adapters, rank, inner) and `<module>.right` (adapters, inner, rank). `error` (adapters, modules) is the squared
relative error.
"""

import os
import pathlib
from typing import Any

import ml_dtypes
import msgspec
import numpy as np
import safetensors.numpy

from lleval_jax.errors import BadFile, require, require_known
from lleval_jax.lm import safetensors_files
from lleval_jax.training.low_rank import adapter_files
from lleval_jax.values.shared_adapters import Module, Shared, kept_cores
from lleval_jax.writing import new_folder

FACTS, ARRAYS = "shared.json", "shared.safetensors"
SCHEMA = "lleval/shared-adapters/1"
DTYPES = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype(np.float16)}


class Facts(msgspec.Struct):
    """What the JSON says."""

    schema: str
    names: list[str]
    modules: list[str]
    cluster: list[int]
    before: list[int]
    method: str
    settled: bool
    base: str
    inner: int = 0
    added: list[str] = []


def save(shared: Shared, folder: "str | os.PathLike[str]", *, dtype: str = "float32") -> None:
    """Write bases and cores.

    Args:
        shared: what `compress` gives.
        folder: a new one.
        dtype: of bases and cores: "float32", "bfloat16" or "float16".
    """
    require_known(dtype, DTYPES, "dtype")
    tensors = {
        f"{name}.{part}": np.ascontiguousarray(values.astype(DTYPES[dtype]))
        for name, module in shared.modules.items()
        for part, values in {"u": module.u, "v": module.v, **kept_cores(module.cores, shared.thin)}.items()
    }
    tensors["error"] = np.ascontiguousarray(shared.error, np.float32)
    facts = Facts(
        SCHEMA,
        list(shared.names),
        list(shared.modules),
        shared.cluster.tolist(),
        shared.before.tolist(),
        shared.method,
        shared.settled,
        shared.base,
        shared.inner,
        list(shared.added),
    )
    with new_folder(pathlib.Path(folder)) as place:
        (place / ARRAYS).write_bytes(safetensors.numpy.save(tensors))
        (place / FACTS).write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))


def load(folder: "str | os.PathLike[str]") -> Shared:
    """What `save` wrote.

    Raises:
        BadInput: the folder holds none.
        BadFile: a file is damaged, or both do not belong together.
    """
    place = pathlib.Path(folder)
    require((place / FACTS).is_file(), f"{place} holds no shared adapters: it has no {FACTS}")
    try:
        facts = msgspec.json.decode((place / FACTS).read_bytes(), type=Facts)
    except msgspec.DecodeError as error:
        raise BadFile(f"{place / FACTS} cannot be read ({error})") from error
    require(facts.schema == SCHEMA, f"{place / FACTS} has the schema {facts.schema!r}; it must be {SCHEMA!r}")
    n = len(facts.names)
    if not n or not facts.modules or len(facts.cluster) != n or len(facts.before) != n:
        raise BadFile(f"{place / FACTS} names {n} adapters, {len(facts.cluster)} clusters, {len(facts.before)} sizes")
    tensors = safetensors_files.read_file(place / ARRAYS)
    modules = {name: _module(tensors, name, place) for name in facts.modules}
    for name, module in modules.items():
        fits = (
            len(module.cores) == n and module.u.shape[::2] == module.v.shape[::2] and len(module.u) > max(facts.cluster)
        )
        if not fits:
            raise BadFile(f"{place / ARRAYS}: the tensors of {name} do not fit those {n} adapters")
    error = _read(tensors, "error", place)
    return Shared(
        tuple(facts.names),
        modules,
        np.array(facts.cluster),
        error,
        facts.method,
        np.array(facts.before),
        facts.settled,
        facts.base,
        facts.inner,
        tuple(facts.added),
    )


def export(shared: Shared, name: str, folder: "str | os.PathLike[str]") -> None:
    """Write one adapter as PEFT does, with the rank of the bases: A = V', B = U core; PEFT and vLLM load it.

    Raises:
        BadInput: there is no such adapter.
    """
    config = {
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": shared.base or None,
        "r": shared.rank,
        "lora_alpha": shared.rank,
        "lora_dropout": 0.0,
        "use_rslora": False,
        "target_modules": sorted({module.rsplit(".", 1)[-1] for module in shared.modules}),
    }
    adapter_files.put_peft(folder, shared.factors(name), config)


def _module(tensors: Any, name: str, place: pathlib.Path) -> Module:
    u, v = (_read(tensors, f"{name}.{side}", place) for side in "uv")
    if f"{name}.left" not in tensors:
        return Module(u, v, _read(tensors, f"{name}.cores", place))
    left, right = (_read(tensors, f"{name}.{side}", place) for side in ("left", "right"))
    if left.shape[::2] != right.shape[:2]:
        raise BadFile(f"{place / ARRAYS}: the two factors of the cores of {name} do not fit each other")
    return Module(u, v, left @ right)


def _read(tensors: Any, name: str, place: pathlib.Path) -> np.ndarray:
    if name not in tensors:
        raise BadFile(f"{place / ARRAYS}: tensor {name!r} is missing")
    values = np.asarray(tensors[name].read(), np.float32)
    require(bool(np.isfinite(values).all()), f"{place / ARRAYS}: tensor {name!r} holds numbers that are not finite")
    return values
