"""Tables of what aligners reach."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import markdown, percent


def copying() -> str:
    """Exact matches of the toy."""
    found = read("aligners", "copying")
    row = (percent(found["exact"], 1), found["of"], f"{found['seconds']:.0f}")
    return markdown(("exact matches", "answers", "seconds of training"), [row])


TABLES = {"copying": copying}
