"""The number types in which NumPyro works, whatever JAX's global settings are; they stay as they were."""

import contextlib
from collections.abc import Iterator

import jax

from lleval_jax.core import threads
from lleval_jax.errors import require


@contextlib.contextmanager
def numbers(precision: str) -> Iterator[None]:
    """float32 or float64 inside, promoted as NumPy does: NumPyro mixes types and ranks freely. Of this thread alone."""
    require(precision in ("float32", "float64"), f"precision is {precision!r}; it is 'float32' or 'float64'")
    threads.enough()
    with (
        jax.enable_x64(precision == "float64"),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield
