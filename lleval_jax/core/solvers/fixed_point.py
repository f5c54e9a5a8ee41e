"""The plain iteration of a map, until it moves no more."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lleval_jax.core.solvers.loop import Step
from lleval_jax.types import Array

Map = Callable[[Any], tuple[Any, Array]]  # x -> (next x, how far it moved)


@dataclasses.dataclass(frozen=True)
class FixedPoint:
    """One evaluation of the map a step. Error: how far it moved, as the map itself measures it."""

    def init(self, fn: Map, x: Any) -> Step:
        """Nothing is known of the error yet."""
        dtype = jax.tree.leaves(x)[0].dtype
        return Step(x, jnp.zeros((), dtype), jnp.asarray(jnp.inf, dtype), None)

    def step(self, fn: Map, now: Step) -> Step:
        """Where the map leads."""
        x, moved = fn(now.x)
        return Step(x, now.value, moved, None)
