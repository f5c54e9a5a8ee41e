"""One more adapter, put into bases that are there already."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from lleval_jax.errors import require
from lleval_jax.training.compress import stack
from lleval_jax.training.compress.fit import cores_in
from lleval_jax.training.compress.folders import Adapter
from lleval_jax.training.compress.stack import Stack
from lleval_jax.values.shared_adapters import Module, Shared


def add(shared: Shared, adapter: Adapter) -> Shared:
    """With one more adapter, in the bases as they are: those of the cluster that holds it best.

    The last row of `error` is its own. The bases do not learn from it: `Shared.drifted` says when to fit them again.

    Raises:
        BadInput: the name is taken, its modules or shapes are others, or the method "svd" shares no basis.
    """
    require(adapter.name not in shared.names, f"there is an adapter {adapter.name!r} already")
    require(shared.method != "svd", "adapters cut to their own singular vectors share no basis to add one to")
    shapes = {key: (module.u.shape[1], module.v.shape[1]) for key, module in shared.modules.items()}
    same = dict(adapter.shapes) == shapes
    require(same, f"adapter {adapter.name!r} has other modules or shapes than those of the bases")
    seen = {key: _projected(module, adapter.factors(key), shared.method) for key, module in shared.modules.items()}
    errors = np.stack([error for _, error in seen.values()], 1)  # (clusters, modules)
    best = int(errors.mean(1).argmin())
    modules = {
        key: module._replace(cores=np.concatenate([module.cores, seen[key][0][best][None]]))
        for key, module in shared.modules.items()
    }
    return dataclasses.replace(
        shared,
        names=(*shared.names, adapter.name),
        inner=max(shared.inner, adapter.rank) if shared.inner else 0,
        added=(*shared.added, adapter.name),
        modules=modules,
        cluster=np.append(shared.cluster, best),
        error=np.concatenate([shared.error, errors[best][None]]),
        before=np.append(shared.before, adapter.size),
    )


def _projected(module: Module, factors: tuple[np.ndarray, np.ndarray], method: str) -> tuple[np.ndarray, np.ndarray]:
    """The best core in each cluster's basis, and the squared relative error there."""
    a, b = (jnp.asarray(each) for each in factors)
    one: Stack = stack.padded([(a, b)])
    norm = stack.norms(one)[0, 0]
    one, cores, errors = stack.unit(one), [], []
    for u, v in zip(module.u, module.v, strict=True):
        u, v = jnp.asarray(u)[None], jnp.asarray(v)[None]
        core, kept = cores_in(one, u, v, method)
        cores.append(norm * core[0, 0])
        errors.append(jnp.where(norm > 0, jnp.maximum(1 - kept[0, 0], 0.0), 0.0))
    return np.asarray(jnp.stack(cores)), np.asarray(jnp.stack(errors))
