"""Scores of models on domains of versions of a benchmark, as one normal process on the logit scale.

A cell is a domain of a version. The logit of the score of model m in cell c = (version v, domain d) is

    z_mc = sum_k basis_mk shift_kc + ability_m + affinity_md + drift_mv + own_mc + noise,

where basis_m0 = 1, basis_m1 is the model's mean logit, standardised, so that a line in the scores before is a special
case, and basis_m2.. are the loadings of the model's answers on what all answers have in common (`core.factors`): new
items are a new draw of items, their factors have another mean, and each model's score moves by its loadings times that.
So a shift of the version is no constant: models near the floor or the ceiling, and kin, move as their answers to old
items say. This is a factor model of items, those of each version and domain drawn around a mean of their own; the
Rasch model has one factor and all loadings alike. Each shift is normal over cells with parts that all cells, the cells
of a version and those of a domain share, and one of its own. A model's drift has a part that passes and one that
stays, scaled by the model's own `spread`, which has an inverse gamma prior: a model that has drifted before is
expected to drift again, and its drift has a Student t distribution.

Given the sizes of these parts all is normal. The sizes and spreads maximise the evidence times their prior. Models
are independent given the shifts, so no matrix is larger than cells, or basis times cells, squared. Float64: call
inside `jax.enable_x64(True)`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.pooled_law import inverse
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array

FREEDOM = 4.0  # of the t distribution of drifts, before any is seen
PARTS = ("ability", "affinity", "passing drift", "lasting drift", "own")  # of a model
SHIFTS = ("all", "version", "domain", "own")  # of a shift
# Likeliest sizes before anything is seen, in logits, and the sd of their logs.
MODEL = (0.8, 0.15, 0.05, 0.05, 0.05)
COMMON = (1.0, 0.2, 0.2, 0.1)  # shifts of all models alike
LOADED = (0.1, 0.2, 0.1, 0.05)  # of a slope, or of a factor's mean in standard deviations of items
MODEL_SD = (0.5, 0.5, 1.0, 1.0, 0.5)  # little is known of drifts before any is seen
SHIFT_SD = 1.0


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
    """Of sizes: where they are likeliest, and the sds of their logs, of which `spread` is not used."""

    mode: Sizes
    sd: Sizes


class Posterior(NamedTuple):
    """Of logits without sampling noise.

    mean     (models, cells)
    own      (models, cells, cells)    covariance of what is the model's alone
    way      (models, cells, shifts)   how the unknown shifts enter, basis x cells of them
    shared   (shifts, shifts)          their covariance
    """

    mean: Array
    own: Array
    way: Array
    shared: Array


def before(models: int, width: int) -> Prior:
    """What is believed of sizes beforehand, and where the search starts."""
    shift = np.log(np.array([COMMON] + [LOADED] * (width - 1)))
    mode = Sizes(jnp.asarray(np.log(MODEL)), jnp.asarray(shift), jnp.zeros(models))
    return Prior(mode, Sizes(jnp.asarray(np.array(MODEL_SD)), jnp.full(shift.shape, SHIFT_SD), jnp.ones(models)))


def log_prior(sizes: Sizes, prior: Prior) -> Array:
    """Of sizes, up to a constant: log normal, the spreads inverse gamma."""
    away = [((now - mode) / sd) ** 2 for now, mode, sd in zip(sizes, *prior, strict=True)][:2]
    return -0.5 * (jnp.sum(away[0]) + jnp.sum(away[1]) + FREEDOM * jnp.sum(sizes.spread + jnp.exp(-sizes.spread) - 1))


class _Given(NamedTuple):
    """Pieces that the evidence and the posterior share; `weight` is the inverse covariance of a model's logits."""

    cov: Array
    weight: Array
    shifts: Array
    mean: Array
    log_evidence: Array


@full_precision
def log_evidence(sizes: Sizes, panel: Panel) -> Array:
    """Log marginal density of the logits, up to a constant."""
    return _given(sizes, panel).log_evidence


@full_precision
def posterior(sizes: Sizes, panel: Panel) -> Posterior:
    """Of every model in every cell, seen or not."""
    given = _given(sizes, panel)
    cells, width = len(panel.version), panel.basis.shape[1]
    mean = given.mean.reshape(width, cells)
    common = panel.basis @ mean
    rest = jnp.where(panel.seen, panel.logit - common, 0)
    gain = given.cov @ given.weight
    own = given.cov - gain @ given.cov
    kept = jnp.eye(cells)[None] - gain
    way = jnp.einsum("mcd,mk->mckd", kept, panel.basis).reshape(*kept.shape[:2], width * cells)
    return Posterior(common + jnp.einsum("mcd,md->mc", gain, rest), own, way, given.shifts)


def _given(sizes: Sizes, panel: Panel) -> _Given:
    cells, width = len(panel.version), panel.basis.shape[1]
    cov = _of_models(sizes, panel)
    spread = _of_shifts(sizes, panel)
    eye = jnp.eye(cells)
    both = (panel.seen[:, :, None] & panel.seen[:, None, :]).astype(cov.dtype)
    noisy = both * cov + eye[None] * jnp.where(panel.seen, panel.noise, 1)[:, :, None]
    weight, log_det = jax.vmap(inverse)(noisy)
    weight = weight * both
    logit = jnp.where(panel.seen, panel.logit, 0)
    pull = jnp.einsum("mcd,md->mc", weight, logit)
    told = jnp.einsum("mk,mcd,ml->kcld", panel.basis, weight, panel.basis)
    prior, log_prior_det = jax.vmap(inverse)(spread)
    precision = told + jnp.einsum("kcd,kl->kcld", prior, jnp.eye(width))
    shifts, log_after = inverse(precision.reshape(width * cells, width * cells))
    toward = jnp.einsum("mk,mc->kc", panel.basis, pull).reshape(-1)
    mean = shifts @ toward
    fit = jnp.sum(logit * pull) - toward @ mean
    spare = jnp.sum(log_det) + jnp.sum(log_prior_det) + log_after
    return _Given(cov, weight, shifts, mean, -0.5 * (fit + spare))


def _of_models(sizes: Sizes, panel: Panel) -> Array:
    """(models, cells, cells) covariance of what is a model's own."""
    ability, affinity, passing, lasting, own = jnp.exp(2 * sizes.model)
    version, domain, alone = _same(panel)
    after_first = jnp.minimum(panel.version[:, None], panel.version[None, :]).astype(alone.dtype)
    drift = jnp.exp(sizes.spread)[:, None, None] * (passing * version + lasting * after_first)[None]
    return (ability + affinity * domain + own * alone)[None] + drift


def _of_shifts(sizes: Sizes, panel: Panel) -> Array:
    """(width, cells, cells) covariance of each shift over cells."""
    version, domain, alone = _same(panel)
    parts = jnp.stack([jnp.ones_like(alone), version, domain, alone])
    return jnp.einsum("kp,pcd->kcd", jnp.exp(2 * sizes.shift), parts)


def _same(panel: Panel) -> tuple[Array, Array, Array]:
    """(cells, cells) whether two cells are of one version, of one domain, one."""
    version = panel.version[:, None] == panel.version[None, :]
    domain = panel.domain[:, None] == panel.domain[None, :]
    return version.astype(float), domain.astype(float), jnp.eye(len(panel.version))
