"""One orthonormal basis on each side for all adapters, a full core for each ("JD-Full"): M_i ~ U core_i V'.

For given U and V the best core is U' M_i V, and the energy that is kept, sum ||U' M_i V||^2, is what U and V maximise:
Tucker-2 of the tensor of adapters. U and V take turns. A turn is one step of subspace iteration, which never lowers the
energy (it is convex in U), and reads the adapters once, a block at a time where all do not fit:

    V <- qr(sum_i M_i' U core_i),    U <- qr(sum_i M_i V core_i')

What adapters look like in the basis that did not turn is kept, so that a turn costs two products with thin matrices.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.precision import full_precision, jit
from lleval_jax.training.compress import stack as stacks
from lleval_jax.training.compress.stack import Blocks, Stack, seen
from lleval_jax.types import Array, Float

TRIAL = 24  # sweeps after which the better half of several searches goes on


class Joint(NamedTuple):
    """A basis for all adapters, module by module.

    u, v    (modules, d_out, rank), (modules, d_in, rank) orthonormal columns
    kept    (modules,) energy of the adapters within the basis
    sweeps  that were made
    settled (modules,) whether the search converged
    """

    u: Float[Array, "m d k"]
    v: Float[Array, "m e k"]
    kept: Float[Array, " m"]
    sweeps: int
    settled: Float[Array, " m"]


def solve(blocks: Blocks, u: Array, v: Array, *, turn: float = 1e-3, gain: float = 1e-6, most: int = 300) -> Joint:
    """Turn U and V until neither moves, or moving gains nothing.

    Args:
        blocks: gives all adapters, of unit norm, a block at a time, each time it is called.
        u: (modules, d_out, rank) where to start.
        v: (modules, d_in, rank).
        turn: converged where both bases turn by less than this in a sweep (`change`).
        gain: or where a sweep adds less than this share of the energy.
        most: sweeps at most.
    """
    found = _solved(blocks, u[:, None], v[:, None], turn, gain, most)
    return Joint(found.u[:, 0], found.v[:, 0], found.kept[:, 0], found.sweeps, found.settled[:, 0])


def best(
    blocks: Blocks,
    rank: int,
    key: Array,
    *,
    starts: int = 8,
    turn: float = 1e-3,
    gain: float = 1e-6,
    most: int = 300,
    told: Callable[[int], None] = lambda sweeps: None,
) -> Joint:
    """The best of several searches, module by module: one from the leading singular vectors, others from random bases.

    There are local optima. All searches go together, so that each sweep reads the adapters once for all; after every
    `TRIAL` sweeps the better half goes on, and the last one until it converges (successive halving). `told` is called
    with the sweeps that were made.
    """
    u, v = (jnp.stack(sides, 1) for sides in zip(*_starts(blocks, rank, key, starts), strict=True))
    done = 0
    while u.shape[1] > 1:
        found = _solved(blocks, u, v, turn, gain, TRIAL, lambda sweeps, before=done: told(before + sweeps))
        better = jnp.argsort(-found.kept, 1)[:, : u.shape[1] // 2, None, None]
        u, v = (jnp.take_along_axis(side, better, 1) for side in (found.u, found.v))
        done += found.sweeps
    found = _solved(blocks, u, v, turn, gain, most, lambda sweeps: told(done + sweeps))
    return Joint(found.u[:, 0], found.v[:, 0], found.kept[:, 0], done + found.sweeps, found.settled[:, 0])


def start(blocks: Blocks, rank: int, key: Array, *, passes: int = 3) -> tuple[Array, Array]:
    """U and V of the leading singular vectors of all adapters side by side (HOSVD), found from a random sketch.

    Args:
        blocks: as for `solve`.
        rank: columns.
        key: of the sketch, the same for all modules, so that none depends on which others there are.
        passes: over the adapters; none: a random start.
    """
    sizes = [(x.shape[0], x.shape[-1]) for x in next(iter(blocks()))]
    drawn = [
        jax.random.normal(k, (d, min(rank + 8, d))) for k, (_, d) in zip(jax.random.split(key), sizes, strict=True)
    ]
    u, v = (jnp.broadcast_to(orthonormal(x), (m, *x.shape)) for x, (m, _) in zip(drawn, sizes, strict=True))
    if not passes:
        return u[..., :rank], v[..., :rank]
    grams = [stacks.grams(part) for part in blocks()]
    for _ in range(passes - 1):
        u, v = (orthonormal(each) for each in _spread(blocks, grams, u, v))
    first, second = _spread(blocks, grams, u, v)
    return _leading(first, u, rank), _leading(second, v, rank)


@jit
def cores(stack: Stack, u: Array, v: Array) -> Float[Array, "m n k l"]:
    """U' M_i V, (modules, n, rank, rank)."""
    p, q = seen(stack.out, u), seen(stack.inn, v)
    return jnp.einsum("mnrk,mnrl->mnkl", p, q)


def orthonormal(columns: Array) -> Array:
    """An orthonormal basis of the columns."""
    return stacks.qr(columns)[0]


@jit
def change(old: Array, new: Array) -> Float[Array, " m"]:
    """||U - U_old U_old' U|| / ||U||: from 0 (the same subspace) to 1."""
    rest = new - old @ (jnp.swapaxes(old, -1, -2) @ new)
    return jnp.sqrt(jnp.sum(jnp.square(rest), (-2, -1)) / new.shape[-1])


