"""From a collection of adapters to shared bases: modules of one shape together, as many as memory takes at a time.

Modules of a batch are spread over the devices. Where one module of all adapters takes more than the memory, adapters
are read from disk in blocks, twice a sweep. Batches that are done can be kept, and are not done twice.
"""

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core import threads
from lleval_jax.errors import require, require_known
from lleval_jax.training.compress import clusters as clustering
from lleval_jax.training.compress import diagonal, joint, parts, separate
from lleval_jax.training.compress import stack as stacks
from lleval_jax.training.compress.folders import Collection
from lleval_jax.training.compress.parts import Bases
from lleval_jax.training.compress.stack import Blocks, Stack
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.shared_adapters import Module, Shared

Method = Literal["full", "diag", "svd"]
METHODS = ("full", "diag", "svd")
SEEN = 4  # modules of each shape by which clusters are found


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
    keep: "str | os.PathLike[str] | None" = None,
    tell: Tell = silent,
) -> Shared:
    """Put adapters into shared bases.

    With several clusters, who belongs to which is found from a few modules of each shape, taken evenly over the depth
    of the model (the paper takes one), and holds for all modules.

    Args:
        adapters: what `read_adapters` gives.
        rank: columns of a basis; with "svd" the rank that each adapter is cut to.
        method: "full" cores, "diag" diagonal cores, or "svd": no shared basis, for comparison.
        clusters: bases for each module.
        search: how hard to look.
        keep: a folder for the modules that are done. The same call with the same adapters goes on from there.
        tell: called with the modules done.

    Raises:
        BadInput: the rank exceeds a module's side, there are more clusters than adapters, or "svd" with clusters; the
            folder holds modules of other adapters or settings; clusters do not fit into the memory.

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
    threads.enough()
    key = jax.random.key(search.seed, impl="threefry2x32")
    done = parts.Parts(keep, lambda: _facts(adapters, rank, method, clusters, search))
    member, settled = np.zeros(n, int), True
    if clusters > 1:
        member, settled = done.clusters(lambda: _members(adapters, rank, clusters, key, search, tell))
    found: dict[str, Module] = {}
    errors: dict[str, np.ndarray] = {}

    def told(sweeps: int) -> None:
        note = f"sweep {sweeps}"
        tell(Progress("finding bases", len(found), len(adapters.shapes), unit="modules", note=note))

    for number, names in enumerate(_batches(adapters, search)):
        solve = functools.partial(_solved, adapters, names, rank, method, member, key, search, told)
        bases = done.bases(number, solve)
        for at, name in enumerate(names):
            found[name] = Module(bases.u[at], bases.v[at], bases.cores[at])
            errors[name] = bases.error[at]
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
        inner=max(each.rank for each in adapters.adapters),
    )


def cores_in(stack: Stack, u: Array, v: Array, method: str) -> tuple[Array, Array]:
    """The best cores of adapters within bases, (modules, n, ...), and the energy that each keeps, (modules, n)."""
    if method == "diag":
        return diagonal.scales(stack, u, v)
    cores = joint.cores(stack, u, v)
    return cores, jnp.sum(jnp.square(cores), (-2, -1))


Reader = Callable[[np.ndarray], Blocks]  # adapters of these rows, perhaps with some of zeros: in a block, or in several


def _reader(adapters: Collection, modules: Sequence[str], search: Search) -> Reader:
    """Modules of adapters: read once where they fit into memory, else from disk whenever they are looked at."""
    size, n = _bytes(adapters, modules[0]), len(adapters.names)
    if size <= search.memory:
        whole = _over_devices(adapters.stack(modules))
        return lambda rows: _whole(whole if len(rows) == n else whole.some(rows))
    most = int(search.memory // (size / n))
    require(
        most >= 1, f"{modules[0]} of one adapter takes {size / n:,.0f} bytes; the memory is {search.memory:,.0f} bytes"
    )

    def some(rows: np.ndarray) -> Blocks:
        parts = np.array_split(rows, -(-len(rows) // most))
        return lambda: (adapters.stack(modules, part.tolist()) for part in parts)

    return some


def _whole(stack: Stack) -> Blocks:
    return lambda: (stack,)


def _over_devices(stack: Stack) -> Stack:
    """Shared out by modules to all devices, with modules of zeros where they do not go round; these change nothing."""
    devices = jax.devices()
    if len(devices) == 1 or len(stack.out) == 1:
        return stack
    more = -len(stack.out) % len(devices)
    over = jax.NamedSharding(jax.sharding.Mesh(np.array(devices), ("modules",)), jax.P("modules"))
    return jax.tree.map(lambda x: jax.device_put(np.pad(x, ((0, more), (0, 0), (0, 0), (0, 0))), over), stack)


def _solved(
    adapters: Collection,
    modules: Sequence[str],
    rank: int,
    method: Method,
    member: np.ndarray,
    key: Array,
    search: Search,
    told: Callable[[int], None],
) -> Bases:
    """The bases of all clusters; cores get the norms back that the search takes away."""
    read = _reader(adapters, modules, search)
    if method == "svd":
        rows = [np.arange(len(member))]
        each = [_separate(read(rows[0]), rank)]
    else:
        rows = [np.flatnonzero(member == k) for k in range(member.max() + 1)]
        keys = [jax.random.fold_in(key, k) for k in range(len(rows))]
        each = [_basis(read(some), rank, method, one, search, told) for some, one in zip(rows, keys, strict=True)]
    order = np.argsort(np.concatenate(rows))
    u, v = (np.concatenate([getattr(found, side) for found in each], 1) for side in ("u", "v"))
    cores, error = (
        np.concatenate([getattr(found, part)[:, : len(some)] for found, some in zip(each, rows, strict=True)], 1)
        for part in ("cores", "error")
    )
    return Bases(u, v, cores[:, order], error[:, order], all(found.settled for found in each))


def _separate(blocks: Blocks, rank: int) -> Bases:
    """Adapters cut each by itself."""

    def one(part: Stack) -> tuple[Array, ...]:
        u, values, v, kept = separate.truncated(stacks.unit(part), rank)
        return u, v, *_measured(values, kept, stacks.norms(part))

    u, v, cores, error = _joined(map(one, blocks()))
    return Bases(u, v, cores, error, True)


def _basis(blocks: Blocks, rank: int, method: Method, key: Array, search: Search, told: Callable[[int], None]) -> Bases:
    """Of one cluster."""
    units, back = _coordinates(blocks)
    wide = min(rank, *(side.shape[-1] for side in next(iter(units()))))  # there may be fewer directions
    found: Any = joint.best(units, wide, key, starts=search.starts, most=search.most, told=told)
    if method == "diag":
        found = diagonal.solve(units, found.u, found.v)
    norms = [stacks.norms(part) for part in blocks()]
    cores, error = _joined(
        _measured(*cores_in(part, found.u, found.v, method), norm) for part, norm in zip(units(), norms, strict=True)
    )
    more = (0, rank - wide)  # columns of zeros
    u, v = (np.pad(np.asarray(side), ((0, 0), (0, 0), more))[:, None] for side in back(found.u, found.v))
    cores = np.pad(cores, ((0, 0), (0, 0), *(more for _ in cores.shape[2:])))
    return Bases(u, v, cores, error, bool(np.asarray(found.settled).all()))


def _coordinates(blocks: Blocks) -> tuple[Blocks, Callable[[Array, Array], tuple[Array, Array]]]:
    """Adapters of unit norm, in fewer coordinates where that loses nothing and all are in memory; and the way back."""
    first, *more = itertools.islice(blocks(), 2)
    if more:
        return lambda: map(stacks.unit, blocks()), lambda u, v: (u, v)
    small, out, inn = stacks.reduced(stacks.unit(first))
    return _whole(small), lambda u, v: (out @ u, inn @ v)


def _measured(cores: Array, kept: Array, norms: Array) -> tuple[Array, Array]:
    """Cores with their norms, and squared relative errors."""
    cores = cores * norms.reshape(*norms.shape, *(1 for _ in cores.shape[2:]))
    return cores, jnp.where(norms > 0, jnp.maximum(1 - kept, 0), 0)


def _joined(blocks: Iterable[tuple[Array, ...]]) -> tuple[np.ndarray, ...]:
    """What was found block by block, along the axis of adapters."""
    return tuple(np.concatenate([np.asarray(x) for x in each], 1) for each in zip(*blocks, strict=True))


def _batches(adapters: Collection, search: Search) -> Iterator[tuple[str, ...]]:
    """Modules of one shape, as many as memory takes."""
    for modules in adapters.groups().values():
        step = max(1, int(search.memory // _bytes(adapters, modules[0])))
        for first in range(0, len(modules), step):
            yield modules[first : first + step]


def _members(
    adapters: Collection, rank: int, count: int, key: Array, search: Search, tell: Tell
) -> tuple[np.ndarray, bool]:
    """Who belongs to which cluster, and whether that search converged."""
    found = clustering.solve(_sample(adapters, search), rank, count, key, starts=min(search.starts, 3), tell=tell)
    return found.member, found.settled


def _sample(adapters: Collection, search: Search) -> Sequence[Stack]:
    """Modules of each shape, evenly over the depth, `SEEN` or as many as memory takes; of unit norm."""
    groups = list(adapters.groups().values())
    least = sum(_bytes(adapters, modules[0]) for modules in groups)
    require(
        least <= search.memory,
        f"clusters are found from at least one module of each shape of all adapters, {least:,} bytes; "
        f"the memory is {search.memory:,.0f} bytes",
    )
    found = []
    for modules in groups:
        room = min(SEEN, max(1, int(search.memory / len(groups) // _bytes(adapters, modules[0]))))
        chosen = np.unique(np.linspace(0, len(modules) - 1, min(room, len(modules))).round().astype(int))
        found.append(stacks.unit(adapters.stack([modules[i] for i in chosen])))
    return found


def _facts(adapters: Collection, rank: int, method: str, clusters: int, search: Search) -> dict[str, Any]:
    """What makes bases these."""
    asked = {"rank": rank, "method": method, "clusters": clusters, "search": dataclasses.asdict(search)}
    return asked | {"adapters": {each.name: each.fingerprint for each in adapters.adapters}}


def _bytes(adapters: Collection, module: str) -> int:
    """Of one module of all adapters, as float32."""
    rank = max(each.rank for each in adapters.adapters)
    return 4 * rank * sum(adapters.shapes[module]) * len(adapters.names)
