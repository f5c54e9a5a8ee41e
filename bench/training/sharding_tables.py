"""The table of what a device holds while it trains a 1B model on eight, compiled and estimated."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import markdown, within

BAR = 0.10


def gigabytes(count: float) -> str:
    """So many, two digits after the point."""
    return f"{count / 1e9:.2f}"


def total(row: dict) -> int:
    """Bytes of one device: weights, the optimiser's two moments, the gradient, and what passes."""
    return row["weights"] + 2 * row["learned"] + row["gradient"] + row["passing"]


def ratio(row: dict) -> float:
    """The estimate by what was compiled."""
    return sum(row["estimate"][key] for key in ("weights", "state", "passing")) / total(row)


def memory() -> str:
    """A line for each mesh and what learns."""
    head = ("mesh", "recomputed", "what learns", "weights, GB", "optimiser and gradient, GB", "passing, GB")
    head = (*head, "passing, estimated, GB", "estimate / compiled, in all")
    rows = [
        (
            row["mesh"],
            row["recompute"],
            row["adapter"],
            gigabytes(row["weights"]),
            gigabytes(2 * row["learned"] + row["gradient"]),
            gigabytes(row["passing"]),
            gigabytes(row["estimate"]["passing"]),
            within(ratio(row), 1 - BAR, 1 + BAR),
        )
        for row in read("training", "sharding")["rows"]
    ]
    return markdown(head, rows)


TABLES = {"memory-on-eight": memory}
