"""Arrays and facts in a folder, as `<kind>.safetensors` and `<kind>.json`: hashed, and replaced in one step.

The JSON names the hash of the arrays, and putting it in place is the one moment at which the new value begins to hold.
Before, the old pair is whole; after, the new arrays lie ready as `<kind>.safetensors.next` until they get their name.
Whoever is killed in between leaves a folder that loads; what it left over goes with the next writing. One writes at a
time; who reads takes no lock, but one that finds no pair reads again when there is no writer.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from lleval_jax import writing
from lleval_jax.errors import BadInput, require

READER_WAIT = 10.0  # seconds that a reader waits for a writer
Arrays = dict[str, np.ndarray]


def write(folder: pathlib.Path, kind: str, facts: dict[str, Any], arrays: Arrays | None) -> None:
    """Write a value; an old one in the same folder stays valid until the new one is.

    Raises:
        OSError: there is no room or no permission, or another process keeps writing there. The error names a file of
            the value, what was there still is, and nothing else is left.
    """
    facts = dict(facts)
    content = None
    if arrays is not None:
        content = safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in arrays.items()})
        facts["arrays"] = _hash(content)
    text = json.dumps(_sealed(facts), indent=1, ensure_ascii=False, allow_nan=False)
    with writing.kept(folder):
        _settle(folder, kind)
        try:
            if content is not None:
                writing.put(_next(folder, kind), content, lasting=True)
            writing.put(folder / f"{kind}.json", text.encode(), lasting=True)
        finally:
            _settle(folder, kind)


def read(folder: pathlib.Path, kind: str, schema: str, older: Sequence[str] = ()) -> tuple[dict[str, Any], Arrays]:
    """(facts, arrays) of a value of this schema or an older one, hashes checked. `BadInput` names a changed file."""
    try:
        return _read(folder, kind, schema, older)
    except BadInput:  # or was it replaced meanwhile?
        with undisturbed(folder):
            return _read(folder, kind, schema, older)


@contextlib.contextmanager
def undisturbed(folder: pathlib.Path) -> Iterator[None]:
    """Read in a folder while there is no writer; where it cannot be locked, or not soon, read all the same."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(writing.locked(folder, shared=True, seconds=READER_WAIT))
        yield


def foreign(folder: pathlib.Path, kind: str) -> list[str]:
    """Names in a folder that neither a value of this kind has, nor what a dead writer of one leaves."""
    ours = re.compile(
        rf"{kind}\.json|{kind}\.safetensors|{kind}\.safetensors\.next"
        rf"|{kind}\.(json|safetensors|safetensors\.next)\.part\d+"
        rf"|\.{kind}\.{writing.TOKEN}\.json|\.{kind}\.safetensors\.{writing.TOKEN}\.next"
    )
    return sorted(each.name for each in folder.iterdir() if not ours.fullmatch(each.name))


def _read(folder: pathlib.Path, kind: str, schema: str, older: Sequence[str]) -> tuple[dict[str, Any], Arrays]:
    """One try of `read`."""
    facts = read_json(folder / f"{kind}.json", schema, older)
    if "arrays" not in facts:
        return facts, {}
    place, content = _arrays(folder, kind, facts["arrays"])
    try:
        return facts, safetensors.numpy.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
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


def file_hash(path: pathlib.Path) -> str:
    """The hash of a file, as "sha256:..."."""
    return _hash(path.read_bytes())


def _settle(folder: pathlib.Path, kind: str) -> None:
    """Finish what a writer began: give the arrays that the JSON means their name; others were never to hold."""
    waiting, arrays = _next(folder, kind), folder / f"{kind}.safetensors"
    for place in (waiting, arrays):
        writing.tidy(place)
    if not waiting.is_file():
        return
    try:
        wanted = json.loads((folder / f"{kind}.json").read_bytes())["arrays"]
    except (OSError, ValueError, KeyError, TypeError):
        wanted = None
    if _hash(waiting.read_bytes()) == wanted:
        os.replace(waiting, arrays)
    else:
        waiting.unlink(missing_ok=True)
    writing.sync(folder)


def _arrays(folder: pathlib.Path, kind: str, wanted: str) -> tuple[pathlib.Path, bytes]:
    """(file, content) of the arrays with this hash."""
    arrays = folder / f"{kind}.safetensors"
    for place in (arrays, _next(folder, kind), arrays):  # the second may get the name of the first meanwhile
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BadInput(f"{place} cannot be read: {error.strerror or error}") from error
        if _hash(content) == wanted:
            return place, content
    require(arrays.is_file(), f"{arrays} is missing; {kind}.json next to it needs it")
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
