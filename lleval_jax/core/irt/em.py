"""Marginal maximum likelihood by EM (Bock & Aitkin 1981), with abilities integrated over fixed nodes.

    E:  log P(answers of row r | node q)  and the expected counts, each a matrix product over all cells
    M:  two Fisher scoring steps on each item's own few parameters

Two things make it fit for LLM data, where a model answers thousands of items. The ability's scale and place are
refreshed in each step by parameter expansion (Liu, Rubin & Wu 1998), without which plain EM crawls. And a posterior
that is narrower than the spacing of the nodes does not snap to one of them: its mean and variance, from the
values at the best nodes, are kept by the weights given to the nodes around it.

One EM step is a map from parameters to parameters; `core.solvers.anderson` accelerates it on the one loop.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.irt import irf, likelihood
from lleval_jax.core.irt.cells import Cells
from lleval_jax.core.irt.likelihood import Prior
from lleval_jax.core.linalg import small
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

LONGEST = 1.0  # of one scoring step, in units of the free coordinates
# In node spacings: above the second the sum over nodes is exact to 1e-4, below the first moments are kept instead.
NARROW = (0.5, 0.75)


class Unknowns(NamedTuple):
    """What EM moves.

    free     (items, width)  unconstrained item parameters
    mean     (width,)        of the prior, learned if `Task.learn`
    log_sd   (width,)
    """

    free: Array
    mean: Array
    log_sd: Array


class Data(NamedTuple):
    """What EM holds fixed.

    nodes        (nodes, dims)
    log_weight   (nodes,)
    row_weight   (rows,)   how often a row counts: 1, bootstrap counts, 0 for padding
    item_weight  (items,)  1, or 0 for padding
    """

    cells: Cells
    nodes: Array
    log_weight: Array
    row_weight: Array
    item_weight: Array


@dataclasses.dataclass(frozen=True)
class Task:
    """Settings of a marginal fit.

    moments  narrow posteriors keep their moments; without it the nodes are the ability's whole distribution, the
             definition by which other programs report a likelihood
    learn   the item prior's mean and spread are learned from the items themselves (empirical Bayes)
    prior   otherwise: (mean, sd) of each free coordinate; an infinite sd is no prior
    """

    curve: irf.Curve
    learn: bool = True
    prior: tuple[tuple[float, float], ...] = ()
    scoring_steps: int = 2
    moments: bool = True

    @property
    def expands(self) -> bool:
        """Whether the ability's scale can be folded into the items: no fixed prior, no fixed nodes."""
        return self.moments and (self.learn or all(math.isinf(sd) for _, sd in self.prior))


class Expected(NamedTuple):
    """Posterior of the rows over the nodes, and the counts it gives.

    loglik  (rows,)          marginal log likelihood of each row
    mass    (rows, nodes)    posterior
    right   (items, nodes)   expected score at each node
    asked   (items, nodes)   expected answers at each node
    """

    loglik: Array
    mass: Array
    right: Array
    asked: Array


@full_precision
def expect(curve: irf.Curve, data: Data, free: Float[Array, "items width"], moments: bool = True) -> Expected:
    """E step."""
    at = likelihood.at_nodes(curve, data.cells, irf.constrain(curve, free), data.nodes) + data.log_weight[None, :]
    loglik = jax.nn.logsumexp(at, axis=1)
    mass = jnp.exp(at - loglik[:, None])
    if curve.dims == 1 and moments:
        loglik, mass = _keep_moments(at, loglik, mass, data.nodes[:, 0])
    right, asked = data.cells.over_rows(mass * data.row_weight[:, None])
    return Expected(loglik, mass, right, asked)


def _keep_moments(at: Array, loglik: Array, mass: Array, nodes: Array) -> tuple[Array, Array]:
    """Replace the posterior of rows narrower than about half a node spacing by four weights that keep its moments.

    The peak lies a fraction f of the way between two nodes, where the central differences change sign. Around either
    node, with offset u and variance v in units of the spacing, weights (s - u)/2, 1 - s, (s + u)/2 with s = u^2 + v
    have mean u and second moment s. The two triples are blended by 1 - f and f, so that nothing jumps when a peak
    passes a node: with few rows a jump would keep EM from settling. The log likelihood is Laplace's.
    """
    top = jnp.argmax(at, axis=1)
    inner = jnp.clip(top, 1, len(nodes) - 2)
    before, after = _window(at, inner - 1, 3)[::2]
    first = jnp.clip(jnp.where(after > before, inner, inner - 1), 1, len(nodes) - 3)
    a, b, c, d = _window(at, first - 1, 4)
    slope, slope_next = 0.5 * (c - a), 0.5 * (d - b)
    tiny = jnp.finfo(at.dtype).tiny
    f = jnp.clip(slope / jnp.maximum(slope - slope_next, tiny), 0, 1)
    bend_here, bend_next = 2 * b - a - c, 2 * c - b - d
    bend = jnp.maximum((1 - f) * bend_here + f * bend_next, tiny)
    peak = (1 - f) * (b + slope * f - 0.5 * bend_here * f**2)
    peak += f * (c + slope_next * (f - 1) - 0.5 * bend_next * (f - 1) ** 2)
    place = (jnp.arange(len(nodes))[None, :] - first[:, None]).astype(at.dtype)
    blended = (1 - f)[:, None] * _triple(place, f, 1 / bend) + f[:, None] * _triple(place - 1, f - 1, 1 / bend)
    laplace = peak + 0.5 * jnp.log(2 * jnp.pi / bend)
    wide = jnp.clip((1 / jnp.sqrt(bend) - NARROW[0]) / (NARROW[1] - NARROW[0]), 0, 1)
    return laplace + wide * (loglik - laplace), blended + wide[:, None] * (mass - blended)


