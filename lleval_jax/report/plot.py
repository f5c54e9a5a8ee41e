"""Results as pictures. Needs the extra `plot`: pip install "lleval-jax[plot]"."""

import os
from typing import TYPE_CHECKING

import numpy as np

from lleval_jax.report.text import Truth
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOT, LINE, TRUE = "#1f4e79", "#8fb3d9", "#c8502d"


def forest(
    estimate: Estimate,
    truth: Truth | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    group: str = WHOLE,
) -> "Axes":
    """A dot and an interval for each row, best on top; a tick where the truth is known.

    Args:
        estimate: what to show.
        truth: (row, group) -> known score.
        path: write the picture here (png, svg or pdf).
        group: the part of the benchmark to show.
    """
    import matplotlib.pyplot as plt  # an extra, and slow to load

    here = np.array([i for i, found in enumerate(estimate.group) if found == group], int)
    here = here[np.argsort(estimate.value[here], kind="stable")]
    height = np.arange(len(here))
    figure, axes = plt.subplots(figsize=(6.4, 1.1 + 0.27 * len(here)), layout="constrained")
    axes.hlines(height, estimate.low[here], estimate.high[here], color=LINE, linewidth=3, capstyle="round")
    axes.plot(estimate.value[here], height, "o", color=DOT, markersize=5, label="estimate and interval")
    if truth is not None:
        known = [(truth[estimate.rows[i], group], y) for y, i in enumerate(here) if (estimate.rows[i], group) in truth]
        if known:
            x, y = zip(*known, strict=True)
            axes.plot(x, y, "|", color=TRUE, markersize=11, markeredgewidth=2, label="truth")
            axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9)
    axes.set_yticks(height, [estimate.rows[i] for i in here], fontsize=9)
    axes.set_ylim(-0.7, len(here) - 0.3)
    axes.set_xlabel(f"{estimate.target} ({estimate.method}, {100 * estimate.level:.4g}% intervals)")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.tick_params(left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return axes
