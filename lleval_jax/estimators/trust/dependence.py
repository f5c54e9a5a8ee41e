"""Local dependence: Yen's (1984) Q3, the correlation over models of two items' residuals.

With independent items Q3 has mean -1 / (items - 1) and standard deviation 1 / sqrt(models) (Christensen, Makransky &
Horton 2017). A pair is reported if it lies beyond chance at 5% over all pairs (Bonferroni; chance is the wider of that
standard deviation and the spread that most pairs show) and above 0.2 over the median pair.
"""

from statistics import NormalDist

import numpy as np

from lleval_jax.estimators.trust import residuals
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.trust import Dependence

MOST = 2000  # items compared pair by pair; more are sampled
LARGE = 0.2
LISTED = 50


def measure(
    fit: FitResult[IrtParams], here: Responses, *, distinct: float = 1.0, alarm: float = 0.05, seed: int = 0
) -> Dependence:
    """Compare all pairs of up to `MOST` items. `distinct` is the share of rows that are no copies of others."""
    varied = np.flatnonzero((here.scores * here.seen).sum(0) > 0)
    some = np.sort(np.random.default_rng(seed).permutation(varied)[:MOST])
    if len(some) < 2:
        return Dependence((), 0, 0, 0.0, 0.0, np.zeros(1, int), np.array([-1.0, 1.0]))
    found = residuals.chunk(fit, here, some)
    seen = (found.weight > 0).astype(np.float32)
    gap = (found.scores - found.fitted) * seen
    gap -= seen * (gap.sum(0) / np.maximum(seen.sum(0), 1))
    square = gap**2
    size = np.sqrt(np.maximum((square.T @ seen) * (seen.T @ square), 1e-12))
    q3, both = gap.T @ gap / size, seen.T @ seen
    first, second = np.triu_indices(len(some), 1)
    q3, both = q3[first, second], both[first, second] * distinct
    told = both > 3
    first, second, q3, both = first[told], second[told], q3[told], both[told]
    if not len(q3):
        return Dependence((), 0, 0, 0.0, 0.0, np.zeros(1, int), np.array([-1.0, 1.0]))
    middle = float(np.median(q3))
    z = (q3 - middle) * np.sqrt(both - 1)
    wide = max(1.0, 1.4826 * float(np.median(np.abs(z))))
    far = NormalDist().inv_cdf(1 - alarm / (2 * len(q3))) * wide
    beyond = np.flatnonzero((z > far) & (q3 - middle > LARGE))
    beyond = beyond[np.argsort(-q3[beyond], kind="stable")]
    names = [fit.items[i] for i in some]
    pairs = tuple((names[first[k]], names[second[k]], float(q3[k])) for k in beyond[:LISTED])
    counts, edges = np.histogram(np.clip(q3, -1, 1), bins=np.linspace(-1, 1, 101))
    chance = float(np.mean(1 / np.sqrt(both - 1)))
    spread = 1.4826 * float(np.median(np.abs(q3 - middle)))
    return Dependence(pairs, len(beyond), len(q3), chance, spread, counts, edges)