def _window(at: Array, start: Array, size: int) -> Array:
    """(size, rows) neighbouring entries of each row."""
    return jnp.take_along_axis(at, start[:, None] + jnp.arange(size)[None, :], axis=1, mode="clip").T


def _triple(place: Array, offset: Array, variance: Array) -> Array:
    """Weights on the nodes at places -1, 0, 1 with the given mean and variance, zero elsewhere.  -> (rows, nodes)."""
    second = (offset**2 + variance)[:, None]
    three = jnp.where(place == 0, 1 - second, 0.5 * (second + place * offset[:, None]))
    return jnp.where(jnp.abs(place) <= 1, three, 0)


def curvature(
    curve: irf.Curve,
    free: Float[Array, " width"],
    right: Float[Array, " nodes"],
    asked: Float[Array, " nodes"],
    nodes: Float[Array, "nodes dims"],
) -> tuple[Float[Array, " width"], Float[Array, "width width"]]:
    """Score vector (width,) and Fisher information (width, width) of one item's free coordinates."""
    s = irf.slant(curve, free, nodes)
    residual = right - asked * s.p
    line = jnp.concatenate([nodes, jnp.ones_like(nodes[:, :1])], axis=1)
    scale = irf.stretch(curve, free)
    pairs = (line[:, :, None] * line[:, None, :]).reshape(len(nodes), -1)
    score = [(residual * s.pull) @ line * scale]
    block = ((asked * s.worth) @ pairs).reshape(len(scale), -1) * scale[:, None] * scale[None, :]
    if not s.extra:
        return score[0], block
    side = jnp.stack([(asked * s.pull * e) @ line * scale for e in s.extra])
    corner = jnp.stack([jnp.stack([jnp.sum(asked * s.inverse * e * f) for f in s.extra]) for e in s.extra])
    score.append(jnp.stack([jnp.sum(residual * s.inverse * e) for e in s.extra]))
    return jnp.concatenate(score), jnp.block([[block, side.T], [side, corner]])


def maximise(
    task: Task, data: Data, prior: Prior, free: Float[Array, "items width"], counts: Expected
) -> tuple[Float[Array, "items width"], Float[Array, "items width width"]]:
    """M step.  -> new free coordinates and their inverse information, (items, width) and (items, width, width)."""
    each = jax.vmap(curvature, in_axes=(None, 0, 0, 0, None))

    def scoring(free: Array, _) -> tuple[Array, Array]:
        score, info = each(task.curve, free, counts.right, counts.asked, data.nodes)
        score = score - prior.precision[None, :] * (free - prior.mean[None, :])
        info = posterior_information(info, prior)
        shared = task.curve.shared_slope
        move = _shared_move(score, info, data.item_weight) if shared else jax.vmap(small.solve)(info, score)
        return free + jnp.clip(move, -LONGEST, LONGEST), info

    free, info = jax.lax.scan(scoring, free, None, length=task.scoring_steps)
    return free, jax.vmap(small.inverse)(info[-1]) if task.learn else info[-1]


def em_map(task: Task, data: Data):
    """The EM step as a map  unknowns -> (next unknowns, objective at unknowns)  for `core.solvers.loop`.

    The objective is the marginal log likelihood plus the log prior; where the prior is learned it is the Laplace
    evidence of its mean and spread instead, so that a narrower prior is not rewarded for itself.
    """

    @full_precision
    def step(now: Unknowns) -> tuple[Unknowns, Array]:
        prior = item_prior(task, data, now)
        counts = expect(task.curve, data, now.free, task.moments)
        free, spread = maximise(task, data, prior, now.free, counts)
        value = likelihood.accurate_sum(data.row_weight * counts.loglik)
        density = jax.vmap(likelihood.log_prior, in_axes=(None, 0))(prior, now.free)
        value += jnp.sum(data.item_weight * density)
        if not task.learn:
            after = Unknowns(free, now.mean, now.log_sd)  # the prior is not used: it must not drift
            return (after._replace(free=_expand(task, data, counts.mass, after).free) if task.expands else after), value
        mean, log_sd = _learn(task, data, now, free, spread)
        after = Unknowns(free, mean, log_sd)
        return (_expand(task, data, counts.mass, after) if task.expands else after), value + _entropy(
            spread, data.item_weight
        )

    return step


