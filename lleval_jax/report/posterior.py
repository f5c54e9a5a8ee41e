"""Posteriors as tables: scores, who is best with which probability, and differences."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.text import Table, table
from lleval_jax.report.truth import Truth
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate

RATE = "Intervals: the probability of a right answer on these questions, averaged; not the score on other questions."


def scores(found: Estimate, *, truth: Truth | None = None, remarks: Sequence[str] = ()) -> Table:
    """Posterior means with their intervals."""
    said = (RATE,) if found.target == "rate" else ()
    shown = table(found, truth)
    return dataclasses.replace(shown, remarks=(*shown.remarks, *said, *remarks))


def leaderboard(found: Estimate, rank: Estimate, best: Estimate) -> Table:
    """Best first: each model's score, the ranks that it may have, and the probability that it is the best.

    found, rank, best  of the same entries
    """
    lines = [
        (
            found.rows[i],
            f"{found.value[i]:z.3f}",
            style.interval(found, i),
            f"{ends[0]}" if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}",
            f"{best.value[i]:z.2f}",
        )
        for i, ends in _placed(found, rank)
    ]
    title = f"Leaderboard by {found.target}, {100 * found.level:.4g}% intervals (method: {found.method})"
    remarks = dict.fromkeys((*found.caveats, RATE))
    return Table(title, ("model", found.target, "interval", "ranks", "P(best)"), tuple(lines), tuple(remarks))


def entries(found: Estimate, rank: Estimate, best: Estimate) -> list[dict[str, Any]]:
    """The leaderboard as plain JSON types, best first."""
    return [
        {"row": found.rows[i], "best": ends[0], "worst": ends[1], "p_best": float(best.value[i])}
        for i, ends in _placed(found, rank)
    ]


def _placed(found: Estimate, rank: Estimate) -> list[tuple[int, tuple[int, int]]]:
    """The entries of the whole benchmark, best first, each with the ranks that it may have."""
    whole = [i for i, group in enumerate(found.group) if group == WHOLE]
    order = sorted(whole, key=lambda i: -found.value[i])
    return [(i, (int(np.floor(rank.low[i])), int(np.ceil(rank.high[i])))) for i in order]


def difference(found: Estimate, above: Estimate) -> Table:
    """A line a group: the difference, its interval, and the probability that the first is ahead.

    above  the probability, of the same entries
    """
    columns = {
        "models": list(found.rows),
        "group": list(found.group),
        "difference": [f"{value:+z.3f}" for value in found.value],
        "interval": [style.interval(found, i) for i in range(len(found))],
        "P(first is better)": [f"{value:z.3f}" for value in above.value],
    }
    title = f"{found.target[0].upper()}{found.target[1:]}, {100 * found.level:.4g}% intervals (method: {found.method})"
    return Table(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), found.caveats, left=2)