@full_precision
def _leading(image: Array, basis: Array, rank: int) -> Array:
    """The leading `rank` directions of a symmetric map within a basis (Rayleigh and Ritz); image = map @ basis."""
    small = jnp.swapaxes(basis, -1, -2) @ image
    vectors = jax.block_until_ready(jnp.linalg.eigh((small + jnp.swapaxes(small, -1, -2)) / 2)[1])  # as `stacks.qr`
    return basis @ vectors[..., ::-1][..., :rank]


def _starts(blocks: Blocks, rank: int, key: Array, count: int) -> list[tuple[Array, Array]]:
    """The leading singular vectors, and random bases."""
    keys = jax.random.split(key, count)
    return [start(blocks, rank, each, passes=0 if number else 3) for number, each in enumerate(keys)]


def _solved(
    blocks: Blocks,
    u: Array,
    v: Array,
    turn: float,
    gain: float,
    most: int,
    told: Callable[[int], None] = lambda sweeps: None,
) -> Joint:
    """`solve` for several starts of each module, in axis 1 of all that goes in and comes out."""
    q, last, sweeps = [_seen(part.inn, v) for part in blocks()], jnp.zeros(u.shape[:2], u.dtype), 0
    settled = jnp.zeros(u.shape[:2], bool)
    while sweeps < most and not bool(settled.all()):
        sweeps += 1
        old = u, v
        p, image, _ = _turned(blocks, u, q, False)
        v = _next(v, image, settled)
        q, image, energy = _turned(blocks, v, p, True)
        u = _next(u, image, settled)
        settled, last = _settled(old, (u, v), last, energy, turn, gain), energy
        told(sweeps)
    kept = _total(_energy(part, u, other) for part, other in zip(blocks(), q, strict=True))
    return Joint(u, v, kept, sweeps, settled)


def _turned(blocks: Blocks, u: Array, q: list[Array], transposed: bool) -> tuple[list[Array], Array, Array]:
    """One reading of all adapters.

    Args:
        blocks: the adapters.
        u: (modules, starts, d, rank) the basis that stays.
        q: of each block, its other side in the basis that turns.
        transposed: whether U is that of `inn`.

    Returns:
        Each block's side in U; sum_i M_i' U core_i, whose columns the other basis turns to; and the energy before that,
        (modules, starts).
    """
    seen_in, sums = [], []
    for part, other in zip(blocks(), q, strict=True):
        p, *more = _turn(part.transposed if transposed else part, u, other)
        seen_in.append(p)
        sums = [a + b for a, b in zip(sums, more, strict=True)] if sums else more
    return seen_in, sums[0], sums[1]


@jit
def _turn(stack: Stack, u: Array, q: Array) -> tuple[Array, Array, Array]:
    """`_turned` for a block."""
    p = _seen(stack.out, u)
    core = _cores(p, q)
    image = jnp.einsum("mnrsl,mnrd->msld", jnp.einsum("mnrsk,mnskl->mnrsl", p, core), stack.inn)
    return p, jnp.swapaxes(image, -1, -2), jnp.sum(jnp.square(core), (1, 3, 4))


@jit
def _energy(stack: Stack, u: Array, q: Array) -> Float[Array, "m s"]:
    return jnp.sum(jnp.square(_cores(_seen(stack.out, u), q)), (1, 3, 4))


@jit
def _seen(rows: Array, basis: Array) -> Float[Array, "m n r s k"]:
    """Rows in the bases of all starts: one product."""
    return jnp.einsum("mnrd,msdk->mnrsk", rows, basis)


@full_precision
def _cores(p: Array, q: Array) -> Float[Array, "m n s k l"]:
    return jnp.einsum("mnrsk,mnrsl->mnskl", p, q)


def _spread(blocks: Blocks, grams: Iterable[tuple[Array, Array]], u: Array, v: Array) -> tuple[Array, Array]:
    """sum_i M_i M_i' U and sum_i M_i' M_i V."""
    found = [
        (_spread_one(part.out, inn, u), _spread_one(part.inn, out, v))
        for part, (out, inn) in zip(blocks(), grams, strict=True)
    ]
    return _total(each[0] for each in found), _total(each[1] for each in found)


@jit
def _spread_one(rows: Array, gram: Array, u: Array) -> Float[Array, "m d k"]:
    inner = jnp.einsum("mnrs,mnsk->mnrk", gram, seen(rows, u))
    return jnp.swapaxes(jnp.einsum("mnrk,mnrd->mkd", inner, rows), -1, -2)


@jit
def _next(old: Array, image: Array, settled: Array) -> Array:
    """A basis after its turn; one that has settled stays, so that no module depends on others in the batch."""
    return jnp.where(settled[..., None, None], old, orthonormal(image))


@jit
def _settled(
    old: tuple[Array, Array], new: tuple[Array, Array], last: Array, now: Array, turn: float, gain: float
) -> Array:
    """(modules, starts) whether both bases stay, or nothing is gained."""
    moved = jnp.maximum(change(old[0], new[0]), change(old[1], new[1]))
    return (moved < turn) | (now - last <= gain * now)


def _total(parts: Iterable[Array]) -> Array:
    """The sum, one part in memory at a time."""
    parts = iter(parts)
    total = next(parts)
    for part in parts:
        total = total + part
    return total
