"""A table as rows plus columns."""

import numpy as np
from numpy.typing import NDArray


def main_effects(value: NDArray, weight: NDArray) -> tuple[NDArray, NDArray]:
    """(rows,) and (columns,) whose sums are nearest to `value` by weighted least squares; 0 where nothing is known.

    Args:
        value: (rows, columns), finite; of no account where the weight is 0.
        weight: (rows, columns), not negative.
    """
    count = weight.sum(1, keepdims=True)
    share = weight / np.where(count > 0, count, 1)
    rest = (weight * (value - (share * value).sum(1, keepdims=True))).sum(0)  # rows taken out
    column = np.linalg.lstsq(np.diag(weight.sum(0)) - weight.T @ share, rest, rcond=None)[0]
    return (share * (value - column)).sum(1), column
