"""Answers that were parsed before, kept in the user's cache folder: the second read of a large log is near free.

What is kept is found by the hash of the file's content, the options of the reader, what it took from elsewhere (names
of model and task) and the source code of the readers themselves, of another package's also its version; so another
file, other options or another version never get it. Every entry holds its own hash; a damaged one is parsed and
written again.

Hashing is skipped where the system says that a file did not change since its hash was taken: same size, inode, time of
modification and time of change. As in git's index, such a file is trusted only if both times lay at least `SETTLED`
seconds before the hashing began; a file younger than that is hashed again, so a change within the clock's granularity
cannot hide. The time of change is set by the kernel, so a copied-in modification time does not deceive either. Not
covered: a clock set back, and network file systems whose clock is more than `SETTLED` seconds behind.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import time
from typing import Any

import msgspec
import numpy as np

from lleval_jax import writing
from lleval_jax.data.answers import Answers, Options
from lleval_jax.data.notes import Left, Note
from lleval_jax.places import cache_folder

SMALLEST = 1 << 20  # bytes; a smaller file is quicker parsed than looked up
LARGEST = 1 << 31  # bytes that all entries may take; the least recently used go first
SETTLED = 3.0  # seconds that a file must have been left alone before its hash was taken, to be trusted by its times
folder = cache_folder  # where entries are kept
ARRAYS = ("row", "item", "score", "weight", "line", "content", "number")


def key(
    content: str, path: pathlib.Path, format: str, options: Options, beside: tuple[str, ...], source: str = ""
) -> str:
    """The name of the entry of a file with this content hash; `source` is the code of a reader of another package."""
    parts = [_readers(), content, path.name, format, dataclasses.asdict(options), beside, source]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load(place: pathlib.Path, name: str) -> Answers | None:
    """The answers kept under a name; None where there are none, or they are not as they were written."""
    path = place / "answers" / name
    try:
        found = unpacked(path.read_bytes())
        if found is not None:
            os.utime(path)
        return found
    except OSError:
        return None


def store(place: pathlib.Path, name: str, answers: Answers) -> None:
    """Keep answers. A cache that cannot be written is no reason to fail."""
    try:
        _put(place / "answers" / name, packed(answers))
        _prune(place / "answers")
    except OSError:
        pass


def content_hash(path: pathlib.Path, place: pathlib.Path | None, format: str = "") -> str:
    """The hash of a file's content, as "sha256:..."; from memory where the file surely did not change."""
    if place is None or writing.is_passing(path):
        return _hashed(path)
    known = remembered(path, place)
    if known is not None:
        return known[0]
    now, began = _state(path), time.time_ns()
    found = _hashed(path)
    if _state(path) == now:
        facts = {"state": now, "began": began, "hash": found, "format": format, "readers": _readers()}
        try:
            _put(_memory(path, place), json.dumps(facts).encode())
        except OSError:
            pass
    return found


def answers_hash(answers: Answers) -> str:
    """The hash of answers that are in no file."""
    return f"sha256:{packed(answers)[:32].hex()}"


def remembered(path: pathlib.Path, place: pathlib.Path) -> tuple[str, str] | None:
    """(hash, name of the format) of a file that surely did not change since they were found."""
    try:
        known, now = json.loads(_memory(path, place).read_bytes()), _state(path)
        settled = max(now[1:3]) + int(SETTLED * 1e9) <= known["began"]
        same = known["state"] == now and known["readers"] == _readers()
        return (str(known["hash"]), str(known["format"])) if settled and same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _memory(path: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """Where the hash of a file is remembered."""
    return place / "files" / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()


def packed(answers: Answers) -> bytes:
    """Answers as bytes: their own hash, the length of the facts, the facts and names as JSON, the arrays; no pickle."""
    groups, code = np.unique(answers.group.astype(str), return_inverse=True)
    found = {name: getattr(answers, name) for name in ARRAYS} | {"group": code}
    arrays = {name: np.ascontiguousarray(_small(value)) for name, value in found.items() if value is not None}
    facts = {"file": answers.file, "between": answers.between, "left": answers.left, "groups": groups.tolist()}
    facts |= {"notes": answers.notes, "guesses": answers.guesses}
    facts |= {"rows": answers.rows.tolist(), "items": answers.items.tolist()}
    facts |= {"arrays": [[name, value.dtype.str, len(value)] for name, value in arrays.items()]}
    text = _even(json.dumps(facts, allow_nan=False).encode(), b" ")
    content = b"".join(
        [len(text).to_bytes(8, "little"), text, *(_even(each.tobytes(), b"\0") for each in arrays.values())]
    )
    return hashlib.sha256(content).digest() + content


def unpacked(content: bytes) -> Answers | None:
    """The answers in some bytes; None where they are not as they were written."""
    view = memoryview(content)[32:]
    if len(content) < 40 or hashlib.sha256(view).digest() != content[:32]:
        return None
    try:
        at = 8 + int.from_bytes(view[:8], "little")
        facts: dict[str, Any] = msgspec.json.decode(view[8:at])
        arrays = {}
        for name, kind, length in facts["arrays"]:
            arrays[name] = np.frombuffer(view, np.dtype(kind), length, at)
            at += -(-arrays[name].nbytes // 8) * 8
        group = np.asarray(facts["groups"], object)[arrays.pop("group")]
        rows, items = (np.asarray(facts[name], object) for name in ("rows", "items"))
        notes, guesses = (tuple(Note(*each) for each in facts[name]) for name in ("notes", "guesses"))
        told = {"notes": notes, "guesses": guesses, "left": tuple(Left(*each) for each in facts["left"])}
        return Answers(facts["file"], rows, items, group, between=facts["between"], **told, **arrays)
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _even(content: bytes, fill: bytes) -> bytes:
    """The same, up to a whole number of eight bytes."""
    return content + fill * (-len(content) % 8)


def _small(values: np.ndarray) -> np.ndarray:
    """Whole numbers in four bytes where they fit."""
    fits = values.dtype.kind == "i" and (values.size == 0 or -(2**31) <= values.min() <= values.max() < 2**31)
    return values.astype(np.int32) if fits else values


def _hashed(path: pathlib.Path) -> str:
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _state(path: pathlib.Path) -> list[int]:
    """What changes when a file does."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


@functools.cache
def _readers() -> str:
    """The hash of the readers' source code."""
    sources = sorted(pathlib.Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _put(path: pathlib.Path, content: bytes) -> None:
    """An entry, for the eyes of its user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writing.put(path, content, private=True)


def _prune(place: pathlib.Path) -> None:
    """Take away what dead writers left, and the least recently used entries where all take more than `LARGEST`."""
    writing.tidy_all(place)
    entries = [(entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in os.scandir(place)]
    total = sum(size for _, size, _ in entries)
    for _, size, name in sorted(entries):
        if total <= LARGEST:
            return
        pathlib.Path(name).unlink(missing_ok=True)
        total -= size
