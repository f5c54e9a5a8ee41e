"""Ranks of models, and the chance that each holds, from draws of the scores of all."""

from collections.abc import Sequence

import numpy as np

from lleval_jax.values.ranks import Standing
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate, Source

OUTSIDE = "rank by score outside of the draws"  # status of a rank that draws of the scores do not bear out


def standing(
    rows: Sequence[str],
    mean: np.ndarray,
    drawn: np.ndarray,
    asked: np.ndarray,
    *,
    method: str,
    status: str,
    source: Source,
    level: float,
) -> Standing:
    """The order of models by score, with intervals of ranks and the chance that each rank holds.

    A rank by score that the draws do not bear out, as of a model that is known well below many that are not, has a
    status that says so.

    Args:
        rows: names of the models.
        mean: (models,) their scores.
        drawn: (draws, models) scores, drawn together.
        asked: (models, 1) answers.
        method: that found them, and so are the rest.
        status: of it.
        source: of it.
        level: of the intervals.
    """
    models = len(rows)
    places = 1 + np.argsort(np.argsort(-drawn, 1, kind="stable"), 1, kind="stable")
    chance = np.stack([(places == rank).mean(0) for rank in range(1, models + 1)], 1)
    value = 1 + np.argsort(np.argsort(-mean, kind="stable"), kind="stable")
    low, high = np.quantile(places, (0.5 - level / 2, 0.5 + level / 2), axis=0, method="nearest")
    apart = (value < low) | (value > high)  # many models that are hardly known stand above one that is known well
    low, high, order = np.minimum(low, value), np.maximum(high, value), np.argsort(value)
    estimate = Estimate.crossed(
        rows,
        (WHOLE,),
        [part[:, None] for part in (value, low, high, places.std(0))],
        n_seen=asked,
        status=np.where(apart, OUTSIDE, status)[:, None],
        target="rank",
        method=method,
        level=level,
        source=source,
    )
    return Standing(order, low[order], high[order], estimate, chance, chance[np.arange(models), value - 1])
