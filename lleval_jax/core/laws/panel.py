"""Scores of models on domains of versions of a benchmark, as one normal process on the logit scale.

A cell is a domain of a version. The logit of the score of model m in cell c = (version v, domain d) is

    z_mc = sum_k basis_mk shift_kc + ability_m + affinity_md + drift_mv + own_mc + noise,

where basis_m0 = 1, basis_m1 is the model's mean logit, standardised, so that a line in the scores before is a special
case, and basis_m2.. are the loadings of the model's answers on what all answers have in common (`linalg.factors`): new
items are a new draw of items, their factors have another mean, and each model's score moves by its loadings times that.
So a shift of the version is no constant: models near the floor or the ceiling, and kin, move as their answers to old
items say. This is a factor model of items, those of each version and domain drawn around a mean of their own; the
Rasch model has one factor and all loadings alike. Each shift is normal over cells with parts that all cells, the cells
of a version and those of a domain share, and one of its own. A model's drift has a part that passes and one that
stays, scaled by the model's own `spread`, which has an inverse gamma prior: a model that has drifted before is
expected to drift again, and its drift has a Student t distribution.

Given the sizes of these parts all is normal. The sizes and spreads maximise the evidence times their prior. Models
are independent given the shifts, so no matrix is larger than cells, or basis times cells, squared. The number
type is that of the panel.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.stats import norm

from lleval_jax.core.linalg.normal import log_normal
from lleval_jax.core.linalg.sweep import inverse
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array

FREEDOM = 4.0  # of the t distribution of drifts, before any is seen
PARTS = ("ability", "affinity", "passing drift", "lasting drift", "own")  # of a model
SHIFTS = ("all", "version", "domain", "own")  # of a shift
# Likeliest sizes before anything is seen, in logits, and the sd of their logs.
MODEL = (0.8, 0.15, 0.05, 0.05, 0.05)
COMMON = (1.0, 0.2, 0.2, 0.1)  # shifts of all models alike
LOADED = (0.1, 0.2, 0.1, 0.05)  # of a slope, or of a factor's mean in standard deviations of items
MODEL_SD = (0.5, 0.5, 0.85, 0.85, 0.5)  # drifts and shifts differ more from one benchmark to the next
SHIFT_SD = 0.85


class Panel(NamedTuple):
    """What is known: cells in the order of versions.

    logit    (models, cells)  of the share of right answers
    noise    (models, cells)  its sampling variance
    seen     (models, cells)
    version  (cells,)         whole numbers from 0
    domain   (cells,)
    basis    (models, width)
    """

    logit: Array
    noise: Array
    seen: Array
    version: Array
    domain: Array
    basis: Array


class Sizes(NamedTuple):
    """Logs of standard deviations: model (`PARTS`,), shift (width, `SHIFTS`); spread (models,) log of a variance."""

    model: Array
    shift: Array
    spread: Array


class Prior(NamedTuple):
    """Of sizes: where they are likeliest, and the sds of the logs of the model's and the shifts'."""

    mode: Sizes
    model_sd: Array
    shift_sd: Array


class Params(NamedTuple):
    """All unknowns.

    shift  (width, cells)   of each column of the basis
    own    (models, cells)  ability, affinity, drift and the cell's own part together
    sizes  of the parts that both are made of
    """

    shift: Array
    own: Array
    sizes: Sizes


class Posterior(NamedTuple):
    """Of logits without sampling noise.

    mean     (models, cells)
    own      (models, cells, cells)    covariance of what is the model's alone
    design   (models, cells, shifts)   how the unknown shifts enter, basis x cells of them
    shifts   (shifts, shifts)          their covariance
    """

    mean: Array
    own: Array
    design: Array
    shifts: Array


def before(models: int, width: int, dtype: Any = float) -> Prior:
    """What is believed of sizes beforehand, and where the search starts."""
    shift = np.log(np.array([COMMON] + [LOADED] * (width - 1)))
    mode = Sizes(jnp.asarray(np.log(MODEL), dtype), jnp.asarray(shift, dtype), jnp.zeros(models, dtype))
    return Prior(mode, jnp.asarray(MODEL_SD, dtype), jnp.full(shift.shape, SHIFT_SD, dtype))


def log_prior(sizes: Sizes, prior: Prior) -> Array:
    """Of sizes, up to a constant: log normal, the spreads inverse gamma."""
    model = jnp.sum(((sizes.model - prior.mode.model) / prior.model_sd) ** 2)
    shift = jnp.sum(((sizes.shift - prior.mode.shift) / prior.shift_sd) ** 2)
    return -0.5 * (model + shift + FREEDOM * jnp.sum(sizes.spread + jnp.exp(-sizes.spread) - 1))


def prior_information(sizes: Sizes, prior: Prior) -> Array:
    """(sizes,) minus the second derivatives of `log_prior`, which has none across sizes."""
    spread = FREEDOM / 2 * jnp.exp(-sizes.spread)
    return jnp.concatenate([prior.model_sd**-2, prior.shift_sd.ravel() ** -2, spread])


@full_precision
def log_joint(params: Params, panel: Panel, prior: Prior) -> Array:
    """Log joint density of logits, shifts, models' own parts and sizes.

        logit_mc | shift, own ~ N(basis_m . shift_c + own_mc, noise_mc)   where seen
        shift_k ~ N(0, shift covariance of `sizes.shift`_k over cells)
        own_m ~ N(0, covariance of ability, affinity, drifts and own part over cells)
        sizes.model, sizes.shift ~ N(prior.mode, prior sd^2),   exp(sizes.spread_m) ~ InverseGamma(2, 2)

    With shifts and own parts integrated out it is `log_evidence` less log(2 pi) / 2 for each logit seen.
    """
    shift, own, sizes = params
    spread = FREEDOM / 2 * math.log(FREEDOM / 2) - math.lgamma(FREEDOM / 2) - FREEDOM / 2
    sds = jnp.concatenate([prior.model_sd, prior.shift_sd.ravel()])
    constant = len(sizes.spread) * spread - jnp.sum(jnp.log(sds)) - 0.5 * len(sds) * math.log(2 * math.pi)
    effects = log_normal(shift, of_shifts(sizes, panel)) + log_normal(own, of_models(sizes, panel))
    answers = jnp.sum(log_likelihood(panel.basis @ shift + own, panel))
    return answers + effects + log_prior(sizes, prior) + constant


def log_likelihood(mean: Array, panel: Panel) -> Array:
    """(models, cells) log density of the logits of right answers, given what they tend to; 0 where not seen."""
    sd = jnp.sqrt(jnp.where(panel.seen, panel.noise, 1))
    return jnp.where(panel.seen, norm.logpdf(panel.logit, mean, sd), 0)


@full_precision
def log_evidence(sizes: Sizes, panel: Panel) -> Array:
    """Log marginal density of the logits, up to a constant."""
    return _density(_blocks(sizes, panel))


@full_precision
def posterior(sizes: Sizes, panel: Panel) -> Posterior:
    """Of every model in every cell, seen or not."""
    cov, known = of_models(sizes, panel), _known(_blocks(sizes, panel))
    models, cells, width = len(cov), len(panel.version), panel.basis.shape[1]
    gain = cov @ known.weight[:models]
    mean = panel.basis @ known.mean + jnp.einsum("mcd,md->mc", cov, known.pull[:models])
    kept = jnp.eye(cells, dtype=gain.dtype)[None] - gain
    design = jnp.einsum("mcd,mk->mckd", kept, panel.basis).reshape(models, cells, width * cells)
    return Posterior(mean, cov - gain @ cov, design, known.shifts.reshape(width * cells, width * cells))


@full_precision
def effects(sizes: Sizes, panel: Panel) -> tuple[Array, Array]:
    """Posterior means of `Params.shift` (width, cells) and `Params.own` (models, cells)."""
    known = _known(_blocks(sizes, panel))
    pull = known.pull[: len(panel.basis)]
    return known.mean, jnp.einsum("mcd,md->mc", of_models(sizes, panel), pull)


@full_precision
def information(sizes: Sizes, panel: Panel) -> Array:
    """(sizes, sizes) mean of the observed and the expected information on the model's sizes, the shifts', the spreads.

    With S the covariance of all logits y and D its derivative by a size it is (D_i a)' S^-1 D_j a / 2, a = S^-1 y:
    never negative, and it takes no more than a gradient (Johnson & Thompson 1995, J. Dairy Sci. 78:449).
    """
    flat, whole = ravel_pytree(sizes)
    known = _known(_blocks(sizes, panel))
    push = jax.jacfwd(lambda x: jnp.einsum("bcd,bd->bc", _blocks(whole(x), panel).cov, known.pull))(flat)
    weighed = jnp.einsum("bcd,bds->bcs", known.weight, push)
    message = jnp.einsum("bk,bcs->kcs", known.basis, weighed)
    explained = jnp.einsum("bcs,bct->st", push, weighed) - jnp.einsum(
        "kcs,kcld,ldt->st", message, known.shifts, message
    )
    return explained / 2


class _Blocks(NamedTuple):
    """Logits by model; then shifts as more models, each moved by its own shift alone and seen to be 0.

    So what is believed of shifts beforehand needs no words of its own: the shifts themselves are free.

    cov    (blocks, cells, cells)  with sampling noise, shifts apart; one where nothing is seen
    seen   (blocks, cells)
    logit  (blocks, cells)         0 where not seen
    basis  (blocks, width)
    """

    cov: Array
    seen: Array
    logit: Array
    basis: Array


class _Known(NamedTuple):
    """What blocks tell of shifts.

    weight        (blocks, cells, cells)        inverse of `cov`; 0 where not seen
    mean          (width, cells)                of shifts
    shifts        (width, cells, width, cells)  their covariance
    pull          (blocks, cells)               weight times what shifts leave of the logits
    basis         (blocks, width)
    log_evidence  ()
    """

    weight: Array
    mean: Array
    shifts: Array
    pull: Array
    basis: Array
    log_evidence: Array


def _blocks(sizes: Sizes, panel: Panel) -> _Blocks:
    cells, width, dtype = len(panel.version), panel.basis.shape[1], panel.logit.dtype
    both = panel.seen[:, :, None] & panel.seen[:, None, :]
    noise = jnp.eye(cells, dtype=dtype)[None] * jnp.where(panel.seen, panel.noise, 1)[:, :, None]
    cov = jnp.where(both, of_models(sizes, panel), 0) + noise
    return _Blocks(
        cov=jnp.concatenate([cov, of_shifts(sizes, panel)]),
        seen=jnp.concatenate([panel.seen, jnp.ones((width, cells), bool)]),
        logit=jnp.concatenate([jnp.where(panel.seen, panel.logit, 0), jnp.zeros((width, cells), dtype)]),
        basis=jnp.concatenate([panel.basis, jnp.eye(width, dtype=dtype)]),
    )


def _known(blocks: _Blocks) -> _Known:
    width, cells = blocks.basis.shape[1], blocks.cov.shape[1]
    found, log_det = jax.vmap(inverse)(blocks.cov)
    weight = jnp.where(blocks.seen[:, :, None] & blocks.seen[:, None, :], found, 0)
    shifts, log_after = inverse(_on_shifts(blocks.basis, weight))
    pull = jnp.einsum("bcd,bd->bc", weight, blocks.logit)
    toward = (blocks.basis.T @ pull).ravel()
    mean = shifts @ toward
    fit = jnp.sum(blocks.logit * pull) - toward @ mean + jnp.sum(log_det) + log_after
    mean = mean.reshape(width, cells)
    pull = pull - jnp.einsum("bcd,bd->bc", weight, blocks.basis @ mean)
    return _Known(weight, mean, shifts.reshape(width, cells, width, cells), pull, blocks.basis, -0.5 * fit)


def _on_shifts(basis: Array, weight: Array) -> Array:
    """(width x cells, the same) what blocks' weights on logits are on shifts."""
    message = jnp.einsum("bk,bl,bcd->kcld", basis, basis, weight)
    return message.reshape(message.shape[0] * message.shape[1], -1)


