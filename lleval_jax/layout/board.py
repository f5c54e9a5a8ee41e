"""A learned scaling law as arrays, and the models it was learned from laid out by lineage (`core/laws/pooled.py`)."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.laws import pooled
from lleval_jax.core.laws.pooled import At, Law, Rows, Slopes
from lleval_jax.core.shapes import rung
from lleval_jax.types import Array
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.params import SlothParams, coded
from lleval_jax.values.results import FitResult

MIDDLE = 7e9, 2e12  # parameters and tokens of an average model
SIZE_SD = 1.3  # of the log of parameters


class Board(NamedTuple):
    """A leaderboard as a search takes it.

    rows     models by lineage; padded to a short ladder of sizes
    floor    (benchmarks,)  score of guessing
    rate     (benchmarks,)  mean score above the floor, as a share of what is possible
    bend_sd  ()             of the links' bends, beforehand
    """

    rows: Rows
    floor: Array
    rate: Array
    bend_sd: Array


def lay_out(leaderboard: Leaderboard, bend_sd: float, precision: str = "float64") -> tuple[Board, np.ndarray]:
    """A leaderboard on the device, and where each model lies there: (models, 2) lineage and row."""
    floor, seen = leaderboard.floor, leaderboard.seen
    rows, where = pooled.layout(
        inputs(leaderboard.params, leaderboard.tokens, leaderboard.instruct).astype(precision),
        codes(leaderboard.families),
        codes(leaderboard.lineages),
        leaderboard.scores.astype(precision),
        seen,
        lineages=rung(len(set(leaderboard.lineages))),
    )
    rest = floor, rate(leaderboard.scores, seen, floor), np.asarray(bend_sd)
    return Board(rows, *(jnp.asarray(part, precision) for part in rest)), where


def rate(score: np.ndarray, seen: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """(benchmarks,) mean scores above the floor, as shares of what is possible."""
    mean = np.where(seen, score, 0).sum(0) / seen.sum(0)
    return (mean - floor) / (1 - floor)


def inputs(params: np.ndarray, tokens: np.ndarray, instruct: np.ndarray) -> np.ndarray:
    """(models, inputs) those of `core.laws.pooled.INPUTS`, standardised, from counts."""
    size, tokens, tuned = np.log(params / MIDDLE[0]) / SIZE_SD, np.log(tokens / MIDDLE[1]), np.asarray(instruct, float)
    return np.stack([size, tokens, size * tokens, size**2, tuned, tuned * size], 1)


def codes(names: Sequence[str] | np.ndarray) -> np.ndarray:
    """Whole numbers, the same for the same name."""
    return coded(names)[0]


def law_of(p: SlothParams) -> Law:
    """What is learned apart from the effects."""
    return Law(*map(jnp.asarray, p[: len(Law._fields)]))


def slopes_of(p: SlothParams) -> Slopes:
    """What all models share."""
    return Slopes(jnp.asarray(p.slope), jnp.asarray(p.slope_cov))


def known(fit: FitResult[SlothParams]) -> tuple[Rows, np.ndarray, At]:
    """The models a law was learned from, where each lies, and where the link is linear."""
    p = fit.params
    x, lineages = inputs(p.size, p.tokens, p.instruct), rung(len(np.unique(p.lineage)))
    rows, where = pooled.layout(x, p.family, p.lineage, p.score, p.seen, lineages=lineages)
    return rows, where, placed(rows, where, p.logit, p.worth)


def placed(rows: Rows, where: np.ndarray, logit: np.ndarray, worth: np.ndarray) -> At:
    """(models, benchmarks) put where the models lie; ones elsewhere, which nothing depends on."""
    put = np.ones((2, *rows.score.shape))
    put[:, *where.T] = logit, worth
    return At(*map(jnp.asarray, put))


def leaderboard_of(fit: FitResult[SlothParams]) -> Leaderboard:
    """What a law was learned from."""
    p = fit.params
    return Leaderboard(
        models=fit.rows,
        families=fit.names("families", p.family),
        lineages=fit.names("lineages", p.lineage),
        instruct=p.instruct,
        params=p.size,
        tokens=p.tokens,
        benchmarks=fit.items,
        scores=p.score,
        seen=p.seen,
        floor=p.floor,
    )
