"""The folder of a run: what was done is kept by what went in, so a run that was killed anywhere goes on from there.

    recipe.toml                       what the run is made of
    lock                              who writes: process and time
    manifest.jsonl                    a line for each unit that is done, with a checksum of its own
    blobs/<aa>/<sha256>               raw bytes: feeds, archives, pictures; verified when read
    parts/<step>/part-<key>.parquet   the result of a unit; its hash is in the manifest
    requests/, replies/               what models were asked, stored before it is sent; what they answered
    tables/<name>.parquet             all results together, made when a run is through

A unit is small (a paper, an element) and a pure function of its inputs, named by their hashes, and of the version of
its code. A part is written whole, then its line; a part without a line is removed on the next start, a torn last line
is dropped, and a part or blob that is not as it was written is made again.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from lleval_jax import writing
from lleval_jax.errors import BadFile, DataWarning, RunFailed, outside, require
from lleval_jax.live import rows
from lleval_jax.words import brief

Value = TypeVar("Value")
LONGEST = 200  # letters of a unit's name in the manifest: a line stays under 4 KiB, one write of the system


class Damaged(BadFile):
    """Something that was kept is not as it was written; it was taken away, so that a new run makes it again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """Of the manifest: a unit that is done. `sha256` is that of its part, `at` seconds since 1970."""

    step: str
    unit: str
    key: str
    sha256: str
    seconds: float
    at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Done(Generic[Value]):
    """The result of a unit, its hash, by which later units name it, and whether it was there already."""

    value: Value
    sha256: str
    known: bool


class Blobs:
    """Bytes by their sha256, each in a file; verified when read."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def put(self, content: bytes, /) -> str:
        """Keep them; their sha256. What is there already stays, unless it is damaged."""
        key = hashlib.sha256(content).hexdigest()
        path = self.path(key)
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            writing.put(path, content, lasting=True)
        return key

    def get(self, sha256: str, /) -> bytes:
        """The bytes.

        Raises:
            Damaged: they are not there, or are not those of this hash; then they are taken away.
        """
        path = self.path(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise Damaged(f"{path} is not there. Run it again: it is made again.") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            path.unlink()
            raise Damaged(f"{path} is damaged and was removed. Run it again: it is made again.")
        return content

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def path(self, sha256: str) -> pathlib.Path:
        """Where they lie."""
        return self.folder / sha256[:2] / sha256


class Steps:
    """A run's folder, open to one writer: `with Steps.opened(folder) as steps`."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.blobs = folder, Blobs(folder / "blobs")
        self.lines: dict[str, Line] = {}
        self.made = 0

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: pathlib.Path) -> Iterator["Steps"]:
        """The folder for writing, with what is half-done taken away.

        Raises:
            RunFailed: another process writes there; the message says which.
            BadInput: it is no folder of a run.
        """
        text = f"{folder} is no folder of a run: it has no recipe.toml. Make one: lleval live new RECIPE --name NAME"
        require((folder / "recipe.toml").is_file(), text)
        with _locked(folder / "lock"):
            steps = cls(folder)
            steps._recover()
            yield steps

    def once(
        self,
        step: str,
        unit: str,
        inputs: Sequence[str],
        kind: type[Value],
        work: Callable[[], Value],
        *,
        needs: Callable[[Value], Iterable[str]] = lambda _: (),
    ) -> Done[Value]:
        """The result of a unit: as it was kept, or made now and kept.

        Args:
            step: its name, with the version of its code: "read/1".
            unit: what it is about, for people.
            inputs: hashes, or texts, that the result depends on.
            kind: a dataclass; the result is one of these.
            work: makes it.
            needs: the blobs that a result refers to; where one is missing the unit is made again.
        """
        key = _key(step, inputs)
        found = self._kept(key, kind)
        if found is not None and all(each in self.blobs for each in needs(found.value)):
            return found
        start = time.monotonic()
        value = work()
        return self._keep(Line(step, brief(unit, LONGEST), key, "", time.monotonic() - start, time.time()), kind, value)

    def has(self, step: str, inputs: Sequence[str]) -> bool:
        """Whether a unit is done, and its result is as it was written."""
        line = self.lines.get(_key(step, inputs))
        if line is None:
            return False
        with contextlib.suppress(FileNotFoundError):
            if hashlib.sha256(self._part(line).read_bytes()).hexdigest() == line.sha256:
                return True
        return False

    def table(self, name: str, values: Sequence[Any], kind: type) -> None:
        """All results of a kind as one table, where a run is through."""
        content, path = rows.packed(values, kind), table_path(self.folder, name)
        path.parent.mkdir(exist_ok=True)
        writing.put(path, content, lasting=True)

    def _kept(self, key: str, kind: type[Value]) -> Done[Value] | None:
        line = self.lines.get(key)
        if line is None:
            return None
        path = self._part(line)
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == line.sha256:
                (value,) = rows.unpacked(content, kind)
                return Done(value, line.sha256, True)
        except (FileNotFoundError, BadFile, ValueError):
            pass
        warnings.warn(DataWarning(f"{path} is not as it was written; it is made again."), stacklevel=outside())
        return None

    def _keep(self, line: Line, kind: type[Value], value: Value) -> Done[Value]:
        content = rows.packed([value], kind)
        line = dataclasses.replace(line, sha256=hashlib.sha256(content).hexdigest())
        path = self._part(line)
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.put(path, content, lasting=True)
        before = self.lines.pop(line.key, None)
        if before is not None and before.sha256 != line.sha256:
            self._rewrite()
        if before is None or before.sha256 != line.sha256:
            _append(self.manifest, _packed(line))
        self.lines[line.key] = line
        self.made += 1
        return Done(value, line.sha256, False)

    @property
    def manifest(self) -> pathlib.Path:
        """The file with a line for each unit."""
        return self.folder / "manifest.jsonl"

    def _part(self, line: Line) -> pathlib.Path:
        return self.folder / "parts" / line.step.replace("/", "-") / f"part-{line.key}.parquet"

    def _recover(self) -> None:
        """Read the manifest; drop what is torn or damaged; remove parts without a line."""
        content = self.manifest.read_bytes() if self.manifest.exists() else b""
        found, bad = lines_of(content)
        self.lines = {line.key: line for line in found}
        if bad:
            text = f"{self.manifest}: {bad} lines are damaged; their units are made again."
            warnings.warn(DataWarning(text), stacklevel=outside())
        if bad or not content.endswith((b"\n",)) and content:
            self._rewrite()
        known = {self._part(line) for line in self.lines.values()}
        for path in (self.folder / "parts").glob("*/*"):
            if path not in known:
                path.unlink()

    def _rewrite(self) -> None:
        writing.put(self.manifest, b"".join(map(_packed, self.lines.values())), lasting=True)


