"""Modules that are done, kept in a folder until all are: a search that was stopped goes on from there.

run.json                 rank, method, clusters, search, and the hash of each adapter
clusters.safetensors     who belongs to which cluster
modules-N.safetensors    bases, cores and errors of a batch of modules
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

from lleval_jax import writing
from lleval_jax.lm import safetensors_files
from lleval_jax.scale import same_run
from lleval_jax.scale.store import Folder


class Bases(NamedTuple):
    """Of the modules of a batch.

    u        (modules, clusters, d_out, rank)
    v        (modules, clusters, d_in, rank)
    cores    (modules, n, rank, rank) or (modules, n, rank)
    error    (modules, n) squared and relative
    settled  whether all searches converged
    """

    u: np.ndarray
    v: np.ndarray
    cores: np.ndarray
    error: np.ndarray
    settled: bool


class Parts:
    """What is found, and found again in the folder.

    Args:
        folder: where; None: nothing is kept.
        facts: what makes the search this one; called only with a folder.

    Raises:
        BadInput: the folder holds parts of another search, or something else; what differs is named.
    """

    def __init__(self, folder: "str | os.PathLike[str] | None", facts: Callable[[], dict[str, Any]]) -> None:
        self.folder = None if folder is None else pathlib.Path(folder).expanduser().absolute()
        if self.folder is not None:
            same_run.begin(Folder(self.folder), facts())

    def clusters(self, find: Callable[[], tuple[np.ndarray, bool]]) -> tuple[np.ndarray, bool]:
        """Memberships, and whether their search converged."""

        def found() -> dict[str, np.ndarray]:
            member, settled = find()
            return {"member": member, "settled": np.array(settled)}

        arrays = self._once("clusters", found)
        return arrays["member"], bool(arrays["settled"])

    def bases(self, number: int, find: Callable[[], Bases]) -> Bases:
        """The bases of a batch.

        Raises:
            BadFile: its file is damaged.
        """
        arrays = self._once(f"modules-{number}", lambda: {k: np.asarray(x) for k, x in find()._asdict().items()})
        return Bases(**{**arrays, "settled": bool(arrays["settled"])})

    def _once(self, name: str, find: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """What the file holds, or what is found and then kept there."""
        if self.folder is None:
            return find()
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            arrays = find()
            writing.put(path, safetensors.numpy.save({k: np.ascontiguousarray(x) for k, x in arrays.items()}))
            return arrays
        return {key: tensor.read() for key, tensor in safetensors_files.read_file(path).items()}
