"""Files without a column of models: each is one model, named by the file; in two folders one name is two models."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from lleval_jax.data.answers import Answers
from lleval_jax.data.tables.long import NO_MODEL, no_model


def distinct(parts: Sequence[Answers], names: Sequence[str]) -> list[Answers]:
    """The same answers, where files that would give one name to their models give these their folders' names too.

    `names` are the files' own, with the folders in which they differ.
    """
    own = [any(note.what.startswith(NO_MODEL) for note in part.guesses) for part in parts]
    count = collections.Counter(part.rows[0] for part, is_own in zip(parts, own, strict=True) if is_own)
    return [
        _renamed(part, name) if is_own and count[part.rows[0]] > 1 else part
        for part, name, is_own in zip(parts, names, own, strict=True)
    ]


def _renamed(part: Answers, name: str) -> Answers:
    """The answers of the model that is called by its file and folders."""
    model = (pathlib.PurePosixPath(name).parent / part.rows[0]).as_posix()
    guesses = tuple(no_model(model) if note.what.startswith(NO_MODEL) else note for note in part.guesses)
    return dataclasses.replace(part, rows=np.array([model], object), guesses=guesses)
