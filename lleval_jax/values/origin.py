"""Where each answer came from: the file, and the line in it."""

import dataclasses
from typing import Any

import numpy as np

from lleval_jax.values.value import Value


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Origin(Value):
    """The place of each answer, in the shape of the scores it belongs to: (rows, items) or (cells,).

    files  names of the files, as in `Source.files`
    file   position in `files`; means nothing where no answer was seen
    line   line in that file, from 1; 0 where the format has no lines
    """

    files: tuple[str, ...]
    file: np.ndarray
    line: np.ndarray

    def __getitem__(self, at: Any) -> "Origin":
        """The part of the answers that `at` picks, as for a numpy array."""
        return Origin(self.files, self.file[at], self.line[at])

    def place(self, at: Any) -> str:
        """Where one answer came from: "file:line", or the file alone."""
        file, line = self.files[int(self.file[at])], int(self.line[at])
        return f"{file}:{line}" if line else file

    def names(self) -> np.ndarray:
        """Of each answer, the name of its file."""
        return np.asarray(self.files, object)[self.file]


def spread(origin: Origin | None, seen: np.ndarray, files: tuple[str, ...], cells: tuple, shape: tuple) -> Origin:
    """The same places on larger axes: those seen of `origin` laid at `cells` of `shape`, by the names in `files`."""
    file, line = np.zeros(shape, code(len(files))), np.zeros(shape, np.int32)
    if origin is not None:
        place = np.array([files.index(name) for name in origin.files], file.dtype)
        file[cells], line[cells] = np.where(seen, place[origin.file], 0), np.where(seen, origin.line, 0)
    return Origin(files, file, line)


def code(count: int) -> type[np.unsignedinteger]:
    """The smallest type that numbers `count` files."""
    return np.uint8 if count <= 1 << 8 else np.uint16 if count <= 1 << 16 else np.uint32
