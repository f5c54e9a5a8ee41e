"""Scores without a bank as tables: what the intervals are of, differences of pairs, and what a bank would add."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.compare import verdicts
from lleval_jax.report.text import Table, leaderboard, table
from lleval_jax.report.truth import Truth
from lleval_jax.values.comparison import Comparison
from lleval_jax.values.ranks import Ranks
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate

BANK = (
    "No bank given: this is the plain mean. A bank of the benchmark predicts its full score from fewer questions; "
    "make one with 'lleval calibrate', see those that ship with 'lleval bank list'."
)
RANKS = "Ranks: from paired differences on common questions; all ranges together contain the true ranks at this level."


def scores(
    estimate: Estimate, *, ranks: Ranks | None = None, truth: Truth | None = None, remarks: Sequence[str] = ()
) -> Table:
    """The means with their intervals; best first with `ranks`."""
    found = table(estimate, truth) if ranks is None else leaderboard(estimate, ranks, truth)
    said = found.remarks if ranks is None else (*found.remarks[:-1], RANKS)
    return dataclasses.replace(found, remarks=(*said, of_what(estimate), *remarks))


def of_what(estimate: Estimate) -> str:
    """What the intervals are intervals of."""
    clustered = " Questions of a cluster are not taken as independent." if "clustered" in estimate.method else ""
    if "finite population" not in estimate.method:
        return f"Intervals: the score on a large population of questions like these.{clustered}"
    exact = bool((estimate.low == estimate.high).all())
    all_asked = " All were asked, so the scores are exact." if exact else ""
    return f"Intervals: the score on this benchmark's own questions.{all_asked}{clustered}"


def comparison(found: Comparison) -> Table:
    """A line an entry: the difference, its interval, questions won and lost, the p value."""
    gap = found.difference
    entries = range(len(gap.rows))
    columns: dict[str, list[str]] = {"models": [gap.rows[i] for i in entries]}
    if any(group != WHOLE for group in gap.group):
        columns["group"] = list(gap.group)
    columns["difference"] = [f"{value:+z.3f}" for value in gap.value]
    columns["interval"] = [style.interval(gap, i) for i in entries]
    columns["p"] = [_p(value) for value in found.p_value]
    columns["won"], columns["lost"] = ([f"{count:,}" for count in counts] for counts in (found.won, found.lost))
    columns["common answers"] = [f"{count:,}" for count in gap.n_seen]
    remarks = (*verdicts(gap, found.first, found.second), f"{found.how}{_test(found)}")
    left = 2 if "group" in columns else 1
    title = f"{gap.target[0].upper()}{gap.target[1:]}, {100 * gap.level:.4g}% intervals (method: {gap.method})"
    return Table(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), remarks, left)


def _test(found: Comparison) -> str:
    tests = ", ".join(dict.fromkeys(filter(None, found.tests)))
    if not tests:
        return ""
    points = f"{100 * found.detectable[0]:z.1f} points"
    return f" Test: {tests}. Detectable with {100 * found.power:z.0f}% power: {points}."


def _p(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:z.3f}" if value >= 0.001 else f"{value:.1e}"
