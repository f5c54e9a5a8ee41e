"""What a shared basis can keep of adapters: at most, whatever it is, and at least, if it is the best."""

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.precision import jit
from lleval_jax.errors import require
from lleval_jax.training.compress import separate
from lleval_jax.training.compress import stack as stacks
from lleval_jax.training.compress.folders import Collection
from lleval_jax.training.compress.stack import Stack
from lleval_jax.types import Array, Float
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.shared_adapters import Shared

ROOM = 2.5e8  # bytes of products of rows at a time


def inner_products(stack: Stack) -> Float[Array, "m n n"]:
    """tr(M_i' M_j) of all adapters, without the matrices."""
    m, n, r, _ = stack.out.shape
    step = max(1, int(ROOM // (4 * m * n * r**2)))
    return jnp.concatenate([_products(stack.take(np.arange(k, min(k + step, n))), stack) for k in range(0, n, step)], 1)


def upper(stack: Stack, rank: int, method: str = "full") -> Float[Array, " m"]:
    """The energy that no basis of a rank exceeds (theorem 1): as many of the largest eigenvalues of `inner_products` as
    cores have numbers, rank^2 or, on a diagonal, rank.
    """
    values = jnp.linalg.eigvalsh(inner_products(stack))[..., ::-1]
    return jnp.sum(jnp.maximum(values[..., : _directions(rank, method)], 0.0), -1)


def least_errors(adapters: Collection, shared: Shared, tell: Tell = silent) -> np.ndarray:
    """The mean squared relative error of each module that no bases of this size are below, for these clusters.

    It takes products of every two adapters of a cluster, and one module at a time in memory.

    Args:
        adapters: what the bases were made from.
        shared: the bases.
        tell: called with the modules done.

    Raises:
        BadInput: the bases are of other adapters, or each adapter has its own ("svd").
    """
    require(adapters.names == shared.names, "these bases are of other adapters")
    require(shared.method != "svd", "adapters that share no basis have no such bound: each is at its least error")
    rows = [np.flatnonzero(shared.cluster == k) for k in range(shared.clusters)]
    found = []
    for number, module in enumerate(shared.modules, 1):
        found.append(sum(_lost(adapters, module, some, shared) for some in rows) / len(shared.names))
        tell(Progress("finding bounds", number, len(shared.modules), unit="modules"))
    return np.array(found)


def lower(stack: Stack, rank: int) -> Float[Array, " m"]:
    """The energy that the best basis reaches: that of the leading singular vectors of the adapters' sum, over n.

    The mean core of that basis holds this much, so the best basis cannot hold less.
    """
    m, n, r, d = stack.out.shape
    merged = Stack(stack.out.reshape(m, 1, n * r, d), stack.inn.reshape(m, 1, n * r, stack.inn.shape[-1]))
    return separate.truncated(merged, rank)[3][:, 0] / n


@jit
def _products(some: Stack, stack: Stack) -> Float[Array, "m k n"]:
    out = jnp.einsum("mird,mjsd->mijrs", some.out, stack.out)
    return jnp.einsum("mijrs,mijrs->mij", out, jnp.einsum("mird,mjsd->mijrs", some.inn, stack.inn))


def _directions(rank: int, method: str) -> int:
    return rank**2 if method == "full" else rank


def _lost(adapters: Collection, module: str, rows: np.ndarray, shared: Shared) -> float:
    """The least squared error of a cluster, summed over its adapters."""
    if len(rows) <= _directions(shared.rank, shared.method):
        return 0.0  # a direction for each
    part = adapters.stack([module], rows.tolist())
    alive = int(np.sum(np.asarray(stacks.norms(part)) > 0))
    return max(0.0, alive - float(upper(stacks.unit(part), shared.rank, shared.method)[0]))
