"""What every engine is given, and what it gives back."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from lleval_jax.bayes.space import Space, potential
from lleval_jax.core.linalg.arrow import Point
from lleval_jax.types import Array
from lleval_jax.values.progress import Tell


class Problem(NamedTuple):
    """A posterior to draw from: minus its log density is `potential(model, space, data, .)`; `start` is the fit."""

    model: Any
    space: Space
    data: Any
    start: Point
    precision: str


class Draws(NamedTuple):
    """What an engine drew.

    at          (chains, draws) points
    stats       (chains, draws) by name: diverging, energy, steps, accept
    log_weight  (chains, draws) log density over that of the approximation; None where draws are of the posterior itself
    """

    at: Point
    stats: Mapping[str, np.ndarray]
    log_weight: np.ndarray | None


def in_chains(at: Point, log_weight: Array, chains: int) -> Draws:
    """Independent draws of an approximation, one after another, as chains."""
    shape = chains, -1
    return Draws(
        jax.tree.map(lambda x: np.asarray(x).reshape(*shape, *x.shape[1:]), at),
        {},
        np.asarray(log_weight).reshape(shape),
    )


class Engine(Protocol):
    """Frozen settings of a way to draw."""

    @property
    def name(self) -> str:
        """As in results."""
        ...

    def draw(self, problem: Problem, key: Array, tell: Tell) -> Draws:
        """So many draws as its settings say."""
        ...


def density(model: Any, space: Space, data: Any) -> Callable[[Point], Array]:
    """Minus the log density, of a point alone."""
    return functools.partial(potential, model, space, data)
