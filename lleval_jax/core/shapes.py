"""Sizes on a short ladder, so that matrices of nearly the same size share one compilation."""

import numpy as np

LEAST, SMALL = 8, 64  # up to here powers of two: such programs take long to compile, not to run
PAGE = 512  # numbers: 4096 bytes of float64, half of that in float32


def rung(size: int, steps: int = 8) -> int:
    """The next size of the form m 2^e with `steps` values of m an octave: at most 1/8 more."""
    if size <= steps:
        return size
    unit = 1 << max(0, (size - 1).bit_length() - steps.bit_length())
    return -(-size // unit) * unit


def few(size: int) -> int:
    """The next size of a ladder with few rungs at its foot: 8, 16, 32, 64, and above those of `rung`.

    A process that meets a thousand small shapes compiles a dozen programs for them.
    """
    return max(LEAST, 1 << (size - 1).bit_length()) if size <= SMALL else rung(size)


def few_columns(size: int) -> int:
    """`few` for the last axis: never a whole number of memory pages, which puts a column's cells in one cache line."""
    size = few(size)
    return size if size % PAGE else size + 16


def pad(array: np.ndarray, shape: tuple[int, ...], value: float = 0, dtype: str | None = None) -> np.ndarray:
    """`array` in the leading corner of a larger one, of another type if asked."""
    if array.shape == shape:
        return array.astype(dtype or array.dtype, copy=False)
    out = np.full(shape, value, dtype or array.dtype) if value else np.zeros(shape, dtype or array.dtype)
    out[tuple(slice(0, n) for n in array.shape)] = array
    return out
