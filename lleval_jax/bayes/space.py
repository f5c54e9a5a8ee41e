"""The unknowns of a NumPyro model as numbers on the real line: one vector that all share, and one block a unit.

A model names the sites that belong to units (items): their first axis is the unit, and given all other sites units are
independent. So the curvature of its log density is an arrow (`core.linalg.arrow`), found here with as many
Hessian-vector products as there are shared unknowns, and one more for each unknown of a unit.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.infer.util as numpyro_util

from lleval_jax.core.linalg.arrow import Arrow, Point
from lleval_jax.types import Array

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
AT_ONCE = 16  # Hessian-vector products side by side


@dataclasses.dataclass(frozen=True)
class Space:
    """Where each site lies, unconstrained: names and shapes, of what is shared and of what belongs to units."""

    shared: Shapes
    own: Shapes

    @property
    def units(self) -> int:
        """How many."""
        return self.own[0][1][0] if self.own else 0

    def pack(self, values: Mapping[str, Array]) -> Point:
        """Site -> unconstrained value, as one point."""
        shared = [values[name].ravel() for name, _ in self.shared]
        own = [values[name].reshape(self.units, -1) for name, _ in self.own]
        dtype = next(iter(values.values())).dtype
        return Point(
            jnp.concatenate(shared) if shared else jnp.zeros(0, dtype),
            jnp.concatenate(own, 1) if own else jnp.zeros((0, 1), dtype),
        )

    def unpack(self, point: Point) -> dict[str, Array]:
        """The inverse of `pack`; also of a point with some of the units."""
        values, at = {}, 0
        for name, shape in self.shared:
            values[name] = point.shared[at : at + math.prod(shape)].reshape(shape)
            at += math.prod(shape)
        at = 0
        for name, shape in self.own:
            width = math.prod(shape[1:])
            values[name] = point.own[:, at : at + width].reshape(-1, *shape[1:])
            at += width
        return values


def placed(model: Any, data: Any, start: Mapping[str, Array]) -> tuple[Space, Point]:
    """The space of a model, and a starting point of each task from the value of each site.

    Args:
        model: a NumPyro function of one task's data, whose `units` names the sites of units.
        data: arrays (tasks, ...).
        start: site -> values (tasks, ...), of every site that is sampled.
    """
    free = jax.vmap(lambda data, start: numpyro_util.unconstrain_fn(model, (data,), {}, start))(data, dict(start))
    shapes = {name: tuple(map(int, value.shape[1:])) for name, value in free.items()}
    own = tuple((name, shape) for name, shape in shapes.items() if name in model.units)
    shared = tuple((name, shape) for name, shape in shapes.items() if name not in model.units)
    space = Space(shared, own)
    return space, jax.vmap(space.pack)(free)


def potential(model: Any, space: Space, data: Any, at: Point) -> Array:
    """Minus the log joint density of a model at a point, Jacobians of its constraints included."""
    return jnp.asarray(numpyro_util.potential_energy(model, (data,), {}, space.unpack(at)))


def subsampled(model: Any, space: Space, data: Any, at: Point, units: Array) -> Array:
    """The potential at a point, estimated without bias from some units, each as likely to be among them.

    Units are independent given what is shared, so the log density is a sum: what it is without any unit, and a term
    for each. The terms of those drawn stand for all.

    Args:
        model: one with `part`.
        space: of all units.
        data: of all units.
        at: what is shared, and these units' own.
        units: (drawn,) which they are.
    """
    none = potential(model, space, model.part(data, units[:0]), at._replace(own=at.own[:0]))
    these = potential(model, space, model.part(data, units), at)
    return none + (space.units / len(units)) * (these - none)


def values(model: Any, space: Space, data: Any, at: Point) -> dict[str, Array]:
    """Each site's value at a point, and what the model derives from them (`numpyro.deterministic`)."""
    return numpyro_util.constrain_fn(model, (data,), {}, space.unpack(at), return_deterministic=True)


def curvature(fn: Callable[[Point], Array], at: Point) -> Arrow:
    """The Hessian of a function whose units meet only through what they share."""
    gradient = jax.grad(fn)

    n, (units, width), dtype = len(at.shared), at.own.shape, at.shared.dtype

    def column(i: Array) -> Point:
        """Along a shared coordinate, or along one of all units at once; one program does for both."""
        one = jax.nn.one_hot(i, n + width, dtype=dtype)
        direction = Point(one[:n], jnp.broadcast_to(one[n:], (units, width)))
        return jax.jvp(gradient, (at,), (direction,))[1]

    at_once = min(AT_ONCE, n + width)
    wanted = jnp.arange(-(-(n + width) // at_once) * at_once)  # whole batches: a part of one is a program of its own
    found = jax.lax.map(column, wanted, batch_size=at_once)
    by_shared, blocks = jax.tree.map(lambda x: x[:n], found), found.own[n : n + width]
    return Arrow(by_shared.shared, jnp.moveaxis(by_shared.own, 0, 2), jnp.moveaxis(blocks, 0, 2))
