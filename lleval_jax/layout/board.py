"""A learned scaling law as arrays, and the models it was learned from laid out by lineage (`core/laws/pooled.py`)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.laws import pooled
from lleval_jax.core.laws.pooled import At, Law, Rows, Slopes
from lleval_jax.values.results import FitResult, Source

MIDDLE = 7e9, 2e12  # parameters and tokens of an average model
SIZE_SD = 1.3  # of the log of parameters


class SlothParams(NamedTuple):
    """A law and the leaderboard it was learned from.

    loading        (benchmarks, skills)   how much of each skill a benchmark asks
    shared, own    (effects,)  log sds of effects through the skills and beside them; `INPUTS`, then `NESTED`
    noise          (benchmarks,)  log sd of a score around the law
    centre         (benchmarks,)  logit of an average model
    bend           (benchmarks,)  of the link: log slope far below zero
    floor          (benchmarks,)  score of guessing
    size, tokens   (rows,)  counts
    instruct       (rows,)  whether tuned to follow instructions
    score, seen    (rows, benchmarks)  in [0, 1], and whether known
    logit, worth   (rows, benchmarks)  posterior mean, and how much the score counts (1: as a normal one)
    slope          (inputs x (skills + benchmarks),)  posterior mean of slopes that all share; through skills, beside
    slope_cov      the same, squared
    """

    loading: np.ndarray
    shared: np.ndarray
    own: np.ndarray
    noise: np.ndarray
    centre: np.ndarray
    bend: np.ndarray
    floor: np.ndarray
    size: np.ndarray
    tokens: np.ndarray
    instruct: np.ndarray
    score: np.ndarray
    seen: np.ndarray
    logit: np.ndarray
    worth: np.ndarray
    slope: np.ndarray
    slope_cov: np.ndarray


def inputs(params: np.ndarray, tokens: np.ndarray, instruct: np.ndarray) -> np.ndarray:
    """(models, inputs) those of `core.laws.pooled.INPUTS`, standardised, from counts."""
    size, tokens, tuned = np.log(params / MIDDLE[0]) / SIZE_SD, np.log(tokens / MIDDLE[1]), np.asarray(instruct, float)
    return np.stack([size, tokens, size * tokens, size**2, tuned, tuned * size], 1)


def codes(names: Sequence[str] | np.ndarray) -> np.ndarray:
    """Whole numbers, the same for the same name."""
    return np.unique(np.asarray(names, object), return_inverse=True)[1]


def law_of(p: SlothParams) -> Law:
    """What is learned beside the effects."""
    return Law(*map(jnp.asarray, p[: len(Law._fields)]))


def slopes_of(p: SlothParams) -> Slopes:
    """What all models share."""
    return Slopes(jnp.asarray(p.slope), jnp.asarray(p.slope_cov))


def known(fit: FitResult[SlothParams]) -> tuple[Rows, np.ndarray, At]:
    """The models a law was learned from, where each lies, and where the link is linear."""
    p = fit.params
    family, lineage = codes(fit.settings["families"]), codes(fit.settings["lineages"])
    rows, where = pooled.layout(inputs(p.size, p.tokens, p.instruct), family, lineage, p.score, p.seen)
    return rows, where, placed(rows, where, p.logit, p.worth)


def placed(rows: Rows, where: np.ndarray, logit: np.ndarray, worth: np.ndarray) -> At:
    """(models, benchmarks) put where the models lie; ones elsewhere, which nothing depends on."""
    put = np.ones((2, *rows.score.shape))
    put[:, *where.T] = logit, worth
    return At(*map(jnp.asarray, put))


def facts(law: FitResult[SlothParams]) -> dict[str, Any]:
    """What a fit that rests on a law keeps of it in its settings, beside the arrays: see `again`."""
    plain = {name: getattr(law, name) for name in ("loglik", "steps", "status", "method", "settings")}
    return plain | {"models": list(law.rows), "benchmarks": list(law.items)}


def again(params: SlothParams, facts: dict[str, Any], source: Source) -> FitResult[SlothParams]:
    """The law, from its arrays and `facts`."""
    models, benchmarks = tuple(facts["models"]), tuple(facts["benchmarks"])
    return FitResult(
        params=params,
        covariance=np.zeros((len(benchmarks), 0, 0)),
        rows=models,
        items=benchmarks,
        group=np.arange(len(benchmarks)),
        groups=benchmarks,
        n_seen=params.seen.sum(1),
        source=source,
        **{name: facts[name] for name in ("loglik", "steps", "status", "method", "settings")},
    )
