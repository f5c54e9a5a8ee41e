"""One basis on each side for all adapters, a diagonal core for each ("JD-Diag"): M_i ~ U diag(s_i) V'.

U and V need not be orthonormal: this is the CP decomposition of the tensor of adapters, found by alternating least
squares. A core has `rank` numbers where a full one has rank^2.
"""

from typing import NamedTuple

import jax.numpy as jnp

from lleval_jax.core.precision import full_precision, jit
from lleval_jax.training.compress.stack import Blocks, Stack, seen
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


def solve(blocks: Blocks, u: Array, v: Array, *, gain: float = 1e-6, most: int = 500) -> Diagonal:
    """Alternate least squares until a sweep gains nothing.

    What the adapters look like in the basis that did not turn is kept, as in `joint`.

    Args:
        blocks: gives all adapters, of unit norm, a block at a time, each time it is called.
        u: (modules, d_out, rank) where to start.
        v: (modules, d_in, rank).
        gain: converged where a sweep adds less than this share of the energy.
        most: sweeps at most.
    """
    u, v = _normal(u), _normal(v)
    q, kept, sweeps = [seen(part.inn, v) for part in blocks()], jnp.zeros(len(u), u.dtype), 0
    settled = jnp.zeros(len(u), bool)
    while sweeps < most and not bool(settled.all()):
        p, sums, _ = _turned(blocks, u, v, q, False)
        v = _next(v, u, sums, settled)
        q, sums, now = _turned(blocks, v, u, p, True)
        u = _next(u, v, sums, settled)
        kept, settled, sweeps = now, now - kept <= gain * now, sweeps + 1
    found = [scales(part, u, v) for part in blocks()]
    held, each = (jnp.concatenate(parts, 1) for parts in zip(*found, strict=True))
    return Diagonal(u, v, held, each.sum(-1), sweeps, settled)


@jit
def scales(stack: Stack, u: Array, v: Array) -> tuple[Float[Array, "m n k"], Float[Array, "m n"]]:
    """The best diagonal cores for a basis, and the energy that each adapter keeps."""
    both = jnp.sum(seen(stack.out, u) * seen(stack.inn, v), 2)
    found = _solved(_gram(u) * _gram(v), both)
    return found, jnp.sum(found * both, -1)


def _turned(
    blocks: Blocks, u: Array, v: Array, q: list[Array], transposed: bool
) -> tuple[list[Array], tuple[Array, Array], Array]:
    """Each block's side in U, the sums that V turns by, and the energy before that, (modules,)."""
    seen_in, sums = [], []
    for part, other in zip(blocks(), q, strict=True):
        p, *more = _turn(part.transposed if transposed else part, u, v, other)
        seen_in.append(p)
        sums = [a + b for a, b in zip(sums, more, strict=True)] if sums else more
    return seen_in, (sums[0], sums[1]), sums[2]


@jit
def _turn(stack: Stack, u: Array, v: Array, q: Array) -> tuple[Array, Array, Array, Array]:
    """A block's side in U, and of V = (sum M_i' U S_i)(sum S_i U'U S_i)^-1 both sums, of the second without U'U."""
    p = seen(stack.out, u)
    both = jnp.sum(p * q, 2)
    s = _solved(_gram(u) * _gram(v), both)
    image = jnp.einsum("mnrk,mnrd->mkd", p * s[:, :, None], stack.inn)
    return p, jnp.swapaxes(image, -1, -2), jnp.einsum("mnk,mnl->mkl", s, s), jnp.sum(s * both, (1, 2))


@jit
def _next(old: Array, other: Array, sums: tuple[Array, Array], settled: Array) -> Array:
    """The best basis for the other and the present cores; one that has settled stays."""
    image, squares = sums
    return jnp.where(settled[:, None, None], old, _normal(_solved(_gram(other) * squares, image)))


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
