"""Arrays and facts in a folder, as `<kind>.safetensors` and `<kind>.json`: hashed, and replaced in one step.

The JSON names the hash of the arrays, and putting it in place is the one moment at which the new value
begins to hold. Before, the old pair is whole; after, the new arrays lie ready as `<kind>.safetensors.next`
until they get their name. Whoever is killed in between leaves a folder that loads.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from lleval_jax.data import files
from lleval_jax.errors import BadInput, require

Arrays = dict[str, np.ndarray]


def write(folder: pathlib.Path, kind: str, facts: dict[str, Any], arrays: Arrays | None) -> None:
    """Write a value; an old one in the same folder stays valid until the new one is."""
    folder.mkdir(parents=True, exist_ok=True)
    settle(folder, kind)
    facts = dict(facts)
    if arrays is not None:
        content = safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in arrays.items()})
        facts["arrays"] = _hash(content)
        files.put(_next(folder, kind), content, lasting=True)
    text = json.dumps(_sealed(facts), indent=1, ensure_ascii=False, allow_nan=False)
    files.put(folder / f"{kind}.json", text.encode(), lasting=True)
    settle(folder, kind)


def read(folder: pathlib.Path, kind: str, schema: str, older: Sequence[str] = ()) -> tuple[dict[str, Any], Arrays]:
    """(facts, arrays) of a value of this schema or an older one, hashes checked. `BadInput` names a changed file."""
    facts = read_json(folder / f"{kind}.json", schema, older)
    if "arrays" not in facts:
        return facts, {}
    place = _arrays_file(folder, kind, facts["arrays"])
    try:
        return facts, safetensors.numpy.load(place.read_bytes())
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise BadInput(f"{place} cannot be read: {error}") from error


def read_json(path: pathlib.Path, schema: str, older: Sequence[str] = ()) -> dict[str, Any]:
    """The facts of one file, its schema (this one or an older one) and its own hash checked."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    require(isinstance(facts, dict), f"{path} is not a JSON object")
    if facts.get("schema") not in older:
        _require_schema(path, facts.get("schema"), schema)
    if "sha256" in facts:
        whole = _sealed(facts)["sha256"] == facts["sha256"]
        require(whole, f"{path} does not have the sha256 it was written with; it was changed or damaged")
    return facts


def settle(folder: pathlib.Path, kind: str) -> None:
    """Finish what a killed writer began: give the arrays that the JSON means their name."""
    waiting, arrays = _next(folder, kind), folder / f"{kind}.safetensors"
    if not waiting.is_file():
        return
    try:
        wanted = json.loads((folder / f"{kind}.json").read_bytes())["arrays"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if _hash(waiting.read_bytes()) == wanted:
        os.replace(waiting, arrays)
        files.sync(folder)


def file_hash(path: pathlib.Path) -> str:
    """The hash of a file, as "sha256:..."."""
    return _hash(path.read_bytes())


def _arrays_file(folder: pathlib.Path, kind: str, wanted: str) -> pathlib.Path:
    """The file that holds the arrays with this hash."""
    arrays = folder / f"{kind}.safetensors"
    for place in (arrays, _next(folder, kind)):
        if place.is_file() and file_hash(place) == wanted:
            return place
    require(arrays.is_file(), f"{arrays} is missing; {kind}.json beside it needs it")
    raise BadInput(f"{arrays} does not have the sha256 that {kind}.json gives; it was changed or damaged")


def _next(folder: pathlib.Path, kind: str) -> pathlib.Path:
    return folder / f"{kind}.safetensors.next"


def _sealed(facts: dict[str, Any]) -> dict[str, Any]:
    """With the hash of everything else in it."""
    rest = {name: value for name, value in facts.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return rest | {"sha256": _hash(text.encode())}


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _require_schema(path: pathlib.Path, found: Any, wanted: str) -> None:
    """`BadInput` for another kind of file, or one of a later version than this program knows."""
    name, _, version = wanted.rpartition("/")
    found_name, _, found_version = str(found).rpartition("/")
    require(found_name == name, f"{path} has schema {found!r}; {wanted!r} is expected")
    newer = found_version.isdigit() and int(found_version) > int(version)
    require(not newer, f"{path} has schema {found!r}: made by a newer version of lleval_jax. Upgrade it.")
    require(found_version == version, f"{path} has schema {found!r}; {wanted!r} is expected")
