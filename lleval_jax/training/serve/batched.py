"""The update of a linear layer where every row of a batch has an adapter of its own.

    apart    y = B_i (A_i x)              both factors gathered for each row
    shared   y = U_z (core_i (V_z' x))    bases read once for all rows, cores gathered: rank^2 numbers a row

i is the row's adapter, z the cluster whose bases that uses. Cores are (rank, rank), or their diagonals, or two thin
factors of which they are the product.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from lleval_jax.types import Array, Float, Int

Cores = Float[Array, "adapters rank rank"] | Float[Array, "adapters rank"] | tuple[Array, Array]
Ways = Literal["gathered", "all", "sorted"]


def apart(
    x: Float[Array, "rows tokens inner"],
    a: Float[Array, "adapters rank inner"],
    b: Float[Array, "adapters out rank"],
    ids: Int[Array, " rows"],
) -> Float[Array, "rows tokens out"]:
    """Each row's own factors; scales are in `b`."""
    low = jnp.einsum("nti,nri->ntr", x, a[ids].astype(x.dtype))
    return jnp.einsum("ntr,nor->nto", low, b[ids].astype(x.dtype))


def shared(
    x: Float[Array, "rows tokens inner"],
    u: Float[Array, "clusters out rank"],
    v: Float[Array, "clusters inner rank"],
    cores: Cores,
    cluster: Int[Array, " adapters"],
    ids: Int[Array, " rows"],
    way: Ways | None = None,
) -> Float[Array, "rows tokens out"]:
    """Each row's own core within the bases of its cluster.

    Args:
        x: inputs of the layer.
        u: bases of the outputs.
        v: bases of the inputs.
        cores: of all adapters; scales are in them. Or their factors (adapters, rank, inner), (adapters, inner, rank).
        cluster: of each adapter.
        ids: the adapter of each row.
        way: with several clusters, how a row meets its bases: "gathered" for each row; "all" of them, of which one is
            kept; or rows "sorted" by cluster. None: what is fastest for the shapes (`way_of`).
    """
    u, v, cores = jax.tree.map(lambda each: each.astype(x.dtype), (u, v, cores))
    z = cluster[ids]
    way = way_of(len(u), *x.shape[:2]) if way is None else way
    if len(u) == 1:
        return _cored(x @ v[0], cores, ids) @ u[0].T
    if way == "gathered":
        low = _cored(jnp.einsum("nti,nir->ntr", x, v[z]), cores, ids)
        return jnp.einsum("ntr,nor->nto", low, u[z])
    if way == "all":
        every = jnp.einsum("nti,kir->ntkr", x, v)
        low = jnp.take_along_axis(every, z[:, None, None, None], 2)[:, :, 0]
        own = jax.nn.one_hot(z, len(u), dtype=x.dtype)
        return jnp.einsum("ntr,nk,kor->nto", _cored(low, cores, ids), own, u)
    return _sorted(x, u, v, cores, z, ids)


def way_of(clusters: int, rows: int, tokens: int) -> Ways:
    """The fastest way for so many rows: whether their own bases are fewer numbers than all bases are operations."""
    return "all" if tokens == 1 and rows > 2 * clusters else "gathered"


def _cored(low: Array, cores: Cores, ids: Array) -> Array:
    if isinstance(cores, tuple):
        left, right = cores
        return _cored(_cored(low, right, ids), left, ids)
    own = cores[ids]
    return jnp.einsum("ntr,nsr->nts", low, own) if own.ndim == 3 else low * own[:, None]


def _sorted(x: Array, u: Array, v: Array, cores: Cores, z: Array, ids: Array) -> Array:
    """Rows in the order of their clusters, each run of them multiplied with one basis."""
    rows, tokens, _ = x.shape
    order = jnp.argsort(z)
    back, sizes = jnp.argsort(order), jnp.bincount(z, length=len(u)) * tokens
    flat = x[order].reshape(rows * tokens, -1)
    low = jax.lax.ragged_dot(flat, v, sizes).reshape(rows, tokens, -1)
    low = _cored(low, cores, ids[order]).reshape(rows * tokens, -1)
    return jax.lax.ragged_dot(low, jnp.swapaxes(u, -1, -2), sizes).reshape(rows, tokens, -1)[back]
