"""GGUF files: metadata and tensors, parsed out of a memory map; quantised blocks become float32 when they are read.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The `gguf` package knows how blocks are packed;
its own reader makes objects of every token of a vocabulary and takes seconds where this one takes a fraction.
"""

import dataclasses
import functools
import importlib
import math
import mmap
import pathlib
import struct
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.lm.tensors import Stored, bytes_into, room

MAGIC, VERSIONS = b"GGUF", (2, 3)
NUMBERS = "BbHhIif?sAQqd"  # of each type of value, as `struct` writes it; "s" is a text, "A" an array
TEXT, ARRAY = NUMBERS.index("s"), NUMBERS.index("A")
MOST_AXES = 4
PLAIN = {"F32": np.dtype(np.float32), "F16": np.dtype(np.float16), "BF16": np.dtype(ml_dtypes.bfloat16)}
PACKED = (  # what the `gguf` package unpacks
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "TQ1_0", "TQ2_0", "MXFP4"),
    *("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS"),
)
PIECE = 1 << 18  # values unpacked at a time: what is needed for it stays small, and in the processor's cache


@dataclasses.dataclass(frozen=True, eq=False)
class Gguf:
    """A GGUF file: what it says, and the tensors in it under its own names.

    Arrays of numbers in `meta` are NumPy arrays, arrays of texts are lists.
    """

    file: pathlib.Path
    meta: dict[str, Any]
    tensors: dict[str, Stored]

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """One value of the metadata, of the type that it must have.

        Raises:
            BadFile: it is not there and has no default, or is of another type.
        """
        value = self.meta.get(key, default)
        if value is None:
            raise BadFile(f"{self.file}: its metadata has no {key!r}")
        if not isinstance(value, kind):
            raise BadFile(f"{self.file}: {key!r} in its metadata is {str(value)[:60]!r}, of another type than expected")
        return value


def read(file: pathlib.Path) -> Gguf:
    """What a GGUF file says and holds; of its tensors only where they lie.

    Raises:
        BadFile: it is no GGUF file, is damaged or is cut short; the message names the tensor where there is one.
        BadInput: it is of another version or byte order, is one part of several, or a tensor is packed in a way that is
            not known.
    """
    if not file.stat().st_size:
        raise BadFile(f"{file} is empty")
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _parsed(file, _Cursor(data))
        except (struct.error, OverflowError, UnicodeDecodeError, EOFError, RecursionError) as error:
            raise BadFile(f"{file} is damaged, or cut short within its header: {error}") from error


