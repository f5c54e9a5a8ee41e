"""A decoder whose linear layers hold tables of adapters, and who has which place in them.

Tables have room for `capacity` adapters: one that comes or goes changes a place, and compiles nothing. Place 0 is the
model without an adapter. Where the model lies on several devices, so do adapters.
"""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lleval_jax.errors import BadInput, require, require_known
from lleval_jax.lm import decoding
from lleval_jax.lm.decoder import Decoder
from lleval_jax.training.compress.folders import Adapter
from lleval_jax.training.low_rank import adapter_names, lora
from lleval_jax.training.serve.adapted_layers import Apart, Bases, Table
from lleval_jax.types import Array
from lleval_jax.values.shared_adapters import Shared, kept_cores

Numbers = Mapping[tuple[str, str], np.ndarray]  # (module, as files call it; table) -> what one adapter has there
PER_ADAPTER = ("a", "b", "cores", "left", "right", "cluster")  # tables with a place an adapter
LOST = 1e-4  # of a core's norm: what rounding may take of a core that is kept as two factors


class NoAdapter(BadInput):
    """There is no adapter of this name."""


class Shape:
    """A decoder without its arrays, hashed once: a compiled program looks it up at every call."""

    def __init__(self, graph: Any) -> None:
        self.graph, self._hash = graph, hash(graph)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Shape) and self.graph == other.graph)


