"""The weights of a model <-> the tensors of a checkpoint, one at a time: read, laid on the mesh, let go.

A parameter that is stacked by layer is an array on the devices that each layer's tensor is written into in place.
So the host holds one tensor of the checkpoint, and the one before it until JAX lets go of it.
"""

import functools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, cast

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.lm.mesh import sharding
from lleval_jax.lm.tensors import Stored, Tensors, require_finite
from lleval_jax.values.progress import Progress, Tell, silent

KINDS = ("float32", "bfloat16", "float16", "float64")  # types of weights; others need scales, which are not read
LAYER = "{layer}"  # in names of tensors
NAMED = 3  # tensors named in a message


class Named(Protocol):
    """What a tensor is called, or one of every layer, and the parameters in it: `families.Named`, and encoders' own."""

    @property
    def file(self) -> str:
        """The name, "{layer}" in it where there is one of every layer."""
        ...

    @property
    def ours(self) -> tuple[str, ...]:
        """Paths of the parameters, "blocks.mlp.up.weight"."""
        ...

    def apart(self, stored: np.ndarray, config: Any) -> tuple[np.ndarray, ...]:
        """The tensor -> each parameter; of views, for it is tried on a tensor without values first."""
        ...

    def together(self, arrays: Sequence[np.ndarray], config: Any) -> np.ndarray:
        """The way back."""
        ...


class Entry(NamedTuple):
    """One tensor of a checkpoint: what it is called there, what it is to the model, and of which layer."""

    name: str
    named: Named
    layer: int | None


def entries(named: Iterable[Named], layers: int) -> list[Entry]:
    """Each tensor on its own, one layer after the other."""
    named = list(named)
    first = [Entry(each.file, each, None) for each in named if LAYER not in each.file]
    inner = [each for each in named if LAYER in each.file]
    return first + [Entry(each.file.replace(LAYER, str(at)), each, at) for at in range(layers) for each in inner]


def fill(
    model: Any,
    named: Iterable[Named],
    tensors: Tensors,
    where: pathlib.Path,
    *,
    is_extra: Callable[[str], bool] = lambda name: False,
    mesh: Mesh | None = None,
    tell: Tell = silent,
) -> None:
    """Give a model made by `nnx.eval_shape` the weights of a checkpoint, each in the type that the model asks for.

    All names, shapes and types are compared before the first value is read.

    Args:
        model: its parameters have shapes and no values; `config` says how many layers there are, and what divides over
            a mesh.
        named: what each tensor is to the model.
        tensors: of the checkpoint.
        where: the checkpoint, for messages.
        is_extra: of the name of a tensor that is none of the model's: whether it may be there, and is not read.
        mesh: where parameters lie, by the names of their axes; None: on the first device.
        tell: called with how far it is, in bytes.

    Raises:
        BadFile: a tensor is missing, misshapen, none of this model's, or holds what is not finite: it is named.
        BadInput: a tensor is of no type of weights.
    """
    wanted, parameters = entries(named, model.config.layers), flat(model)
    _require_same(wanted, tensors, where, is_extra)
    for entry in wanted:
        _require_fits(entry, tensors[entry.name], parameters, model.config)
    values: dict[str, jax.Array] = {}
    total, done = sum(tensors[entry.name].size for entry in wanted), 0
    for entry in wanted:
        _take(entry, tensors[entry.name], values, parameters, mesh, model.config)
        done += tensors[entry.name].size
        tell(Progress("reading weights", done, total, unit="bytes"))
    for path, parameter in parameters.items():
        parameter.set_value(values[path])


def _take(
    entry: Entry,
    tensor: Stored,
    values: dict[str, jax.Array],
    parameters: dict[str, nnx.Variable],
    mesh: Mesh | None,
    config: Any,
) -> None:
    """Read one tensor and lay it on the devices. A function of its own, so that nothing of it outlives the call."""
    read = tensor.read()
    require_finite(tensor, read)
    for path, part in zip(entry.named.ours, entry.named.apart(read, config), strict=True):
        values[path] = _laid(values.get(path), part, entry.layer, parameters[path], mesh, config)
        values[path].block_until_ready()  # or the next tensor would be read while this one waits


def flat(model: nnx.Module) -> dict[str, nnx.Variable]:
    """The parameters of a model themselves, by path: "blocks.mlp.up.weight"."""
    found = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {".".join(map(str, path)): cast(nnx.Variable, variable) for path, variable in found}


def stored(model: Any, named: Iterable[Named], dtype: Any = None) -> dict[str, Stored]:
    """The tensors of a checkpoint of this model, each brought from its devices when it is read.

    Args:
        model: it has values; `config` says how many layers there are.
        named: what each tensor is to the model.
        dtype: of the tensors; None: that of the parameters.
    """
    parameters, found = flat(model), {}
    for entry in entries(named, model.config.layers):
        own = [parameters[path] for path in entry.named.ours]
        kind = np.dtype(own[0].get_value().dtype if dtype is None else dtype)
        shape = _whole(entry, [_shape(each, entry.layer) for each in own], model.config)
        read = functools.partial(_brought, entry, own, kind, model.config)
        found[entry.name] = Stored(pathlib.Path(), entry.name, shape, kind, read)
    return found


