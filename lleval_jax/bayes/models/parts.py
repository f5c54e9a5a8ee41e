"""The language model and the scaffold of each system, as indices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lleval_jax.errors import nearest, require


class Parts(NamedTuple):
    """What systems are made of.

    model            (systems,)    index of its language model
    scaffold         (systems,)    index of its scaffold
    models           (models,)     how many systems each language model is in
    scaffolds        (scaffolds,)  the same of scaffolds
    named_models     indices of the language models whose name is known
    named_scaffolds  the same of scaffolds
    """

    model: np.ndarray
    scaffold: np.ndarray
    models: np.ndarray
    scaffolds: np.ndarray
    named_models: np.ndarray
    named_scaffolds: np.ndarray

    def by_model(self, seen: np.ndarray) -> np.ndarray:
        """(named models, groups) answers behind each, of (systems, groups) answers of systems."""
        return _summed(seen, self.model, self.named_models)

    def by_scaffold(self, seen: np.ndarray) -> np.ndarray:
        """The same of scaffolds."""
        return _summed(seen, self.scaffold, self.named_scaffolds)

    @staticmethod
    def mean_of(value: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
        """(count,) means of what has each index."""
        return np.bincount(index, value, count) / np.maximum(np.bincount(index, minlength=count), 1)


def parted(
    rows: Sequence[str], systems: Sequence[tuple[str, str, str]]
) -> tuple[Parts, tuple[str, ...], tuple[str, ...]]:
    """Indices, and the names of language models and of scaffolds; what is not known is a level of its own.

    Raises:
        BadInput: a system has no parts.
    """
    known = {system: (model, scaffold) for system, model, scaffold in systems}
    for row in [row for row in rows if row not in known][:1]:
        require(False, f"system {row!r} has no parts; they are given for {len(known)}{nearest(row, known)}")
    coded = [_coded(rows, [known[row][part] for row in rows]) for part in (0, 1)]
    (model, models, named_models), (scaffold, scaffolds, named_scaffolds) = coded
    found = Parts(
        model=model,
        scaffold=scaffold,
        models=np.bincount(model, minlength=len(models)),
        scaffolds=np.bincount(scaffold, minlength=len(scaffolds)),
        named_models=named_models,
        named_scaffolds=named_scaffolds,
    )
    return found, models, scaffolds


def _summed(seen: np.ndarray, index: np.ndarray, named: np.ndarray) -> np.ndarray:
    return (index == named[:, None]).astype(int) @ seen


def _coded(rows: Sequence[str], said: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Index of each row, names, and indices of the names that were said."""
    called = [name or f"unknown ({row})" for row, name in zip(rows, said, strict=True)]
    names = tuple(dict.fromkeys(called))
    place = {name: i for i, name in enumerate(names)}
    named = [place[name] for name in dict.fromkeys(filter(None, said))]
    return np.array([place[name] for name in called]), names, np.array(named, int)
