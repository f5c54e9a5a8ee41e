"""What sharing bases costs and saves: as tables, and as pictures of error against memory and of errors by module."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.text import Table
from lleval_jax.values.shared_adapters import Shared

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 10  # adapters in a table


class Size(NamedTuple):
    """A size of shared bases that was looked at.

    rank, clusters
    share  of the adapters' memory, from 0
    error  mean squared relative error, from 0
    """

    rank: int
    clusters: int
    share: float
    error: float


def summary(shared: Shared, *, most: float, least: np.ndarray | None = None) -> Table:
    """What was made of how many adapters.

    Args:
        shared: the bases.
        most: mean squared error above which an adapter is named.
        least: (modules,) errors that no bases of this size are below (`compress.bounds.least_errors`), or None.
    """
    before, after, error = int(shared.before.sum()), shared.after, shared.error.mean(1)
    lines = [
        ("adapters", f"{len(shared.names):,} with {len(shared.modules):,} modules each"),
        ("bases", f"{shared.clusters:,} of rank {shared.rank}, cores {shared.method}"),
        ("values", f"{before:,} -> {after:,} ({1 - after / before:.1%} saved)"),
        ("as many uncompressed adapters take", f"{shared.matched:z.1f}"),
        ("squared relative error", f"mean {error.mean():z.3f}, worst adapter {error.max():z.3f}"),
        ("relative error", f"mean {shared.ratio.mean():z.3f}"),
    ]
    if least is not None:
        lines.append(("no bases of this size are below", f"mean {least.mean():z.3f}, a squared relative error"))
    if shared.added:
        lines.append(("added since the bases were fitted", f"{len(shared.added):,}; mean error {shared.drift:+z.3f}"))
    notes = ["Squared: ||M - M~||^2 / ||M||^2 of a module, as the paper's program has it; relative: its root."]
    if not shared.settled:
        notes.append("Not converged: the bases were still moving when the search ended. Allow more sweeps.")
    apart = shared.apart(most)
    if apart:
        notes.append(f"Better kept uncompressed, with an error above {most:g}: {_listed(apart)}")
    notes.append("A shared basis mixes what its adapters learned: who reads it reads something of all of them.")
    return Table("adapters in shared bases", ("", ""), tuple(lines), tuple(notes))


def worst(shared: Shared) -> Table:
    """The adapters and the modules with the largest errors."""
    adapters, modules = shared.error.mean(1), shared.error.mean(0)
    lines = [("adapter", shared.names[i], f"{adapters[i]:z.3f}") for i in np.argsort(-adapters)[:SHOWN]]
    names = list(shared.modules)
    lines += [("module", names[i], f"{modules[i]:z.3f}") for i in np.argsort(-modules)[:SHOWN]]
    return Table("the largest squared errors", ("", "", "mean"), tuple(lines))


def sizes(looked: Sequence[Size]) -> Table:
    """The sizes that were looked at."""
    lines = tuple((f"{each.rank}", f"{each.clusters}", f"{each.share:.1%}", f"{each.error:z.3f}") for each in looked)
    return Table("sizes looked at", ("rank", "clusters", "memory", "squared error"), lines)


def curve(
    looked: Sequence[Size],
    path: str | os.PathLike[str] | None = None,
    *,
    target: float | None = None,
    ax: style.Panels = None,
    title: str = "Error of shared bases against their memory",
) -> "Axes":
    """Error against memory, a line a number of clusters; the ranks of the first line are written below it.

    Args:
        looked: the sizes.
        path: png, svg or pdf; None: nothing is written.
        target: of the error, drawn as a line.
        ax: axes to draw in, or None.
        title: above the picture.
    """
    picture = style.canvas(ax, (6.4, 4.2))
    panel, handles, labels = picture.panel, [], []
    for number, clusters in enumerate(sorted({each.clusters for each in looked})):
        some = sorted((each for each in looked if each.clusters == clusters), key=lambda each: each.share)
        how = {"color": style.COLOURS[number % 6], "marker": style.MARKERS[number % 6], "markersize": 5}
        handles += panel.plot([100 * each.share for each in some], [each.error for each in some], **how)
        labels.append(f"{clusters} {'basis' if clusters == 1 else 'bases'}")
        for each in some if number == 0 else ():  # those of other lines would cover each other
            where = {"textcoords": "offset points", "xytext": (-5, -5), "ha": "right", "va": "top", "fontsize": 8}
            panel.annotate(f"{each.rank}", (100 * each.share, each.error), color=style.GREY, **where)
    if target is not None:
        handles.append(panel.axhline(target, color=style.GREY, linestyle=":", linewidth=1))
        labels.append("target")
    panel.set(
        xlabel="memory, percent of the adapters'", ylabel="mean squared relative error", ylim=(0, None), xscale="log"
    )
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    style.clean(panel)
    picture.legend(handles, labels, 5)
    picture.head(title)
    picture.finish(path)
    return panel


def heat(
    shared: Shared,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
    title: str = "Squared relative error by adapter and module",
) -> "Axes":
    """The error of each module of each adapter, the worst adapters at the top; modules of a kind by their depth.

    Args:
        shared: the bases.
        path: png, svg or pdf; None: nothing is written.
        ax: axes to draw in, or None.
        title: above the picture.
    """
    picture = style.canvas(ax, (7.2, 4.8))
    panel, order = picture.panel, np.argsort(-shared.error.mean(1))
    kinds = [name.rsplit(".", 1)[-1] for name in shared.modules]
    across = np.argsort(kinds, kind="stable")
    image = panel.imshow(
        shared.error[np.ix_(order, across)], aspect="auto", cmap="viridis", vmin=0, interpolation="nearest"
    )
    few = len(order) <= 30
    names, counts = np.unique(kinds, return_counts=True)
    ends = np.cumsum(counts)
    panel.set(xlabel="module, by kind and depth", ylabel="adapter, the worst first")
    panel.set_xticks(ends - counts / 2 - 0.5, [style.plain(name) for name in names], fontsize=8)
    for end in ends[:-1]:
        panel.axvline(end - 0.5, color="white", linewidth=1.5)
    if few:
        panel.set_yticks(range(len(order)), [style.plain(shared.names[i]) for i in order], fontsize=8)
    picture.figure.colorbar(image, ax=panel, label="squared relative error")
    picture.head(title)
    picture.finish(path)
    return panel


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")
