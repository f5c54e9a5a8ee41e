"""What a user names, as plain files on this machine: of archives their members, of addresses and pipes what comes.

After this every file is text in UTF-8, plain or compressed, parquet, or a zip that is a matrix or log itself. What had
to be unpacked, brought or written in UTF-8 lies in a folder that goes when the call of the `shelved` function ends.
"""

import codecs
import contextlib
import contextvars
import dataclasses
import functools
import os
import pathlib
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import IO, ParamSpec, TypeVar

from lleval_jax import writing
from lleval_jax.data import files, remote
from lleval_jax.errors import BadInput, nearest, require
from lleval_jax.values.progress import Tell, silent

MEMBERS = 100_000  # of an archive
DEEPEST = 3  # an archive in an archive in a compressed file
STDIN = "-"
BINARY = (b"PK\x03\x04", b"PK\x05\x06", b"PAR1")  # how files begin that cannot be read as a stream
MARKS = {  # how text begins that says its encoding itself; the longer mark first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UNPACKED = frozenset((".csv", ".tsv", ".txt", ".json", ".jsonl", ".jsonlines", ".parquet", ".npz", ".eval"))
KNOWN = ("utf-8", "utf-16", "latin-1", "cp1252", "cp1251", "gb18030", "shift_jis", "euc_kr", "big5", "mac_roman")
Keeps = Callable[[bytes, pathlib.Path], bool]  # (first bytes, file) -> whether this zip is read as it is
P = ParamSpec("P")
R = TypeVar("R")


class _Shelf:
    """Where lies what cannot be read where it is, and where each came from. The folder is made when first needed."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack, self._folder, self._count = stack, None, 0
        self.origins: dict[pathlib.Path, Origin] = {}

    def new(self) -> pathlib.Path:
        """An empty folder."""
        if self._folder is None:
            above = pathlib.Path(tempfile.gettempdir())
            self._folder = self._stack.enter_context(writing.passing_folder(above, "lleval"))
        self._count += 1
        place = self._folder / str(self._count)
        place.mkdir()
        return place


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a file came from.

    file   the user's file that it is or was unpacked from; None of what came from elsewhere
    inner  its name in that file, with a slash before it; of what came from elsewhere the whole of its name
    whole  whether it is all of the user's file
    """

    file: pathlib.Path | None
    inner: str = ""
    whole: bool = True

    def __str__(self) -> str:
        return f"{self.file or ''}{self.inner}"


_SHELF: contextvars.ContextVar[_Shelf] = contextvars.ContextVar("shelf")


def shelved(function: Callable[P, R]) -> Callable[P, R]:
    """What the functions below unpack and bring during a call of this one is there until it ends."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with contextlib.ExitStack() as stack:
            token = _SHELF.set(_Shelf(stack))
            try:
                return function(*args, **kwargs)
            finally:
                _SHELF.reset(token)

    return call


def origin(path: pathlib.Path) -> Origin:
    """Where a file came from that `brought` or `plain` gave."""
    return _SHELF.get().origins.get(path, Origin(path))


def brought(word: str, tell: Tell = silent) -> list[pathlib.Path] | None:
    """The files behind an address or "-", which is stdin, brought to this machine; None where it is a path.

    Raises:
        BadInput: as `remote.fetch`.
    """
    kind = remote.scheme(word)
    if word == STDIN:
        return [_spooled(sys.stdin.buffer, "stdin")]
    if kind in ("", "file"):
        return None
    found = []
    for path, name in remote.fetch(word, _SHELF.get().new(), tell):
        found.append(_came(path, Origin(None, name)))
    return found


def local(word: str) -> str:
    """The path that an address of this machine names; of a path itself."""
    parts = urllib.parse.urlsplit(word)
    return urllib.request.url2pathname(parts.path) if remote.scheme(word) == "file" else word


def plain(
    path: pathlib.Path,
    *,
    named: bool = True,
    keeps: Keeps = lambda head, path: False,
    encoding: str | None = None,
    depth: int = 0,
) -> list[pathlib.Path]:
    """The file itself where a reader can read it as it is; else what it holds, as files.

    Args:
        path: a file, or a pipe.
        named: whether the user named it. Of a folder, an archive that is damaged, or that holds nothing that could be
            answers, stays as it is.
        keeps: says of a zip whether it is a file to read; of others the members are.
        encoding: of all text that does not say its own; None: UTF-8.
        depth: how many archives it lies in.

    Raises:
        BadInput: an archive is damaged, promises too much or leads out of its folder, or text is not in its encoding.
    """
    if not path.is_file():
        with _opened(path) as stream:
            path = _spooled(stream, f"pipe-{path.name}", os.fspath(path))
    with _opened(path) as stream:
        raw = stream.read(files.HEAD)
    head = files.head(path) if files.codec(raw) else raw
    archive = _archive(head)
    try:
        if archive and head is not raw:
            inner = _decompressed(path)
            return plain(inner, named=named, keeps=keeps, encoding=encoding, depth=depth + 1)
        if archive in ("", "parquet") or (archive == "zip" and keeps(head, path)):
            return [_in_utf8(path, head, encoding)]
        inside = _unpacked(path, archive, named, depth)
    except BadInput:
        if named:
            raise
        return [path]
    deeper = {"named": named and len(inside) == 1, "keeps": keeps, "encoding": encoding, "depth": depth + 1}
    return [each for member in inside for each in plain(member, **deeper)] or [path]


def one(word: str | os.PathLike[str], *, encoding: str | None = None) -> pathlib.Path:
    """The one file behind a path, an address or "-". `BadInput` where it is none, or several."""
    require_encoding(encoding)
    text = os.fspath(word)
    found = brought(text)
    if found is None:
        path = pathlib.Path(local(text)).expanduser()
        require(path.exists() and not path.is_dir(), f"there is no file {path}")
        found = [path]
    inside = [each for path in found for each in plain(path, encoding=encoding)]
    names = ", ".join(each.name for each in inside[:3])
    require(len(inside) == 1, f"{origin(found[0])} holds {len(inside)} files, such as {names}; name one")
    return inside[0]


def require_encoding(encoding: str | None) -> None:
    """`BadInput` unless Python knows an encoding of text by this name."""
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, ValueError) as error:
        raise BadInput(f"encoding {encoding!r} is not known{nearest(str(encoding), KNOWN)}") from error


def _came(path: pathlib.Path, where: Origin) -> pathlib.Path:
    """Keep where a file came from."""
    _SHELF.get().origins[path] = where
    return path


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[IO[bytes]]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    with stream:
        yield stream


def _spooled(stream: IO[bytes], name: str, shown: str = "") -> pathlib.Path:
    """What comes through a pipe, as a file."""
    place = _SHELF.get().new() / name / name
    place.parent.mkdir()
    remote.copy(stream, place, name)
    return _came(place, Origin(None, shown or name))


def _archive(head: bytes) -> str:
    """What a file is that cannot be read as a stream; "" of others."""
    if head.startswith(BINARY):
        return "parquet" if head.startswith(b"PAR1") else "zip"
    return "tar" if head[257:262] == b"ustar" else ""


def _decompressed(path: pathlib.Path) -> pathlib.Path:
    """The content of a compressed file, as a file."""
    place = _SHELF.get().new() / (path.resolve().parent.name or "file") / files.plain_name(path)
    place.parent.mkdir()
    with files.damage(path.name), files.open_plain(path) as stream:
        remote.copy(stream, place, path.name)
    return _came(place, origin(path))


def _unpacked(path: pathlib.Path, archive: str, named: bool, depth: int) -> list[pathlib.Path]:
    """The members of an archive, none larger, nor all together, than such an archive may hold."""
    require(depth < DEEPEST, f"{path.name} is an archive within archives; unpack it")
    folder = _SHELF.get().new() / files.plain_name(path).partition(".")[0]
    where, found = origin(path), []
    left = files.allowed(path, files.TEXT)
    with files.damage(path.name):
        for name, size, content in (_zip if archive == "zip" else _tar)(path):
            parts = pathlib.PurePosixPath(name)
            hidden = any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in parts.parts)
            if hidden or not (named or UNPACKED.intersection(parts.suffixes)):
                continue
            left -= size
            require(left >= 0, f"{path.name} says it is far larger once unpacked; refused as a bomb")
            require(len(found) < MEMBERS, f"{path.name} holds more than {MEMBERS} files; refused as a bomb")
            place = folder / remote.safe(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content())
            found.append(_came(place, Origin(where.file, f"{where.inner}/{remote.safe(name).as_posix()}", False)))
    require(bool(found), f"{path.name} is a {archive} without a file")
    return sorted(set(found))


def _zip(path: pathlib.Path) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """(name, size, content) of each file in a zip."""
    with files.Zip(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, info.file_size, lambda name=info.filename: archive.content(name)


def _tar(path: pathlib.Path) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """(name, size, content) of each file in a tar; links and devices are passed over."""
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            if info.isfile() and not info.sparse:
                yield info.name, info.size, lambda info=info: _member(archive, info)


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(info)
    content = b"" if stream is None else stream.read()
    require(len(content) == info.size, f"{info.name} is cut short: {len(content)} bytes of {info.size}")
    return content


def _in_utf8(path: pathlib.Path, head: bytes, encoding: str | None) -> pathlib.Path:
    """The file itself, or where it is text in another encoding, a copy in UTF-8."""
    found = encoding or next((name for mark, name in MARKS.items() if head.startswith(mark)), None)
    if found is None or head.startswith(BINARY) or codecs.lookup(found).name == "utf-8":
        return path
    place = _SHELF.get().new() / (path.resolve().parent.name or "text") / files.plain_name(path)
    place.parent.mkdir()
    with files.damage(path.name), files.open_plain(path) as stream, place.open("wb") as out:
        for text in files.decoded(path.name, stream, found):
            out.write(text.encode("utf-8"))
    return _came(place, origin(path))
