"""The joint density of a pooled law (`core.laws.pooled`): of scores, of all effects, and of the law itself."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.stats import norm, t

from lleval_jax.core.laws.pooled import (
    BEND_SD,
    CENTRE_SD,
    FREEDOM,
    INPUTS,
    LOADING_SD,
    NOISE_SD,
    Law,
    Rows,
    link,
    log_prior,
    nested,
)
from lleval_jax.core.linalg.normal import log_normal
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array


class Params(NamedTuple):
    """All unknowns.

    slope   (inputs, skills + benchmarks)  that all share: through each skill, then directly on each benchmark
    skill   (lineages, rows, skills)       of models, slopes apart: lineage, family and model together
    residual  (lineages, rows, benchmarks)   residuals beyond the skills, in logits
    law     Law
    """

    slope: Array
    skill: Array
    residual: Array
    law: Law


@full_precision
def log_joint(
    params: Params, rows: Rows, floor: Array, begin: Law, bends: float | Array = BEND_SD, *, worth: Array | None = None
) -> Array:
    """Log joint density of scores, effects and law.

        y_mj | logit ~ StudentT(FREEDOM, floor_j + (1 - floor_j) sigmoid(h_j(logit_mj)), exp(noise_j))   where seen
        logit_mj = centre_j + (inputs_m . slope_skills + skill_m) . loading_j + inputs_m . slope_j + residual_mj
        slope_xk ~ N(0, shared_x^2),   slope_xj ~ N(0, own_x^2 |loading_j|^2)
        skill_.k ~ N(0, S(shared)),    residual_.j ~ N(0, |loading_j|^2 S(own)),   S over the models of a lineage
        law ~ `log_prior`

    Rows of padding have standard normal effects, so that they add nothing but what integrates to one.

    Args:
        params: unknowns.
        rows: models and scores.
        floor: (benchmarks,)
        begin: what `start` made.
        bends: prior sd of the links' bends.
        worth: (lineages, rows, benchmarks) given, scores are N(.., exp(2 noise) / worth), as in `At`.
    """
    law, length = params.law, jnp.sum(params.law.loading**2, 1)
    answers = jnp.sum(log_likelihood(logits(params, rows), law, rows, floor, worth))
    shared, own = (jnp.exp(x[: len(INPUTS)])[:, None] for x in (law.shared, law.own))
    sd = [shared * jnp.ones((1, law.loading.shape[1])), own * jnp.sqrt(length)[None]]
    slopes = jnp.sum(norm.logpdf(params.slope, 0.0, jnp.concatenate(sd, 1)))
    padding = (1 - rows.real)[:, :, None] * jnp.eye(rows.real.shape[1])[None]
    through, residual = nested(rows, law)
    over_skills = jnp.broadcast_to((through + padding)[:, None], (*params.skill.shape[::2], *through.shape[1:]))
    over_benchmarks = length[None, :, None, None] * residual[:, None] + padding[:, None]
    effects = log_normal(jnp.swapaxes(params.skill, 1, 2), over_skills) + log_normal(
        jnp.swapaxes(params.residual, 1, 2), over_benchmarks
    )
    return answers + slopes + effects + log_prior(law, begin, bends) + _prior_constant(law, bends)


def logits(params: Params, rows: Rows) -> Array:
    """(lineages, rows, benchmarks) by effects and law."""
    law, skills = params.law, params.law.loading.shape[1]
    skill = rows.inputs @ params.slope[:, :skills] + params.skill
    return law.centre[None, None] + skill @ law.loading.T + rows.inputs @ params.slope[:, skills:] + params.residual


def log_likelihood(logit: Array, law: Law, rows: Rows, floor: Array, worth: Array | None = None) -> Array:
    """(lineages, rows, benchmarks) log density of each score; 0 where not seen."""
    score, sd = link(logit, floor, law.bend)[0], jnp.exp(law.noise)[None, None]
    if worth is None:
        return jnp.where(rows.seen, t.logpdf(rows.score, FREEDOM, score, sd), 0)
    return jnp.where(rows.seen, norm.logpdf(rows.score, score, sd / jnp.sqrt(worth)), 0)


def _prior_constant(law: Law, bends: float | Array) -> Array:
    """What `log_prior` leaves out."""
    count = sum(part.size for part in law)
    sds = jnp.broadcast_to(jnp.asarray(bends, law.bend.dtype), law.bend.shape)
    own = law.loading.size * math.log(LOADING_SD) + law.noise.size * math.log(NOISE_SD)
    return -(own + law.centre.size * math.log(CENTRE_SD) + jnp.sum(jnp.log(sds)) + 0.5 * count * math.log(2 * math.pi))
