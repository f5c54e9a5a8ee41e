"""Tables of intervals that need no faith in the bank."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, percent

BAR, LEAST_GAIN = 0.94, 0.9


def _shown(part: str, last: str) -> str:
    rows = []
    for name, one in read("guarantee", "coverage")[part]["rows"].items():
        known, case = name.split(", ")
        gain = one["gain"]
        told = {
            "gain": bold(f"{gain:.2f}", gain < (3 if case == "like the others" else LEAST_GAIN)),
            "draws": f"{one['draws']:.0f}",
        }
        cover = [bold(percent(one[what], 1), one[what] < BAR) for what in ("inside", "always")]
        cover = cover if last == "gain" else cover[:1]
        rows.append((known, case, told[last], *cover, f"{100 * one['mae']:.1f}", f"{100 * one['width']:.1f}"))
    both = ("interval contains", "every look contains") if last == "gain" else ("interval at the stop contains",)
    return markdown(("set", "model", last, *both, "mean error, points", "width, points"), rows)


def share() -> str:
    """At 5% of the items."""
    return _shown("share", "gain")


def stopped() -> str:
    """Stopped by width."""
    return _shown("until 0.25 wide", "draws")


TABLES = {"share": share}
