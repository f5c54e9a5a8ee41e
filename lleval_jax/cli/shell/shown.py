"""Help texts as they were written: examples keep their lines."""

import inspect
from collections.abc import Callable
from typing import Any


def help_of(verb: Callable[..., Any]) -> str:
    """The docstring, with each indented paragraph marked as not to be wrapped."""
    parts = inspect.cleandoc(verb.__doc__ or "").split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith("  ") else part for part in parts)
