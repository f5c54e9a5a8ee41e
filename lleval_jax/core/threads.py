"""Threads enough for programs on a CPU to end."""

import functools
import os

import jax

LEAST = 8


@functools.cache
def enough() -> None:
    """Start JAX's client on the CPU with `LEAST` threads or more, unless it runs already or NPROC says how many.

    It takes as many as there are cores. A batched QR or triangular solve holds one while it waits for others to take
    parts of the batch, so that a program that has as many of these at a time as there are cores waits for ever (jax
    0.10.2 on two cores: two batched QR). The client reads NPROC when it starts; the variable is then removed again.
    """
    if "NPROC" in os.environ:
        return
    os.environ["NPROC"] = str(max(LEAST, os.cpu_count() or 1))
    try:
        jax.devices()
    finally:
        del os.environ["NPROC"]
