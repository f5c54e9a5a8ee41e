"""The table of corrected judges."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, percent

BAR = (0.93, 0.97)


def coverage() -> str:
    """Each judge and number of labels."""
    rows = []
    for name, one in read("judged", "coverage")["rows"].items():
        judge, labels = name.split(", ")
        inside = bold(percent(one["inside"], 1), not BAR[0] <= one["inside"] <= BAR[1])
        points = (f"{100 * one[what]:.1f}" for what in ("mae", "width"))
        rows.append((judge, labels, inside, *points, f"{one['worth']:.0f}", percent(one["helps"], 0)))
    head = ("judge", "labels a model", "intervals contain", "mean error, points", "width, points", "worth in labels")
    return markdown((*head, "said to help"), rows)


TABLES = {"coverage": coverage}
