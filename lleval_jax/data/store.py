"""Item banks, fits and estimates <-> folders of safetensors and JSON; and where the banks and laws that ship lie."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lleval_jax.data import archive, schema_1
from lleval_jax.errors import BadInput, nearest, require
from lleval_jax.values import Anchors, Calibration, Estimate, FitResult, ItemBank, Source
from lleval_jax.values.params import REGISTERED, SlothParams
from lleval_jax.values.results import SCHEMA as ESTIMATE_SCHEMA
from lleval_jax.values.results import Ended
from lleval_jax.values.trust import LeftOut, Verdict

SCHEMAS = {"bank": "lleval/bank/2", "fit": "lleval/fit/2", "estimate": ESTIMATE_SCHEMA}
CLASSES = {"bank": ItemBank, "fit": FitResult}
SHIPPED = {"bank": "bank", "law": "fit"}  # what is found by name, and the kind that its folder holds
RECORDS = {cls.__name__: cls for cls in (ItemBank, FitResult, Ended, Anchors, Calibration, Verdict, LeftOut)}
MAPPING = "mapping"  # the class that a mapping of arrays is stored under
ARRAY = {"array": True}  # stands in the JSON for what lies among the arrays
UNPACKED = ("bool", "float32", "float64")  # types of arrays that are stored as bits
LATER = ("answers",)  # fields that are left out where they are None, so that earlier versions can read the rest
APART = ("class", "schema", "packed", "arrays", "sha256")  # what the JSON of a value holds beside its fields
PACKAGE = pathlib.Path(__file__).parents[1]
BANK_FOLDERS = (PACKAGE / "models", PACKAGE.parent / "models")  # of the installed package, of the checkout

Value = ItemBank | FitResult | Estimate


def save(value: Value, folder: str | os.PathLike[str]) -> pathlib.Path:
    """Keep a value in a folder, and return the folder. An older value stays valid until the new one is whole.

    Raises:
        BadInput: the value is of no kind that can be kept, its settings are not plain values, or the folder holds a
            value of another kind.
        OSError: there is no room or no permission, or another process keeps writing there. The error names a file; an
            older value is still whole.
    """
    place = pathlib.Path(folder)
    require(not place.is_file(), f"{place} is a file; a folder is needed")
    own = "estimate" if isinstance(value, Estimate) else _kind_of(value)
    others = [kind for kind in SCHEMAS if kind != own and (place / f"{kind}.json").is_file()]
    require(not others, f"{place} holds another value, a {' and a '.join(others)}; keep each in its own folder")
    if isinstance(value, Estimate):
        archive.write(place, "estimate", _plain(value.to_dict(), "estimate"), None)
        return place
    arrays: archive.Arrays = {}
    facts = {"schema": SCHEMAS[own]} | _record(value, "", arrays)
    facts["packed"] = _pack(arrays)
    archive.write(place, own, facts, arrays)
    return place


def _kind_of(value: object) -> str:
    kind = next((kind for kind, cls in CLASSES.items() if isinstance(value, cls)), "")
    require(bool(kind), f"a {type(value).__name__} cannot be saved; an ItemBank, FitResult or Estimate can")
    return kind


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
    facts, arrays = archive.read(place, kind, SCHEMAS[kind], older=(schema_1.SCHEMAS[kind],))
    try:
        _unpack(arrays, facts["packed"])
        if facts["schema"] == schema_1.SCHEMAS[kind]:
            facts, arrays = schema_1.TRANSLATED[kind](facts, arrays)
        return _made(facts, "", arrays)
    except BadInput as error:
        raise BadInput(f"{place / kind}.json: {error.what}", python=error.python, shell=error.shell) from error
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
    if not (isinstance(law, FitResult) and isinstance(law.params, SlothParams)):
        raise BadInput(f"{place} does not hold a scaling law")
    return law


def list_laws() -> dict[str, pathlib.Path]:
    """Name -> folder of every law that `load_law` finds by name."""
    return _shipped("law")


def verify(folder: str | os.PathLike[str]) -> dict[str, str]:
    """All files of a folder with their "sha256:...", after a full check. `BadInput` if it is not whole."""
    place = pathlib.Path(folder)
    with archive.undisturbed(place):
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


def _stored(value: Any, name: str, arrays: archive.Arrays) -> Any:
    """What JSON holds of a value under this dotted name; arrays go to `arrays`, and leave nothing."""
    if isinstance(value, Source):
        return _plain(value.to_dict(), name)
    if type(value).__name__ in RECORDS or hasattr(value, "_fields"):
        return _record(value, name, arrays)
    if isinstance(value, Mapping) and any(_is_array(each) for each in value.values()):
        return {"class": MAPPING} | {key: _stored(each, f"{name}.{key}", arrays) for key, each in value.items()}
    if _is_array(value):
        arrays[name] = np.asarray(value)
        return ARRAY
    return _plain(value, name)


def _record(value: Any, name: str, arrays: archive.Arrays) -> dict[str, Any]:
    """The class of a value, and what JSON holds of its fields."""
    cls = type(value).__name__
    require(
        cls in RECORDS | REGISTERED,
        f"{name or 'the value'} is a {cls}, which cannot be saved: register it in values.params",
    )
    parts = {field: getattr(value, field) for field in _fields(type(value))}
    parts = {field: each for field, each in parts.items() if each is not None or field not in LATER}
    return {"class": cls} | {field: _stored(each, _dotted(name, field), arrays) for field, each in parts.items()}


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def _fields(cls: type) -> tuple[str, ...]:
    """Names of the fields of a dataclass or a NamedTuple."""
    return getattr(cls, "_fields", None) or tuple(field.name for field in dataclasses.fields(cls))


def _dotted(name: str, field: str) -> str:
    return f"{name}.{field}" if name else field


def _made(fact: Any, name: str, arrays: archive.Arrays) -> Any:
    """A value from what JSON holds of it under this dotted name."""
    if not isinstance(fact, dict) or "class" not in fact:
        return arrays[name] if fact == ARRAY else tuple(fact) if isinstance(fact, list) else fact
    parts = {field: _made(each, _dotted(name, field), arrays) for field, each in fact.items() if field not in APART}
    return _maker(fact["class"])(parts)


def _maker(cls: str) -> Callable[[dict[str, Any]], Any]:
    """What puts the parts of a stored class together."""
    known = RECORDS | REGISTERED
    require(cls in known or cls in MAKERS, f"it holds a {cls!r}, which this version of lleval_jax does not know")
    return MAKERS[cls] if cls in MAKERS else lambda parts: known[cls](**parts)


def _fit(parts: dict[str, Any]) -> FitResult:
    axes = {axis: tuple(names) for axis, names in parts["axes"].items()}
    whole: dict[str, Any] = parts | {"axes": axes, "source": _source(parts["source"])}
    return FitResult(**whole)


def _ended(parts: dict[str, Any]) -> Ended:
    numbers = {name: float(str(parts[name])) for name in ("value", "error")}  # "inf" and "nan" are words in JSON
    whole: dict[str, Any] = parts | numbers
    return Ended(**whole)


def _bank(parts: dict[str, Any]) -> ItemBank:
    whole: dict[str, Any] = parts | {"source": _source(parts["source"])}
    return ItemBank(**whole)


def _source(fact: dict[str, Any]) -> Source:
    whole: dict[str, Any] = fact | {"cite": tuple(fact["cite"])}
    return Source(**whole)


MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {  # classes whose fields JSON does not hold as they are
    MAPPING: dict,
    FitResult.__name__: _fit,
    ItemBank.__name__: _bank,
    Ended.__name__: _ended,
}


def _estimate(facts: dict[str, Any], place: pathlib.Path) -> Estimate:
    """An estimate from its JSON."""
    try:
        entries = facts["estimates"]
        columns = {name: [entry[name] for entry in entries] for name in ("row", "group", "status")}
        numbers = {name: np.array([e[name] for e in entries], float) for name in ("value", "low", "high", "std_error")}
        _open_ended(numbers)
        return Estimate(
            target=facts["target"],
            method=facts["method"],
            rows=tuple(columns["row"]),
            group=tuple(columns["group"]),
            level=facts["level"],
            n_seen=np.array([entry["n_seen"] for entry in entries], np.int64),
            status=tuple(columns["status"]),
            source=_source(facts["source"]),
            caveats=tuple(facts.get("caveats", ())),
            remark=tuple(entry.get("remark", "") for entry in entries),
            **numbers,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{place} does not describe an estimate ({type(error).__name__}: {error})") from error


def _open_ended(numbers: dict[str, np.ndarray]) -> None:
    """Infinite where the JSON has null, in place."""
    low, high, value, error = (numbers[name] for name in ("low", "high", "value", "std_error"))
    value[np.isnan(value) & np.isnan(high)] = np.inf
    value[np.isnan(value) & np.isnan(low)] = -np.inf
    low[np.isnan(low)], high[np.isnan(high)], error[np.isnan(error)] = -np.inf, np.inf, np.inf


def _pack(arrays: archive.Arrays) -> dict[str, Any]:
    """Put arrays of bits eight to a byte, in place; says which, of what shape and type.

    All that are bool, and the calibration models' answers if they are all 0 or 1; other answers become
    float32.
    """
    packed = {}
    for name, found in list(arrays.items()):
        answers = name == "calibration.answers" and found.dtype.name in UNPACKED
        if found.dtype == bool or (answers and bool(((found == 0) | (found == 1)).all())):
            packed[name] = {"shape": list(found.shape), "dtype": found.dtype.name}
            arrays[name] = np.packbits(found.astype(bool))
        elif answers:
            arrays[name] = found.astype(np.float32)
    return packed


def _unpack(arrays: archive.Arrays, packed: dict[str, Any]) -> None:
    """Undo `_pack`, in place."""
    for name, fact in packed.items():
        shape, found = fact["shape"], arrays[name]
        counts = all(isinstance(length, int) and length >= 0 for length in shape)
        require(counts and found.dtype == np.uint8 and found.ndim == 1, f"{name} is not an array of packed bits")
        require(fact["dtype"] in UNPACKED, f"{name} is packed as {fact['dtype']!r}; known are {', '.join(UNPACKED)}")
        bits, held = math.prod(shape), 8 * found.size
        whole = held - 8 < bits <= held
        require(whole, f"{name} has shape {tuple(shape)}, which is {bits:,} bits; the file holds {held:,}")
        arrays[name] = np.unpackbits(found, count=bits).reshape(shape).astype(fact["dtype"])


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
