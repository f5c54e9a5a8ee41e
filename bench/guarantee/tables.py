"""Tables of intervals that need no faith in the bank."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, percent

BAR, LEAST_GAIN = 0.94, 0.9


def _shown(part: str, last: str, *looked: str) -> str:
    rows = []
    for name, one in read("guarantee", "coverage")[part]["rows"].items():
        known, case = name.split(", ")
        gain = one["gain"]
        told = {
            "gain": bold(f"{gain:.2f}", gain < (3 if case == "like the others" else LEAST_GAIN)),
            "draws": f"{one['draws']:.0f}",
        }
        cover = [bold(percent(one[what], 1), one[what] < BAR) for what in looked]
        points = (f"{100 * one[what]:.1f}" for what in ("mae", "width"))
        rows.append((known, case, f"{one['runs']:,}", told[last], *cover, *points))
    named = {"inside": "interval contains", "always": "every look contains"}
    head = ("set", "model", "sessions", last, *(named[what] for what in looked))
    return markdown((*head, "mean error, points", "width, points"), rows)


def share() -> str:
    """At 5% of the items."""
    return _shown("share", "gain", "inside")


def stopped() -> str:
    """Stopped by width."""
    return _shown("until 0.25 wide", "draws", "inside", "always")


TABLES = {"share": share, "stopped": stopped}
