"""How a fit is run: on which devices, how much of it at once, and where its state is kept."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lleval_jax.errors import require

AXIS = "devices"


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a fit is run. It changes no number: the same call finds the same on any devices and hosts.

    mesh   devices over which one fit, or many, are shared out; `mesh()` is all there are, of all hosts. None: here
    chunk  of many fits, how many are in memory at once; None: all
    out    where the state of a fit is kept, a folder or a place as of a study, which goes on from there when it is
           called again; a fit that goes in one piece keeps what it found; None: nowhere
    every  steps of one fit between two states that are kept; of many fits, chunks

    Raises:
        BadInput: a number below one.

    Example:
        >>> Plan(chunk=64).every
        8
    """

    mesh: Mesh | None = None
    chunk: int | None = None
    out: "str | os.PathLike[str] | None" = None
    every: int = 8

    def __post_init__(self) -> None:
        require(self.chunk is None or self.chunk >= 1, f"chunk is {self.chunk}; it must be at least one fit")
        require(self.every >= 1, f"every is {self.every}; it must be at least one step")


HERE = Plan()


def require_one_host(mesh: Mesh | None) -> None:
    """`BadInput` for a mesh of several hosts, over which many fits are not shared out."""
    here = mesh is None or all(device.process_index == jax.process_index() for device in mesh.devices.flat)
    require(here, "many fits are shared out to the devices of one host; for several hosts see lleval_jax.run")


def mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """All devices of all hosts in a row, or these.

    Args:
        devices: of the mesh; after `join` those of all processes are in `jax.devices()`.
    """
    return Mesh(np.asarray(jax.devices() if devices is None else devices), (AXIS,))
