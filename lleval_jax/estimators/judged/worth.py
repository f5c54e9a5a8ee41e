"""Whether a judge helps: how its scores go with the labels within a model."""

import numpy as np
from scipy.stats import norm

from lleval_jax.errors import require_level
from lleval_jax.estimators.judged.pooled import aligned, pooled
from lleval_jax.values.judged import Worth
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses


def worth(judge: Responses | SparseResponses, *, human: Responses | SparseResponses, level: float = 0.95) -> Worth:
    """What the judge's scores add to the labels, over all models.

    The correlation of calibrated scores and labels within models, and its interval by Fisher's transformation.

    Args:
        judge: scores of the judge.
        human: labels of some of the same answers.
        level: coverage of the interval.

    Raises:
        BadInput: as `estimate`.
    """
    require_level(level)
    found = pooled(*aligned(judge, human))
    labels, scored = int(found.labels.sum()), int(found.scored.sum())
    size = np.sqrt((found.label @ found.label) * (found.told @ found.told))
    r = float(found.label @ found.told / size) if size > 0 else 0.0
    half = norm.ppf(0.5 + level / 2) / np.sqrt(max(labels - len(found.rows) - 2, 1))
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    low, high = np.tanh(z - half), np.tanh(z + half)
    best, least, most = (_labels(float(each), labels, scored) for each in (r, low, high))
    return Worth(r, float(low), float(high), labels, scored, best, least, most, level)


def _labels(r: float, labels: int, scored: int) -> float:
    """How many labels alone would be as good."""
    return labels / max(1 - max(r, 0) ** 2 * (1 - labels / scored), 1e-12)
