"""Curvatures shaped like an arrow: unknowns that all share, and small blocks that meet only through these.

    H = [[A, C_1', C_2', ...],        A    (n, n)  shared unknowns: abilities, sizes of effects
         [C_1, D_1],                  D_i  (w, w)  the unknowns of unit i: an item's slope and intercept
         [C_2,      D_2], ...]        C_i  (w, n)

This is what the Hessian of a log density looks like whose units are independent given what they share. `root` gives R
with R R' = H^-1 in O(n^3 + units w n^2), and no matrix is larger than (n, n) or (units, w, n).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from lleval_jax.types import Array


class Point(NamedTuple):
    """All unknowns: shared (n,), own (units, w)."""

    shared: Array
    own: Array


class Arrow(NamedTuple):
    """H: shared (n, n), cross (units, w, n), own (units, w, w)."""

    shared: Array
    cross: Array
    own: Array


class Root(NamedTuple):
    """R: shared (n, n) and own (units, w, w), upper triangular; follow (units, w, n), how a unit moves with the shared.

    R z = (shared z_shared, follow z_shared + own z_own)
    """

    shared: Array
    follow: Array
    own: Array


def root(arrow: Arrow) -> Root:
    """R with R R' = H^-1; NaN where H is not positive definite."""
    lower, half = _halves(arrow)
    return _rooted(arrow.shared - jnp.einsum("iwn,iwm->nm", half, half), lower, half)


def root_from_part(arrow: Arrow, none: Array, units: Array) -> Root:
    """R where A is known from some units alone: they stand for all in what units say of the shared unknowns.

    Args:
        arrow: C_i and D_i of all units; A is what A would be if there were these units alone.
        none: (n, n) A without any unit.
        units: (drawn,) these units.
    """
    lower, half = _halves(arrow)
    said = arrow.shared - none - jnp.einsum("iwn,iwm->nm", half[units], half[units])
    return _rooted(none + (len(half) / len(units)) * said, lower, half)


def _halves(arrow: Arrow) -> tuple[Array, Array]:
    """Of each unit D's Cholesky factor L, and L^-1 C."""
    lower = jnp.linalg.cholesky(arrow.own)
    return lower, jax.vmap(lambda low, c: solve_triangular(low, c, lower=True))(lower, arrow.cross)


def _rooted(rest: Array, lower: Array, half: Array) -> Root:
    """R from the shared unknowns' curvature when units are integrated out, and the units' halves."""
    shared = _upper(jnp.linalg.cholesky(rest))
    own = jax.vmap(_upper)(lower)
    follow = -jnp.einsum("iwv,ivn,nm->iwm", own, half, shared, optimize=True)
    return Root(shared, follow, own)


def times(root: Root, z: Point) -> Point:
    """R z."""
    own = jnp.einsum("iwn,n->iw", root.follow, z.shared) + jnp.einsum("iwv,iv->iw", root.own, z.own)
    return Point(root.shared @ z.shared, own)


def transposed(root: Root, g: Point) -> Point:
    """R' g."""
    shared = root.shared.T @ g.shared + jnp.einsum("iwn,iw->n", root.follow, g.own)
    return Point(shared, jnp.einsum("iwv,iw->iv", root.own, g.own))


def log_det(root: Root) -> Array:
    """The logarithm of |R|."""
    own = jnp.diagonal(root.own, axis1=1, axis2=2)
    return jnp.sum(jnp.log(jnp.diagonal(root.shared))) + jnp.sum(jnp.log(own))


def raised(arrow: Arrow, share: Array) -> Arrow:
    """With so many times its diagonal added to it, by absolute value."""
    return Arrow(_raised(arrow.shared, share), arrow.cross, jax.vmap(_raised, (0, None))(arrow.own, share))


def diagonal(arrow: Arrow) -> Point:
    """The diagonal of H."""
    return Point(jnp.diagonal(arrow.shared), jnp.diagonal(arrow.own, axis1=1, axis2=2))


def _raised(matrix: Array, share: Array) -> Array:
    own = jnp.maximum(jnp.abs(jnp.diagonal(matrix)), jnp.finfo(matrix.dtype).tiny)
    return matrix + share * jnp.diag(own)


def _upper(lower: Array) -> Array:
    """The inverse of a lower triangular matrix, transposed."""
    return solve_triangular(lower, jnp.eye(len(lower), dtype=lower.dtype), lower=True).T
