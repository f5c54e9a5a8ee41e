"""Fits on arrays: weights that are not negative and have sum one, and the best members of a combination."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.solvers import fractional, simplex
from lleval_jax.core.solvers.loop import Solution
from lleval_jax.layout.texts import Kind, Texts
from lleval_jax.types import Array

LEAST_CURVATURE = 1e-6  # of a pair, in units of the largest


@dataclasses.dataclass(frozen=True)
class Weights:
    """Least squares of texts, or the log loss of pairs, on the simplex.

    kind   texts or pairs
    light  as in `contract.Kernel`
    """

    kind: Kind
    light: bool = False

    def solve(self, data: Texts, key: Array) -> Solution:  # noqa: ARG002  nothing is drawn
        """`x` is (groups,). A group of several elements is punished as so many."""
        columns, count = data.columns, data.count
        weight = data.weight / jnp.sum(data.weight)
        start = count / jnp.sum(count)
        even = jnp.mean(jnp.sum(data.fitted[:, None] * columns**2, 0)) / jnp.sum(data.fitted)
        unit = jnp.where(even > 0, even, 1)
        ridge = jnp.diag(data.penalty / count)
        if self.kind == "texts":
            weighted = weight[:, None] * columns / unit
            return simplex.minimise(simplex.Quadratic(weighted.T @ columns + ridge, weighted.T @ data.target), start)
        pairs = data._replace(weight=weight, penalty=ridge * data.scale**2 * unit / 4)
        return simplex.minimise(_log_loss(pairs), start)


def _log_loss(pairs: Texts) -> simplex.Smooth:
    """Of pairs, with a quadratic penalty (groups, groups), and its local quadratic."""
    columns, weight, ridge, scale = pairs.columns, pairs.weight, pairs.penalty, pairs.scale

    def value(x: Array) -> Array:
        z = scale * (pairs.target + columns @ x)
        return weight @ jax.nn.softplus(-z) + 0.5 * x @ ridge @ x

    def quadratic(x: Array) -> simplex.Quadratic:
        z = scale * (pairs.target + columns @ x)
        p = jax.nn.sigmoid(z)
        curvature = weight * jnp.maximum(p * (1 - p), LEAST_CURVATURE) * scale**2
        gram = (curvature[:, None] * columns).T @ columns + ridge
        gradient = -scale * (weight * jax.nn.sigmoid(-z)) @ columns + ridge @ x
        return simplex.Quadratic(gram, gram @ x - gradient)

    return simplex.Smooth(value, quadratic)


class Elements(NamedTuple):
    """Weights (elements,) and mean scores (elements,) of elements, and how many () to take."""

    weight: Any
    value: Any
    size: Any


SAME_SIZE = Elements(0, 0, None)
"""Axes of many weights and scores with one size, as `jax.vmap` takes them."""


@dataclasses.dataclass(frozen=True)
class BestOfSize:
    """The members of a combination whose weighted mean score is largest."""

    light: bool = False

    def solve(self, data: Elements, key: Array) -> Solution:  # noqa: ARG002  nothing is drawn
        """`x` is (elements,) bool, the value its mean score."""
        return fractional.best_subset(data.weight, data.value, data.size)
