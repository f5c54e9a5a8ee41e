"""What all pictures and tables have in common: colours, title, file, axes, an interval in words."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lleval_jax.values.results import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOT, LINE, TRUE = "#1f4e79", "#8fb3d9", "#c8502d"  # estimates, their intervals, and what is true or went wrong
GREEN, PURPLE, AMBER, GREY = "#2a9d8f", "#6a4c93", "#e8a33d", "#7a7a7a"
COLOURS = (DOT, TRUE, GREEN, PURPLE, AMBER, GREY)  # of lines that are compared


def head(figure: Any, title: str, status: Sequence[str] = ()) -> None:
    """The title above all panels, and in colour what is not "ok"."""
    wrong = ", ".join(dict.fromkeys(one for one in status if one != "ok"))
    said = f"{title}   {wrong}" if wrong else title
    figure.suptitle(said, fontsize=11, x=0.01, ha="left", color=TRUE if wrong else "black")


def keep(figure: Any, path: str | os.PathLike[str] | None) -> None:
    """Write a picture (png, svg or pdf) and close it; with None it stays open."""
    import matplotlib.pyplot as plt  # an extra, and slow to load

    if path is not None:
        figure.savefig(path, dpi=150)
        plt.close(figure)


def clean(axes: "Axes", which: Literal["both", "x", "y"] = "both", *, shade: str = "0.92") -> None:
    """Light grid lines below the data, and no frame above or at the right."""
    axes.grid(axis=which, color=shade)
    bare(axes)


def bare(axes: "Axes") -> None:
    """No frame above or at the right; grid lines, where there are any, below the data."""
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def summary(estimate: Estimate) -> str:
    """What is estimated, how, and the level of its intervals."""
    return f"{estimate.target} by {estimate.method}, {100 * estimate.level:.4g}% intervals"


def interval(estimate: Estimate, i: int) -> str:
    """The interval of an entry."""
    return f"[{estimate.low[i]:.3f}, {estimate.high[i]:.3f}]"