class Residents:
    """A decoder with adapters that come and go: `apart` and `of` make one.

    `nnx.merge(shape.graph, tables, fixed)` is the decoder, in the form that writes fastest.
    """

    def __init__(self, decoder: Decoder, capacity: int, rank: int, names: Sequence[str] = (), *, thin: int = 0) -> None:
        fast = decoding.program(decoder).decoder
        self.config, self.capacity, self.rank = decoder.config, capacity, rank
        shape, self.tables, self.fixed = nnx.split(fast, Table, ...)
        self.shape, self.thin = Shape(shape), thin  # thin: as `Shared.thin`
        self._paths = adapter_names.paths(decoder)
        self._places = {name: place for place, name in enumerate(names, 1)}
        self._rows: dict[int, int] = {}  # place -> rows that are written with it now
        self._leaving: set[int] = set()  # places that are free once no row is written with them
        self._lock = threading.RLock()
        if decoder.mesh is not None:
            self._share_out(decoder.mesh)

    @classmethod
    def apart(cls, decoder: Decoder, shapes: Mapping[str, tuple[int, int]], rank: int, capacity: int) -> "Residents":
        """Room for `capacity` - 1 uncompressed adapters of a rank.

        Args:
            decoder: the base model.
            shapes: module, as files call it -> (d_out, d_in).
            rank: the largest of an adapter.
            capacity: places, that of the bare model among them.
        """

        def made(base: nnx.Module, modules: Sequence[str]) -> nnx.Module:
            (out, inn), layers = _fits(base, modules, shapes), len(modules)
            return Apart(base, jnp.zeros((layers, capacity, rank, inn)), jnp.zeros((layers, capacity, out, rank)))

        return cls(_with(decoder, tuple(shapes), made), capacity, rank)

    @classmethod
    def of(cls, decoder: Decoder, shared: Shared, capacity: int | None = None) -> "Residents":
        """All adapters of shared bases, and room for more where the capacity is above their number and 1."""
        n, devices = len(shared.names), 1 if decoder.mesh is None else decoder.mesh.size
        capacity = -(-(n + 1) // devices) * devices if capacity is None else capacity
        require(capacity > n, f"the capacity is {capacity}; {n} adapters and the bare model need {n + 1}")
        require(shared.method != "svd", "adapters cut to their own singular vectors share no basis; serve them apart")

        shapes = shared.shapes

        def made(base: nnx.Module, modules: Sequence[str]) -> nnx.Module:
            _fits(base, modules, shapes)
            parts = [shared.modules[name] for name in modules]
            u, v = (np.stack([getattr(part, side) for part in parts]) for side in "uv")
            cores = [kept_cores(part.cores, shared.thin) for part in parts]
            tables = {key: np.stack([_room(each[key], capacity) for each in cores]) for key in cores[0]}
            cluster = np.stack([_room(shared.cluster.astype(np.int32), capacity)] * len(parts))
            return Bases(base, *jax.tree.map(jnp.asarray, (u, v, cluster, tables)))

        model = _with(decoder, tuple(shared.modules), made)
        return cls(model, capacity, shared.rank, shared.names, thin=shared.thin)

    @classmethod
    def merged(cls, decoder: Decoder, shared: Shared, name: str) -> "Residents":
        """The model with one adapter in its weights, and room for no other: ask for it without a name."""
        factors = shared.factors(name)

        def made(base: nnx.Module, modules: Sequence[str]) -> nnx.Module:
            _fits(base, modules, shared.shapes)
            a, b = (np.stack([factors[module][k] for module in modules]) for k in (0, 1))
            return lora.plus(base, jnp.matmul(jnp.asarray(b), jnp.asarray(a), precision="highest"))

        return cls(_with(decoder, tuple(shared.modules), made), 1, 0)

    @property
    def model(self) -> tuple[Any, Any, Any]:
        """The decoder taken apart, as it is now."""
        return self.shape, self.tables, self.fixed

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that are there."""
        with self._lock:
            return tuple(self._places)

    def add(self, name: str, numbers: Numbers) -> None:
        """Put an adapter into a free place.

        Args:
            name: of the adapter.
            numbers: what it has in each table of each module, as `padded` or `within` gives it.

        Raises:
            BadInput: the name is taken, or no place is free.
        """
        with self._lock:
            require(name not in self._places, f"there is an adapter {name!r} already")
            taken = {0, *self._places.values(), *self._leaving}
            free = next((place for place in range(self.capacity) if place not in taken), None)
            if free is None:
                raise BadInput(f"all {self.capacity - 1} places are taken; remove an adapter first")
            self._put(free, numbers)
            self._places[name] = free

    def padded(self, adapter: Adapter) -> dict[tuple[str, str], np.ndarray]:
        """What `add` takes of an uncompressed adapter, its rank filled up with zeros."""
        found = {}
        for module in adapter.shapes:
            a, b = adapter.factors(module)
            more = self.rank - len(a)
            require(more >= 0, f"adapter {adapter.name!r} has the rank {len(a)}; there is room for {self.rank}")
            found[module, "a"] = np.pad(a, ((0, more), (0, 0)))
            found[module, "b"] = np.pad(b, ((0, 0), (0, more)))
        return found

    def within(self, shared: Shared, name: str) -> dict[tuple[str, str], np.ndarray]:
        """What `add` takes of an adapter in the bases that are resident, as `compress.project.add` puts it there.

        Raises:
            BadInput: its rank exceeds that of the cores that are resident.
        """
        require_known(name, shared.names, "adapter")
        i, found = shared.names.index(name), {}
        for key, module in shared.modules.items():
            parts = kept_cores(module.cores[i : i + 1], self.thin)
            if self.thin:
                lost = np.linalg.norm(parts["left"] @ parts["right"] - module.cores[i])
                fits = bool(lost <= LOST * np.linalg.norm(module.cores[i]))
                require(fits, f"{key} of adapter {name!r} has a rank above {self.thin}: cores have no room for it here")
            found |= {(key, part): values[0] for part, values in parts.items()}
            found[key, "cluster"] = np.asarray(shared.cluster[i], np.int32)
        return found

    def remove(self, name: str) -> None:
        """Take an adapter away. What is being written with it is finished; then its place is free."""
        with self._lock:
            self._require(name)
            place = self._places.pop(name)
            if self._rows.get(place):
                self._leaving.add(place)

    def take(self, name: str | None) -> int:
        """The place of an adapter (None: the bare model's), for one row more; `let_go` when it is written."""
        with self._lock:
            self._require(name)
            place = 0 if name is None else self._places[name]
            self._rows[place] = self._rows.get(place, 0) + 1
            return place

    def seat(self, place: int) -> int | None:
        """Where this place's adapter is in the tables, for a row that is to be written now; None: not now."""
        return place

    def leave(self, seat: int) -> None:
        """A row that `seat` gave this is written."""

    def let_go(self, place: int) -> None:
        """A row that `take` gave this place to is written."""
        with self._lock:
            self._rows[place] -= 1
            if not self._rows[place]:
                self._leaving.discard(place)

    def _require(self, name: str | None) -> None:
        if name is not None and name not in self._places:
            raise NoAdapter(f"there is no adapter {name!r}")

    def _share_out(self, on: Mesh) -> None:
        """Adapters go to the devices in equal parts where their places go round; bases are whole on each."""
        for path, table in nnx.to_flat_state(self.tables):
            *module, part = path
            axes: list[Any] = [None] * table[...].ndim
            if part in PER_ADAPTER and self.capacity % on.size == 0:
                axes[self._named(tuple(module))[1]] = on.axis_names
            table[...] = jax.device_put(table[...], NamedSharding(on, PartitionSpec(*axes)))

    def _put(self, place: int, numbers: Numbers) -> None:
        """Write one place of all tables."""
        for table, value, stacked in self._by_table(numbers):
            table[...] = _written(table[...], place, jnp.asarray(value), stacked)

    def _by_table(self, numbers: Numbers) -> Iterator[tuple[nnx.Variable, np.ndarray, bool]]:
        """The tables with a place an adapter, what one has in each, and whether layers are stacked there."""
        for path, table in nnx.to_flat_state(self.tables):
            *module, part = path
            if part in PER_ADAPTER:
                names, stacked = self._named(tuple(module))
                rows = [np.asarray(numbers[name, part]) for name in names]
                yield table, np.stack(rows) if stacked else rows[0], stacked

    def _named(self, path: lora.Path) -> tuple[list[str], bool]:
        """The names in files of the module at a path, one a layer if these are stacked."""
        pattern = self._paths[".".join(str(part) for part in path if not isinstance(part, int))]
        number = next((part for part in path if isinstance(part, int)), None)
        layers = range(self.config.layers) if number is None else (number,)
        return [pattern.format(layer=layer) for layer in layers], number is None


@functools.partial(jax.jit, static_argnums=3)
def _written(table: Array, place: Array, value: Array, stacked: bool) -> Array:
    return table.at[:, place].set(value) if stacked else table.at[place].set(value)


def _with(decoder: Decoder, names: Sequence[str], made: Callable[[nnx.Module, Sequence[str]], nnx.Module]) -> Decoder:
    """The decoder with what `made` gives in the place of the linear layers that have these names in files."""
    model, wanted = nnx.merge(*nnx.split(decoder)), set(names)
    for path, base, modules in _linear(decoder, model):
        there = [module for module in modules if module in wanted]
        some = f"{len(there)} of {len(modules)} layers of {lora.name_of(path)} have adapters; all or none must: "
        some += "are they of another model?"
        require(len(there) in (0, len(modules)), some)
        if there:
            lora.put(model, path, made(base, modules))
            wanted -= set(there)
    require(not wanted, f"the model has no module {min(wanted, default='')!r}; the adapters are of another one")
    return model


def _linear(decoder: Decoder, model: Decoder) -> Iterator[tuple[lora.Path, nnx.Module, list[str]]]:
    """Linear layers of stacked blocks, with the names of their layers in files."""
    patterns = adapter_names.paths(decoder)
    for path, base in lora.matching(model, ("*",)):
        pattern = patterns.get(lora.name_of(path))
        if pattern is not None:
            yield path, base, [pattern.format(layer=layer) for layer in range(decoder.config.layers)]


def _fits(base: nnx.Module, modules: Sequence[str], shapes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """(d_out, d_in) of a layer, which its adapters must have."""
    *_, out, inner = lora.weight_of(base).shape
    for module in modules:
        ours, theirs = f"{out} x {inner}", "{} x {}".format(*shapes[module])
        require(
            ours == theirs, f"{module} is {ours} in the model and {theirs} in the adapters; they are of another one"
        )
    return out, inner


def _room(values: np.ndarray, capacity: int) -> np.ndarray:
    """Values of adapters from place 1 on, zeros in all others."""
    room = np.zeros((capacity, *values.shape[1:]), values.dtype)
    room[1 : len(values) + 1] = values
    return room
