"""Answers that lie on many devices, on many hosts: a fit sees the four products of `cells`, and no device.

Every answer lies on two devices: with its row on one, with its item on another. So each sum over a row, and each over
an item, is taken on one device, in an order that does not depend on how many there are. The sums are then gathered:
what else a step does is done by every device, to the same end. Nothing is added up across devices, so that a fit on
eight finds what a fit on one finds, to the last bit where a device adds in a fixed order, as CPUs do.

An EM step of 48 nodes gathers twice: (rows, 48) and (items, 96) numbers, however many answers there are.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from lleval_jax.core.irt.cells import Dense
from lleval_jax.types import Array

_pytree = functools.partial(jax.tree_util.register_dataclass)
UNSEEN, WRONG, RIGHT = 0, 1, 2  # of a code
Sums = tuple[Array, Array]
Joined = Callable[[Array, Array], Array]  # sums over scores and over weights -> what is gathered


class Tiles(NamedTuple):
    """Answers of 0 or 1 as a matrix of a byte each, in blocks of lines (rows, or items).

    codes  (blocks, lines of a block, others)  UNSEEN, WRONG or RIGHT; blocks are shared out to the devices
    """

    codes: Array

    def shared_out(self) -> tuple[Array, ...]:
        """What of it is: each along its first axis."""
        return (self.codes,)

    def sums(self, mine: tuple[Array, ...], by_score: Array, by_weight: Array) -> Sums:
        """Of a device's lines: sums over scores and over weights, (lines, k) each, a block at a time."""

        def block(codes: Array) -> Sums:
            right, seen = ((codes == RIGHT).astype(by_score.dtype), (codes > UNSEEN).astype(by_score.dtype))
            return right @ by_score, seen @ by_weight

        right, asked = jax.lax.map(block, mine[0])
        return right.reshape(-1, right.shape[-1]), asked.reshape(-1, asked.shape[-1])

    def in_order(self, found: Array, lines: int) -> Array:
        """All devices' lines, one after another, as lines."""
        return found[:lines]


class Listed(NamedTuple):
    """Any answers, as a list for each device, sorted by line.

    line    (devices, cells)  which of the device's lines
    other   (devices, cells)  the item of a row's answer, or the row of an item's
    scores  (devices, cells)  weight times score; 0 for padding
    weight  (devices, cells)
    first   (devices, most)   zeros, as many as the most lines that a device has
    place   (lines,)          where each line is among those of all devices
    """

    line: Array
    other: Array
    scores: Array
    weight: Array
    first: Array
    place: Array

    def shared_out(self) -> tuple[Array, ...]:
        """As of `Tiles`."""
        return self[:5]

    def sums(self, mine: tuple[Array, ...], by_score: Array, by_weight: Array) -> Sums:
        """As of `Tiles`, a column at a time."""
        line, other, scores, weight, first = (part[0] for part in mine)
        add = functools.partial(jax.ops.segment_sum, num_segments=len(first), indices_are_sorted=True)

        def column(pair: Sums) -> Sums:
            return add(scores * pair[0][other], line), add(weight * pair[1][other], line)

        right, asked = jax.lax.map(column, (by_score.T, by_weight.T))
        return right.T, asked.T

    def in_order(self, found: Array, lines: int) -> Array:
        """As of `Tiles`."""
        return found[self.place]


Side = Tiles | Listed


@functools.partial(_pytree, data_fields=["by_row", "by_item", "row_weight", "item_weight"], meta_fields=["mesh"])
@dataclasses.dataclass(frozen=True)
class Spread:
    """The same answers twice, by row and by item, each shared out to all devices of a mesh.

    row_weight   (rows,)   ones, on every device
    item_weight  (items,)  ones
    """

    by_row: Side
    by_item: Side
    row_weight: Array
    item_weight: Array
    mesh: Mesh

    def over_items(self, by_score: Array, by_weight: Array) -> Array:
        """As `Dense.over_items`."""
        return self._gathered(self.by_row, len(self.row_weight), by_score, by_weight, jnp.add)

    def over_rows(self, mass: Array) -> Sums:
        """As `Dense.over_rows`."""
        both = self._gathered(self.by_item, len(self.item_weight), mass, mass, _side_by_side)
        return both[:, : mass.shape[1]], both[:, mass.shape[1] :]

    def dense(self) -> Dense:
        """As one matrix, on every device: for few items."""
        one = jnp.diag(self.item_weight)
        zero = jnp.zeros_like(one)
        return Dense(self.over_items(one, zero), self.over_items(zero, one), self.item_weight)

    def _gathered(self, side: Side, lines: int, by_score: Array, by_weight: Array, joined: Joined) -> Array:
        """The sums of all lines, on every device."""
        names = self.mesh.axis_names

        def local(mine: tuple[Array, ...], by_score: Array, by_weight: Array) -> Array:
            found = joined(*side.sums(mine, by_score, by_weight))
            return jax.lax.all_gather(found, names, tiled=True)

        own, same = PartitionSpec(names), PartitionSpec()
        each = jax.shard_map(local, mesh=self.mesh, in_specs=(own, same, same), out_specs=same, check_vma=False)
        return side.in_order(each(side.shared_out(), by_score, by_weight), lines)


def _side_by_side(right: Array, asked: Array) -> Array:
    return jnp.concatenate([right, asked], 1)
