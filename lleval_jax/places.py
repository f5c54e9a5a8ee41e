"""Where the package keeps what it can make again. Imports nothing that takes time to load."""

import hashlib
import os
import pathlib
import platform
from importlib import metadata

PROGRAMS = "programs"


def cache_folder() -> pathlib.Path | None:
    """Where caches are kept: LLEVAL_CACHE, else lleval in the user's cache folder; None if it is "off"."""
    asked = os.environ.get("LLEVAL_CACHE", "")
    if asked.lower() in ("off", "0", "no", "false"):
        return None
    try:
        home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    except RuntimeError:  # no home
        return None
    return pathlib.Path(asked) if asked else home / "lleval"


def programs(place: pathlib.Path) -> pathlib.Path:
    """Where compiled programs are kept in a folder: apart for each release of JAX and kind of processor."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    parts = [platform.system(), platform.machine(), features, metadata.version("jax"), metadata.version("jaxlib")]
    return place / PROGRAMS / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
