"""The adapters of one kind of module as arrays.

An adapter M = B A is kept as two thin matrices of rows, so that M = out' inn, and nothing of size d x d is ever formed.
Both sides look alike: with `out` and `inn` exchanged the stack is that of the transposed adapters.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.precision import full_precision, jit
from lleval_jax.core.shapes import rung
from lleval_jax.types import Array, Float


class Stack(NamedTuple):
    """Adapters M_i = out_i' inn_i of modules of one shape. Rows of zeros pad a rank, adapters of zeros a stack.

    out  (modules, n, r, d_out)  the transpose of B, or multiples of it
    inn  (modules, n, r, d_in)   A
    """

    out: Float[Array, "m n r d"]
    inn: Float[Array, "m n r e"]

    @property
    def transposed(self) -> "Stack":
        """The stack of the transposed adapters."""
        return Stack(self.inn, self.out)

    def take(self, rows: Sequence[int] | np.ndarray | Array) -> "Stack":
        """Only these adapters."""
        rows = jnp.asarray(rows)
        return Stack(self.out[:, rows], self.inn[:, rows])

    def some(self, rows: np.ndarray) -> "Stack":
        """These adapters, and perhaps some of zeros, so that few programs are compiled."""
        room = rung(len(rows), 4) - len(rows)
        return jax.tree.map(lambda x: jnp.pad(x, ((0, 0), (0, room), (0, 0), (0, 0))), self.take(rows))


Blocks = Callable[[], Iterable[Stack]]  # reads all adapters once, a block at a time


@jit
def norms(stack: Stack) -> Float[Array, "m n"]:
    """Frobenius norms of the adapters, (modules, n): ||B A||^2 = tr((B'B)(A A')), products of r x r only."""
    out, inn = grams(stack)
    return jnp.sqrt(jnp.maximum(jnp.sum(out * inn, (-2, -1)), 0.0))


@jit
def grams(stack: Stack) -> tuple[Float[Array, "m n r r"], Float[Array, "m n r r"]]:
    """B'B and A A' of each adapter."""
    return _gram(stack.out), _gram(stack.inn)


@jit
def unit(stack: Stack) -> Stack:
    """The same adapters, each of norm 1 (those of zeros stay): else the largest alone would choose the basis."""
    size = jnp.sqrt(norms(stack))[..., None, None]  # half of it to either factor
    balance = jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1.0), 0.0)
    return Stack(stack.out * balance, stack.inn * balance)


def reduced(stack: Stack) -> tuple[Stack, Array, Array]:
    """The same problem in the coordinates of what the adapters span, exactly.

    Returns:
        The stack with sides of min(d, n r), and the orthonormal bases (modules, d_out, .) and (modules, d_in, .) that
        take a solution back: U = basis @ U_reduced.
    """
    (out, first), (inn, second) = _coordinates(stack.out), _coordinates(stack.inn)
    return Stack(out, inn), first, second


def qr(columns: Float[Array, "... d k"]) -> tuple[Array, Array]:
    """Orthonormal columns, and the triangle that takes them to these; the call returns when it is done.

    Two such factorisations at a time, in one program or in two, were seen to wait for each other's threads for ever on
    a CPU of two cores. So no program here holds two.
    """
    return jax.block_until_ready(_qr(columns))


@full_precision
def dense(stack: Stack) -> Float[Array, "m n d e"]:
    """The adapters as whole matrices: for tests and small examples."""
    return jnp.einsum("mnrd,mnre->mnde", stack.out, stack.inn)


@full_precision
def seen(rows: Float[Array, "m n r d"], basis: Float[Array, "m d k"]) -> Float[Array, "m n r k"]:
    """Rows in the coordinates of a basis: one product with a thin matrix."""
    return jnp.einsum("mnrd,mdk->mnrk", rows, basis)


@jit
def _qr(columns: Array) -> tuple[Array, Array]:
    return jnp.linalg.qr(columns)


@full_precision
def _gram(rows: Array) -> Array:
    return jnp.einsum("mnrd,mnsd->mnrs", rows, rows)


def _coordinates(rows: Array) -> tuple[Array, Array]:
    """Rows in an orthonormal basis of their span, and that basis."""
    m, n, r, d = rows.shape
    if n * r >= d:
        return rows, jnp.broadcast_to(jnp.eye(d, dtype=rows.dtype), (m, d, d))
    basis, upper = qr(jnp.swapaxes(rows.reshape(m, n * r, d), -1, -2))
    return jnp.swapaxes(upper, -1, -2).reshape(m, n, r, n * r), basis


def padded(factors: Sequence[tuple[Array, Array]]) -> Stack:
    """A stack of one module from pairs A (r, d_in), B (d_out, r), whose ranks may differ.

    Example:
        >>> padded([(jnp.ones((2, 5)), jnp.ones((4, 2))), (jnp.ones((3, 5)), jnp.ones((4, 3)))]).inn.shape
        (1, 2, 3, 5)
    """
    rank = max(a.shape[0] for a, _ in factors)
    out = jnp.stack([_rows(b.T, rank) for _, b in factors])
    inn = jnp.stack([_rows(a, rank) for a, _ in factors])
    return Stack(out[None], inn[None])


def _rows(rows: Array, rank: int) -> Array:
    return jnp.pad(rows, ((0, rank - rows.shape[0]), (0, 0)))


def block(stack: Stack, size: int) -> list[Stack]:
    """The stack in blocks of so many adapters, the last padded with adapters of zeros."""
    n = stack.out.shape[1]
    full = -(-n // size) * size
    wide = jax.tree.map(lambda x: jnp.pad(x, ((0, 0), (0, full - n), (0, 0), (0, 0))), stack)
    return [Stack(wide.out[:, k : k + size], wide.inn[:, k : k + size]) for k in range(0, full, size)]
