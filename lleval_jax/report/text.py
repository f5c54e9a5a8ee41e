"""Results as text: tables for a terminal or a log."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from lleval_jax.report import style
from lleval_jax.report.compare import difference
from lleval_jax.values.ranks import Ranks
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate

Truth = Mapping[tuple[str, str], float]  # (row, group) -> the score, where it is known


@dataclasses.dataclass(frozen=True)
class Table:
    """A title, a line of headings, lines of cells, and remarks below. The first `left` columns hold names.

    Without lines there is nothing to head.
    """

    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()
    left: int = 1

    def __str__(self) -> str:
        """Plain text, columns aligned, nothing cut."""
        rows = (self.head, *self.lines) if self.lines else ()
        width = [max(map(len, column)) for column in zip(*rows, strict=True)]
        body = [
            "  ".join(
                _place(cell, w, i < self.left) for i, (cell, w) in enumerate(zip(line, width, strict=True))
            ).rstrip()
            for line in rows
        ]
        return "\n".join([self.title, *body, *self.remarks])


def show(table: Table, console: Console) -> None:
    """Print a table: drawn on a terminal that is wide enough, plain text in a file or a pipe."""
    plain = str(table)
    fits = max(map(len, plain.splitlines())) <= console.width - 2 * len(table.head)
    if not (table.lines and fits and console.is_terminal):
        console.out(plain, highlight=False)
        return
    drawn = RichTable(title=Text(table.title), title_justify="left", box=None, pad_edge=False)
    for i, name in enumerate(table.head):
        drawn.add_column(Text(name), justify="left" if i < table.left else "right", no_wrap=True)
    for line in table.lines:
        drawn.add_row(*map(Text, line))
    console.print(drawn)
    for remark in table.remarks:
        console.out(remark, highlight=False)


def table(estimate: Estimate, truth: Truth | None = None) -> Table:
    """One line an entry: row, group where there are groups, value, interval, answers used.

    With `truth`, also the known score and whether the interval holds it.
    """
    entries = range(len(estimate.rows))
    return _lay_out(style.summary(estimate), estimate, list(entries), truth=truth)


def leaderboard(estimate: Estimate, ranks: Ranks, truth: Truth | None = None) -> Table:
    """The rows of one group, best first, with the ranks that the intervals support."""
    found = _lay_out(style.summary(estimate), estimate, list(ranks.order), ranks=ranks.ranges, truth=truth)
    remark = "ranks: those that the intervals support, the errors of two rows taken as independent"
    return dataclasses.replace(found, remarks=(*found.remarks, remark))


def comparison(estimate: Estimate, first: str, second: str) -> Table:
    """The difference of two rows, and what it says."""
    found = difference(estimate, first, second)
    remarks = [_verdict(found, i, first, second) for i in range(len(found.rows))]
    remarks.append("the errors of the two are taken as independent, sd = sqrt(s1^2 + s2^2): the safe side")
    shown = _lay_out(style.summary(found), found, list(range(len(found.rows))))
    return dataclasses.replace(shown, remarks=tuple(remarks))


def inside(estimate: Estimate, truth: Truth) -> dict[tuple[str, str], bool]:
    """(row, group) -> whether the interval holds the known score, where one is known."""
    entries = zip(estimate.rows, estimate.group, estimate.low, estimate.high, strict=True)
    return {(r, g): bool(low <= truth[r, g] <= high) for r, g, low, high in entries if (r, g) in truth}


def _lay_out(
    title: str,
    estimate: Estimate,
    entries: Sequence[int],
    *,
    ranks: Sequence[str] | None = None,
    truth: Truth | None = None,
) -> Table:
    """The columns that have something to say."""
    row, group = estimate.rows, estimate.group
    columns: dict[str, list[str]] = {"model": [row[i] for i in entries]}
    if any(group[i] != WHOLE for i in entries):
        columns["group"] = [group[i] for i in entries]
    if ranks is not None:
        columns["rank"] = list(ranks)
    columns[estimate.target] = [f"{estimate.value[i]:.3f}" for i in entries]
    columns["interval"] = [style.interval(estimate, i) for i in entries]
    columns["answers"] = [f"{estimate.n_seen[i]:,}" for i in entries]
    remarks: tuple[str, ...] = ()
    if truth is not None:
        held = inside(estimate, truth)
        keys = [(row[i], group[i]) for i in entries]
        columns["truth"] = [f"{truth[key]:.3f}" if key in truth else "-" for key in keys]
        columns["inside"] = [("yes" if held[key] else "no") if key in held else "-" for key in keys]
        remarks = (_score_card(estimate, truth, held),)
    if any(estimate.status[i] != "ok" for i in entries):
        columns["status"] = [estimate.status[i] for i in entries]
    left = 2 if "group" in columns else 1
    return Table(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), remarks, left)


def _score_card(estimate: Estimate, truth: Truth, held: Mapping[tuple[str, str], bool]) -> str:
    keys = zip(estimate.rows, estimate.group, estimate.value, strict=True)
    errors = [abs(value - truth[r, g]) for r, g, value in keys if (r, g) in truth]
    count = f"{sum(held.values())} of {len(held)} intervals hold the truth"
    return f"{count}; mean absolute error {np.mean(errors):.3f}"


def _verdict(found: Estimate, i: int, first: str, second: str) -> str:
    where = "" if found.group[i] == WHOLE else f" on {found.group[i]}"
    if found.low[i] > 0:
        return f"{first} is better than {second}{where}"
    if found.high[i] < 0:
        return f"{second} is better than {first}{where}"
    return f"these answers do not tell {first} and {second} apart{where}"


def _place(cell: str, width: int, left: bool) -> str:
    return f"{cell:<{width}}" if left else f"{cell:>{width}}"
