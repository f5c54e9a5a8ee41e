"""lleval_jax: statistical estimation of language models' benchmark scores, with uncertainty.

`__init__.pyi` lists the public names. Each is loaded when first used, so `import lleval_jax` is quick.
"""

import ast
import importlib
import pathlib
from importlib import metadata
from typing import Any

from lleval_jax.renamed import moved

_LISTED = ast.parse(pathlib.Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
_IMPORTS = [line for line in _LISTED if isinstance(line, ast.ImportFrom)]
# Public name -> the module that holds it, and its name there.
_HOME = {str(each.asname): (str(line.module), each.name) for line in _IMPORTS for each in line.names}

_gone = moved("lleval_jax", sloth_paper="lleval_jax.sloth.published", refresh_paper="lleval_jax.refresh.published")

__all__ = [*_HOME, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]
__version__ = metadata.version("lleval-jax")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        return _gone(name)
    module, original = _HOME[name]
    found = vars(importlib.import_module(module)).get(original)
    return importlib.import_module(f"{module}.{original}") if found is None else found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
