"""Laplace's normal for many units, about the fit: what units say of shared unknowns is estimated from some of them."""

from typing import Any

import jax
import jax.numpy as jnp

from lleval_jax.bayes import mode
from lleval_jax.bayes import space as where
from lleval_jax.bayes.mode import Normal
from lleval_jax.bayes.space import Space
from lleval_jax.core.linalg import arrow
from lleval_jax.core.linalg.arrow import Arrow, Point
from lleval_jax.types import Array, Status

BATCH = 100  # units side by side


def normal(model: Any, space: Space, data: Any, start: Point, units: Array) -> Normal:
    """The normal about `start`. It is where a guide begins; the guide then finds mean and widths.

    Every unit's own curvature, and how it hangs on what is shared, is exact.

    Args:
        model: one with `part`.
        space: of all units.
        data: of all units.
        start: of all units.
        units: (drawn,) those from which the curvature of what is shared is estimated.
    """

    def minus(units: Array, at: Point) -> Array:
        return where.potential(model, space, model.part(data, units), at)

    def part(units: Array) -> Point:
        return start._replace(own=start.own[units])

    some = where.curvature(lambda at: minus(units, at), part(units))
    none = jax.hessian(lambda shared: minus(units[:0], part(units[:0])._replace(shared=shared)))(start.shared)

    def one(unit: Array) -> tuple[Array, Array]:
        """(w, n) and (w, w), of one unit."""
        at, gradient = part(unit[None]), jax.grad(lambda at: minus(unit[None], at))
        still, eye = jax.tree.map(jnp.zeros_like, at), jnp.eye(at.own.shape[1], dtype=at.own.dtype)
        bend = jax.vmap(lambda e: jax.jvp(gradient, (at,), (still._replace(own=e[None]),))[1])(eye)
        return bend.shared, bend.own[:, 0]

    cross, own = jax.lax.map(one, jnp.arange(space.units), batch_size=BATCH)
    bend = Arrow(some.shared, cross, own)
    root = mode.positive(lambda share: arrow.root_from_part(arrow.raised(bend, share), none, units), own.dtype)
    return Normal(start, root, jnp.asarray(0), jnp.asarray(int(Status.CONVERGED)))
