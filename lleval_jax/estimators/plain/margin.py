"""Is a paired difference above a margin? One-sided score tests, for many pairs at once.

Right or wrong answers: Tango's score test (1998) of the hypothesis that the difference is D. With a questions won and b
lost of n, the chance q of losing one under the hypothesis is the larger root of

    2 n q^2 + [(2 n - a + b) D - a - b] q - b D (1 - D) = 0,     z = (a - b - n D) / sqrt(n (2 q + D (1 - D))).

The variance is that under the hypothesis, so a few questions on which two models agree are no proof that they always
do. Bounds are the D at which z reaches the quantile.

Other scores, such as k of n repeats, differ by less than 1: with c = sum d^2 / sum |d|, the size of a typical
difference, sum max(d, 0) / c questions count as won, sum max(-d, 0) / c as lost, and D as D / c. So sum d^2 is kept,
and where all differences have size c this is Tango's test. Clusters: a, b and n are divided by the design effect, which
is the variance of the mean over clusters (`units`, CR2) by that over questions, 1 at least; the quantile is Student's
with one degree of freedom more than Satterthwaite's.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

STEPS = 50  # halvings of [-1, 1]
POWER = 0.8  # the chance of a verdict that `needed` is for
MOST = 100  # times as many questions: beyond it no number is named


class Counts(NamedTuple):
    """What the test needs, one entry a pair.

    mean    difference of scores
    won     (effective) questions won
    lost    lost
    count   of all
    scale   size of a typical difference, in (0, 1]
    df      degrees of freedom of the variance; infinite without clusters
    design  how many questions an effective question stands for
    """

    mean: NDArray
    won: NDArray
    lost: NDArray
    count: NDArray
    scale: NDArray
    df: float
    design: NDArray


def counts(difference: NDArray, label: NDArray | None, margin: float) -> Counts:
    """Of differences (pairs, questions); `label` (questions,) numbers the clusters from 0."""
    n = difference.shape[-1]
    up, down = np.maximum(difference, 0).sum(-1), np.maximum(-difference, 0).sum(-1)
    size = up + down
    scale = np.where(size > 0, (difference**2).sum(-1) / np.where(size > 0, size, 1), 1.0)
    scale = np.maximum(scale, min(1.0, 2 * margin))  # a margin as large as all differences seen says nothing of others
    mean = difference.mean(-1)
    design, df = (np.ones_like(mean), np.inf) if label is None else _design(difference, mean, label)
    return Counts(mean, up / scale / design, down / scale / design, n / design, scale, df, design)


def _design(difference: NDArray, mean: NDArray, label: NDArray) -> tuple[NDArray, float]:
    """Design effect of each pair, and the degrees of freedom."""
    n, clusters = difference.shape[-1], int(label.max()) + 1
    size = np.bincount(label, minlength=clusters)
    member = np.zeros((n, clusters))
    member[np.arange(n), label] = 1 / size[label]
    share = size / n
    spread = share**2 / (1 - share)
    between = (difference @ member - mean[..., None]) ** 2 @ spread
    within = ((difference - mean[..., None]) ** 2).sum(-1) / (n * max(n - 1, 1))
    unknown = n * float(share @ share)  # no two differ: as if questions of a cluster were copies
    effect = np.where(within > 0, between / np.where(within > 0, within, 1), unknown)
    squares = share @ share + spread.sum() ** 2 - spread @ spread
    return np.maximum(effect, 1.0), float(1 / squares) + 1


def z(found: Counts, shift: NDArray | float) -> NDArray:
    """The score statistic of the hypothesis that the difference is `shift`; large where the true one is above."""
    n, a, b = found.count, found.won, found.lost
    d = np.clip(np.asarray(shift) / found.scale, -1 + 1e-9, 1 - 1e-9)
    linear, constant = (2 * n - a + b) * d - a - b, -b * d * (1 - d)
    q = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
    return (a - b - n * d) / np.sqrt(np.maximum(n * (2 * q + d * (1 - d)), 1e-12))


def quantile(found: Counts, level: float) -> float:
    """How large z must be."""
    return float(ndtri(level) if np.isinf(found.df) else stdtrit(found.df, level))


def bounds(found: Counts, level: float) -> tuple[NDArray, NDArray]:
    """The lower and the upper bound of each difference, each one-sided at `level`."""
    reach = quantile(found, level)
    return _crossing(found, reach), _crossing(found, -reach)


def _crossing(found: Counts, reach: float) -> NDArray:
    """Where z, which falls, is `reach`."""
    low, high = -found.scale, found.scale.copy()
    for _ in range(STEPS):
        middle = (low + high) / 2
        above = z(found, middle) > reach
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def needed(found: Counts, shift: float, level: float) -> NDArray:
    """(pairs,) questions in all that decide with chance `POWER` whether the difference is above `shift`.

    For the difference and variance that are seen; infinite where the difference is at `shift`.
    """
    share = (found.won + found.lost + 1) / (found.count + 2)  # one more won and lost, by half each
    variance = found.scale**2 * share - found.mean**2
    away = np.abs(found.mean - shift)
    total = (quantile(found, level) + ndtri(POWER)) ** 2 * np.maximum(variance, 0) * found.design
    return np.divide(total, away**2, out=np.full_like(total, np.inf), where=away > 0)
