"""How fast many adapters are served: as a table, and as curves against their number."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lleval_jax.report import style
from lleval_jax.report.text import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST = "merged"  # the server that the others are compared with


class Point(NamedTuple):
    """One server at one number of adapters.

    server    its name
    adapters  that requests ask for, from 1
    resident  of them on the device at a time
    bytes     of all adapters there
    speed     tokens a second
    least, most  of its rounds
    middle, slow, slowest  seconds of a request: quantiles .5, .9 and .99
    loads     how often an adapter was brought to the device, a request
    """

    server: str
    adapters: int
    resident: int
    bytes: int
    speed: float
    least: float
    most: float
    middle: float
    slow: float
    slowest: float
    loads: float


def table(points: Sequence[Point]) -> Table:
    """A line a server and number of adapters."""
    alone = {each.adapters: each.speed for each in points if each.server == FIRST}
    lines = [_line(each, alone.get(each.adapters)) for each in points]
    head = ("adapters", "server", "resident", "MB", "tokens/s", "least-most", f"of {FIRST}")
    notes = (
        "merged: one adapter in the weights. rotating: uncompressed, as many on the device as take the memory of the "
        "compressed ones. MB: of adapters on the device.",
        "tokens/s: written; median of the rounds, and the least and the most of them. Seconds from asking to the end.",
    )
    return Table("requests for drawn adapters", (*head, "p50 s", "p90 s", "p99 s", "loads"), tuple(lines), notes)


def curves(
    points: Sequence[Point],
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
    title: str = "Serving many adapters of one model",
) -> "tuple[Axes, Axes]":
    """Tokens a second, with the range of the rounds, and seconds a request, both against the number of adapters.

    Args:
        points: what was measured.
        path: png, svg or pdf; None: nothing is written.
        ax: two axes to draw in, or None.
        title: above the picture.
    """
    picture = style.canvas(ax, (9.6, 4.2), 1, 2)
    speed, latency = picture.panels[0]
    servers, handles = list(dict.fromkeys(each.server for each in points)), []
    for number, server in enumerate(servers):
        some = sorted((each for each in points if each.server == server), key=lambda each: each.adapters)
        at, how = [each.adapters for each in some], {"color": style.COLOURS[number % 6], "markersize": 5}
        marker = style.MARKERS[number % 6]
        handles += speed.plot(at, [each.speed for each in some], marker=marker, **how)
        speed.fill_between(
            at, [each.least for each in some], [each.most for each in some], color=how["color"], alpha=0.15, linewidth=0
        )
        latency.plot(at, [each.middle for each in some], marker=marker, **how)
        latency.plot(at, [each.slowest for each in some], marker=marker, linestyle=":", **how)
    speed.set(ylabel="tokens written a second", ylim=(0, None))
    latency.set(ylabel="seconds a request: median, and 99% dotted", ylim=(0, None))
    counts = sorted({each.adapters for each in points})
    for panel in (speed, latency):
        panel.set(xlabel="adapters", xscale="log")
        panel.set_xticks(counts, [f"{count:,}" for count in counts])
        panel.minorticks_off()
        style.clean(panel)
    picture.legend(handles, servers, 3)
    picture.head(title)
    picture.finish(path)
    return speed, latency


def _line(each: Point, alone: float | None) -> tuple[str, ...]:
    against = "" if alone is None else f"{each.speed / alone:z.2f}"
    return (
        f"{each.adapters:,}",
        each.server,
        f"{each.resident:,}",
        f"{each.bytes / 1e6:z.1f}",
        f"{each.speed:,.0f}",
        f"{each.least:,.0f}-{each.most:,.0f}",
        against,
        f"{each.middle:z.3f}",
        f"{each.slow:z.3f}",
        f"{each.slowest:z.3f}",
        f"{each.loads:z.2f}",
    )
