"""Quantiles of mixtures of t distributions: what is believed where scales themselves are known by draws only."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

ROUNDS = 60
TOL = 1e-9  # of a probability


def quantile(share: float, middle: NDArray, scale: NDArray, freedom: NDArray) -> NDArray:
    """Where the mean of the components' distribution functions is `share`, by Newton's method between their quantiles.

    Args:
        share: in (0, 1).
        middle: (components, ...) of equal weight.
        scale: (components, ...) positive.
        freedom: (components, ...) degrees of freedom.

    Returns:
        (...)
    """
    each = middle + scale * special.stdtrit(freedom, share)
    low, high = each.min(0), each.max(0)
    log_top = special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2) - np.log(np.pi * freedom) / 2
    at = each.mean(0)
    for _ in range(ROUNDS):
        far = (at - middle) / scale
        over = special.stdtr(freedom, far).mean(0) - share
        if np.all(np.abs(over) < TOL):
            break
        low, high = np.where(over < 0, at, low), np.where(over > 0, at, high)
        density = (np.exp(log_top - (freedom + 1) / 2 * np.log1p(far**2 / freedom)) / scale).mean(0)
        step = at - over / np.maximum(density, np.finfo(float).tiny)
        at = np.where((step >= low) & (step <= high), step, (low + high) / 2)
    return at