def _whole(entry: Entry, shapes: Sequence[tuple[int, ...]], config: Any) -> tuple[int, ...]:
    """The shape of a tensor, from those of the parameters in it."""
    return entry.named.together([np.broadcast_to(np.int8(0), shape) for shape in shapes], config).shape


def _brought(entry: Entry, parameters: Sequence[nnx.Variable], dtype: np.dtype, config: Any) -> np.ndarray:
    """The values of a tensor, on the host."""
    parts = [each.get_value() for each in parameters]
    if entry.layer is not None:
        parts = [_layer(each, entry.layer) for each in parts]
    return entry.named.together([np.asarray(each) for each in parts], config).astype(dtype, copy=False)


@jax.jit
def _layer(stack: jax.Array, layer: int) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(stack, layer, keepdims=False)


def _require_same(
    wanted: Sequence[Entry], tensors: Tensors, where: pathlib.Path, is_extra: Callable[[str], bool]
) -> None:
    """The checkpoint has the tensors of the model, and no others."""
    missing = [entry.name for entry in wanted if entry.name not in tensors]
    if missing:
        raise BadFile(f"{where}: {_named(missing)} missing")
    known = {entry.name for entry in wanted}
    extra = [each for name, each in tensors.items() if name not in known and not is_extra(name)]
    if extra:
        found = f"{extra[0].file}: {_named([each.name for each in extra])}"
        raise BadFile(f"{found} not part of the model that its configuration describes")


def _named(names: Sequence[str]) -> str:
    """As the subject of a sentence: "tensors 'a', 'b' and 7 more are"."""
    if len(names) == 1:
        return f"tensor {names[0]!r} is"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"tensors {', '.join(map(repr, names[:NAMED]))}{more} are"


def _require_fits(entry: Entry, tensor: Stored, parameters: dict[str, nnx.Variable], config: Any) -> None:
    """A tensor has the type of weights, and the shape that the model asks for."""
    if tensor.dtype.name not in KINDS:
        raise BadInput(f"{tensor.place} is of type {tensor.dtype.name}; weights are read from {', '.join(KINDS)}")
    asked = [_shape(parameters[path], entry.layer) for path in entry.named.ours]
    try:
        found = [part.shape for part in entry.named.apart(np.broadcast_to(np.int8(0), tensor.shape), config)]
    except (ValueError, IndexError):  # it cannot even be taken apart
        found = []
    if found != asked:
        whole = _whole(entry, asked, config)
        raise BadFile(f"{tensor.place} has shape {tensor.shape}; its configuration asks for {whole}")


def _shape(parameter: nnx.Variable, layer: int | None) -> tuple[int, ...]:
    shape = parameter.get_value().shape
    return shape if layer is None else shape[1:]


def _laid(
    stack: jax.Array | None,
    part: np.ndarray,
    layer: int | None,
    parameter: nnx.Variable,
    mesh: Mesh | None,
    config: Any,
) -> jax.Array:
    """A parameter on its devices; or with one more layer of it."""
    asked = parameter.get_value()
    place = None if mesh is None else sharding(parameter, mesh, config)
    if layer is None:
        return _cast(jax.device_put(part, place), asked.dtype, place)
    if stack is None:
        stack = _zeros(asked.shape, np.dtype(asked.dtype), place)
    return _written(stack, layer, jax.device_put(part, _of_layer(place)), place)


def _zeros(shape: tuple[int, ...], dtype: np.dtype, place: NamedSharding | None) -> jax.Array:
    """Room on the devices. Nothing is compiled for it, and on the host it is one number."""
    return jax.device_put(np.broadcast_to(dtype.type(0), shape), place)


def _of_layer(place: NamedSharding | None) -> NamedSharding | None:
    """Where one layer of a stack lies."""
    return None if place is None else NamedSharding(place.mesh, PartitionSpec(*place.spec[1:]))


def _cast(value: jax.Array, dtype: Any, place: NamedSharding | None) -> jax.Array:
    return value if value.dtype == dtype else _kept(value.astype(dtype), place)


@functools.partial(jax.jit, static_argnums=3, donate_argnums=0)
def _written(stack: jax.Array, layer: int, part: jax.Array, place: NamedSharding | None) -> jax.Array:
    """The stack with a layer in its place: in the memory that it has."""
    return _kept(jax.lax.dynamic_update_index_in_dim(stack, part.astype(stack.dtype), layer, 0), place)


def _kept(value: jax.Array, place: NamedSharding | None) -> jax.Array:
    return value if place is None else jax.lax.with_sharding_constraint(value, place)