def _expand(task: Task, data: Data, mass: Array, now: Unknowns) -> Unknowns:
    """Let abilities have the mean and covariance that the rows show, then fold both into the items (PX-EM)."""
    share = data.row_weight @ mass / jnp.sum(data.row_weight)
    mean = share @ data.nodes
    gap = data.nodes - mean[None, :]
    root = jnp.linalg.cholesky((share[:, None] * gap).T @ gap)
    dims = task.curve.dims
    free, centre, log_sd = now
    if task.curve.positive:
        shift = jnp.exp(free[:, :dims]) @ mean
        slope, centre_slope, log_sd_slope = (
            free[:, :dims] + jnp.log(root[0, 0]),
            centre[0] + jnp.log(root[0, 0]),
            log_sd[0],
        )
        centre_shift = jnp.exp(centre[:dims]) @ mean
    else:
        shift, slope = free[:, :dims] @ mean, free[:, :dims] @ root
        centre_shift, centre_slope = centre[:dims] @ mean, centre[:dims] @ root
        log_sd_slope = log_sd[:dims] + jnp.log(jnp.diagonal(root))
    free = free.at[:, :dims].set(slope).at[:, dims].add(shift)
    return Unknowns(
        free,
        centre.at[:dims].set(centre_slope).at[dims].add(centre_shift),
        log_sd.at[:dims].set(log_sd_slope),
    )


def posterior_information(info: Float[Array, "items width width"], prior: Prior) -> Float[Array, "items width width"]:
    """Information plus the prior's, and a tiny ridge, so that an item without answers stays where it is."""
    width = info.shape[-1]
    whisper = 1e-7 * (1 + jnp.trace(info, axis1=-2, axis2=-1) / width)
    eye = jnp.eye(width, dtype=info.dtype)
    return info + jnp.diag(prior.precision)[None] + whisper[:, None, None] * eye[None]


def item_prior(task: Task, data: Data, now: Unknowns) -> Prior:
    """The prior of one item: learned, or as the task says. That of a shared slope is split over the items."""
    if task.learn:
        return Prior(now.mean, jnp.exp(-2 * now.log_sd))
    mean, sd = jnp.asarray(task.prior, now.free.dtype).T
    share = jnp.ones_like(sd).at[: task.curve.dims].set(1 / jnp.sum(data.item_weight))
    return Prior(mean, (share if task.curve.shared_slope else 1) / sd**2)


def _learn(task: Task, data: Data, now: Unknowns, free: Array, spread: Array) -> tuple[Array, Array]:
    """Mean and log spread of the items' parameters: posterior moments, with a weak pull to what is usual."""
    w = data.item_weight[:, None]
    count = jnp.sum(w)
    mean = jnp.sum(w * free, 0) / count
    second = jnp.sum(w * ((free - mean[None, :]) ** 2 + jnp.diagonal(spread, axis1=1, axis2=2)), 0)
    usual, worth = 1.0, 2.0  # a prior that the spread is 1, worth two items
    log_sd = 0.5 * jnp.log((second + worth * usual) / (count + worth))
    if task.curve.shared_slope:
        held = jnp.arange(len(mean)) < task.curve.dims
        mean, log_sd = jnp.where(held, now.mean, mean), jnp.where(held, now.log_sd, log_sd)
    extra = jnp.arange(len(mean)) > task.curve.dims  # floors and ceilings keep their prior: few items tell of them
    return jnp.where(extra, now.mean, mean), jnp.where(extra, now.log_sd, log_sd)


def _entropy(spread: Array, item_weight: Array) -> Array:
    sign, logdet = jnp.linalg.slogdet(spread) if spread.shape[-1] > 2 else (None, _logdet_small(spread))
    return 0.5 * jnp.sum(item_weight * logdet)


def _logdet_small(m: Array) -> Array:
    if m.shape[-1] == 1:
        return jnp.log(m[..., 0, 0])
    return jnp.log(jnp.maximum(m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] ** 2, jnp.finfo(m.dtype).tiny))


def _shared_move(score: Array, info: Array, item_weight: Array) -> Array:
    """Scoring step when all items share one slope: the intercepts are eliminated item by item."""
    slope_score, own_score = score[:, 0], score[:, 1]
    cross, own = info[:, 0, 1], info[:, 1, 1]
    w = item_weight
    rest = jnp.sum(w * (slope_score - cross / own * own_score))
    slope = rest / jnp.sum(w * (info[:, 0, 0] - cross**2 / own))
    return jnp.stack([jnp.broadcast_to(slope, own.shape), (own_score - cross * slope) / own], axis=1)
