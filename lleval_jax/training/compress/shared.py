"""Adapters in shared bases: the value that `compress` gives, and what can be done with it."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.errors import require, require_known
from lleval_jax.training.compress import diagonal, joint, stack
from lleval_jax.training.compress.folders import Adapter
from lleval_jax.training.compress.stack import Stack


class Module(NamedTuple):
    """One module: M_i ~ u[cluster_i] core_i v[cluster_i]'.

    u      (clusters, d_out, rank)
    v      (clusters, d_in, rank)
    cores  (n, rank, rank), or their diagonals (n, rank)
    """

    u: np.ndarray
    v: np.ndarray
    cores: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Shared:
    """Many adapters in the bases that they share.

    names    (n,) of the adapters
    modules  name -> bases and cores
    cluster  (n,) whose bases an adapter uses; with the method "svd" each has its own
    error    (n, modules) squared relative error, ||M - M~||^2 / ||M||^2, from 0; as the authors' program has it
    method   "full", "diag" or "svd"
    before   (n,) values that each adapter holds uncompressed
    settled  whether all searches converged
    base     the model that they are of
    """

    names: tuple[str, ...]
    modules: Mapping[str, Module]
    cluster: np.ndarray
    error: np.ndarray
    method: str
    before: np.ndarray
    settled: bool
    base: str = ""

    @property
    def rank(self) -> int:
        """Of the bases."""
        return next(iter(self.modules.values())).u.shape[-1]

    @property
    def clusters(self) -> int:
        """How many bases there are for each module."""
        return len(next(iter(self.modules.values())).u)

    @property
    def after(self) -> int:
        """Values that bases and cores hold."""
        return sum(part.size for module in self.modules.values() for part in module)

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

    def factors(self, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """An adapter as an ordinary one of rank `rank`: module -> A = V' (rank, d_in), B = U core (d_out, rank).

        Raises:
            BadInput: there is no such adapter.
        """
        require_known(name, self.names, "adapter")
        i = self.names.index(name)
        return {key: _factors(module, int(self.cluster[i]), i) for key, module in self.modules.items()}

    def add(self, adapter: Adapter) -> "Shared":
        """With one more adapter, in the bases as they are: those of the cluster that holds it best.

        The last row of `error` is its own. The bases do not learn from it: refit where that is far above the others'.

        Raises:
            BadInput: the name is taken, its modules or shapes are others, or the method "svd" shares no basis.
        """
        require(adapter.name not in self.names, f"there is an adapter {adapter.name!r} already")
        require(self.method != "svd", "adapters cut to their own singular vectors share no basis to add one to")
        shapes = {key: (module.u.shape[1], module.v.shape[1]) for key, module in self.modules.items()}
        same = dict(adapter.shapes) == shapes
        require(same, f"adapter {adapter.name!r} has other modules or shapes than those of the bases")
        seen = {key: _projected(module, adapter.factors(key), self.method) for key, module in self.modules.items()}
        errors = np.stack([error for _, error in seen.values()], 1)  # (clusters, modules)
        best = int(errors.mean(1).argmin())
        modules = {
            key: module._replace(cores=np.concatenate([module.cores, seen[key][0][best][None]]))
            for key, module in self.modules.items()
        }
        return dataclasses.replace(
            self,
            names=(*self.names, adapter.name),
            modules=modules,
            cluster=np.append(self.cluster, best),
            error=np.concatenate([self.error, errors[best][None]]),
            before=np.append(self.before, adapter.size),
        )

    def remove(self, name: str) -> "Shared":
        """Without an adapter; the bases stay, and still hold what they learned from it."""
        require_known(name, self.names, "adapter")
        require(len(self.names) > 1, f"{name!r} is the only adapter")
        i = self.names.index(name)
        kept = [k for k in range(len(self.names)) if k != i]
        return dataclasses.replace(
            self,
            names=tuple(self.names[k] for k in kept),
            modules={key: module._replace(cores=module.cores[kept]) for key, module in self.modules.items()},
            cluster=self.cluster[kept],
            error=self.error[kept],
            before=self.before[kept],
        )


def _factors(module: Module, cluster: int, i: int) -> tuple[np.ndarray, np.ndarray]:
    u, v, core = module.u[cluster], module.v[cluster], module.cores[i]
    return np.ascontiguousarray(v.T), u @ core if core.ndim == 2 else u * core


def _projected(module: Module, factors: tuple[np.ndarray, np.ndarray], method: str) -> tuple[np.ndarray, np.ndarray]:
    """The best core in each cluster's basis, and the squared relative error there."""
    a, b = (jnp.asarray(each) for each in factors)
    one: Stack = stack.padded([(a, b)])
    norm = stack.norms(one)[0, 0]
    one, cores, errors = stack.unit(one), [], []
    for u, v in zip(module.u, module.v, strict=True):
        u, v = jnp.asarray(u)[None], jnp.asarray(v)[None]
        if method == "full":
            core = joint.cores(one, u, v)[0, 0]
            kept = jnp.sum(jnp.square(core))
        else:
            found, each = diagonal.scales(one, u, v)
            core, kept = found[0, 0], each[0, 0]
        cores.append(norm * core)
        errors.append(jnp.where(norm > 0, jnp.maximum(1 - kept, 0.0), 0.0))
    return np.asarray(jnp.stack(cores)), np.asarray(jnp.stack(errors))