def _moved(known: _Known) -> Array:
    """(blocks, cells, cells) covariance of logits by the shifts that are not known."""
    return jnp.einsum("bk,bl,kcld->bcd", known.basis, known.basis, known.shifts)


@jax.custom_vjp
def _density(blocks: _Blocks) -> Array:
    """The log evidence, its derivatives in closed form: they need no inverse but those that it needs itself."""
    return _known(blocks).log_evidence


@full_precision
def _density_told(blocks: _Blocks) -> tuple[Array, _Known]:
    known = _known(blocks)
    return known.log_evidence, known


@full_precision
def _density_slopes(known: _Known, by: Array) -> tuple[_Blocks]:
    basis = known.pull @ known.mean.T - jnp.einsum("bl,kcld,bcd->bk", known.basis, known.shifts, known.weight)
    return (_Blocks(by * _by_cov(known), None, -by * known.pull, by * basis),)  # pyright: ignore[reportArgumentType]


def _by_cov(known: _Known) -> Array:
    """(blocks, cells, cells) derivative of the log evidence by covariances; Rasmussen & Williams (2006), eq. 5.9."""
    weight, pull = known.weight, known.pull
    return (pull[:, :, None] * pull[:, None, :] + weight @ _moved(known) @ weight - weight) / 2


_density.defvjp(_density_told, _density_slopes)


