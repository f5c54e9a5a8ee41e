"""Item banks, fits and estimates <-> folders of safetensors and JSON; and where the banks and laws that ship lie."""

import collections
import dataclasses
import math
import os
import pathlib
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lleval_jax.data import archive
from lleval_jax.errors import BadInput, nearest, require
from lleval_jax.values import Anchors, Calibration, Estimate, FitResult, ItemBank, Source
from lleval_jax.values.results import SCHEMA as ESTIMATE_SCHEMA

SCHEMAS = {"bank": "lleval/bank/1", "fit": "lleval/fit/1", "estimate": ESTIMATE_SCHEMA}
CLASSES = {"bank": ItemBank, "fit": FitResult}
SHIPPED = {"bank": "bank", "law": "fit"}  # what is found by name, and the kind that its folder holds
PARTS = {"anchors": Anchors, "calibration": Calibration, "source": Source}  # values inside values
PACKAGE = pathlib.Path(__file__).parents[1]
BANK_FOLDERS = (PACKAGE / "models", PACKAGE.parent / "models")  # of the installed package, of the checkout

Value = ItemBank | FitResult | Estimate
Params = TypeVar("Params", bound=type)
_PARAMS: dict[str, type] = {}


def register(params: Params) -> Params:
    """Make a method's NamedTuple of parameters known by its class name, so `load` gives it back as it was."""
    _PARAMS[params.__name__] = params
    return params


def save(value: Value, folder: str | os.PathLike[str]) -> pathlib.Path:
    """Keep a value in a folder, and return the folder. An older value stays valid until the new one is whole.

    Raises:
        BadInput: the value is of no kind that can be kept, or its settings are not plain values.
    """
    place = pathlib.Path(folder)
    require(not place.is_file(), f"{place} is a file; a folder is needed")
    if isinstance(value, Estimate):
        archive.write(place, "estimate", _plain(value.to_dict(), "estimate"), None)
        return place
    kind = next((kind for kind, cls in CLASSES.items() if isinstance(value, cls)), "")
    require(bool(kind), f"a {type(value).__name__} cannot be saved; an ItemBank, FitResult or Estimate can")
    arrays: archive.Arrays = {}
    facts = {"schema": SCHEMAS[kind]} | _unpick(value, "", arrays)
    facts["packed"] = _pack(arrays)
    archive.write(place, kind, facts, arrays)
    return place


def load(folder: str | os.PathLike[str]) -> Value:
    """The value kept in a folder, or in one `estimate.json`.

    Raises:
        BadInput: nothing is kept there, it was changed since, or a newer version of lleval_jax made it.
    """
    place = pathlib.Path(folder)
    if place.is_file():
        return _estimate(archive.read_json(place, ESTIMATE_SCHEMA), place)
    kind = _kind(place)
    if kind == "estimate":
        return _estimate(archive.read_json(place / "estimate.json", ESTIMATE_SCHEMA), place)
    facts, arrays = archive.read(place, kind, SCHEMAS[kind])
    try:
        _unpack(arrays, facts["packed"])
        return _put_together(CLASSES[kind], facts, "", arrays)
    except BadInput:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise BadInput(f"{place / kind}.json does not describe a {kind} ({what})") from error


def load_bank(name: str | os.PathLike[str]) -> ItemBank:
    """A bank by the name it ships under, or from a folder. Never from the network."""
    place = _named(name, "bank")
    bank = load(place)
    if not isinstance(bank, ItemBank):
        raise BadInput(f"{place} does not hold an item bank")
    return bank


def list_banks() -> dict[str, pathlib.Path]:
    """Name -> folder of every bank that `load_bank` finds by name."""
    return _shipped("bank")


def load_law(name: str | os.PathLike[str]) -> FitResult:
    """A scaling law, for `ll.sloth` and `ll.skills`, by the name it ships under, or from a folder that `save` made.

    Raises:
        BadInput: no law of that name ships (the nearest names are given), or the folder holds something else.
    """
    place = _named(name, "law")
    law = load(place)
    if not (isinstance(law, FitResult) and hasattr(law.params, "slope_cov")):  # as `ll.sloth.fit` makes
        raise BadInput(f"{place} does not hold a scaling law")
    return law


def list_laws() -> dict[str, pathlib.Path]:
    """Name -> folder of every law that `load_law` finds by name."""
    return _shipped("law")


def verify(folder: str | os.PathLike[str]) -> dict[str, str]:
    """All files of a folder with their "sha256:...", after a full check. `BadInput` if it is not whole."""
    place = pathlib.Path(folder)
    load(place)
    found = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
    return {path.name: archive.file_hash(path) for path in found}


def _named(name: str | os.PathLike[str], what: str) -> pathlib.Path:
    """The folder itself, or that of what ships under the name."""
    place = pathlib.Path(name)
    if (place / f"{SHIPPED[what]}.json").is_file():
        return place
    found = _shipped(what)
    hint = nearest(str(name), found)
    known = ", ".join(found) or "none"
    message = f"there is no {what} {str(name)!r}: no such folder, and the known {what}s are: {known}{hint}"
    require(str(name) in found, message)
    return found[str(name)]


def _shipped(what: str) -> dict[str, pathlib.Path]:
    """Folders of banks or of laws, the package's before the checkout's."""
    found: dict[str, pathlib.Path] = {}
    for folder in BANK_FOLDERS:
        for inside in sorted(folder.glob(f"*/{SHIPPED[what]}.json")):
            found.setdefault(inside.parent.name, inside.parent)
    return dict(sorted(found.items()))


