"""Tables of error against memory, ours and others'."""

from __future__ import annotations

from typing import Any

from bench.kit.results import path_of, read
from bench.kit.tables import bold, markdown, number

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4)  # of the adapters' memory
CLOSE = 1e-3  # errors closer than this are the same


def _parts() -> list[dict[str, Any]]:
    if not path_of("compress", "envelope").exists():  # not measured yet
        return []
    return [part for part in read("compress", "envelope").values() if isinstance(part, dict) and "who" in part]


def _points(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that are numbers, and take less than the adapters."""
    points = part.get("points", [])
    return [each for each in points if each["error"] == each["error"] and each["values"] < part["values"]]


def _least(part: dict[str, Any], values: float) -> float | None:
    """The least error within so many numbers."""
    return min((each["error"] for each in _points(part) if each["values"] <= values), default=None)


def _above(mine: float | None, other: float) -> bool:
    """Whether our least error is above another's; None: we have none so small."""
    return mine is None or mine > other + CLOSE


def errors() -> str:
    """The least error within a share of the adapters' memory; below ours is bold."""
    parts, rows = _parts(), []
    ours = {part["adapters"]: part for part in parts if part["who"] == "lleval_jax"}
    for part in parts:
        if not _points(part):
            rows.append((part["adapters"], part["who"], part.get("error", "no result"), *[None] * (len(LEVELS) - 1)))
            continue
        cells = []
        for share in LEVELS:
            mine, found = _least(ours[part["adapters"]], share * part["values"]), _least(part, share * part["values"])
            cells.append(None if found is None else bold(number(found, 3), _above(mine, found)))
        rows.append((part["adapters"], part["who"], *cells))
    return markdown(("adapters", "", *(f"{share:.0%}" for share in LEVELS)), rows)


def envelope() -> str:
    """How many of the others' sizes ours are at or below: no more numbers, no larger error."""
    parts, rows = _parts(), []
    ours = {part["adapters"]: part for part in parts if part["who"] == "lleval_jax"}
    for part in parts:
        if part["who"] == "lleval_jax":
            continue
        mine, points = ours[part["adapters"]], _points(part)
        above = [each for each in points if _above(_least(mine, each["values"]), each["error"])]
        where = ", ".join(
            f"{each['rank']} ({each['values'] / part['values']:.0%}, {each['error']:.3f})" for each in above
        )
        rows.append((part["adapters"], part["who"], len(points), bold(str(len(above)), bool(above)), where))
    return markdown(("adapters", "", "sizes", "below ours", "which: rank (memory, error)"), rows)


TABLES = {"compress-errors": errors, "compress-envelope": envelope}
