"""Core functions, each compiled as one program, with results in numpy.

Called as they are, outside of `jit`, every operation in them would be compiled as a program of its own.
"""

from collections.abc import Callable
from typing import Any

import jax


def compiled(fn: Callable, **options: Any) -> Callable:
    """`jax.jit` of `fn` whose results are numpy arrays, so that what a test does with them compiles nothing."""
    program = jax.jit(fn, **options)
    return lambda *args, **named: jax.device_get(program(*args, **named))
