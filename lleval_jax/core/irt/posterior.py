"""Posteriors of abilities from answers of several kinds (`kinds`), over nodes of each row's own.

    y_ri | ability ~ kind_i(slope_i ability_r + intercept_i, shape_i),   ability_r ~ N(0, 1)

Items come in blocks of one kind. Abilities are integrated by adaptive quadrature: continuous scores leave posteriors
that are narrow, and not normal between the nodes of a common grid.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt.kinds import Kind
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

PER_ROW, MODE_STEPS, STRIDE = 5, 4, 1.0  # quadrature nodes of a row; scoring steps to its mode, and the longest


class Block(NamedTuple):
    """Answers to items of one kind.

    scores       (rows, items)  a score that the kind takes, also where not seen
    weight       (rows, items)  answers behind it; 0 where not seen
    item_weight  (items,)       1, or 0 for padding
    """

    scores: Array
    weight: Array
    item_weight: Array


class Data(NamedTuple):
    """What EM holds fixed; row_weight (rows,) as in `em.Data`.

    nodes, log_weight  (nodes,)  shared by all rows: where the search of each row's mode begins
    """

    blocks: tuple[Block, ...]
    nodes: Array
    log_weight: Array
    row_weight: Array


class Expected(NamedTuple):
    """Posterior of the rows, each over nodes of its own.

    loglik  (rows,)         marginal log likelihood
    nodes   (rows, PER_ROW)
    mass    (rows, PER_ROW) sums to one over a row's nodes
    """

    loglik: Array
    nodes: Array
    mass: Array

    @property
    def mean(self) -> Array:
        """(rows,) of the abilities."""
        return jnp.sum(self.mass * self.nodes, 1)

    @property
    def variance(self) -> Array:
        """(rows,) of the abilities."""
        return jnp.sum(self.mass * (self.nodes - self.mean[:, None]) ** 2, 1)


def natural(
    kind: Kind, free: Float[Array, " width"], nodes: Float[Array, " nodes"]
) -> Float[Array, "nodes statistics"]:
    """Natural parameters of one item at the nodes."""
    return jax.vmap(kind.natural, (0, None))(free[0] * nodes + free[1], free[2:])


def statistics(kind: Kind, block: Block) -> Float[Array, "rows items statistics"]:
    """Statistics of all answers, times their weights."""
    return block.weight[:, :, None] * jax.vmap(jax.vmap(kind.statistics))(block.scores)


def log_base(kind: Kind, block: Block) -> Float[Array, " rows"]:
    """What does not depend on the parameters, summed over the seen answers of each row."""
    each = jax.vmap(jax.vmap(kind.base))(block.scores, block.weight)
    return jnp.sum(jnp.where(block.weight > 0, each, 0), 1)


@full_precision
def on_grid(kinds: tuple[Kind, ...], data: Data, free: tuple[Array, ...]) -> Float[Array, "rows nodes"]:
    """Log likelihood of each row at the nodes that all rows share."""
    total = jnp.zeros((len(data.row_weight), len(data.nodes)), data.nodes.dtype)
    for kind, block, items in zip(kinds, data.blocks, free, strict=True):
        eta = jax.vmap(natural, (None, 0, None))(kind, items, data.nodes)
        flat = statistics(kind, block).reshape(len(total), -1)
        total += flat @ jnp.moveaxis(eta, 1, 2).reshape(-1, len(data.nodes)) + log_base(kind, block)[:, None]
    return total


def of_rows(
    kinds: tuple[Kind, ...], data: Data, free: tuple[Array, ...], nodes: Float[Array, "rows own"]
) -> Float[Array, "rows own"]:
    """Log likelihood of each row at nodes of its own."""
    total = jnp.zeros_like(nodes)
    for kind, block, items in zip(kinds, data.blocks, free, strict=True):
        each = jax.vmap(jax.vmap(natural, (None, 0, None)), (None, None, 0))(kind, items, nodes)
        total += jnp.einsum("ris,riqs->rq", statistics(kind, block), each) + log_base(kind, block)[:, None]
    return total


@full_precision
def expect(kinds: tuple[Kind, ...], data: Data, free: tuple[Array, ...]) -> Expected:
    """E step by adaptive quadrature (Liu & Pierce 1994): Gauss-Hermite nodes around each row's most probable ability.

    The best of the shared nodes is where the search of the mode begins; it goes by Fisher scoring.
    """
    mode = data.nodes[jnp.argmax(on_grid(kinds, data, free) + data.log_weight[None, :], 1)]

    def closer(_: Array, mode: Array) -> Array:
        gradient = jax.grad(lambda x: jnp.sum(of_rows(kinds, data, free, x[:, None])))(mode) - mode
        return mode + jnp.clip(gradient / _precision(kinds, data, free, mode), -STRIDE, STRIDE)

    mode = jax.lax.fori_loop(0, MODE_STEPS, closer, mode)
    sd = _precision(kinds, data, free, mode) ** -0.5
    axis, weight = (jnp.asarray(part, mode.dtype) for part in np.polynomial.hermite_e.hermegauss(PER_ROW))
    nodes = mode[:, None] + sd[:, None] * axis[None, :]
    at = of_rows(kinds, data, free, nodes) - 0.5 * nodes**2 + (jnp.log(weight) + 0.5 * axis**2)[None, :]
    total = jax.nn.logsumexp(at, axis=1)
    return Expected(total + jnp.log(sd) - 0.5 * math.log(2 * math.pi), nodes, jnp.exp(at - total[:, None]))


def _precision(kinds: tuple[Kind, ...], data: Data, free: tuple[Array, ...], ability: Array) -> Array:
    """(rows,) one, the prior's, plus the answers' Fisher information about each row's ability."""
    total = jnp.ones_like(ability)
    for kind, block, items in zip(kinds, data.blocks, free, strict=True):
        worth = jax.vmap(information, (None, 0, None))(kind, items, ability)[:, :, 0, 0] * items[:, :1] ** 2
        total += jnp.sum(block.weight * worth.T, 1)
    return total


def information(kind: Kind, free: Float[Array, " width"], nodes: Float[Array, " nodes"]) -> Float[Array, "nodes k k"]:
    """Fisher information of one answer at each node about (z, shape)."""
    return jax.vmap(kind.information, (0, None))(free[0] * nodes + free[1], free[2:])
