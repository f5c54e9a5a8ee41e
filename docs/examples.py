"""Docstrings say `Example:`; the reader of docstrings knows doctests under `Examples:`."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Rename the section before it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename it in the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
