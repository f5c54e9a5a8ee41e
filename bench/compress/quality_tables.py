"""Tables and the picture of what shared bases do to adapters that were trained.

    python -m bench.compress.quality_tables

draws the picture again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.kit.results import path_of, read
from bench.kit.tables import markdown, number, percent

DRAWS = 2000  # of the bootstrap over tasks
PAPER = 0.6  # an error below this keeps 99%


def interval(values: Callable[[np.ndarray], float], count: int) -> tuple[float, float, float]:
    """A figure of all tasks, and its 95% interval by a bootstrap over tasks."""
    rng = np.random.default_rng(0)
    drawn = [values(rng.integers(0, count, count)) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return values(np.arange(count)), float(low), float(high)


def _told(found: tuple[float, float, float], digits: int = 3) -> str:
    value, low, high = (number(each, digits) for each in found)
    return f"{value} [{low}, {high}]"


def _tasks() -> dict[str, np.ndarray]:
    """Of each task log-probability and share of right tokens, of the base and of its adapter."""
    rows = read("compress", "quality")["tasks"]["rows"].values()
    return {
        f"{who} {what}": np.array([row[who][what] for row in rows])
        for who in ("base", "adapter")
        for what in ("logprob", "tokens", "answers")
    }


def _gain(row: dict[str, Any], known: dict[str, np.ndarray]) -> Callable[[np.ndarray], float]:
    """The share of the adapters' gain in log-probability that is kept, over some tasks."""
    now, base, whole = np.array(row["logprob"]), known["base logprob"], known["adapter logprob"]
    return lambda some: float((now - base)[some].sum() / (whole - base)[some].sum())


def _share(row: dict[str, Any], known: dict[str, np.ndarray], what: str) -> Callable[[np.ndarray], float]:
    """A share of right tokens or answers, relative to that of the uncompressed adapters."""
    now, whole = np.array(row[what]), known[f"adapter {what}"]
    return lambda some: float(now[some].sum() / whole[some].sum())


def _mean(values: list[float]) -> Callable[[np.ndarray], float]:
    return lambda some: float(np.array(values)[some].mean())


def _rows() -> list[dict[str, Any]]:
    """Sizes, by method, clusters and rank."""
    rows = read("compress", "quality")["sizes"]["rows"].values()
    return sorted(rows, key=lambda row: (row["method"] != "full", row["method"], row["clusters"], row["rank"]))


def adapters() -> str:
    """What each adapter learned."""
    rows = read("compress", "quality")["tasks"]["rows"]
    made = []
    for name, row in rows.items():
        base, own = row["base"], row["adapter"]
        cells = (number(each[what]) for what in ("logprob", "tokens", "answers") for each in (base, own))
        made.append((name, *cells, own["count"]))
    head = ("task", "nats a token, base", "adapter", "tokens right, base", "adapter", "answers right, base", "adapter")
    return markdown((*head, "answers"), made)


def quality() -> str:
    """Error and scores of each size."""
    known = _tasks()
    made = []
    for row in _rows():
        count = len(row["error"])
        made.append(
            (
                row["method"],
                row["clusters"],
                row["rank"],
                percent(row["share"], 1),
                number(np.mean(row["error"]), 3),
                _told(interval(_gain(row, known), count)),
                _told(interval(_share(row, known, "tokens"), count)),
                _told(interval(_mean(row["agreement"]), count)),
                "" if row["settled"] else "no",
            )
        )
    head = ("cores", "clusters", "rank", "memory", "squared error", "gain kept", "tokens right, relative", "agreement")
    return markdown((*head, "converged"), made)


def below() -> str:
    """The paper's rule: what adapters keep, by the error that each has itself."""
    known, edges = _tasks(), (0, 0.2, 0.4, PAPER, 0.7, 0.8, 0.9, 1.01)
    rows = _rows()
    error = np.array([row["error"] for row in rows])
    now, base, whole = np.array([row["logprob"] for row in rows]), known["base logprob"], known["adapter logprob"]
    right = np.array([row["tokens"] for row in rows])
    made = []
    for low, high in [(0, PAPER), *zip(edges, edges[1:], strict=False)]:
        inside = (error >= low) & (error < high)
        if not inside.any():
            continue
        gains, most = np.where(inside, now - base, 0).sum(0), inside.sum(0) * (whole - base)
        tokens, all_tokens = np.where(inside, right, 0).sum(0), inside.sum(0) * known["adapter tokens"]
        parts = [(gains, most), (tokens, all_tokens)]
        found = [
            interval(lambda some, a=a, b=b: float(a[some].sum() / max(b[some].sum(), 1e-9)), len(base))
            for a, b in parts
        ]
        made.append((f"{number(low, 1)} to {number(high, 1)}", int(inside.sum()), *map(_told, found)))
    return markdown(("squared error of the adapter", "adapters and sizes", "gain kept", "tokens right, relative"), made)


def random() -> str:
    """Trained adapters and random ones."""
    rows = read("compress", "quality")["random"]["rows"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    made = []
    for module, rank in dict.fromkeys((row["module"], row["rank"]) for row in rows):
        cells = [
            row["error"]
            for kind in kinds
            for row in rows
            if (row["module"], row["rank"], row["kind"]) == (module, rank, kind)
        ]
        made.append((module, rank, *(_told(interval(_mean(each), len(each))) for each in cells)))
    return markdown(("module", "rank", *kinds), made)


def many() -> str:
    """One basis and several at equal memory."""
    rows = read("compress", "quality")["many"]["rows"]
    made = []
    for row in rows:
        errors = (number(row["error"], 3), row["one_rank"], number(row["one_error"], 3))
        made.append((row["n"], row["clusters"], row["rank"], *errors, number(row["one_error"] - row["error"], 3)))
    return markdown(("modules", "clusters", "rank", "error", "rank of one basis", "its error", "clusters win by"), made)


def picture() -> None:
    """Score against error, a line a method."""
    import matplotlib.pyplot as plt

    from lleval_jax.report import style

    known = _tasks()
    figure, panel = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    lines: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in _rows():
        lines.setdefault((row["method"], row["clusters"]), []).append(row)
    for number_, ((method, clusters), rows) in enumerate(lines.items()):
        found = [interval(_gain(row, known), len(row["error"])) for row in rows]
        x, y = [np.mean(row["error"]) for row in rows], [each[0] for each in found]
        spread = [[each[0] - each[1] for each in found], [each[2] - each[0] for each in found]]
        label = method if clusters == 1 else f"{method}, {clusters} clusters"
        how = {"color": style.COLOURS[number_ % 6], "marker": style.MARKERS[number_ % 6], "markersize": 5, "capsize": 2}
        panel.errorbar(x, y, spread, label=label, linewidth=1, **how)
        for row, here in zip(rows, zip(x, y, strict=True), strict=True):
            panel.annotate(f"{row['rank']}", here, textcoords="offset points", xytext=(4, 4), fontsize=7)
    panel.axvline(PAPER, color=style.GREY, linestyle=":", linewidth=1)
    panel.axhline(0.99, color=style.GREY, linestyle=":", linewidth=1)
    panel.set(xlabel="mean squared relative error", ylabel="share of the adapters' gain that is kept")
    panel.legend(frameon=False, fontsize=8)
    style.clean(panel)
    figure.savefig(path_of("compress", "quality").with_suffix(".png"), dpi=100)
    plt.close(figure)


TABLES = {
    "adapters": adapters,
    "quality": quality,
    "quality-below": below,
    "quality-random": random,
    "quality-many": many,
}

if __name__ == "__main__":
    picture()
