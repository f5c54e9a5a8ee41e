"""Language models that score and write: decoders and encoders in Flax, from the files that the world publishes.

`__init__.pyi` lists the public names. Each is loaded when first used, so `import lleval_jax.lm` loads neither Flax nor
transformers, and what needs neither, as a client of a server, works without them.
"""

import sys
from types import ModuleType
from typing import Any

from lleval_jax.errors import BadInput
from lleval_jax.lazy import listed, loaded

_HOME = listed(__file__)

__all__ = list(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


class _Package(ModuleType):
    """A public name stays what it is when the module of the same name is imported: `lm.load` lives in `lm/load.py`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _HOME or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        globals()[name] = loaded(_HOME, name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "lleval_jax":
            raise
        text = f'lm.{name} needs the package {package}. Install it: pip install "lleval-jax[train]".'
        raise BadInput(text) from error
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
