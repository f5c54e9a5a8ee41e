"""One basis on each side for all adapters, a diagonal core for each ("JD-Diag"): M_i ~ U diag(s_i) V'.

U and V need not be orthonormal: this is the CP decomposition of the tensor of adapters, found by alternating least
squares. A core has `rank` numbers where a full one has rank^2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.precision import full_precision, jit
from lleval_jax.training.compress.stack import Stack, seen
from lleval_jax.types import Array, Float

RIDGE = 1e-6  # of the mean diagonal: components that collapse onto each other stay solvable


class Diagonal(NamedTuple):
    """A basis for all adapters, module by module, and their cores.

    u, v     (modules, d_out, rank), (modules, d_in, rank) columns of norm 1
    scales   (modules, n, rank)
    kept     (modules,) energy of the adapters less the squared error
    sweeps   that were made
    settled  (modules,) whether the search converged
    """

    u: Float[Array, "m d k"]
    v: Float[Array, "m e k"]
    scales: Float[Array, "m n k"]
    kept: Float[Array, " m"]
    sweeps: int
    settled: Float[Array, " m"]


def solve(stack: Stack, u: Array, v: Array, *, gain: float = 1e-6, most: int = 500) -> Diagonal:
    """Alternate least squares until a sweep gains nothing.

    Args:
        stack: adapters of unit norm.
        u: (modules, d_out, rank) where to start.
        v: (modules, d_in, rank).
        gain: converged where a sweep adds less than this share of the energy.
        most: sweeps at most.
    """
    u, v, scales, kept, sweeps, settled = _search(stack, _normal(u), _normal(v), gain, most)
    return Diagonal(u, v, scales, kept, int(sweeps), settled)


@jit
def scales(stack: Stack, u: Array, v: Array) -> tuple[Float[Array, "m n k"], Float[Array, "m n"]]:
    """The best diagonal cores for a basis, and the energy that each adapter keeps."""
    both = jnp.sum(seen(stack.out, u) * seen(stack.inn, v), 2)
    found = _solved(_gram(u) * _gram(v), both)
    return found, jnp.sum(found * both, -1)


def _search(stack: Stack, u: Array, v: Array, gain: float, most: int) -> tuple:
    return _searched(stack, u, v, jnp.asarray(gain, u.dtype), jnp.asarray(most))


@jit
def _searched(stack: Stack, u: Array, v: Array, gain: Array, most: Array) -> tuple:
    def going(state: tuple) -> Array:
        *_, sweeps, settled = state
        return (sweeps < most) & ~settled.all()

    def sweep(state: tuple) -> tuple:
        u, v, s, kept, sweeps, _ = state
        u = _normal(_updated(stack, v, s))
        v = _normal(_updated(stack.transposed, u, scales(stack, u, v)[0]))
        s, each = scales(stack, u, v)
        now = each.sum(-1)
        return u, v, s, now, sweeps + 1, now - kept <= gain * now

    s, each = scales(stack, u, v)
    first = (u, v, s, each.sum(-1), jnp.asarray(0), jnp.zeros(len(u), bool))
    return jax.lax.while_loop(going, sweep, first)


@full_precision
def _updated(stack: Stack, v: Array, s: Array) -> Array:
    """The best U for V and cores: (sum M_i V S_i)(sum S_i V'V S_i)^-1."""
    image = jnp.einsum("mnrd,mnrk,mnk->mdk", stack.out, seen(stack.inn, v), s)
    return _solved(_gram(v) * jnp.einsum("mnk,mnl->mkl", s, s), image)


def _solved(square: Array, rows: Array) -> Array:
    """Rows (m, ., k) times the inverse of a symmetric (m, k, k)."""
    k = square.shape[-1]
    ridge = RIDGE * jnp.trace(square, axis1=-2, axis2=-1)[..., None, None] / k
    steady = square + (ridge + jnp.finfo(square.dtype).tiny) * jnp.eye(k, dtype=square.dtype)
    return jnp.swapaxes(jnp.linalg.solve(steady, jnp.swapaxes(rows, -1, -2)), -1, -2)


@full_precision
def _gram(columns: Array) -> Array:
    return jnp.einsum("mdk,mdl->mkl", columns, columns)


def _normal(columns: Array) -> Array:
    """Columns of norm 1; one of zeros stays."""
    norm = jnp.linalg.norm(columns, axis=-2, keepdims=True)
    return columns / jnp.where(norm > 0, norm, 1.0)
