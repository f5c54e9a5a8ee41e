"""Adapters of one model in the bases that they share: what `training.compress` gives."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lleval_jax.errors import require, require_known
from lleval_jax.values.value import Value


class Module(NamedTuple):
    """One module: M_i ~ u[cluster_i] core_i v[cluster_i]'.

    u      (clusters, d_out, rank)
    v      (clusters, d_in, rank)
    cores  (n, rank, rank), or their diagonals (n, rank)
    """

    u: np.ndarray
    v: np.ndarray
    cores: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Shared(Value):
    """Many adapters in the bases that they share.

    names    (n,) of the adapters
    modules  name -> bases and cores
    cluster  (n,) whose bases an adapter uses; with the method "svd" each has its own
    error    (n, modules) squared relative error, ||M - M~||^2 / ||M||^2, from 0; as the authors' program has it
    method   "full", "diag" or "svd"
    before   (n,) values that each adapter holds uncompressed
    settled  whether all searches converged
    base     the model that they are of
    inner    the largest rank of an adapter, which no full core exceeds; 0: that of the bases
    added    names of those that the bases did not learn from (`compress.project.add`)
    """

    names: tuple[str, ...]
    modules: Mapping[str, Module]
    cluster: np.ndarray
    error: np.ndarray
    method: str
    before: np.ndarray
    settled: bool
    base: str = ""
    inner: int = 0
    added: tuple[str, ...] = ()

    def brief(self) -> str:
        """How many adapters in how many bases."""
        return f"{len(self.names):,} adapters in {self.clusters:,} bases of rank {self.rank}"

    @property
    def rank(self) -> int:
        """Of the bases."""
        return next(iter(self.modules.values())).u.shape[-1]

    @property
    def clusters(self) -> int:
        """How many bases there are for each module."""
        return len(next(iter(self.modules.values())).u)

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Module -> (d_out, d_in)."""
        return {name: (part.u.shape[1], part.v.shape[1]) for name, part in self.modules.items()}

    @property
    def thin(self) -> int:
        """Of the two factors that each full core is kept as, where these are fewer numbers: their rank; else 0."""
        return self.inner if self.method == "full" and 0 < 2 * self.inner < self.rank else 0

    @property
    def after(self) -> int:
        """Values that bases and cores hold, as they are kept."""
        bases = sum(module.u.size + module.v.size for module in self.modules.values())
        return bases + len(self.names) * len(self.modules) * core_values(self.rank, self.inner, self.method)

    @property
    def ratio(self) -> np.ndarray:
        """(n, modules) relative error without the square, ||M - M~|| / ||M||."""
        return np.sqrt(self.error)

    @property
    def matched(self) -> float:
        """How many uncompressed adapters, of the mean size, fit into the same memory."""
        return self.after / float(self.before.mean())

    def apart(self, most: float) -> tuple[str, ...]:
        """The adapters whose mean squared error is above this: better kept uncompressed."""
        return tuple(name for name, error in zip(self.names, self.error.mean(1), strict=True) if error > most)

    @property
    def drift(self) -> float:
        """How far the mean squared error of added adapters is above that of those that the bases learned from."""
        late = np.isin(self.names, self.added)
        if not late.any():
            return 0.0
        return np.inf if late.all() else float(self.error[late].mean() - self.error[~late].mean())

    def drifted(self, bound: float = 0.1) -> bool:
        """Whether it is time to fit the bases again: `drift` is above a bound of your choice."""
        return self.drift > bound

    def factors(self, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """An adapter as an ordinary one of rank `rank`: module -> A = V' (rank, d_in), B = U core (d_out, rank).

        Raises:
            BadInput: there is no such adapter.
        """
        require_known(name, self.names, "adapter")
        i = self.names.index(name)
        return {key: _factors(module, int(self.cluster[i]), i) for key, module in self.modules.items()}

    def remove(self, name: str) -> "Shared":
        """Without an adapter; the bases stay, and still hold what they learned from it."""
        require_known(name, self.names, "adapter")
        require(len(self.names) > 1, f"{name!r} is the only adapter")
        return self._of([k for k, each in enumerate(self.names) if each != name])

    def first(self, count: int) -> "Shared":
        """The first so many adapters, in the bases of all."""
        require(0 < count <= len(self.names), f"{count:,} of {len(self.names):,} adapters were asked for")
        return self._of(list(range(count)))

    def _of(self, kept: list[int]) -> "Shared":
        return dataclasses.replace(
            self,
            names=tuple(self.names[k] for k in kept),
            added=tuple(name for name in self.added if name in {self.names[k] for k in kept}),
            modules={key: module._replace(cores=module.cores[kept]) for key, module in self.modules.items()},
            cluster=self.cluster[kept],
            error=self.error[kept],
            before=self.before[kept],
        )


def core_values(rank: int, inner: int, method: str) -> int:
    """Numbers of one core: rank^2, or two factors of the adapter's own rank (`inner`) where these are fewer."""
    if method != "full":
        return rank
    return min(rank**2, 2 * rank * inner) if inner else rank**2


def kept_cores(cores: np.ndarray, thin: int) -> dict[str, np.ndarray]:
    """What is kept of cores: `cores`; or their factors `left` (n, rank, thin) and `right` (n, thin, rank).

    Args:
        cores: (n, rank, rank), or diagonals (n, rank).
        thin: a rank that no core exceeds, so that nothing is lost; 0: cores are kept as they are.
    """
    if not thin:
        return {"cores": cores}
    left, values, right = np.linalg.svd(cores, full_matrices=False)
    root = np.sqrt(values[:, :thin])
    return {"left": left[..., :thin] * root[:, None], "right": root[..., None] * right[:, :thin]}


def _factors(module: Module, cluster: int, i: int) -> tuple[np.ndarray, np.ndarray]:
    u, v, core = module.u[cluster], module.v[cluster], module.cores[i]
    return np.ascontiguousarray(v.T), u @ core if core.ndim == 2 else u * core
