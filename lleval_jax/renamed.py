"""Words of older versions, refused with the word of today: keywords of a function, and names in a module."""

import functools
from collections.abc import Callable
from typing import NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def renamed(**words: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Refuse old keywords and say the new ones: `@renamed(dtype="precision")`. The signature stays what it is.

    A `TypeError` is raised, as Python does for a keyword that it does not know.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in kwargs.keys() & words.keys():
                raise TypeError(f"{function.__name__}(): {old}= is now {_said(words[old])}")
            return function(*args, **kwargs)

        return call

    return decorate


def _said(word: str) -> str:
    """A keyword as it is written in a call; what is no keyword is said as it stands."""
    return f"{word}=" if word.isidentifier() else word


def moved(module: str, **names: str) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a module whose names have gone elsewhere: `moved(__name__, foretell="refresh.preview")`."""

    def missing(name: str) -> NoReturn:
        if name in names:
            raise AttributeError(f"{module}.{name} is now {names[name]}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing
