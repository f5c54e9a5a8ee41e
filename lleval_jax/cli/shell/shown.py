"""Text as it is shown: help as it was written, messages on one line, and nothing in a name that steers a terminal."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from lleval_jax.words import visible


def help_of(verb: Callable[..., Any]) -> str:
    """The docstring, with each indented paragraph marked as not to be wrapped."""
    parts = inspect.cleandoc(verb.__doc__ or "").split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith("  ") else part for part in parts)


def line(message: str) -> str:
    """A message on one line, fit for any terminal."""
    return visible(re.sub("[ \n\t]+", " ", message).strip())
