"""How well a fit predicts answers that it has not seen: the log density of each, abilities integrated out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import kinds
from lleval_jax.core.precision import jit
from lleval_jax.layout.answers import NEUTRAL, columns
from lleval_jax.types import Array
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult

NODES = 15


def log_density(fit: FitResult[IrtParams], *, answers: Responses) -> np.ndarray:
    """(rows, items) log predictive density of each answer, 0 where there is none.

    Args:
        fit: from `irt.fit`, of one ability, with the same rows and items.
        answers: those that the fit has not seen. A probability for graded answers, a density for continuous ones.

    Each row's ability is normal, as the fit found it; the items' parameters are taken as known.
    """
    p, out = fit.params, np.zeros(answers.scores.shape)
    names = ("bernoulli",) * len(fit.items) if p.answers is None else p.answers.of_items
    where = columns(names)
    for kind, index in zip(where.kinds, where.index, strict=True):
        seen = answers.seen[:, index]
        shape = np.zeros((len(index), 0)) if p.answers is None else p.answers.shape[index][:, : kind.shapes]
        parts = np.where(seen, answers.scores[:, index], NEUTRAL), np.where(seen, answers.weight[:, index], 1)
        items = p.slope[index, 0], p.intercept[index], shape
        rows = p.ability[:, 0], np.sqrt(np.maximum(p.ability_cov[:, 0, 0], 0))
        found = _log_density(*(jnp.asarray(x, jnp.float32) for x in (*rows, *items, *parts)), kind=kind)
        out[:, index] = np.where(seen, np.asarray(found), 0)
    return out


@functools.partial(jit, static_argnames="kind")
def _log_density(
    ability: Array,
    sd: Array,
    slope: Array,
    intercept: Array,
    shape: Array,
    score: Array,
    weight: Array,
    kind: kinds.Kind,
) -> Array:
    node, share = (jnp.asarray(x, ability.dtype) for x in np.polynomial.hermite_e.hermegauss(NODES))

    def cell(mean: Array, sd: Array, a: Array, b: Array, s: Array, y: Array, w: Array) -> Array:
        z = a * (mean + sd * node) + b
        each = jax.vmap(kinds.log_density, (None, None, None, 0, None))(kind, y, w, z, s)
        return jax.nn.logsumexp(each, b=share / jnp.sum(share))

    of_row = jax.vmap(cell, (None, None, 0, 0, 0, 0, 0))
    return jax.vmap(of_row, (0, 0, None, None, None, 0, 0))(ability, sd, slope, intercept, shape, score, weight)
