"""Whether a paired difference is more than chance: McNemar's exact test, and sign flips where scores are not 0 or 1.

Under the null hypothesis the two models could have been exchanged on each question (or on each cluster of questions),
so every difference could have had the other sign.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

FEW = 12  # differences whose signs are all tried, 2^12 ways
DRAWS = 9_999  # random signs for more; the smallest p value is 1 / 10,000
AT_ONCE = 2**22  # numbers in memory


def exact(won: NDArray, lost: NDArray) -> NDArray:
    """Two-sided p value of so many questions won and lost, each with chance 1/2 (McNemar 1947)."""
    return np.minimum(1.0, 2 * bdtr(np.minimum(won, lost), np.asarray(won) + lost, 0.5))


def flips(difference: NDArray, seed: int) -> tuple[float, str]:
    """The p value of the sum of differences (units,), and how it was found.

    All signs of a few differences are tried. Of more, random ones, those seen among them (Phipson and Smyth 2010).
    """
    kept = difference[difference != 0]
    total = abs(kept.sum()) * (1 - 1e-9) - 1e-12  # the same sum in another order is as large
    if len(kept) <= FEW:
        ways = np.arange(2 ** len(kept))
        sign = 2.0 * ((ways[:, None] >> np.arange(len(kept))) & 1) - 1
        return float(np.mean(np.abs(sign @ kept) >= total)), "all sign flips"
    size, count = np.unique(np.abs(kept), return_counts=True)  # of differences of one size, how many are positive
    rng, beyond, left = np.random.default_rng(seed), 0, DRAWS
    while left:
        draws = min(left, max(1, AT_ONCE // len(size)))
        positive = rng.binomial(count, 0.5, (draws, len(size)))
        beyond += int(np.sum(np.abs((2 * positive - count) @ size) >= total))
        left -= draws
    return (1 + beyond) / (1 + DRAWS), f"{DRAWS:,} sign flips"
