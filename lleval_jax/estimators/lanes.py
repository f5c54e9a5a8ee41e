"""Many fits in a bounded number of lanes: one that has ended leaves its lane to the next, so that none waits for it."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lleval_jax.core.precision import jit
from lleval_jax.errors import require
from lleval_jax.estimators.contract import Kernel, Stepwise, compiled_lanes, is_none
from lleval_jax.scale.plan import require_one_host
from lleval_jax.types import Array, Status
from lleval_jax.values.progress import Progress, Tell, silent

FEWER = 4  # lanes become a quarter once no more than that are in use, and none waits


def solve_in_turn(
    kernel: Kernel | Stepwise,
    data: Any,
    keys: Array,
    *,
    axes: Any = 0,
    chunk: int,
    mesh: Mesh | None = None,
    tell: Tell = silent,
) -> Any:
    """What `contract.solve_many` finds, with `chunk` fits on the device at a time. Where a kernel goes in one piece all
    wait for the slowest.

    Args:
        kernel: of all fits.
        data: as of `solve_many`; what is stacked stays on the host, but for the fits that are in a lane.
        keys: (fits,) random keys.
        axes: as of `solve_many`.
        chunk: lanes; with a mesh rounded up to a whole number a device.
        mesh: of devices over which lanes are shared out; None: one.
        tell: called between pieces with the fits that have ended.

    Returns:
        As `solve_many`, on the host.
    """
    count, devices = len(keys), mesh.size if mesh else 1
    require(count > 0, "there are no fits")
    require_one_host(mesh)
    width = -(-min(chunk, count) // devices) * devices
    lanes = _Lanes(kernel, data, keys, axes, mesh)
    if not isinstance(kernel, Stepwise):
        parts = list(lanes.batches(count, width, tell))
        return jax.tree.map(lambda *each: np.concatenate(each), *parts)
    found: list[tuple[np.ndarray, Any]] = []
    ended: list[tuple[int, Any]] = []
    for number, progress in _in_turn(lanes, count, width, devices):
        ended.append((number, progress))
        if len(ended) == width:
            found.append(lanes.finished(ended, width))
            ended = []
            tell(Progress("fitting", sum(len(part) for part, _ in found), count, unit="fits"))
    if ended:
        found.append(lanes.finished(ended, width))
        tell(Progress("fitting", count, count, unit="fits"))
    order = np.argsort(np.concatenate([part for part, _ in found]))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[order], *(each for _, each in found))


class _Lanes:
    """The programs of a kernel on some of its fits."""

    def __init__(self, kernel: Any, data: Any, keys: Array, axes: Any, mesh: Mesh | None) -> None:
        self.kernel, self.keys, self.axes = kernel, keys, axes
        self.put = NamedSharding(mesh, PartitionSpec(mesh.axis_names)) if mesh else None
        whole = NamedSharding(mesh, PartitionSpec()) if mesh else None
        leaves, self.shape = jax.tree.flatten(data, is_leaf=is_none)
        self.along = jax.tree.leaves(jax.tree.broadcast(axes, data, is_leaf=is_none), is_leaf=is_none)
        self.along = [None if leaf is None else axis for leaf, axis in zip(leaves, self.along, strict=True)]
        self.leaves = [
            np.asarray(leaf) if axis == 0 else jax.device_put(leaf, whole)
            for leaf, axis in zip(leaves, self.along, strict=True)
        ]

    def of(self, numbers: np.ndarray) -> Any:
        """The data of some fits, on the device."""
        each = zip(self.leaves, self.along, strict=True)
        return self.shape.unflatten([self._placed(leaf[numbers]) if axis == 0 else leaf for leaf, axis in each])

    def batches(self, count: int, width: int, tell: Tell) -> Iterator[Any]:
        """What all fits find, `width` at a time; the last batch is filled up with the first of all."""
        for first in range(0, count, width):
            numbers = np.arange(first, first + width) % count
            found = compiled_lanes(self.kernel, "solve")(
                self.of(numbers), self._placed(self.keys[numbers]), axes=self.axes
            )
            yield jax.tree.map(lambda x: np.asarray(x)[: count - first], found)  # noqa: B023
            tell(Progress("fitting", min(first + width, count), count, unit="fits"))

    def begun(self, data: Any, numbers: np.ndarray) -> Any:
        """Before the first step."""
        return compiled_lanes(self.kernel, "begin")(data, self._placed(self.keys[numbers]), axes=self.axes)

    def advanced(self, data: Any, progress: Any) -> Any:
        """A piece further."""
        return compiled_lanes(self.kernel, "advance")(data, progress, axes=self.axes, at_most=self.kernel.piece)

    def placed(self, tree: Any) -> Any:
        """A tree with a lane along each first axis, on the devices."""
        return jax.tree.map(self._placed, tree)

    def finished(self, ended: list[tuple[int, Any]], width: int) -> tuple[np.ndarray, Any]:
        """What fits that have ended found. They are as many as there are lanes, or filled up with the first."""
        filled = ended + ended[:1] * (width - len(ended))
        numbers = np.asarray([number for number, _ in filled])
        progress = self.placed(jax.tree.map(lambda *lanes: np.stack(lanes), *(each for _, each in filled)))
        found = compiled_lanes(self.kernel, "finish")(self.of(numbers), progress, axes=self.axes)
        return numbers[: len(ended)], jax.tree.map(lambda x: np.asarray(x)[: len(ended)], found)

    def _placed(self, leaf: Any) -> Any:
        return jax.device_put(leaf, self.put)


def _in_turn(lanes: _Lanes, count: int, width: int, devices: int) -> Iterator[tuple[int, Any]]:
    """Each fit's number and how it ended, as they end."""
    numbers = np.arange(width) % count  # a lane too many does a fit again, which no one reads
    used, following = np.arange(width) < count, min(width, count)
    data = lanes.of(numbers)
    progress = lanes.begun(data, numbers)
    while used.any():
        progress = lanes.advanced(data, progress)
        over = np.asarray(progress.status) != Status.RUNNING
        if not (over & used).any():
            continue
        host = jax.tree.map(np.asarray, progress)
        for lane in np.flatnonzero(over & used):
            yield int(numbers[lane]), jax.tree.map(lambda x, lane=lane: x[lane].copy(), host)
        used &= ~over
        free = np.flatnonzero(~used)[: count - following]
        if len(free):
            numbers[free], used[free] = np.arange(following, following + len(free)), True
            following += len(free)
            data = lanes.of(numbers)
            progress = _with_new(np.isin(np.arange(len(numbers)), free), lanes.begun(data, numbers), progress)
        elif used.any() and len(used) >= FEWER * devices and used.sum() * FEWER <= len(used):
            kept = np.argsort(~used, kind="stable")[: -(-(len(used) // FEWER) // devices) * devices]
            numbers, used = numbers[kept], used[kept]
            data, progress = lanes.of(numbers), lanes.placed(jax.tree.map(lambda x: x[kept], host))  # noqa: B023


@jit
def _with_new(new: Array, begun: Any, progress: Any) -> Any:
    """Lanes that are new at their beginning, the others where they are."""
    return jax.tree.map(lambda a, b: jnp.where(new.reshape(-1, *[1] * (a.ndim - 1)), a, b), begun, progress)
