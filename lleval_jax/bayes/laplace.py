"""Laplace's method: a normal where the posterior is highest, with the curvature there (Tierney & Kadane 1986)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from lleval_jax.bayes import mode
from lleval_jax.bayes.engines import Draws, Problem, density, in_chains
from lleval_jax.bayes.mode import Normal
from lleval_jax.bayes.space import Space
from lleval_jax.core.linalg import arrow
from lleval_jax.core.linalg.arrow import Point
from lleval_jax.core.precision import jit
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell

TOLERANCE = {"float32": 1e-2, "float64": 1e-4}  # of the mode, in standard errors
BATCH = 32  # densities side by side


@dataclasses.dataclass(frozen=True)
class Laplace:
    """Settings: independent draws of the normal, in as many chains as the other engines have.

    Exact where the posterior is normal. Where sizes of effects are learned (families, groups) it is no substitute for
    NUTS: on five models and 320 questions in eight groups its intervals were three times as wide, as the sizes' tails
    are far from normal. `agree` shows it, and estimates say "approximate".

    Simulation-based calibration (`bench.bayes.calibration`: 100 worlds of 4 models x 10 items from each prior): 95%
    intervals contain the ability in 91% of cases under the Rasch model (NUTS: 96%), 97% under the 2PL (96%), and 94%
    with families and groups. Ranks of abilities are uniform; sizes of effects come out too large: intervals of
    `apart_sd` and `group_sd` contain the truth in 72% and 82%, which mostly lies below.
    """

    chains: int = 4
    draws: int = 1000

    @property
    def name(self) -> str:
        """As in results."""
        return "laplace"

    def draw(self, problem: Problem, keys: Array, tell: Tell) -> Draws:
        """Draws, each with its weight."""
        normal = approximation(problem, tell)
        tell(Progress("drawing"))
        z = jax.vmap(lambda at, key: standard(at, key, (self.chains * self.draws,)))(problem.start, keys)
        at, log_weight = _DRAWN(problem.model, problem.space, problem.data, normal, z)
        return in_chains(at, log_weight, self.chains)


def approximation(problem: Problem, tell: Tell) -> Normal:
    """The normal at the mode of each task."""
    tell(Progress("looking for the mode"))
    return _APPROXIMATION(problem.model, problem.space, problem.data, problem.start, tol=TOLERANCE[problem.precision])


def standard(like: Point, key: Array, shape: tuple[int, ...] = ()) -> Point:
    """Standard normal coordinates."""
    keys = jax.random.split(key, 2)
    return Point(*(jax.random.normal(k, (*shape, *x.shape), x.dtype) for k, x in zip(keys, like, strict=True)))


def _approximation(model: Any, space: Space, data: Any, start: Point, *, tol: float) -> Normal:
    return jax.vmap(lambda data, start: mode.laplace(density(model, space, data), start, tol=tol))(data, start)


def _drawn(model: Any, space: Space, data: Any, normal: Normal, z: Point) -> tuple[Point, Array]:
    def of_task(data: Any, normal: Normal, z: Point) -> tuple[Point, Array]:
        minus, size = density(model, space, data), arrow.log_det(normal.root)

        def one(z: Point) -> tuple[Point, Array]:
            at = normal.at(z)
            square = sum(jnp.sum(part**2) for part in z)
            return at, -minus(at) + 0.5 * square + size

        return jax.lax.map(one, z, batch_size=BATCH)

    return jax.vmap(of_task)(data, normal, z)


_APPROXIMATION = jit(_approximation, static_argnums=(0, 1), static_argnames="tol")
_DRAWN = jit(_drawn, static_argnums=(0, 1))
