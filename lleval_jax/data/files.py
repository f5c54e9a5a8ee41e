"""Files as bytes: the first of them, the lines of plain and gzip files, the members of a zip, all capped."""

import contextlib
import contextvars
import functools
import gzip
import io
import json
import pathlib
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import zstandard

from lleval_jax.errors import BadFile, BadInput, require

HEAD = 1 << 16  # bytes looked at to know a format
LONGEST_LINE = 1 << 28
LARGEST_MEMBER = 1 << 32  # of a zip, once decompressed
MOST_ROWS = 1_000_000, 20  # of a parquet file: so many, and so many for each of its bytes
TEXT, ARRAYS = (1 << 26, 200), (1 << 24, 100)  # what may come of a compressed file: so much, and so many times its size
LARGEST_JSON = 1 << 32  # of a file that is one JSON value and must be held whole
ZSTD = 93  # method number of zstd in a zip; Python's own zipfile reads it from 3.14 on

WATCHED = 1000  # lines
_WATCH: contextvars.ContextVar[Callable[[int], None] | None] = contextvars.ContextVar("watch", default=None)
Kind = TypeVar("Kind")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:"]', re.DOTALL)  # of JSON; a quote alone is never closed
# What the parsers below us raise on damaged bytes.
DAMAGED = (
    *(
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
        SyntaxError,
    ),
    *(EOFError, OSError, MemoryError),
    *(struct.error, zlib.error, zipfile.BadZipFile, zstandard.ZstdError, pa.ArrowException),
)


@contextlib.contextmanager
def damage(file: str) -> Iterator[None]:
    """Turn whatever a parser raises on damaged bytes into a `BadFile` that names the file."""
    try:
        yield
    except BadInput:
        raise
    except DAMAGED as error:
        what = f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
        raise BadFile(f"{file} is damaged or cut short ({what}). Copy or write it again.") from error


def head(path: pathlib.Path) -> bytes:
    """The first bytes, decompressed if the file is a gzip; b"" of a gzip that cannot be read."""
    with path.open("rb") as stream:
        first = stream.read(HEAD)
    if not first.startswith(b"\x1f\x8b"):
        return first
    decompressor = zlib.decompressobj(wbits=31)
    try:
        return decompressor.decompress(first, HEAD)
    except zlib.error:
        return b""


@functools.lru_cache(maxsize=4)  # each format asks
def top_keys(head: bytes) -> frozenset[str]:
    """Keys of the JSON object that these bytes begin, of a list those of its first object; none of other bytes.

    An object that goes on beyond the bytes has the keys that stand in them; a key inside another value is none.
    """
    text = head.lstrip()
    text = text[1:].lstrip() if text.startswith(b"[") else text
    found, depth, last = set[str](), 0, b""
    for token in _TOKEN.finditer(text) if text.startswith(b"{") else ():
        word = token[0]
        if word in (b"{", b"["):
            depth += 1
        elif word in (b"}", b"]"):
            depth -= 1
        elif word == b":" and depth == 1:
            found.add(last.decode("utf-8", "replace"))
        last = word[1:-1]
        if depth == 0 or word == b'"':  # the object's end, or a text that goes on beyond the bytes
            break
    return frozenset(found)


def open_plain(path: pathlib.Path) -> IO[bytes]:
    """The bytes of a file; of a gzip decompressed, as many as are allowed."""
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
    return io.BufferedReader(_Unzipped(path), 1 << 20) if is_gzip else path.open("rb")


