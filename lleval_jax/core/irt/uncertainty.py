"""From information to standard errors, without ever forming an items-by-items matrix.

The observed information of all items is  A - G V G'  (Louis 1982): A is block-diagonal, one small block an item, and
the second term is what is lost because abilities are not known. Abilities enter through few nodes, so G is thin and

    (A - G V G')^-1 = A^-1 + A^-1 G (V^-1 - G' A^-1 G)^-1 G' A^-1          (Woodbury)

costs one small solve. Only the diagonal blocks of the result are kept. That takes a row's posterior to be narrow, as it
is when a row answers many items; with few items in all (up to `FEW` coordinates) nothing is approximated.
"""

import jax
import jax.numpy as jnp

from lleval_jax.core.irt import em, irf
from lleval_jax.core.irt.likelihood import Prior
from lleval_jax.core.linalg import small
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

ROOM = 1 << 22  # item-node pairs handled at once
ROUNDING = 1e-4  # share of the largest eigenvalue of a covariance by which rounding may make another one negative
LARGEST = 100.0  # variance of a coordinate without a prior of which nothing is learned
FEW = 256  # free coordinates up to which the information of all items is one small matrix


@full_precision
def item_covariance(
    curve: irf.Curve,
    free: Float[Array, "items width"],
    right: Float[Array, "items nodes"],
    asked: Float[Array, "items nodes"],
    nodes: Float[Array, "nodes dims"],
    node_mass: Float[Array, " nodes"],
    prior: Prior,
) -> Float[Array, "items width width"]:
    """Covariance of each item's free coordinates, the abilities' uncertainty included.

    free       (items, width)
    right      (items, nodes)  expected score at each node
    asked      (items, nodes)  expected answers at each node
    nodes      (nodes, dims)
    node_mass  (nodes,)        rows at each node
    prior      of the items
    ->         (items, width, width)

    The posterior covariance of an ability at a node, V, is taken from the information of the items asked there, so
    that what is lost can never exceed what there is.
    """
    rows_there = jnp.where(node_mass > 1e-3, node_mass, jnp.inf)[None, :]
    inputs = free, right, asked, jnp.where(asked > 0, asked, 0) / rows_there
    chunk = max(1, ROOM // nodes.size)
    information = _chunked_sum(
        lambda *x: jnp.sum(jax.vmap(_node_information, (None, None, 0, 0))(curve, nodes, x[0], x[3]), 0), inputs, chunk
    )
    root = jnp.linalg.cholesky(jnp.linalg.inv(information + jnp.eye(curve.dims, dtype=free.dtype)[None]))

    often = jnp.sqrt(jnp.where(node_mass > 1e-3, node_mass, 0))[None, :]

    def split(free: Array, right: Array, asked: Array, share: Array) -> tuple[Array, Array, Array]:
        """Inverse blocks A^-1 (chunk, width, width), thin columns G and A^-1 G, each (chunk, width, nodes * dims)."""
        thin = jax.vmap(_thin_column, (None, None, None, 0, 0))(curve, nodes, root, free, share * often)
        _, info = jax.vmap(em.curvature, (None, 0, 0, 0, None))(curve, free, right, asked, nodes)
        block = jax.vmap(small.inverse)(em.posterior_information(info, prior))
        return block, thin, jnp.sum(block[:, :, :, None] * thin[:, None, :, :], 2)

    def gram(*x: Array) -> Array:
        _, thin, side = split(*x)
        return thin.reshape(-1, thin.shape[-1]).T @ side.reshape(-1, thin.shape[-1])

    middle = jnp.linalg.inv(jnp.eye(nodes.size, dtype=free.dtype) - _chunked_sum(gram, inputs, chunk))
    middle = 0.5 * (middle + middle.T)

    def corrected(*x: Array) -> Array:
        block, _, side = split(*x)
        return block + jnp.sum((side @ middle)[:, :, None, :] * side[:, None, :, :], 3)

    return _chunked_map(corrected, inputs, chunk)


@full_precision
def few_item_covariance(
    curve: irf.Curve, data: em.Data, free: Float[Array, "items width"], counts: em.Expected, prior: Prior
) -> Float[Array, "items width width"]:
    """As `item_covariance`, for few items: Louis' (1982) observed information, complete minus missing, inverted whole.

    (items, width) -> (items, width, width).
    """
    items, width = free.shape
    s = jax.vmap(irf.slant, (None, 0, None))(curve, free, data.nodes)
    by_free = jax.vmap(_by_free, (None, None, 0))(curve, data.nodes, free) * s.inverse[:, :, None]
    _, info = jax.vmap(em.curvature, (None, 0, 0, 0, None))(curve, free, counts.right, counts.asked, data.nodes)
    cells = data.cells.dense()

    def add(missing: Array, row: tuple[Array, Array, Array, Array]) -> tuple[Array, None]:
        right, asked, mass, often = row
        residual = right[:, None] - asked[:, None] * s.p
        score = jnp.moveaxis(residual[:, :, None] * by_free, 1, 0).reshape(len(data.nodes), -1)
        centred = score - (mass @ score)[None, :]
        return missing + often * (centred * mass[:, None]).T @ centred, None

    rows = cells.scores, cells.weights(), counts.mass, data.row_weight
    missing, _ = jax.lax.scan(add, jnp.zeros((items * width, items * width), free.dtype), rows)
    complete = jax.scipy.linalg.block_diag(*em.posterior_information(info, prior))
    whole = jnp.linalg.inv(complete - missing).reshape(items, width, items, width)
    return jnp.moveaxis(jnp.diagonal(whole, axis1=0, axis2=2), -1, 0)


@full_precision
def proper(found: Float[Array, "items width width"], prior: Prior) -> Float[Array, "items width width"]:
    """Covariances; the prior's for an item whose information is not positive definite, as on a ridge of the 4PL.

    There the data say less than the expansion claims, so nothing is taken as learned.
    """
    values = jnp.linalg.eigvalsh(found)
    is_one = values[:, 0] > -ROUNDING * jnp.abs(values[:, -1])  # false for NaN
    nothing_learned = jnp.diag(1 / jnp.maximum(prior.precision, 1 / LARGEST))
    return jnp.where(is_one[:, None, None], found, nothing_learned[None])


def _by_free(curve: irf.Curve, nodes: Array, free: Array) -> Array:
    """(nodes, width) dP / d(free coordinates) of one item."""
    s = irf.slant(curve, free, nodes)
    line = jnp.concatenate([nodes, jnp.ones_like(nodes[:, :1])], axis=1) * irf.stretch(curve, free)[None, :]
    return jnp.concatenate([s.by_z[:, None] * line, *[e[:, None] for e in s.extra]], axis=1)


def _node_information(curve: irf.Curve, nodes: Array, free: Array, share: Array) -> Array:
    """(nodes, dims, dims) one item's information about abilities at the nodes, times how often it is asked there."""
    item, s = irf.constrain(curve, free), irf.slant(curve, free, nodes)
    worth = share * s.worth
    return worth[:, None, None] * (item.slope[:, None] * item.slope[None, :])[None]


def _thin_column(curve: irf.Curve, nodes: Array, root: Array, free: Array, asked: Array) -> Array:
    """(width, nodes * dims) the cross information of one item with the abilities at the nodes, whitened by V."""
    item, s = irf.constrain(curve, free), irf.slant(curve, free, nodes)
    line = jnp.concatenate([nodes, jnp.ones_like(nodes[:, :1])], axis=1) * irf.stretch(curve, free)[None, :]
    by_free = jnp.concatenate([s.worth[:, None] * line, *[(s.pull * e)[:, None] for e in s.extra]], axis=1)
    by_ability = jnp.sum(root * item.slope[None, :, None], 1)
    cross = asked[:, None, None] * by_free[:, :, None] * by_ability[:, None, :]
    return jnp.moveaxis(cross, 0, 1).reshape(curve.width, -1)


def _chunks(inputs: tuple[Array, ...], size: int) -> tuple[Array, ...]:
    """Zero-padded to (chunks, size, ...); a zero item has no answers and adds nothing."""
    items = inputs[0].shape[0]
    size = min(size, items)
    short = -items % size
    return tuple(jnp.pad(a, [(0, short)] + [(0, 0)] * (a.ndim - 1)).reshape(-1, size, *a.shape[1:]) for a in inputs)


def _chunked_sum(fn, inputs: tuple[Array, ...], size: int) -> Array:
    """Sum of fn over chunks of items."""
    chunks = _chunks(inputs, size)
    shape = jax.eval_shape(fn, *(a[0] for a in chunks))

    def add(total: Array, chunk: tuple[Array, ...]) -> tuple[Array, None]:
        return total + fn(*chunk), None

    return jax.lax.scan(add, jnp.zeros(shape.shape, shape.dtype), chunks)[0]


def _chunked_map(fn, inputs: tuple[Array, ...], size: int) -> Array:
    """Fn over chunks of items, joined again."""
    out = jax.lax.map(lambda chunk: fn(*chunk), _chunks(inputs, size))
    return out.reshape(-1, *out.shape[2:])[: inputs[0].shape[0]]