def _kind(place: pathlib.Path) -> str:
    """What a folder holds."""
    require(place.is_dir(), f"there is no folder {place}")
    found = [kind for kind in SCHEMAS if (place / f"{kind}.json").is_file()]
    require(bool(found), f"{place} holds no bank.json, fit.json or estimate.json")
    require(len(found) == 1, f"{place} holds several values, {found}; keep each in its own folder")
    return found[0]


def _unpick(value: Any, prefix: str, arrays: archive.Arrays) -> dict[str, Any]:
    """The plain facts of a value; its arrays go to `arrays` under their dotted names."""
    facts: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        found, name = getattr(value, field.name), prefix + field.name
        if hasattr(found, "_fields"):
            facts[field.name] = _unpick_params(found, name, arrays)
        elif isinstance(found, Anchors | Calibration):
            facts[field.name] = _unpick(found, f"{name}.", arrays)
        elif isinstance(found, Source):
            facts[field.name] = _plain(found.to_dict(), name)
        elif hasattr(found, "shape") and np.ndim(found) > 0:
            arrays[name] = np.asarray(found)
        else:
            facts[field.name] = _plain(found, name)
    return facts


def _unpick_params(params: Any, name: str, arrays: archive.Arrays) -> dict[str, Any]:
    """The class and fields of a NamedTuple of arrays, and of those inside it."""
    inside: dict[str, Any] = {}
    for field, found in params._asdict().items():
        if hasattr(found, "_fields"):
            inside[field] = _unpick_params(found, f"{name}.{field}", arrays)
        elif found is not None:
            arrays[f"{name}.{field}"] = np.asarray(found)
    return {"class": type(params).__name__, "fields": list(params._fields)} | ({"inside": inside} if inside else {})


def _put_together(cls: type, facts: dict[str, Any], prefix: str, arrays: archive.Arrays) -> Any:
    """A value from its facts and arrays."""
    made: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        name = prefix + field.name
        fact = facts.get(field.name)
        if name in arrays:
            made[field.name] = arrays[name]
        elif isinstance(fact, dict) and "fields" in fact:
            made[field.name] = _params(fact, name, arrays)
        elif field.name == "source" and fact is not None:
            made[field.name] = _source(facts["source"])
        elif field.name in PARTS and fact is not None:
            made[field.name] = _put_together(PARTS[field.name], fact, f"{name}.", arrays)
        elif field.name == "loglik":
            made[field.name] = float(str(fact))
        elif field.name in facts:
            made[field.name] = tuple(fact) if isinstance(fact, list) else fact
    return cls(**made)


def _params(fact: dict[str, Any], name: str, arrays: archive.Arrays) -> NamedTuple:
    """The method's NamedTuple: its registered class, else one of the same name and fields."""
    fields, cls = fact["fields"], _PARAMS.get(fact["class"])
    if cls is None or list(getattr(cls, "_fields", ())) != fields:
        cls = collections.namedtuple(fact["class"], fields)  # noqa: PYI024
    inside = {field: _params(each, f"{name}.{field}", arrays) for field, each in fact.get("inside", {}).items()}
    return cls(**{field: arrays.get(f"{name}.{field}") for field in fields} | inside)


def _source(fact: dict[str, Any]) -> Source:
    whole: dict[str, Any] = fact | {"cite": tuple(fact["cite"])}
    return Source(**whole)


def _estimate(facts: dict[str, Any], place: pathlib.Path) -> Estimate:
    """An estimate from its JSON."""
    try:
        entries = facts["estimates"]
        columns = {name: [entry[name] for entry in entries] for name in ("row", "group", "status")}
        numbers = {name: np.array([e[name] for e in entries], float) for name in ("value", "low", "high", "std_error")}
        return Estimate(
            target=facts["target"],
            method=facts["method"],
            rows=tuple(columns["row"]),
            group=tuple(columns["group"]),
            level=facts["level"],
            n_seen=np.array([entry["n_seen"] for entry in entries], np.int64),
            status=tuple(columns["status"]),
            source=_source(facts["source"]),
            **numbers,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{place} does not describe an estimate ({type(error).__name__}: {error})") from error


def _pack(arrays: archive.Arrays) -> dict[str, Any]:
    """Put arrays of bits eight to a byte, in place; says which, of what shape and type.

    All that are bool, and the calibration models' answers if they are all 0 or 1; other answers become
    float32.
    """
    packed = {}
    for name, found in list(arrays.items()):
        answers = name == "calibration.answers"
        if found.dtype == bool or (answers and bool(((found == 0) | (found == 1)).all())):
            packed[name] = {"shape": list(found.shape), "dtype": found.dtype.name}
            arrays[name] = np.packbits(found.astype(bool))
        elif answers:
            arrays[name] = found.astype(np.float32)
    return packed


def _unpack(arrays: archive.Arrays, packed: dict[str, Any]) -> None:
    """Undo `_pack`, in place."""
    for name, fact in packed.items():
        bits = np.unpackbits(arrays[name], count=math.prod(fact["shape"]))
        arrays[name] = bits.reshape(fact["shape"]).astype(fact["dtype"])


def _plain(value: Any, where: str) -> Any:
    """As JSON holds it. `BadInput` names what is not plain."""
    if isinstance(value, dict):
        return {str(key): _plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, where) for each in value]
    if hasattr(value, "item") and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    require(
        value is None or isinstance(value, str | int | float),
        f"{where} is {str(value)[:60]!r}; it must be a plain value",
    )
    return value