def of_models(sizes: Sizes, panel: Panel) -> Array:
    """(models, cells, cells) covariance of what is a model's own."""
    ability, affinity, passing, lasting, own = jnp.exp(2 * sizes.model)
    version, domain, alone = _same(panel)
    after_first = jnp.minimum(panel.version[:, None], panel.version[None, :]).astype(alone.dtype)
    drift = jnp.exp(sizes.spread)[:, None, None] * (passing * version + lasting * after_first)[None]
    return (ability + affinity * domain + own * alone)[None] + drift


def of_shifts(sizes: Sizes, panel: Panel) -> Array:
    """(width, cells, cells) covariance of each shift over cells."""
    return jnp.einsum("kp,pcd->kcd", jnp.exp(2 * sizes.shift), _parts_of_shifts(panel))


def _parts_of_shifts(panel: Panel) -> Array:
    """(`SHIFTS`, cells, cells) which cells have a part of a shift in common."""
    version, domain, alone = _same(panel)
    return jnp.stack([jnp.ones_like(alone), version, domain, alone])


def _same(panel: Panel) -> tuple[Array, Array, Array]:
    """(cells, cells) whether two cells are of one version, of one domain, one."""
    version = panel.version[:, None] == panel.version[None, :]
    domain = panel.domain[:, None] == panel.domain[None, :]
    dtype = panel.logit.dtype
    return version.astype(dtype), domain.astype(dtype), jnp.eye(len(panel.version), dtype=dtype)
