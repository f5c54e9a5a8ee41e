"""The memory of tests: two workers fill a machine unless they let compiled programs go."""

import ctypes
import gc
import os
import pathlib
from collections.abc import Iterator

import jax
import pytest

ROOM = 1.2e9  # bytes that a worker may take before it lets compiled programs go


@pytest.fixture(scope="module", autouse=True)
def room() -> Iterator[None]:
    """Compiled programs are let go where a worker has grown: JAX never frees them."""
    yield
    pages = pathlib.Path("/proc/self/statm")
    if pages.exists() and int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") > ROOM:
        jax.clear_caches()
        gc.collect()
        getattr(ctypes.CDLL(None), "malloc_trim", gc.collect)(0)  # what is freed goes back to the machine
