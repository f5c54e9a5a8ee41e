"""Answers that were parsed before, kept in the user's cache folder: the second read of a large log is near free.

What is kept is found by the hash of the file's content, the options of the reader, what it took from elsewhere (names
of model and task) and the source code of the readers themselves; so another file, other options or another version
never get it. Every entry holds its own hash; a damaged one is parsed and written anew.

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
import tempfile
import time
from typing import Any

import msgspec
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from lleval_jax.data.answers import Answers, Options

SMALLEST = 1 << 20  # bytes; a smaller file is quicker parsed than looked up
LARGEST = 1 << 31  # bytes that all entries may take; the least recently used go first
SETTLED = 3.0  # seconds that a file must have been left alone before its hash was taken, to be trusted by its times
ARRAYS = ("row", "item", "score", "weight", "line")


def folder() -> pathlib.Path | None:
    """Where entries are kept: LLEVAL_CACHE, else lleval in the user's cache folder; None if it is "off"."""
    asked = os.environ.get("LLEVAL_CACHE", "")
    if asked.lower() in ("off", "0", "no", "false"):
        return None
    try:
        home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    except RuntimeError:  # no home
        return None
    return pathlib.Path(asked) if asked else home / "lleval"


def key(content: str, path: pathlib.Path, format: str, options: Options, beside: tuple[str, ...]) -> str:  # noqa: A002
    """The name of the entry of a file with this content hash."""
    parts = [_readers(), content, path.name, format, dataclasses.asdict(options), beside]
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


def content_hash(path: pathlib.Path, place: pathlib.Path | None) -> str:
    """The hash of a file's content, as "sha256:..."; from memory where the file surely did not change."""
    if place is None:
        return _hashed(path)
    memory = place / "files" / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    now = _state(path)
    try:
        known = json.loads(memory.read_bytes())
        if known["state"] == now and max(now[1:3]) + int(SETTLED * 1e9) <= known["began"]:
            return str(known["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    began = time.time_ns()
    found = _hashed(path)
    if _state(path) == now:
        try:
            _put(memory, json.dumps({"state": now, "began": began, "hash": found}).encode())
        except OSError:
            pass
    return found


def packed(answers: Answers) -> bytes:
    """Answers as bytes that begin with their own hash; arrays as safetensors, names as JSON, nothing pickled."""
    groups, code = np.unique(answers.group.astype(str), return_inverse=True)
    names = {"file": answers.file, "notes": answers.notes, "groups": groups.tolist()}
    names |= {"rows": answers.rows.tolist(), "items": answers.items.tolist()}
    text = json.dumps(names, allow_nan=False).encode()
    arrays = {name: getattr(answers, name) for name in ARRAYS}
    tensors = {name: np.ascontiguousarray(value) for name, value in arrays.items() if value is not None}
    tensors |= {"group": code.astype(np.int32), "names": np.frombuffer(text, np.uint8)}
    content = safetensors.numpy.save(tensors)
    return hashlib.sha256(content).digest() + content


def unpacked(content: bytes) -> Answers | None:
    """The answers in some bytes; None where they are not as they were written."""
    if len(content) < 32 or hashlib.sha256(memoryview(content)[32:]).digest() != content[:32]:
        return None
    try:
        arrays = safetensors.numpy.load(content[32:])
        names: dict[str, Any] = msgspec.json.decode(arrays.pop("names").tobytes())
        group = np.asarray(names["groups"], object)[arrays.pop("group")]
        rows, items = (np.asarray(names[name], object) for name in ("rows", "items"))
        return Answers(names["file"], rows, items, group, notes=tuple(names["notes"]), **arrays)
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError):
        return None


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
    sources = sorted(pathlib.Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _put(path: pathlib.Path, content: bytes) -> None:
    """The whole content under its name, or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(part, path)
    except BaseException:
        pathlib.Path(part).unlink(missing_ok=True)
        raise


def _prune(place: pathlib.Path) -> None:
    """Take away the least recently used entries where all take more than `LARGEST`."""
    entries = [(entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in os.scandir(place)]
    total = sum(size for _, size, _ in entries)
    for _, size, name in sorted(entries):
        if total <= LARGEST:
            return
        pathlib.Path(name).unlink(missing_ok=True)
        total -= size
