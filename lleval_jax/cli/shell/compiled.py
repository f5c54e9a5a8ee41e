"""Compiled programs are kept on disk, so that only the first call of a verb compiles. Only the shell does so.

They are kept in the user's cache folder (see `lleval_jax.places`; LLEVAL_CACHE=off: not at all), apart for each
release of JAX and kind of processor, since a program that was compiled for one must not run on another. A folder that
JAX was told already (JAX_COMPILATION_CACHE_DIR) is left as it is. JAX reads these variables once, when it is loaded.
"""

import os
import pathlib

from lleval_jax.places import PROGRAMS, cache_folder, programs

LARGEST = 1 << 29  # bytes that all programs may take; the least recently written go first
BROKEN = "Error reading persistent compilation cache"
_DIRECTORY = "JAX_COMPILATION_CACHE_DIR"


def keep() -> None:
    """Tell JAX where to keep programs; before it is loaded."""
    place = cache_folder()
    if place is None or _DIRECTORY in os.environ:
        return
    folder = programs(place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _prune(place / PROGRAMS)
    except OSError:  # a cache that cannot be written is no reason to fail
        return
    os.environ[_DIRECTORY] = os.fspath(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def is_broken(message: str) -> bool:
    """Whether a warning says that a kept program cannot be read; it is then compiled, and the kept ones are let go.

    JAX would not replace it, and every later call would compile it again.
    """
    if not message.startswith(BROKEN):
        return False
    place, folder = cache_folder(), os.environ.get(_DIRECTORY, "")
    if place is not None and pathlib.Path(folder).parent == place / PROGRAMS:
        for file in _files(pathlib.Path(folder)):
            file.unlink(missing_ok=True)
    return True


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _prune(folder: pathlib.Path) -> None:
    """Let the oldest programs go until the rest fits."""
    found = sorted(((path.stat(), path) for path in _files(folder)), key=lambda pair: -pair[0].st_mtime)
    total = 0
    for facts, path in found:
        total += facts.st_size
        if total > LARGEST:
            path.unlink(missing_ok=True)
