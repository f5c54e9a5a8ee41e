"""Compiled programs of a study: a warm-up keeps them in its folder, where all its workers find them."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from lleval_jax.errors import require
from lleval_jax.places import PROGRAMS, cache_folder, programs
from lleval_jax.scale.store import SCHEME
from lleval_jax.studies.study import Study

DIRECTORY = "jax_compilation_cache_dir"
ALL = {"jax_persistent_cache_min_compile_time_secs": 0.0, "jax_persistent_cache_min_entry_size_bytes": -1}
REQUEST, HIT = (f"/jax/compilation_cache/{word}" for word in ("compile_requests_use_cache", "cache_hits"))
COMPILING = "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def of_study(study: Study, *, begin: bool = False) -> Iterator[str]:
    """A block in which programs are read from a study's folder, and kept there, where a warm-up has begun it.

    A folder that whoever runs it told JAX (JAX_COMPILATION_CACHE_DIR) is left as it is. A study in an object store has
    no such folder.

    Args:
        study: whose programs.
        begin: make the folder, and compile again what this process has compiled before.

    Yields:
        Where programs are kept.

    Raises:
        BadInput: with `begin`, where there is no place to keep them.
    """
    folder = None if SCHEME in study.out else programs(pathlib.Path(study.out).absolute())
    now = _now()
    if now and not _is_shells(now):
        folder = None
    if folder is not None and begin:
        folder.mkdir(parents=True, exist_ok=True)
    if folder is None or not folder.is_dir() or now == os.fspath(folder):
        where = f"{study.out} is in an object store, and there is no folder to keep programs in"
        require(bool(now) or not begin, f"{where}; name one with JAX_COMPILATION_CACHE_DIR, which all workers see")
        yield now
        return
    before = {name: getattr(jax.config, name) for name in (DIRECTORY, *ALL)}
    _set({DIRECTORY: os.fspath(folder), **ALL})
    if begin:
        jax.clear_caches()
    try:
        yield os.fspath(folder)
    finally:
        _set(before)


class Count:
    """`with Count() as count:` counts the programs that are asked for in the block.

    programs  how many
    there     how many of them had been kept before
    seconds   that compiling, and reading those, took
    """

    def __init__(self) -> None:
        self.programs, self.there, self.seconds = 0, 0, 0.0

    def __enter__(self) -> "Count":
        jax.monitoring.register_event_listener(self._event)
        jax.monitoring.register_event_duration_secs_listener(self._took)
        return self

    def __exit__(self, *_: object) -> None:
        jax.monitoring.unregister_event_listener(self._event)
        jax.monitoring.unregister_event_duration_listener(self._took)

    def _event(self, event: str, **_: Any) -> None:
        self.programs += event == REQUEST
        self.there += event == HIT

    def _took(self, event: str, duration_secs: float, **_: Any) -> None:
        self.seconds += duration_secs * (event == COMPILING)


def _now() -> str:
    return getattr(jax.config, DIRECTORY) or ""


def _is_shells(place: str) -> bool:
    """Whether this is where `lleval` keeps programs of all that it does."""
    user = cache_folder()
    return user is not None and pathlib.Path(place).parent == user / PROGRAMS


def _set(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # JAX holds on to the folder of its first program
