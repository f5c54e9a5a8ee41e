"""Tables of false verdicts and of false pairs."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, percent

MOST = 0.06  # the bar: 5%, and two standard errors of 1,000 boards or what a test of counts cannot hit exactly


def gate() -> str:
    """False passes and false fails."""
    found = read("audit", "gate")["rates"]
    rows = [
        (name, n, *(bold(percent(one[way], 1), one[way] > MOST) for way in ("pass", "fail")))
        for name, each in found.items()
        for n, one in each.items()
    ]
    return markdown(("answers", "questions", "false pass", "false fail"), rows)


def boards() -> str:
    """Boards with a false pair, and power."""
    found = read("audit", "boards")["found"]
    rows = [
        (name, way, bold(percent(one["wrong"], 1), one["wrong"] > MOST), percent(one["power"], 1))
        for name, ways in found.items()
        for way, one in ways.items()
    ]
    return markdown(("board", "test", "boards with a false pair", "true pairs separated"), rows)


TABLES = {"gate": gate, "boards": boards}
