"""Matrix products in the precision of their inputs, on every device.

By default recent GPUs round the inputs of float32 products to ten bits of mantissa (TF32), and TPUs to seven
(bfloat16): on an H200 a product is wrong by 3e-4 instead of 1e-6, an inverse by far more. Estimates therefore ask for
"highest" where a program is entered: `jit`, and `full_precision` on the functions that may be traced or called without
it (kernels, joint densities, rules for derivatives). All that is traced inside is covered. The request is part of the
program; JAX's settings stay as they are.

A lower `jax_default_matmul_precision` of the caller's holds for the caller's own products, and not for ours.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Literal, ParamSpec, TypeVar

import jax

from lleval_jax.core import threads
from lleval_jax.errors import require

P = ParamSpec("P")
R = TypeVar("R")
Precision = Literal["float32", "float64"]


@contextlib.contextmanager
def precise(precision: str) -> Iterator[None]:
    """float64 inside, where asked for, without touching the global setting: the face of a method decides it, once."""
    require(precision in ("float32", "float64"), f"precision is {precision!r}; it is 'float32' or 'float64'")
    threads.enough()
    if precision == "float64":
        with jax.enable_x64(True):
            yield
    else:
        yield


def full_precision(fn: Callable[P, R]) -> Callable[P, R]:
    """`fn`, all of its matrix products in full precision."""

    @functools.wraps(fn)
    def asking(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.default_matmul_precision("highest"):
            return fn(*args, **kwargs)

    return asking


def jit(fn: Callable, **options):  # noqa: ANN201  as `jax.jit`
    """`jax.jit` of `fn` in full precision: whatever estimates is compiled here. Networks may want less, and do not."""
    return jax.jit(full_precision(fn), **options)


light_jit = functools.partial(jit, compiler_options={"xla_llvm_disable_expensive_passes": True})
"""`jit` for programs whose compilation is what takes the time: it compiles faster, and they run no slower."""
