"""Wilson's score interval of a share (1927), for any variance of the share in units of p (1 - p)."""

import numpy as np


def wilson(share: "float | np.ndarray", spread: "float | np.ndarray") -> tuple[np.ndarray, np.ndarray]:
    """The values p with (share - p)^2 = spread p (1 - p); the share stays between them whatever rounding does.

    Args:
        share: (...), in [0, 1].
        spread: (...), z^2 / n for n independent trials and the normal quantile z.

    Returns:
        The lower and the upper one, each (...).
    """
    share, spread = np.asarray(share, float), np.asarray(spread, float)
    centre = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return np.minimum(np.maximum(centre - half, 0.0), share), np.maximum(np.minimum(centre + half, 1.0), share)
