"""Sizes on a short ladder, so that matrices of nearly the same size share one compilation."""

import numpy as np


def rung(size: int, steps: int = 8) -> int:
    """The next size of the form m 2^e with `steps` values of m an octave: at most 1/8 more."""
    if size <= steps:
        return size
    unit = 1 << max(0, (size - 1).bit_length() - steps.bit_length())
    return -(-size // unit) * unit


def pad(array: np.ndarray, shape: tuple[int, ...], value: float = 0) -> np.ndarray:
    """`array` in the leading corner of a larger one."""
    if array.shape == shape:
        return array
    out = np.full(shape, value, array.dtype)
    out[tuple(slice(0, n) for n in array.shape)] = array
    return out