def lines_of(content: bytes) -> tuple[list[Line], int]:
    """(the lines of a manifest, how many are damaged); one that is torn at the end is not there yet."""
    *whole, _ = content.split(b"\n")
    found = [_unpacked(each) for each in whole]
    return [each for each in found if each is not None], sum(each is None for each in found)


def table_path(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Where a table of a run lies."""
    return folder / "tables" / f"{name}.parquet"


def read_table(folder: pathlib.Path, name: str, kind: type[Value]) -> list[Value]:
    """A table of a run. `BadInput` where the run is not so far."""
    path = table_path(folder, name)
    require(path.is_file(), f"{folder} has no {name} yet: run it first", shell=f"lleval live run {folder}")
    return rows.unpacked(path.read_bytes(), kind)


def _key(step: str, inputs: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([step, *inputs]).encode()).hexdigest()[:40]


def _packed(line: Line) -> bytes:
    facts = dataclasses.asdict(line)
    return json.dumps(facts | {"check": _check(facts)}, ensure_ascii=False).encode() + b"\n"


def _unpacked(content: bytes) -> Line | None:
    try:
        facts = json.loads(content)
        told = facts.pop("check")
        return msgspec.convert(facts, Line) if told == _check(facts) else None
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.ValidationError):
        return None


def _check(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _append(path: pathlib.Path, content: bytes) -> None:
    """One line at the end, in a single write; all of it or, where the disk is full, nothing."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(handle).st_size
        try:
            short = os.write(handle, content) < len(content)
            os.fsync(handle)
        except OSError as error:
            os.ftruncate(handle, size)
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        if short:
            os.ftruncate(handle, size)
            raise OSError(28, "No space left on device", os.fspath(path))
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    """One writer; the lock goes with its process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if writing.lock(handle) is False:
            said = os.read(handle, 1000).decode(errors="replace").strip() or "another process"
            raise RunFailed(f"{path.parent} is being written by {said}. Wait for it, or stop it.")
        os.ftruncate(handle, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        os.pwrite(handle, f"process {os.getpid()} since {since}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
