"""Devices as one mesh of three axes, and where each axis of a language model lies on it.

`data` shares out rows: every device holds the whole model. `fsdp` shares out rows too, and keeps the weights in parts
that are gathered a layer at a time (fully sharded data parallel; Rajbhandari et al. 2020, "ZeRO", stage 3). `tensor`
shares out heads, the hidden numbers of the feed-forward layers and the vocabulary, so that each layer ends in two sums
over devices (Shoeybi et al. 2019, "Megatron-LM").

Each parameter names its axes: `nnx.Param(value, axes=("layers", "mlp", "embed"))`. `RULES` says where an axis of that
name lies. An axis that its part of the mesh does not divide is kept whole on every device.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lleval_jax.errors import require, require_known

AXES = ("data", "fsdp", "tensor")
Names = Sequence[str | None]

RULES: dict[str, tuple[str, ...]] = {
    "layers": (),  # a loop over layers takes one layer at a time: whole on every device
    "vocab": ("tensor",),
    "embed": ("fsdp",),  # the width, as an axis of a parameter
    "heads": ("tensor",),
    "kv_heads": ("tensor",),
    "mlp": ("tensor",),
    "rows": ("data", "fsdp"),
    "rows of tables": ("data",),
}
LOOKUP = ("rows of tables", None, "embed")  # rows of a table, before they become a part of the stream
STREAM = ("rows", None, None)  # "rows tokens width", what passes from layer to layer
CACHE: dict[int, Names] = {  # the parts of a cache, by how many axes they have
    5: ("layers", "rows", "kv_heads", None, None),
    4: ("rows", "kv_heads", None, None),
    2: ("rows", None),
    1: ("rows",),
}


def mesh(data: int = 1, fsdp: int = 1, tensor: int = 1, *, devices: Sequence[Any] | None = None) -> Mesh:
    """The first `data * fsdp * tensor` devices as a mesh with these three axes.

    Args:
        data: Parts that the rows of a batch are shared out to.
        fsdp: Parts that the rows and the weights are shared out to.
        tensor: Parts that heads, hidden numbers and the vocabulary are shared out to.
        devices: Those to take; None for all that JAX sees.

    Returns:
        A mesh for `lm.load(..., mesh=...)`.

    Raises:
        BadInput: A size is below 1, or there are fewer devices.

    >>> dict(mesh().shape)
    {'data': 1, 'fsdp': 1, 'tensor': 1}
    """
    sizes = {"data": data, "fsdp": fsdp, "tensor": tensor}
    for name, size in sizes.items():
        require(
            isinstance(size, int) and size >= 1, f"mesh: {name} is {size!r}; it must be a whole number of 1 or more"
        )
    there = list(jax.devices() if devices is None else devices)
    wanted = math.prod(sizes.values())
    product = " x ".join(f"{name}={size}" for name, size in sizes.items())
    few = f"mesh: {product} needs {wanted} devices; there are {len(there)} ({there[0].platform if there else 'none'})"
    require(wanted <= len(there), few)
    kinds = (jax.sharding.AxisType.Auto,) * len(AXES)  # the compiler carries shardings through; `constrain` pins a few
    return Mesh(np.array(there[:wanted]).reshape(tuple(sizes.values())), AXES, axis_types=kinds)


def spec(names: Names, shape: Sequence[int], on: Mesh, counts: Mapping[str, int] | None = None) -> PartitionSpec:
    """Where the axes of an array lie.

    Args:
        names: Of its axes, as in `RULES`; None for one that is kept whole.
        shape: Its shape.
        on: The mesh.
        counts: How many undivided things an axis of that name holds where they are fewer than its numbers: the axis
            "heads" of a weight has `heads * head_dim` numbers, and no head is cut in two.

    Returns:
        For each axis the axes of the mesh that share it out. Of those that the rule names, the longest run from the
        first on that divides the axis: rows=6 on data=2, fsdp=4 are shared out in two.

    Raises:
        BadInput: A name is not known, or there is not one for each axis.
    """
    require(len(names) == len(shape), f"an array of shape {tuple(shape)} has axes named {tuple(names)}")
    counts, taken, found = counts or {}, set(), []
    for name, size in zip(names, shape, strict=True):
        wanted = () if name is None else _rule(name)
        axes = _dividing([axis for axis in wanted if axis not in taken], counts.get(name or "", size), on)
        taken |= set(axes)
        found.append(axes[0] if len(axes) == 1 else axes or None)
    return PartitionSpec(*found)


def _rule(name: str) -> tuple[str, ...]:
    require_known(name, RULES, "the axis")
    return RULES[name]


def _dividing(axes: list[str], size: int, on: Mesh) -> tuple[str, ...]:
    """The longest run of `axes` from the first on, of more than one device, whose product divides `size`."""
    found, parts = (), 1
    for axis in axes:
        parts *= on.shape[axis]
        if size % parts:
            break
        found += (axis,) if on.shape[axis] > 1 else ()
    return found


def parts(name: str, size: int, on: Mesh | None) -> int:
    """In how many parts an axis of a parameter lies: 1 without a mesh.

    >>> parts("vocab", 64, mesh())
    1
    """
    return 1 if on is None else math.prod(on.shape[axis] for axis in _dividing([*_rule(name)], size, on))


def counts(config: Any) -> dict[str, int]:
    """Heads of a configuration, for `spec`: a key and value head is shared by query heads, and goes with them.

    Where `kv_heads` is not divided by what divides `heads`, keys and values are whole on every device.
    """
    return {"heads": config.heads, "kv_heads": getattr(config, "kv_heads", config.heads)}


def sharding(variable: nnx.Variable, on: Mesh, config: Any) -> NamedSharding:
    """Where a parameter lies, from the names of its axes; whole on every device where it has none.

    So are vectors along the width (norms, biases): gathering them takes longer than their few bytes are worth.
    """
    names = variable.get_metadata("axes", None) or ()
    shape = variable.get_value().shape
    if set(names) <= {"layers", "embed", None}:
        return NamedSharding(on, PartitionSpec())
    return NamedSharding(on, spec(names, shape, on, counts(config)))


def shardings(state: nnx.State, on: Mesh, config: Any) -> nnx.State:
    """`sharding` of each variable of a state, arranged as they are."""
    return _each(state, lambda variable: variable.replace(sharding(variable, on, config)))


def place(model: Any, on: Mesh) -> None:
    """Lay the parameters of a `Decoder` or `Encoder` out on a mesh, in place; what it computes is shared out too."""
    state = nnx.state(model, nnx.Param)
    nnx.update(model, jax.device_put(state, shardings(state, on, model.config)))
    model.mesh = on


def pinned(state: nnx.State, on: Mesh | None, config: Any) -> nnx.State:
    """A state inside a compiled function, such as a gradient, each variable laid out as the parameter of its axes is.

    Left to itself the compiler makes the gradient of parameters that lie in parts whole on every device.
    """
    if on is None or on.size == 1:
        return state

    def pin(variable: nnx.Variable) -> nnx.Variable:
        value = variable.get_value()
        return variable.replace(jax.lax.with_sharding_constraint(value, sharding(variable, on, config)))

    return _each(state, pin)


def abstract(model: Any, on: Mesh) -> nnx.State:
    """The state of a model from `nnx.eval_shape`, and where it would lie: to compile without a byte of weights."""

    def shaped(variable: nnx.Variable) -> nnx.Variable:
        value = variable.get_value()
        where = sharding(variable, on, model.config)
        return variable.replace(jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=where))

    return _each(nnx.state(model), shaped)


def constrain(x: jax.Array, names: Names, on: Mesh | None) -> jax.Array:
    """`x` inside a compiled function, laid out by the names of its axes; as it is where there is no mesh."""
    if on is None or on.size == 1:
        return x
    return jax.lax.with_sharding_constraint(x, NamedSharding(on, spec(names, x.shape, on)))


def looked_up(x: jax.Array, on: Mesh | None) -> jax.Array:
    """Rows of an embedding as the stream begins, "rows tokens width".

    A device of `fsdp` holds a part of the width of all tokens; it looks up that part for the rows of the others too,
    and they exchange. Without the step between, the compiler makes the whole stream on every device.
    """
    return constrain(constrain(x, LOOKUP, on), STREAM, on)


def _each(state: nnx.State, change: Any) -> nnx.State:
    return jax.tree.map(change, state, is_leaf=lambda x: isinstance(x, nnx.Variable))
