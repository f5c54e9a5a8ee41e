"""Uncompressed adapters of which a few are on the device at a time: the one that was not used for longest makes room.

All are kept in the host's memory. A request whose adapter is not on the device, while all seats there are in use,
waits until one is free; an adapter in use stays.
"""

import collections
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lleval_jax.errors import require
from lleval_jax.lm.decoder import Decoder
from lleval_jax.training.serve.resident import PER_ADAPTER, Numbers, Residents
from lleval_jax.types import Array


class Rotating(Residents):
    """Many adapters, few of them on the device: `few` makes one.

    Attributes:
        seats: adapters that are on the device at a time, at most.
        loaded: how often an adapter was brought there.
        evicted: how often another had to go for it.

    Example:
        >>> residents = Rotating.few(decoder, shapes, rank=16, seats=6, capacity=1025)  # doctest: +SKIP
    """

    def __init__(self, decoder: Decoder, capacity: int, rank: int) -> None:
        super().__init__(decoder, capacity, rank)
        self.seats, self.loaded, self.evicted = capacity - 1, 0, 0
        self._kept: dict[int, tuple[np.ndarray, ...]] = {}  # place -> numbers, in the order of the tables
        self._seat: collections.OrderedDict[int, int] = collections.OrderedDict()  # place -> seat, last used last
        self._empty = list(range(self.seats, 0, -1))
        self._sitting: collections.Counter[int] = collections.Counter()  # seat -> rows that are written with it

    @classmethod
    def few(
        cls, decoder: Decoder, shapes: Mapping[str, tuple[int, int]], *, rank: int, seats: int, capacity: int
    ) -> "Rotating":
        """Room for `capacity` - 1 adapters in the host's memory, and for `seats` on the device.

        Args:
            decoder: the base model.
            shapes: module, as files call it -> (d_out, d_in).
            rank: the largest of an adapter.
            seats: from 1.
            capacity: places, that of the bare model among them.
        """
        require(seats > 0, f"there are {seats} seats; one is the least")
        found = cls.apart(decoder, shapes, rank, seats + 1)
        assert isinstance(found, Rotating)
        found.capacity = capacity
        return found

    def seat(self, place: int) -> int | None:
        """Brings the adapter to the device if it is not there; None: all seats are in use."""
        if place == 0:
            return 0
        with self._lock:
            if place not in self._seat:
                free = self._freed()
                if free is None:
                    return None
                self.tables = _loaded(self.tables, jnp.int32(free), self._kept[place])
                self._seat[place], self.loaded = free, self.loaded + 1
            self._seat.move_to_end(place)
            self._sitting[self._seat[place]] += 1
            return self._seat[place]

    def leave(self, seat: int) -> None:
        """A row that `seat` gave this is written."""
        with self._lock:
            if seat:
                self._sitting[seat] -= 1

    def _freed(self) -> int | None:
        """A seat that is empty, or whose adapter was not used for longest; None: all are in use."""
        if self._empty:
            return self._empty.pop()
        for place, seat in self._seat.items():
            if self._sitting[seat] < 1:
                del self._seat[place]
                self.evicted += 1
                return seat
        return None

    def _put(self, place: int, numbers: Numbers) -> None:
        """Into the host's memory; what had this place before goes from the device."""
        if place in self._seat:
            self._empty.append(self._seat.pop(place))
        self._kept[place] = tuple(value for _, value, _ in self._by_table(numbers))


@functools.partial(jax.jit, donate_argnums=0)
def _loaded(tables: Any, seat: Array, numbers: tuple[Array, ...]) -> Any:
    """The tables with one adapter more, in place."""
    left = iter(numbers)

    def put(path: tuple, table: nnx.Variable) -> nnx.Variable:
        if path[-1] not in PER_ADAPTER:
            return table
        value = next(left)
        before = (slice(None),) * (value.ndim - 2)  # stacked layers
        return table.replace(table[...].at[(*before, seat)].set(value))

    return nnx.from_flat_state([(path, put(path, table)) for path, table in nnx.to_flat_state(tables)])
