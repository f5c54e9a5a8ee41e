"""What every engine is given, and what it gives back."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from lleval_jax.bayes.space import Space, potential
from lleval_jax.core.linalg.arrow import Point
from lleval_jax.types import Array
from lleval_jax.values.progress import Tell


class Problem(NamedTuple):
    """Posteriors of one model and shape, to be drawn from side by side.

    Minus the log density of a task is `potential(model, space, its data, .)`.

    data   (tasks, ...) each array
    start  (tasks, ...) where the fits are
    mesh   of devices to which tasks are shared out
    """

    model: Any
    space: Space
    data: Any
    start: Point
    precision: str
    mesh: Mesh | None = None


class Draws(NamedTuple):
    """What an engine drew.

    at          (tasks, chains, draws) points
    stats       (tasks, chains, draws) by name: diverging, energy, steps, accept
    log_weight  (tasks, chains, draws) log density over that of the approximation; None where draws are of the posterior
                itself
    """

    at: Point
    stats: Mapping[str, np.ndarray]
    log_weight: np.ndarray | None

    def task(self, i: int) -> "Draws":
        """Those of one task, without its axis."""
        return jax.tree.map(lambda x: x[i], self)

    def named(self) -> dict[str, np.ndarray]:
        """As arrays with names, to be kept."""
        points = {f"at.{name}": x for name, x in self.at._asdict().items()}
        weights = {} if self.log_weight is None else {"log_weight": self.log_weight}
        return {**points, **{f"stats.{name}": x for name, x in self.stats.items()}, **weights}

    @classmethod
    def of(cls, named: Mapping[str, Any]) -> "Draws":
        """What `named` made arrays of."""
        at = Point(*(named[f"at.{name}"] for name in Point._fields))
        stats = {name.removeprefix("stats."): x for name, x in named.items() if name.startswith("stats.")}
        return cls(at, stats, named.get("log_weight"))


def in_chains(at: Point, log_weight: Array, chains: int) -> Draws:
    """Independent draws of approximations, (tasks, draws) one after another, as chains."""

    def split(x: Array) -> np.ndarray:
        return np.asarray(x).reshape(x.shape[0], chains, -1, *x.shape[2:])

    return Draws(jax.tree.map(split, at), {}, split(log_weight))


class Engine(Protocol):
    """Frozen settings of a way to draw."""

    @property
    def name(self) -> str:
        """As in results."""
        ...

    def draw(self, problem: Problem, keys: Array, tell: Tell) -> Draws:
        """So many draws of each task as its settings say; keys (tasks,)."""
        ...


def density(model: Any, space: Space, data: Any) -> Callable[[Point], Array]:
    """Minus the log density, of a point alone."""
    return functools.partial(potential, model, space, data)
