"""Each model's score as humans would give it."""

from typing import Literal

import numpy as np
from scipy.stats import t as student

from lleval_jax.errors import require, require_level
from lleval_jax.estimators.judged.pooled import PRIOR, Pooled, aligned, pooled
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Estimate, Source
from lleval_jax.values.sparse import SparseResponses

CITE = ("angelopoulos2023ppi", "angelopoulos2024ppipp")


def estimate(
    judge: Responses | SparseResponses,
    *,
    human: Responses | SparseResponses,
    level: float = 0.95,
    population: Literal["all"] | None = None,
) -> Estimate:
    """The mean of human labels on all answers, from labels of some and a judge's scores of all.

    What is labelled must be a random part of what the judge scored: `choose` draws it. `remark` says how many labels
    alone would have been as good.

    Args:
        judge: scores of the judge.
        human: labels of some of the same answers (`ll.read_labels` reads both).
        level: coverage of the intervals.
        population: None: the score on questions like these; "all": on these questions.

    Raises:
        BadInput: a label of an answer that the judge has not scored; no model with five labels.

    Example:
        >>> import numpy as np
        >>> import lleval_jax as ll
        >>> judge = ll.Responses.build([[0.9, 0.2, 0.8, 0.4, 0.7, 0.1, 0.6, 0.3]], rows=["a"])
        >>> human = ll.Responses.build([[1, 0, 1, 0, 1, 0, np.nan, np.nan]], rows=["a"])
        >>> found = ll.judged.estimate(judge, human=human)
        >>> found.rows, int(found.n_seen[0])
        (('a',), 6)
    """
    require_level(level)
    require(population in (None, "all"), f"population is {population!r}; it is None or 'all'")
    scored, labels = aligned(judge, human)
    found = pooled(scored, labels)
    error = np.sqrt(variance(found, population))
    value = np.clip(found.mean - found.share * found.gap, 0, 1)
    half = student.ppf(0.5 + level / 2, found.labels - 1 + PRIOR) * error
    alone = np.sqrt(found.spread * (1 / found.labels - (1 / found.scored if population else 0)))
    worth = np.where(error > 0, found.labels * (alone / np.maximum(error, 1e-12)) ** 2, found.labels)
    return Estimate(
        target="score as humans give it",
        method="corrected judge" + (", finite population" if population else ""),
        rows=found.rows,
        group=("all",) * len(found.rows),
        value=value,
        low=np.clip(value - half, 0, value),
        high=np.clip(value + half, value, 1),
        level=level,
        std_error=error,
        n_seen=found.labels.astype(int),
        status=("ok",) * len(found.rows),
        source=scored.source.merge(labels.source).merge(Source(cite=CITE)),
        remark=tuple(
            f"{int(n)} labels and {int(m)} scores of the judge are worth {w:.0f} labels"
            for n, m, w in zip(found.labels, found.scored, worth, strict=True)
        ),
    )


def variance(found: Pooled, population: Literal["all"] | None) -> np.ndarray:
    """(models,) of the estimates: what the judge explains is known on all that it scored, the rest on labels alone."""
    apart = 1 / found.labels - 1 / found.scored
    if population == "all":
        return found.rest * apart
    return found.rest * apart + found.spread / found.scored
