"""The table of what learning B alone saves."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import markdown, number


def memory_b() -> str:
    """What learning B alone saves on a decoder of SmolLM2's shape."""
    rows = [
        (
            row["targets"],
            {"both": "A and B"}.get(row["learn"], row["learn"]),
            row["recompute"],
            *(number(row[key] / 1e6, 1) for key in ("learned", "state")),
            *(f"{row[key] / 1e6:,.0f}" for key in ("kept", "passing")),
        )
        for row in read("training", "memory_b")["memory"]["rows"]
    ]
    head = (
        "adapters on",
        "learns",
        "computed again",
        "learned, MB",
        "optimiser, MB",
        "kept for backward, MB",
        "step, MB",
    )
    return markdown(head, rows)


def seconds() -> str:
    """How long a step takes."""
    rows = []
    for targets, found in read("training", "memory_b")["times"]["seconds"].items():
        whole = found["both"]["median"]
        for learn, times in found.items():
            least, most = min(times["all"]), max(times["all"])
            name = {"both": "A and B"}.get(learn, learn)
            cells = (number(times["median"], 2), f"{least:.2f} to {most:.2f}", f"{times['median'] / whole:.2f}")
            rows.append((targets, name, *cells))
    return markdown(("adapters on", "learns", "seconds a step", "least and most", "of A and B"), rows)


TABLES = {"memory-b": memory_b, "memory-b-seconds": seconds}
