"""The marginal engine on arrays: abilities are integrated over nodes (`core.irt.em`), and EM is accelerated."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from scipy.special import expit

from lleval_jax.core.irt import em, irf, uncertainty
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import Progress
from lleval_jax.estimators.contract import whole
from lleval_jax.estimators.irt.found import Found
from lleval_jax.layout import irt as layout
from lleval_jax.types import Array

PIECE = 8  # steps between two looks at the clock
USUAL = {"slope": (1.0, 0.6), "intercept": (0.0, 2.0), "floor": (-1.6, 0.7), "ceiling": (3.0, 1.0)}
NEAR = 10  # times the tolerance, on the smooth likelihood where a lumpy one follows


@dataclasses.dataclass(frozen=True)
class Marginal:
    """Item parameters of most marginal likelihood, or of most posterior density.

    Nothing is drawn at random. Without `task.moments` the nodes alone make a lumpy likelihood, so that the fit begins
    where the smooth one is near its top.
    """

    task: em.Task
    tol: float = 1e-3
    max_steps: int = 500
    standard_errors: bool = True
    piece: int = PIECE
    light: bool = False

    def begin(self, data: em.Data, key: Array) -> Progress:
        """Before the first step."""
        first = _start(data, self.task)
        if not self.task.moments:
            smooth = dataclasses.replace(self.task, moments=True)
            near = loop.solve(Anderson(), em.em_map(smooth, data), first, tol=NEAR * self.tol, max_steps=self.max_steps)
            first = near.x
        return loop.begin(Anderson(), em.em_map(self.task, data), first)

    def advance(self, data: em.Data, progress: Progress, at_most: int) -> Progress:
        """`at_most` more steps of accelerated EM."""
        step = em.em_map(self.task, data)
        return loop.advance(Anderson(), step, progress, tol=self.tol, at_most=at_most, max_steps=self.max_steps)

    def finish(self, data: em.Data, progress: Progress) -> Found:
        """Abilities, standard errors and orientation, from the parameters reached."""
        curve, now = self.task.curve, progress.now.x
        counts = em.expect(curve, data, now.free, self.task.moments)
        ability, ability_cov = _abilities(data, counts)
        covariance = jnp.zeros((len(now.free), curve.width, curve.width), now.free.dtype)
        if self.standard_errors:
            covariance = _covariance(data, self.task, now, counts)
        line = jnp.concatenate([data.nodes, jnp.ones_like(data.nodes[:, :1])], axis=1)
        sign = layout.orientation(counts.right @ line, counts.asked @ line)
        flip = jnp.concatenate([sign, jnp.ones(curve.width - curve.dims, sign.dtype)])
        items = irf.constrain(curve, now.free)
        return Found(
            items=items._replace(slope=items.slope * sign[None, :]),
            covariance=covariance * (flip[:, None] * flip[None, :])[None],
            ability=ability * sign[None, :],
            ability_cov=ability_cov * (sign[:, None] * sign[None, :])[None],
            loglik=jnp.sum(data.row_weight * counts.loglik),
            steps=progress.steps,
            status=progress.status,
            error=progress.now.error,
        )

    def solve(self, data: em.Data, key: Array) -> Found:
        """From the beginning to the end."""
        return whole(self, data, key)


class _Rough(NamedTuple):
    """Each item's mean score and slope, before any fit; (items,) twice."""

    mean: Array
    slope: Array


def _start(data: em.Data, task: em.Task) -> em.Unknowns:
    """Slopes from the covariance of each item with the rows' mean score, intercepts from the item's mean."""
    rough = _rough(data, task.curve)
    return em.Unknowns(irf.release(task.curve, _items(rough, task.curve)), *_usual(task.curve, rough.mean.dtype))


def _rough(data: em.Data, curve: irf.Curve) -> _Rough:
    mean, slope = layout.moments(data.cells, data.row_weight, data.item_weight)
    slope = slope / (mean * (1 - mean))
    if curve.positive:
        slope = jnp.clip(slope, 0.2, 3.0)
    if curve.shared_slope:
        slope = jnp.full_like(slope, jnp.sum(slope * data.item_weight) / jnp.sum(data.item_weight))
    return _Rough(mean, slope)


def _items(rough: _Rough, curve: irf.Curve) -> irf.Items:
    """Items that differ in how they turn from the first dimension to the others."""
    mean, slope = rough
    number, dim = (jnp.arange(*ends, dtype=slope.dtype) for ends in ((1, len(slope) + 1), (curve.dims,)))
    twist = jnp.cos(2.399 * jnp.outer(number, dim))
    return irf.Items(
        slope=slope[:, None] * jnp.where(jnp.arange(curve.dims)[None, :] == 0, 1, 0.5 * twist),
        intercept=jnp.log(mean) - jnp.log1p(-mean),
        floor=jnp.full_like(mean, float(expit(USUAL["floor"][0]))),
        ceiling=jnp.full_like(mean, 0.97),
    )


def _usual(curve: irf.Curve, dtype: jnp.dtype) -> tuple[Array, Array]:
    """(width,) mean and log sd of the items' prior, before any is learned."""
    usual = [USUAL["slope"]] * curve.dims + [USUAL["intercept"]]
    usual += [USUAL["floor"]] * curve.floor + [USUAL["ceiling"]] * curve.ceiling
    centre, sd = jnp.asarray(usual, dtype).T
    if curve.positive or curve.dims > 1:
        centre = centre.at[: curve.dims].set(0.0)
    return centre, jnp.log(sd)


def _abilities(data: em.Data, counts: em.Expected) -> tuple[Array, Array]:
    """(rows, dims) mean and (rows, dims, dims) covariance of each row's posterior over the nodes."""
    dims = data.nodes.shape[1]
    mean = counts.mass @ data.nodes
    square = (data.nodes[:, :, None] * data.nodes[:, None, :]).reshape(len(data.nodes), -1)
    return mean, (counts.mass @ square).reshape(-1, dims, dims) - mean[:, :, None] * mean[:, None, :]


def _covariance(data: em.Data, task: em.Task, now: em.Unknowns, counts: em.Expected) -> Array:
    """(items, width, width) of what people read, by the delta method."""
    free_cov = _free_covariance(data, task, now, counts)
    jacobian = jax.vmap(jax.jacfwd(functools.partial(_readable, task.curve)))(now.free)
    half = jnp.sum(jacobian[:, :, :, None] * free_cov[:, None, :, :], 2)
    return jnp.sum(half[:, :, None, :] * jacobian[:, None, :, :], 3)


def _free_covariance(data: em.Data, task: em.Task, now: em.Unknowns, counts: em.Expected) -> Array:
    """Covariance of the free coordinates, exact for few items; a shared slope counts as known."""
    curve, prior = task.curve, em.item_prior(task, data, now)
    if curve.shared_slope:
        prior = prior._replace(precision=prior.precision.at[: curve.dims].set(1e6))
    if now.free.size <= uncertainty.FEW:
        return uncertainty.proper(uncertainty.few_item_covariance(curve, data, now.free, counts, prior), prior)
    covered = data.row_weight @ counts.mass
    found = uncertainty.item_covariance(curve, now.free, counts.right, counts.asked, data.nodes, covered, prior)
    return uncertainty.proper(found, prior)


def _readable(curve: irf.Curve, free: Array) -> Array:
    """Free coordinates -> (slope, intercept, [floor, [ceiling]]) of one item."""
    item = irf.constrain(curve, free)
    parts = [item.slope, item.intercept[None]] + [item.floor[None]] * curve.floor + [item.ceiling[None]] * curve.ceiling
    return jnp.concatenate(parts)
