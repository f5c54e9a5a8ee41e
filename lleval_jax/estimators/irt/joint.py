"""The joint engine on arrays: rows and items have normal posteriors in turn (`core.irt.joint`); held-out answers."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.irt import joint as variational
from lleval_jax.core.irt.irf import Items
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.loop import Progress
from lleval_jax.estimators.contract import whole
from lleval_jax.estimators.irt.found import Found
from lleval_jax.layout import irt as layout
from lleval_jax.types import Array

PIECE = 8  # steps between two looks at the clock


@dataclasses.dataclass(frozen=True)
class Joint:
    """Items and abilities of most evidence bound, from the answers' leading singular vectors, found at random."""

    tol: float = 3e-3
    max_steps: int = 500
    standard_errors: bool = True
    piece: int = PIECE
    light: bool = False

    def begin(self, data: variational.Data, key: Array) -> Progress:
        """Before the first step."""
        start = layout.svd_start(data.cells, data.row_weight, data.item_weight, key, len(data.active))
        return loop.begin(variational.Alternating(), data, variational.start(data, *start))

    def advance(self, data: variational.Data, progress: Progress, at_most: int) -> Progress:
        """`at_most` more steps."""
        solver = variational.Alternating()
        return loop.advance(solver, data, progress, tol=self.tol, at_most=at_most, max_steps=self.max_steps)

    def finish(self, data: variational.Data, progress: Progress) -> Found:
        """Principal axes, orientation and covariances."""
        now: variational.Posterior = progress.now.x
        dims = len(data.active)
        slope, intercept, ability = now.items.mean[:, :dims], now.items.mean[:, dims], now.rows.mean[:, :dims]
        axes = _axes(data, slope, ability)
        turn = jnp.zeros((dims + 1, dims + 1), slope.dtype).at[:dims, :dims].set(axes).at[dims, dims].set(1)
        cov = jnp.einsum("ab,iac,cd->ibd", turn, now.items.cov, turn)
        return Found(
            items=Items(slope @ axes, intercept, jnp.zeros_like(intercept), jnp.ones_like(intercept)),
            covariance=cov if self.standard_errors else jnp.zeros_like(cov),
            ability=ability @ axes,
            ability_cov=jnp.einsum("ab,iac,cd->ibd", axes, now.rows.cov[:, :dims, :dims], axes),
            loglik=variational.bound(data, now),
            steps=progress.steps,
            status=progress.status,
            error=progress.now.error,
        )

    def solve(self, data: variational.Data, key: Array) -> Found:
        """From the beginning to the end."""
        return whole(self, data, key)


def _axes(data: variational.Data, slope: Array, ability: Array) -> Array:
    """(dims, dims) principal axes of the slopes, each pointing to where the better models are."""
    scatter = jnp.einsum("i,id,ie->de", data.item_weight, slope, slope)
    axes = jnp.linalg.eigh(scatter)[1][:, ::-1]
    line = data.row_weight[:, None] * jnp.concatenate([ability @ axes, jnp.ones_like(ability[:, :1])], axis=1)
    return axes * layout.orientation(*data.cells.over_rows(line))[None, :]


class Held(NamedTuple):
    """Answers kept from a fit, all (cells,)."""

    row: Array
    item: Array
    score: Array
    weight: Array


class Trial(NamedTuple):
    """A fit of the other answers in some dimensions, and where all such fits begin: `layout.irt.svd_start`."""

    answers: variational.Data
    start: tuple[Array, Array]
    held: Held


class Loss(NamedTuple):
    """Mean log loss of each row's held-out answers, (rows,), and how the fit of the others ended."""

    loss: Array
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Loss on answers kept from a short joint fit. Nothing is drawn at random but the start, which all lanes share."""

    tol: float = 3e-3
    max_steps: int = 80
    light: bool = False

    def solve(self, data: Trial, key: Array) -> Loss:
        """The loss of one trial."""
        known = data.answers
        begun = variational.start(known, *data.start)
        solver, most = variational.Alternating(), self.max_steps
        first = loop.begin(solver, known, begun)
        end = loop.advance(solver, known, first, tol=self.tol, at_most=most + 1, max_steps=most)
        loss = _loss(end.now.x, data.held, len(known.row_weight))
        return Loss(loss, end.steps, end.status, end.now.error)


def _loss(now: variational.Posterior, held: Held, rows: int) -> Array:
    """(rows,) by the posterior mean of the probability."""
    row, item, score, weight = held
    z = jnp.sum(now.rows.mean[row] * now.items.mean[item], axis=1)
    spread = jnp.sum(now.rows.second()[row] * now.items.second()[item], axis=1) - z**2
    z = z / jnp.sqrt(1 + jnp.pi / 8 * jnp.maximum(spread, 0))
    loss = weight * (jax.nn.softplus(z) - score * z)
    total = jax.ops.segment_sum(weight, row, rows)
    return jax.ops.segment_sum(loss, row, rows) / jnp.maximum(total, 1e-9)
