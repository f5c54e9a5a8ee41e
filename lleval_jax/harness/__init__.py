"""Where models run: adaptive sessions inside Inspect AI and lm-eval, and what language models are asked for `pepr` and
`prompts`.

`__init__.pyi` lists the public names of the second kind. Each is loaded when first used.

Example:
    ```python
    from lleval_jax import harness, lm

    model = lm.load("tiny-lm")
    found = harness.score_texts(model, "texts.csv", "elements.toml", subsets=["role+rule"])
    fit = ll.pepr.fit(ll.read_logprobs(found.frame))
    ```
"""

from typing import Any

from lleval_jax.lazy import listed, loaded

_HOME = listed(__file__)

__all__ = list(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = loaded(_HOME, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
