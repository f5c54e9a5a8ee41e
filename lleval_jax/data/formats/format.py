"""What a reader of one format says of itself: each module of this folder ends in its own `FORMAT = Format(...)`."""

import dataclasses
import pathlib
from collections.abc import Callable

from lleval_jax.data.answers import BY_ALL, Answers, Options
from lleval_jax.errors import require

ASKED = frozenset(field.name for field in dataclasses.fields(Options)) - BY_ALL  # options that a reader may use


@dataclasses.dataclass(frozen=True)
class Format:
    """One way of writing answers. No field has a default: each is a question that every format must answer.

    name        for messages: what it is, and in brackets how its files end
    recognises  (first bytes, path) -> whether this file is written so. It must not hold for files of other formats
    read        (path, options) -> its answers
    companion   path -> whether a program writes this file with its answers, so that a folder is read without it.
                Else `never`
    options     the names in `ASKED` that `read` uses; one that is given and not used is refused
    """

    name: str
    recognises: Callable[[bytes, pathlib.Path], bool]
    read: Callable[[pathlib.Path, Options], Answers]
    # path -> what `read` takes from elsewhere than the content: from the path, from a file next to it. A part of the
    # cache's key; without it a copy in another folder gets the first one's names. Else `nothing`.
    beside: Callable[[pathlib.Path], tuple[str, ...]]
    companion: Callable[[pathlib.Path], bool]
    options: frozenset[str]

    def __post_init__(self) -> None:
        unknown = sorted(self.options - ASKED)
        require(not unknown, f"format {self.name!r} has options {unknown}; a reader may use {sorted(ASKED)}")

    @property
    def title(self) -> str:
        """The name without what is in brackets."""
        return self.name.partition(" (")[0]


def nothing(path: pathlib.Path) -> tuple[str, ...]:
    """The content says everything."""
    return ()


def never(path: pathlib.Path) -> bool:
    """No program writes other files with its answers."""
    return False
