"""lleval_jax: statistical estimation of language models' benchmark scores, with uncertainty.

`__init__.pyi` lists the public names. Each is loaded when first used, so `import lleval_jax` is quick.
"""

from importlib import metadata
from typing import Any

from lleval_jax.lazy import listed, loaded
from lleval_jax.renamed import moved

_HOME = listed(__file__)
_gone = moved("lleval_jax", sloth_paper="lleval_jax.sloth.published", refresh_paper="lleval_jax.refresh.published")

__all__ = [*_HOME, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]
__version__ = metadata.version("lleval-jax")


def __getattr__(name: str) -> Any:
    return loaded(_HOME, name) if name in _HOME else _gone(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