def _parsed(file: pathlib.Path, at: "_Cursor") -> Gguf:
    _require_known(file, at)
    count, keys = at.number("Q"), at.number("Q")
    meta: dict[str, Any] = {}
    for _ in range(keys):
        key = at.text()
        meta[key] = at.value(at.number("I"))
    parts = meta.get("split.count", 1)
    hint = "Join them first: llama-gguf-split --merge FIRST_PART WHOLE."
    require(parts in (0, 1), f"{file} is one part of {parts}.", python=hint, shell=hint)
    entries = [at.entry() for _ in range(count)]
    align = int(meta.get("general.alignment", 32))
    if align <= 0:
        raise BadFile(f"{file}: its alignment is {align}")
    start = -(-at.at // align) * align
    return Gguf(file, meta, _tensors(file, entries, start, len(at.data)))


def _require_known(file: pathlib.Path, at: "_Cursor") -> None:
    """The first bytes are those of a version that is known."""
    magic, version = at.data[:4], 0
    at.at = 4
    if magic != MAGIC:
        raise BadFile(f"{file} is no GGUF file: it begins with {magic!r}")
    version = at.number("I")
    require(version < 1 << 16, f"{file} was written for processors of the other byte order (big-endian)")
    require(version in VERSIONS, f"{file} is of version {version} of GGUF; versions 2 and 3 are known")


Entry = tuple[str, tuple[int, ...], int, int]  # name, shape, number of its type, place


def _tensors(file: pathlib.Path, entries: list[Entry], start: int, length: int) -> dict[str, Stored]:
    """The tensors of a file, checked."""
    found: dict[str, Stored] = {}
    for name, shape, kind, place in entries:
        what = f"{file}: tensor {name!r}"
        if name in found:
            raise BadFile(f"{what} is there twice")
        type_, width, size = _packing(what, kind)
        if min(shape, default=1) < 0 or (shape[-1] if shape else 1) % width:
            raise BadFile(f"{what} has shape {shape}; rows of {type_} are multiples of {width}")
        end = start + place + math.prod(shape) // width * size
        if end > length:
            raise BadFile(f"{what} is cut short: it ends at byte {end:,}, and the file at {length:,}")
        values = functools.partial(_values, file, name, shape, type_, (width, size), start + place)
        found[name] = Stored(file, name, shape, PLAIN.get(type_, PLAIN["F32"]), values)
    return found


def _packing(what: str, kind: int) -> tuple[str, int, int]:
    """(name, values, bytes of a block) of the way a tensor is packed."""
    package = _package()
    names = {each.value: each.name for each in package.GGMLQuantizationType}
    name = names.get(kind, f"number {kind}")
    known = (*PLAIN, *PACKED)
    if name not in known:
        raise BadInput(f"{what} is packed as {name}, which is not known; there are {', '.join(known)}")
    return name, *package.GGML_QUANT_SIZES[package.GGMLQuantizationType[name]]


def _package() -> ModuleType:
    """The package that knows how blocks are packed."""
    try:
        return importlib.import_module("gguf")
    except ModuleNotFoundError as error:
        hint = 'Install it: pip install "lleval-jax[train]".'
        raise BadInput("GGUF files need the package gguf.", python=hint, shell=hint) from error


def _values(
    file: pathlib.Path, name: str, shape: tuple[int, ...], kind: str, block: tuple[int, int], start: int
) -> np.ndarray:
    """The values of a tensor: as they are, or unpacked a piece at a time."""
    what = f"tensor {name!r}"
    if kind in PLAIN:
        return bytes_into(room(shape, PLAIN[kind]), file, start, what)
    package, (width, size) = _package(), block
    out = room(shape, PLAIN["F32"])
    flat, piece = out.reshape(-1), PIECE // width * width
    for at in range(0, flat.size, piece):
        part = flat[at : at + piece]
        raw = bytes_into(np.empty((1, part.size // width * size), np.uint8), file, start + at // width * size, what)
        part[:] = package.dequantize(raw, package.GGMLQuantizationType[kind]).reshape(-1)
    return out


class _Cursor:
    """A place in the bytes of a header, that moves on with what is read."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def number(self, form: str) -> Any:
        """One number."""
        (value,) = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return value

    def text(self) -> str:
        """One text."""
        return self.texts(1)[0]

    def texts(self, count: int) -> list[str]:
        """Several texts; the one loop that runs once a token of a vocabulary."""
        data, at, length = self.data, self.at, struct.Struct("<Q").unpack_from
        found = []
        for _ in range(count):
            start = at + 8
            at = start + length(data, at)[0]
            found.append(data[start:at].decode())
        if at > len(data):
            raise EOFError("a text goes on after the end of the file")
        self.at = at
        return found

    def value(self, kind: int) -> Any:
        """One value of the metadata, of a type given by its number."""
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            return self.array(self.number("I"), self.number("Q"))
        if kind >= len(NUMBERS):
            raise EOFError(f"there is no type {kind} of values")
        return self.number(NUMBERS[kind])

    def array(self, kind: int, count: int) -> Any:
        """Several values of one type."""
        if kind == TEXT:
            return self.texts(count)
        if kind == ARRAY:
            return [self.array(self.number("I"), self.number("Q")) for _ in range(count)]
        if kind >= len(NUMBERS):
            raise EOFError(f"there is no type {kind} of values")
        dtype = np.dtype(NUMBERS[kind]).newbyteorder("<")
        if count * dtype.itemsize > len(self.data) - self.at:
            raise EOFError("an array goes on after the end of the file")
        start, self.at = self.at, self.at + count * dtype.itemsize
        return np.frombuffer(self.data[start : self.at], dtype)

    def entry(self) -> Entry:
        """Where a tensor lies. Axes are stored the fastest first."""
        name, axes = self.text(), self.number("I")
        if axes > MOST_AXES:
            raise EOFError(f"tensor {name!r} would have {axes} axes")
        shape = tuple(self.number("Q") for _ in range(axes))[::-1]
        return name, shape, self.number("I"), self.number("Q")
