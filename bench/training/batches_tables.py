"""Tables of AOT by the batch, and of sorting whole against sorting in blocks."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import markdown, number
from bench.training import spread

HEAD = {
    "pairs won": (spread.won, 2),
    "dominance violated": (spread.violated, 2),
    "violation area, nats": (spread.area, 2),
    "margin, nats": (spread.margin, 1),
}


def batches() -> str:
    """By loss and batch: value, and its interval over prompts."""
    return _table(read("training", "batches")["sizes"]["runs"], ("loss", "pairs a step"))


def sorting() -> str:
    """By the block that is sorted."""
    return _table(read("training", "batches")["sorting"]["runs"], ("pairs sorted together",))


def _table(runs: dict[str, dict], names: tuple[str, ...]) -> str:
    groups: dict[tuple[str, ...], list[dict]] = {}
    for key, run in runs.items():
        groups.setdefault(tuple(key.split("/")[:-1]), []).append(run)
    rows = []
    for key, each in groups.items():
        sides = [(run["chosen"], run["rejected"]) for run in each]
        found = [(spread.found(sides, measure), digits) for measure, digits in HEAD.values()]
        cells = (f"{number(f.value, d)} [{number(f.low, d)}, {number(f.high, d)}]" for f, d in found)
        rows.append((*key, each[0]["steps"], f"{each[0]['rate']:.2g}", len(each), *cells))
    return markdown((*names, "steps", "rate", "seeds", *HEAD), rows)


def bias() -> str:
    """Of the loss, and of its gradient in all weights."""
    rows = []
    found = read("training", "batches")["bias"]
    for size, row in found["blocks"].items():
        value, low, high = row["excess"]
        gradients = (
            f"{number(min(row[key]), 4)} to {number(max(row[key]), 4)}" for key in ("cosine", "norm", "difference")
        )
        rows.append((size, f"{number(value, 4)} [{number(low, 4)}, {number(high, 4)}]", *gradients))
    head = (
        "pairs sorted together",
        "loss, more than whole",
        "cosine of gradients",
        "ratio of norms",
        "relative difference",
    )
    return markdown(head, rows)


TABLES = {"batches": batches, "sorting": sorting, "bias": bias}
