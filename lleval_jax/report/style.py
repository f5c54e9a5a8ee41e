"""What all pictures and tables have in common: colours, title, file, axes, an interval in words."""

import dataclasses
import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from lleval_jax.errors import require
from lleval_jax.values.results import Estimate
from lleval_jax.words import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which readers with any kind of colour vision tell from each other; marks differ too.
DOT, LINE, TRUE = "#0072b2", "#8cc4e6", "#d55e00"  # estimates, their intervals, and what is true or went wrong
GREEN, PURPLE, AMBER, GREY = "#009e73", "#cc79a7", "#e69f00", "#5f5f5f"
COLOURS = (DOT, TRUE, GREEN, PURPLE, AMBER, GREY)  # of lines that are compared
MARKERS = "osD^vX"  # one for each colour
Panels: TypeAlias = "Axes | Sequence[Axes] | np.ndarray | None"  # where to draw: axes of the caller's, or None


@dataclasses.dataclass(frozen=True)
class Canvas:
    """A picture being drawn.

    figure  of matplotlib
    panels  (tall, wide) its axes
    own     whether it was opened here, and not by the caller
    """

    figure: Any
    panels: np.ndarray
    own: bool

    @property
    def panel(self) -> "Axes":
        """The first panel, of a picture that has one."""
        return self.panels.flat[0]

    def head(self, title: str, status: Sequence[str] = ()) -> None:
        """The title above all panels, and in colour what is not "ok"; in the caller's axes above the first."""
        wrong = ", ".join(dict.fromkeys(one for one in status if one != "ok"))
        said, colour = plain(f"{title}   {wrong}" if wrong else title), TRUE if wrong else "black"
        if not self.own:
            below = self.panel.get_title("left")
            self.panel.set_title(f"{said}\n{below}" if below else said, loc="left", fontsize=10, color=colour)
            return
        said = textwrap.fill(said, max(20, int(11.5 * self.figure.get_figwidth())))
        self.figure.suptitle(said, fontsize=11, x=0.01, ha="left", color=colour)

    def legend(self, handles: Sequence[Any], labels: Sequence[str], columns: int) -> None:
        """What marks mean, below all panels; in the caller's axes within the last."""
        where = (self.figure, "outside lower center") if self.own else (self.panels.flat[-1], "best")
        where[0].legend(handles, labels, loc=where[1], ncols=columns, frameon=False, fontsize=9)

    def finish(self, path: str | os.PathLike[str] | None) -> None:
        """Write the picture (png, svg or pdf), if it has a path; then close it, if it was opened here."""
        import matplotlib.pyplot as plt  # an extra, and slow to load

        if path is None:
            return
        self.figure.savefig(path, dpi=150)
        if self.own:
            plt.close(self.figure)


def canvas(ax: Panels, size: tuple[float, float], tall: int = 1, wide: int = 1, **how: Any) -> Canvas:
    """Panels to draw in: of a new figure of `size` inches, or the caller's own.

    Args:
        ax: None for a new figure; else axes, as many as there are panels, in any order of rows and columns.
        size: of a new figure, in inches.
        tall: rows of panels.
        wide: columns of panels.
        how: of `matplotlib.pyplot.subplots`, for a new figure.

    Raises:
        BadInput: `ax` has another number of panels.
    """
    if ax is None:
        import matplotlib.pyplot as plt  # an extra, and slow to load

        figure, panels = plt.subplots(tall, wide, figsize=size, layout="constrained", squeeze=False, **how)
        return Canvas(figure, panels, True)
    given = np.array(ax, object).ravel()
    require(len(given) == tall * wide, f"this picture has {tall * wide} panels; ax holds {len(given)} axes")
    return Canvas(given[0].figure, given.reshape(tall, wide), False)


def plain(text: str) -> str:
    """A text as it is, where matplotlib would read dollar signs as mathematics; control characters as escapes."""
    return "\n".join(map(visible, text.split("\n"))).replace("$", r"\$")


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
    return f"estimated {estimate.target}, {100 * estimate.level:.4g}% intervals (method: {estimate.method})"


def interval(estimate: Estimate, i: int) -> str:
    """The interval of an entry."""
    return f"[{estimate.low[i]:z.3f}, {estimate.high[i]:z.3f}]"
