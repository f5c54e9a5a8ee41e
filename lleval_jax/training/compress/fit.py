"""From a collection of adapters to shared bases: modules of one shape together, as many as memory takes at a time."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.errors import require, require_known
from lleval_jax.training.compress import clusters as clustering
from lleval_jax.training.compress import diagonal, joint, separate
from lleval_jax.training.compress import stack as stacks
from lleval_jax.training.compress.folders import Collection
from lleval_jax.training.compress.stack import Stack
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.shared_adapters import Module, Shared

Method = Literal["full", "diag", "svd"]
METHODS = ("full", "diag", "svd")


@dataclasses.dataclass(frozen=True)
class Search:
    """How hard to look.

    Attributes:
        starts: searches for the bases of a module, of which the best is kept.
        most: sweeps of a search.
        memory: bytes of adapters that are in memory at a time.
        seed: of all that is drawn.
    """

    starts: int = 8
    most: int = 300
    memory: float = 4e9
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("starts", "most"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; it is at least 1")


def compress(
    adapters: Collection,
    rank: int,
    *,
    method: Method = "full",
    clusters: int = 1,
    search: Search = Search(),  # noqa: B008  frozen
    tell: Tell = silent,
) -> Shared:
    """Put adapters into shared bases.

    With several clusters, who belongs to which is found from the modules that fit into memory, taken evenly over the
    depth of the model, and holds for all modules.

    Args:
        adapters: what `read_adapters` gives.
        rank: columns of a basis; with "svd" the rank that each adapter is cut to.
        method: "full" cores, "diag" diagonal cores, or "svd": no shared basis, for comparison.
        clusters: bases for each module.
        search: how hard to look.
        tell: called with the modules done.

    Raises:
        BadInput: the rank exceeds a module's side, there are more clusters than adapters, or "svd" with clusters.

    Example:
        >>> shared = compress(read_adapters("adapters/"), rank=16)
        >>> shared.error.mean()
        0.21
    """
    n = len(adapters.names)
    require_known(method, METHODS, "method")
    require(rank >= 1, f"the rank is {rank}; it is at least 1")
    require(1 <= clusters <= n, f"{clusters} clusters for {n} adapters; there can be from 1 to {n}")
    require(clusters == 1 or method != "svd", "adapters cut to their own singular vectors have no clusters")
    for module, shape in adapters.shapes.items():
        require(rank <= min(shape), f"the rank is {rank}, and {module} is {shape[0]} x {shape[1]}")
    key = jax.random.key(search.seed, impl="threefry2x32")
    member, found = np.zeros(n, int), {}
    settled = True
    if clusters > 1:
        tell(Progress("finding clusters", 0, 1))
        grouped = clustering.solve(_sample(adapters, search), rank, clusters, key, starts=min(search.starts, 3))
        member, settled = grouped.member, grouped.settled
    errors: dict[str, np.ndarray] = {}
    for names in _batches(adapters, search):
        stack = adapters.stack(names)
        bases = _solved(stack, rank, method, member, key, search)
        for number, name in enumerate(names):
            found[name] = Module(bases.u[number], bases.v[number], bases.cores[number])
            errors[name] = bases.error[number]
        settled &= bases.settled
        tell(Progress("finding bases", len(found), len(adapters.shapes), unit="modules"))
    order = list(adapters.shapes)
    return Shared(
        names=adapters.names,
        modules={name: found[name] for name in order},
        cluster=np.arange(n) if method == "svd" else member,
        error=np.stack([errors[name] for name in order], 1),
        method=method,
        before=np.array([each.size for each in adapters.adapters]),
        settled=settled,
        base=adapters.adapters[0].base,
    )


def cores_in(stack: Stack, u: Array, v: Array, method: str) -> tuple[Array, Array]:
    """The best cores of adapters within bases, (modules, n, ...), and the energy that each keeps, (modules, n)."""
    if method == "diag":
        return diagonal.scales(stack, u, v)
    cores = joint.cores(stack, u, v)
    return cores, jnp.sum(jnp.square(cores), (-2, -1))


class _Bases(NamedTuple):
    """Of the modules of a batch.

    u        (modules, clusters, d_out, rank)
    v        (modules, clusters, d_in, rank)
    cores    (modules, n, rank, rank) or (modules, n, rank)
    error    (modules, n) squared and relative
    settled  whether all searches converged
    """

    u: np.ndarray
    v: np.ndarray
    cores: np.ndarray
    error: np.ndarray
    settled: bool


def _solved(stack: Stack, rank: int, method: Method, member: np.ndarray, key: Array, search: Search) -> _Bases:
    """The bases of all clusters; cores get the norms back that the search takes away."""
    norms = np.asarray(stacks.norms(stack))
    stack = stacks.unit(stack)
    if method == "svd":
        u, cores, v, kept = (np.asarray(each) for each in separate.truncated(stack, rank))
        settled = True
    else:
        rows = [np.flatnonzero(member == k) for k in range(member.max() + 1)]
        keys = [jax.random.fold_in(key, k) for k in range(len(rows))]
        each = [_basis(stack.take(some), rank, method, one, search) for some, one in zip(rows, keys, strict=True)]
        u, v = (np.stack(sides, 1) for sides in list(zip(*each, strict=True))[:2])
        order = np.argsort(np.concatenate(rows))
        cores, kept = (np.concatenate([found[k] for found in each], 1)[:, order] for k in (2, 3))
        settled = all(found[4] for found in each)
    cores = cores * norms.reshape(*norms.shape, *(1 for _ in cores.shape[2:]))
    return _Bases(u, v, cores, np.where(norms > 0, np.maximum(1 - kept, 0), 0), settled)


def _basis(
    part: Stack, rank: int, method: Method, key: Array, search: Search
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """Of one cluster u, v (modules, d, rank), cores, energies (modules, n), and whether the search converged."""
    small, first, second = stacks.reduced(part)
    wide = min(rank, small.out.shape[-1], small.inn.shape[-1])  # there may be fewer directions; the rest stay zero
    found: Any = joint.best(lambda: (small,), wide, key, starts=search.starts, most=search.most)
    if method == "diag":
        found = diagonal.solve(lambda: (small,), found.u, found.v)
    cores, kept = cores_in(small, found.u, found.v, method)
    more = rank - wide
    u, v = (jnp.pad(basis @ side, ((0, 0), (0, 0), (0, more))) for basis, side in ((first, found.u), (second, found.v)))
    cores = jnp.pad(cores, ((0, 0), (0, 0), *((0, more) for _ in cores.shape[2:])))
    settled = bool(np.asarray(found.settled).all())
    return np.asarray(u), np.asarray(v), np.asarray(cores), np.asarray(kept), settled


def _batches(adapters: Collection, search: Search) -> Iterator[tuple[str, ...]]:
    """Modules of one shape, as many as memory takes."""
    for modules in adapters.groups().values():
        step = max(1, int(search.memory // _bytes(adapters, modules[0])))
        for first in range(0, len(modules), step):
            yield modules[first : first + step]


def _sample(adapters: Collection, search: Search) -> Sequence[Stack]:
    """Modules of each shape, evenly over the depth, as many as memory takes; of unit norm."""
    found = []
    groups = adapters.groups()
    for modules in groups.values():
        room = max(1, int(search.memory / len(groups) // _bytes(adapters, modules[0])))
        chosen = [
            modules[i] for i in np.unique(np.linspace(0, len(modules) - 1, min(room, len(modules))).round().astype(int))
        ]
        found.append(stacks.unit(adapters.stack(chosen)))
    return found


def _bytes(adapters: Collection, module: str) -> int:
    """Of one module of all adapters, as float32."""
    rank = max(each.rank for each in adapters.adapters)
    return 4 * rank * sum(adapters.shapes[module]) * len(adapters.names)