class _Unzipped(io.RawIOBase):
    """The content of a gzip; `BadInput` where more comes of it than is allowed."""

    def __init__(self, path: pathlib.Path) -> None:
        self.name, self.most, self.inner = path.name, allowed(path, TEXT), gzip.open(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = self.inner.readinto(buffer)  # type: ignore[attr-defined]
        self.most -= count
        if self.most < 0:
            raise BadInput(f"{self.name} is more than {TEXT[1]} times as large once decompressed; refused as a bomb")
        return count

    def close(self) -> None:
        self.inner.close()
        super().close()


def whole(path: pathlib.Path) -> bytes:
    """All bytes of a file that must be held whole, of a gzip decompressed."""
    most = min(LARGEST_JSON, allowed(path, TEXT))
    with open_plain(path) as stream:
        content = stream.read(most + 1)
    require(
        len(content) <= most, f"{path.name} is larger than {most >> 20} MiB; refused as too large for one JSON value"
    )
    return content


@contextlib.contextmanager
def watched(watch: Callable[[int], None]) -> Iterator[None]:
    """Tell `watch` how many bytes were read of a file of lines, now and then, inside the block."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


def allowed(path: pathlib.Path, kind: tuple[int, int]) -> int:
    """How many bytes may come of a compressed file. A bomb is a file that promises far more than it holds."""
    return kind[0] + kind[1] * path.stat().st_size


def lines(path: pathlib.Path) -> Iterator[tuple[int, bytes]]:
    """(number, bytes) of each line that is not blank, from 1. A gzip is read as its content."""
    with damage(path.name), open_plain(path) as stream:
        number, total, watch = 0, 0, _WATCH.get()
        while line := stream.readline(LONGEST_LINE):
            number, total = number + 1, total + len(line)
            if watch is not None and number % WATCHED == 0:
                watch(total)
            if len(line) >= LONGEST_LINE:
                raise BadInput(f"{path.name}:{number} is longer than {LONGEST_LINE >> 20} MiB")
            if not line.isspace():
                yield number, line


def objects(path: pathlib.Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of each line of JSON. `BadInput` names the line that is not an object."""
    for number, line in lines(path):
        yield number, parsed(path.name, number, line)


def parsed(file: str, number: int, line: bytes) -> dict[str, Any]:
    """The object on one line. `BadInput` names the line that is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = "is cut short" if not line.endswith(b"\n") else "is not JSON"
        raise BadFile(f"{file}:{number} {what} ({str(error)[:80]}): {snippet(line)}") from error
    if not isinstance(found, dict):
        raise BadFile(f"{file}:{number} is not a JSON object: {snippet(line)}")
    return found


def records(path: pathlib.Path, kind: type[Kind]) -> Iterator[tuple[int, Kind]]:
    """(line, the fields of `kind` on it) of each line of JSON; `BadInput` for a line that does not have them."""
    decode = msgspec.json.Decoder(kind).decode
    for number, line in lines(path):
        try:
            found = decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            found = _converted(f"{path.name}:{number}", parsed(path.name, number, line), kind)
        yield number, found


def record(path: pathlib.Path, kind: type[Kind]) -> Kind:
    """The fields of `kind` in a file that is one JSON value."""
    content = whole(path)
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        with damage(path.name):
            found = json.loads(content)
        return _converted(path.name, found, kind)


def _converted(where: str, found: Any, kind: type[Kind]) -> Kind:
    """What Python's own parser found, as `kind`; it reads the NaN that is not JSON."""
    try:
        return msgspec.convert(found, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadFile(f"{where} is not as its format says: {str(error)[:200]}") from error


def snippet(line: bytes, length: int = 80) -> str:
    """The beginning of some bytes, fit to print."""
    text = line[:length].decode("utf-8", "replace").rstrip("\r\n")
    return repr(text + ("..." if len(line) > length else ""))


def members(path: pathlib.Path) -> frozenset[str]:
    """Names inside a zip; none where the file is not a whole zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(archive.namelist())
    except DAMAGED:
        return frozenset()


class Zip(zipfile.ZipFile):
    """A zip whose members are stored, deflated or zstd, none larger than one in a zip of this size may be."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        self.path, self.most = path, min(LARGEST_MEMBER, allowed(path, TEXT))

    def content(self, name: str) -> bytes:
        """One member, decompressed, if it keeps to the size it says."""
        info, where = self.getinfo(name), f"{self.path.name}: {name}"
        size = info.file_size
        require(size <= self.most, f"{where} says it is {size} bytes; refused as too large for this zip")
        if info.compress_type != ZSTD:
            with self.open(info) as stream:
                return stream.read(size + 1)
        content, block = io.BytesIO(), min(size + 1, 1 << 20)
        with zstandard.ZstdDecompressor().stream_reader(_raw(self, info), read_across_frames=True) as stream:
            while part := stream.read(block):
                content.write(part)
                require(content.tell() <= size, f"{where} is larger than the {size} bytes it says it has")
        found = content.getvalue()
        require(len(found) == size, f"{where} is cut short: {len(found)} bytes of {size}")
        require(zlib.crc32(found) == info.CRC, f"{where} does not have the checksum it was written with")
        return found


def _raw(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The compressed bytes of a member, found by its local header (PKWARE appnote 4.3.7)."""
    stream = archive.fp
    if stream is None:
        raise zipfile.BadZipFile("the zip is closed")
    stream.seek(info.header_offset)
    local = stream.read(30)
    if local[:4] != b"PK\x03\x04" or len(local) < 30:
        raise zipfile.BadZipFile(f"{info.filename} has no local header")
    name, extra = struct.unpack("<HH", local[26:30])
    stream.seek(info.header_offset + 30 + name + extra)
    return stream.read(info.compress_size)


def parquet_columns(path: pathlib.Path, head: bytes) -> frozenset[str]:
    """Names of the columns of a parquet file; none where it is none that can be read."""
    if not head.startswith(b"PAR1"):
        return frozenset()
    try:
        with pa_parquet.ParquetFile(path) as parquet:
            return frozenset(parquet.schema_arrow.names)
    except DAMAGED:
        return frozenset()


@contextlib.contextmanager
def parquet(path: pathlib.Path) -> Iterator[pa_parquet.ParquetFile]:
    """A parquet file, if it does not promise far more than it holds."""
    with pa_parquet.ParquetFile(path, page_checksum_verification=True) as found:
        about, size = found.metadata, path.stat().st_size
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        most = allowed(path, TEXT)
        total = sum(max(0, group.total_byte_size) for group in groups)  # asking the columns aborts on damaged metadata
        require(total <= most, f"{path.name} says it is {total} bytes once decompressed; refused as a bomb")
        rows = MOST_ROWS[0] + MOST_ROWS[1] * size
        good = 0 <= about.num_rows <= rows and sum(group.num_rows for group in groups) == about.num_rows
        require(good, f"{path.name} says it has {about.num_rows} rows in {size} bytes; refused as a bomb")
        yield found
