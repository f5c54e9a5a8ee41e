"""Several bases, and which adapter belongs to which: for collections that no single basis holds.

An adapter belongs to one cluster with all its modules. Adapters whose cores within one basis point the same way begin
together (k-means of the cores, each of norm 1); then the bases of all clusters and the memberships take turns, until no
adapter moves to a basis that holds it better.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.cluster.vq import kmeans2

from lleval_jax.training.compress import joint
from lleval_jax.training.compress.joint import Joint
from lleval_jax.training.compress.stack import Stack
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell, silent


class Clustered(NamedTuple):
    """Bases and memberships.

    bases    of each cluster, one `Joint` a stack
    member   (n,) the cluster of each adapter
    kept     (n,) energy of each adapter in its basis, mean over modules
    turns    that memberships were looked at
    settled  whether none changed in the last, and all bases converged
    """

    bases: tuple[tuple[Joint, ...], ...]
    member: np.ndarray
    kept: np.ndarray
    turns: int
    settled: bool


def solve(
    parts: Sequence[Stack],
    rank: int,
    count: int,
    key: Array,
    *,
    starts: int = 3,
    most: int = 20,
    tell: Tell = silent,
) -> Clustered:
    """The best of several searches for `count` bases.

    Args:
        parts: adapters of unit norm, the same in each stack: their modules of one shape each.
        rank: of each basis.
        count: of clusters, at most: one that loses all its adapters is gone.
        key: of the starts.
        starts: searches.
        most: turns of a search.
        tell: called with the searches done.
    """
    keys, found = jax.random.split(key, starts if count > 1 else 1), []
    for each in keys:
        tell(Progress("finding clusters", len(found), len(keys), unit="searches"))
        found.append(_search(parts, rank, count, each, most))
    return max(found, key=lambda each: each.kept.sum())


def energies(parts: Sequence[Stack], bases: Sequence[Sequence[Joint]]) -> np.ndarray:
    """(clusters, n) energy of each adapter in each basis, mean over modules."""
    modules = sum(len(part.out) for part in parts)
    return np.stack(
        [sum(_kept(part, one) for part, one in zip(parts, basis, strict=True)) / modules for basis in bases]
    )


def bases_of(parts: Sequence[Stack], member: np.ndarray, rank: int, key: Array) -> tuple[tuple[Joint, ...], ...]:
    """The basis of each cluster, from 0 on, in each stack."""
    rows = [np.flatnonzero(member == k) for k in range(member.max() + 1)]
    return tuple(tuple(_basis(part, inside, rank, key) for part in parts) for inside in rows)


def _search(parts: Sequence[Stack], rank: int, count: int, key: Array, most: int) -> Clustered:
    first, second = jax.random.split(key)
    member = _grouped(parts, rank, count, first)
    turns, moved = 0, True
    while moved and turns < most:
        turns += 1
        old = np.unique(member, return_inverse=True)[1]
        bases = bases_of(parts, old, rank, second)
        kept = energies(parts, bases)
        member = kept.argmax(0)
        moved = bool((member != old).any())
    converged = all(np.asarray(one.settled).all() for basis in bases for one in basis)
    return Clustered(bases, old, kept[old, np.arange(len(old))], turns, converged and not moved)


def _grouped(parts: Sequence[Stack], rank: int, count: int, key: Array) -> np.ndarray:
    """Adapters whose cores in one basis point the same way."""
    if count == 1:
        return np.zeros(parts[0].out.shape[1], int)
    basis = [_basis(part, np.arange(part.out.shape[1]), rank, key) for part in parts]
    found = [jnp.moveaxis(joint.cores(part, one.u, one.v), 1, 0) for part, one in zip(parts, basis, strict=True)]
    flat = np.concatenate([np.asarray(each).reshape(len(each), -1) for each in found], 1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    seed = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return kmeans2(flat / np.where(length > 0, length, 1.0), count, minit="++", rng=seed)[1]


def _basis(part: Stack, rows: np.ndarray, rank: int, key: Array) -> Joint:
    """The basis of some adapters."""
    some = part.some(rows)
    return joint.best(lambda: (some,), rank, key, starts=1)


def _kept(part: Stack, basis: Joint) -> np.ndarray:
    """(n,) energy in a basis, over all modules of the stack."""
    return np.asarray(jnp.sum(jnp.square(joint.cores(part, basis.u, basis.v)), (0, 2, 3)))
