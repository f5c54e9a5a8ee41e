"""Files as bytes: the first of them, the lines of plain and compressed files, the members of a zip, all capped."""

import bz2
import codecs
import collections
import contextlib
import contextvars
import functools
import gzip
import io
import json
import lzma
import os
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

MAGIC = {  # how compressed files begin
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")  # as they are named
DECOMPRESSION = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException)  # what is raised of a damaged one
WATCHED = 1000  # lines
_WATCH: contextvars.ContextVar[Callable[[int], None] | None] = contextvars.ContextVar("watch", default=None)
Kind = TypeVar("Kind")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:"]', re.DOTALL)  # of JSON; a quote alone is never closed
# What parsers raise on damaged bytes: of JSON, text, numbers and numpy's arrays (ValueError), of nested JSON
# (RecursionError), of a zip packed in a way that is not known (NotImplementedError), of compressed bytes and of Arrow.
# Not a TypeError or KeyError, which are our own mistakes, nor want of memory, of which no file is guilty.
DAMAGED = (
    *(ValueError, RecursionError, NotImplementedError, EOFError, OSError),
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, zstandard.ZstdError, pa.ArrowException),
)


@contextlib.contextmanager
def damage(file: str) -> Iterator[None]:
    """Turn whatever a parser raises on damaged bytes into a `BadFile` that names the file."""
    try:
        yield
    except (BadInput, MemoryError):
        raise
    except DAMAGED as error:
        what = f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
        raise BadFile(f"{file} is damaged or cut short ({what}). Copy or write it again.") from error


def codec(first: bytes) -> str:
    """How a file is compressed that begins so: "gzip", "bzip2", "xz" or "zstd"; "" where it is not."""
    return next((name for name, magic in MAGIC.items() if magic.match(first)), "")


def plain_name(path: pathlib.Path) -> str:
    """The name of what is compressed: "a.csv" of "a.csv.gz"."""
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def head(path: pathlib.Path, size: int = HEAD) -> bytes:
    """The first bytes, decompressed; b"" of a compressed file that cannot be read."""
    found = b""
    with open_plain(path) as stream, contextlib.suppress(BadInput, *DECOMPRESSION):
        while len(found) < size and (more := stream.read1(size - len(found))):
            found += more
    return found


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


def open_plain(path: pathlib.Path) -> io.BufferedReader:
    """The bytes of a file, decompressed, as many as are allowed."""
    with path.open("rb") as stream:
        how = codec(stream.read(16))
    return io.BufferedReader(_Decompressed(path, how), 1 << 20) if how else path.open("rb")


class _Decompressed(io.RawIOBase):
    """The content of a compressed file; `BadInput` where more comes of it than is allowed."""

    def __init__(self, path: pathlib.Path, how: str) -> None:
        self.name, self.most, self.inner = path.name, allowed(path, TEXT), OPEN[how](path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        found = self.inner.read1(min(len(buffer), 1 << 16))
        self.most -= len(found)
        if self.most < 0:
            raise BadInput(f"{self.name} is more than {TEXT[1]} times as large once decompressed; refused as a bomb")
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self.inner.close()
        super().close()


def open_watched(path: pathlib.Path) -> io.BufferedReader:
    """The same, telling who watches how many bytes were read."""
    stream, watch = open_plain(path), _WATCH.get()
    return stream if watch is None else io.BufferedReader(_Watched(stream, watch), 1 << 20)


class _Watched(io.RawIOBase):
    """A stream that tells `watch` how many bytes were read of it."""

    def __init__(self, inner: io.BufferedReader, watch: Callable[[int], None]) -> None:
        self.inner, self.watch, self.total = inner, watch, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = self.inner.readinto(buffer)
        self.total += count
        self.watch(self.total)
        return count

    def close(self) -> None:
        self.inner.close()
        super().close()


def _zstd(path: pathlib.Path) -> Any:
    """By Arrow: unlike the package zstandard it notices that a stream is cut short."""
    return pa.CompressedInputStream(pa.OSFile(os.fspath(path)), "zstd")


OPEN: dict[str, Callable[[pathlib.Path], Any]] = {
    "gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open, "zstd": _zstd,
}  # fmt: skip


def whole(path: pathlib.Path) -> bytes:
    """All bytes of a file that must be held whole, decompressed."""
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
    """(number, bytes) of each line that is not blank, from 1. A compressed file is read as its content."""
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
    """The beginning of some bytes, fit to print: of bytes that are no text, only that they are none."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    text = decode(line[:length], final=len(line) <= length).rstrip("\r\n")
    if any(ord(letter) < 32 and letter not in "\t\r\n" or letter in "\x7f\ufffd" for letter in text):
        return "with bytes that are no text"
    return repr(text + ("..." if len(line) > length else ""))


def decoded(file: str, stream: IO[bytes], encoding: str) -> Iterator[str]:
    """The text of a stream, piece by piece. `BadInput` names the first byte that is not in this encoding."""
    decoder, done, line = codecs.getincrementaldecoder(encoding)(), 0, 1
    while True:
        block = stream.read(1 << 20)
        before = done - len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            byte, line = error.object[error.start], line + error.object[: error.start].count(b"\n")
            where = f"{file}: byte 0x{byte:02X} at position {before + error.start} (line {line})"
            raise BadInput(
                f"{where} is not {encoding.upper()}: the text has another encoding, or is damaged.",
                python="Say which: encoding='latin-1', for example.",
                shell="Say which: --encoding latin-1, for example; or save it in UTF-8.",
            ) from error
        yield text
        done, line = done + len(block), line + text.count("\n")
        if not block:
            return


@contextlib.contextmanager
def in_utf8(path: pathlib.Path) -> Iterator[None]:
    """Where a reader cannot decode a text, say which byte is not UTF-8."""
    try:
        yield
    except BadInput as error:
        if re.search("utf-?8", str(error), re.IGNORECASE) and b"\0" not in head(path):
            with damage(path.name), open_plain(path) as stream:
                collections.deque(decoded(path.name, stream, "utf-8"), maxlen=0)
        raise


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
        require(not info.flag_bits & 1, f"{where} is encrypted; unpack it first")
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
        if len(found) != size:
            raise BadFile(f"{where} is cut short: {len(found)} bytes of {size}")
        if zlib.crc32(found) != info.CRC:
            raise BadFile(f"{where} does not have the checksum it was written with")
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
