"""What alignment has done: its measures as a table, and the quantiles of the rewards as a picture."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.text import Table
from lleval_jax.values.results import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def measures(estimate: Estimate) -> Table:
    """One line a measure."""
    percent = f"{100 * estimate.level:g}%"
    lines = tuple(
        (group, f"{value:z.3f}", f"[{low:z.3f}, {high:z.3f}]", f"{count:,}")
        for group, value, low, high, count in zip(
            estimate.group, estimate.value, estimate.low, estimate.high, estimate.n_seen, strict=True
        )
    )
    notes = ("rewards are log-ratios to the model before training, in nats", *estimate.caveats)
    return Table(
        f"held-out preferences, {percent} intervals", ("measure", "value", "interval", "answers"), lines, notes
    )


def quantiles(
    chosen: Sequence[float] | np.ndarray,
    rejected: Sequence[float] | np.ndarray,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
    title: str = "Rewards on held-out answers",
) -> "Axes":
    """The quantile functions of the rewards of chosen and rejected answers, and where the second lie above the first.

    Args:
        chosen: (n,) log-ratios of the chosen answers to the model before training, in nats.
        rejected: (m,) those of the rejected.
        path: png, svg or pdf; None: nothing is written.
        ax: axes to draw in, or None.
        title: above the picture.
    """
    picture = style.canvas(ax, (6.4, 4.2))
    panel, level = picture.panel, np.linspace(0.005, 0.995, 199)
    u, v = (np.quantile(np.asarray(x, float), level, method="inverted_cdf") for x in (chosen, rejected))
    handles = [
        panel.step(level, u, color=style.DOT, where="mid")[0],
        panel.step(level, v, color=style.TRUE, where="mid", linestyle="--")[0],
        panel.fill_between(level, u, v, where=v > u, step="mid", color=style.AMBER, alpha=0.4, linewidth=0),
        panel.axhline(0, color=style.GREY, linewidth=0.8, linestyle=":"),
    ]
    panel.set(xlabel="quantile level", ylabel="reward: log-ratio to before training, nats", xlim=(0, 1))
    picture.legend(handles, ("chosen", "rejected", "dominance violated", "before training"), 4)
    picture.head(title)
    picture.finish(path)
    return panel
