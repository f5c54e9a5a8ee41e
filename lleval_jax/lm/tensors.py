"""A tensor in a file: what it is called, how large it is, and how to read it. A checkpoint is a mapping of these."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping

import numpy as np

from lleval_jax.errors import BadFile

EXPONENTS = {  # type of weights -> the bits of its exponent, which are all set where a value is NaN or infinite
    "float16": np.uint16(0x7C00),
    "bfloat16": np.uint16(0x7F80),
    "float32": np.uint32(0x7F800000),
    "float64": np.uint64(0x7FF0000000000000),
}
PIECE = 1 << 16  # values looked at together: they stay in the processor's cache
LINE = 64  # bytes: an array that begins on a line of the processor's cache goes to a CPU device without a copy


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """A tensor that lies in a file. Nothing of its values is in memory until it is read.

    file   the file that holds it
    name   what that file calls it
    shape  its axes, as `read` gives them
    dtype  type of its values, as `read` gives them
    read   the values, as a new array on the host
    """

    file: pathlib.Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.file}: tensor {self.name!r}"

    @property
    def size(self) -> int:
        """Bytes of its values, as they are read."""
        return math.prod(self.shape) * self.dtype.itemsize

    def turned(self, turn: Callable[[np.ndarray], np.ndarray]) -> "Stored":
        """The same tensor, its values turned once they are read; the shape stays."""
        return dataclasses.replace(self, read=lambda: turn(self.read()))


Tensors = Mapping[str, Stored]


def require_finite(tensor: Stored, values: np.ndarray) -> None:
    """Refuse weights that hold a NaN or an infinity: all that the model computes would be NaN.

    Half a second a gigabyte, in place.

    Raises:
        BadFile: the message names the tensor and the first such value.
    """
    mask, flat = EXPONENTS[values.dtype.name], values.reshape(-1)
    bits, room = flat.view(mask.dtype), np.empty(PIECE, mask.dtype)
    for at in range(0, bits.size, PIECE):
        piece = bits[at : at + PIECE]
        found = np.bitwise_and(piece, mask, out=room[: piece.size])
        if found.max() == mask:
            first = at + int((found == mask).argmax())
            place = tuple(map(int, np.unravel_index(first, values.shape)))
            text = f"{tensor.place} holds {float(flat[first])} at {place}; the file is damaged, or training diverged"
            raise BadFile(text)


def room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array without values that begins on a cache line."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def bytes_into(array: np.ndarray, file: pathlib.Path, start: int, what: str) -> np.ndarray:
    """Fill a contiguous array with the bytes of a file from `start` on, and return it.

    The file is read, not mapped: pages of a map would count as memory of the process.

    Raises:
        BadFile: the file ends before the array is full; the message names the file and `what`.
    """
    rest = array.reshape(-1).view(np.uint8).data
    with file.open("rb", buffering=0) as stream:
        stream.seek(start)
        while rest:
            taken = stream.readinto(rest)
            if not taken:
                raise BadFile(f"{file} is cut short within {what}: {len(rest):,} bytes are missing")
            rest = rest[taken:]
    return array
