"""Where the package keeps what it can make again. Imports nothing that takes time to load."""

import os
import pathlib


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
