"""Results as text: tables for a terminal or a log."""

import dataclasses
import shutil
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from lleval_jax.report import style
from lleval_jax.report.compare import difference, verdicts
from lleval_jax.report.truth import Known, Truth, known
from lleval_jax.values.ranks import Ranks
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate
from lleval_jax.words import visible

SHORTEST = 12  # cells that a name keeps on a narrow terminal
LABEL = 44  # cells that a name has in a picture
NAMED = 5  # rows named before a remark


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
        """Plain text, columns aligned, nothing cut; names as `lleval_jax.words.visible` shows them."""
        return "\n".join([visible(self.title), *_aligned(self._rows(), self.left), *map(visible, self.remarks)])

    def _rows(self) -> list[list[str]]:
        """Headings and lines as they are shown."""
        return [[visible(cell) for cell in row] for row in (self.head, *self.lines)] if self.lines else []

    def cut(self, width: int) -> "Table":
        """With the names of the first `left` columns cut in the middle until lines fit, the widest first."""
        head, *lines = _fitted(self._rows(), self.left, width)
        return dataclasses.replace(self, head=tuple(head), lines=tuple(map(tuple, lines)))


def show(table: Table, width: int | None = None) -> None:
    """Print a table: on a terminal with long names cut in the middle; in a file or a pipe nothing is cut.

    Args:
        table: what to print.
        width: cells of the terminal; None: as wide as stdout is, if that is a terminal.
    """
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    if width is None or not table.lines:
        print(table)
        return
    console = Console(width=width, highlight=False)
    title, head, *rest = str(table.cut(width)).splitlines()
    for line, style_ in ((title, "italic"), (head, "bold"), *((line, "") for line in rest)):
        console.print(Text(line, style_), soft_wrap=True)


def _aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Lines with columns below each other, the first `left` to the left."""
    widths = _widths(rows)
    return ["  ".join(_place(cell, widths[i], i < left) for i, cell in enumerate(row)).rstrip() for row in rows]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Of each column, in cells of a terminal: a Chinese character takes two."""
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def _fitted(rows: list[list[str]], left: int, width: int) -> list[list[str]]:
    """The names of the first `left` columns cut in the middle until the lines fit, the widest first."""
    widths = _widths(rows)
    room = width - 2 * (len(widths) - 1)
    while left and (over := sum(widths) - room) > 0:
        widest = max(range(left), key=lambda i: widths[i])
        if widths[widest] <= SHORTEST:
            break
        widths[widest] = max(SHORTEST, widths[widest] - over)
    return [[cut(cell, widths[i]) if i < left else cell for i, cell in enumerate(row)] for row in rows]


def cut(name: str, width: int) -> str:
    """A name in at most so many cells of a terminal, without its middle: beginnings and ends differ most."""
    if cell_len(name) <= width:
        return name
    head, tail, half = name, name, (width - 1) // 2
    while cell_len(tail) > half:
        tail = tail[1:]
    while cell_len(head) + 1 + cell_len(tail) > width:
        head = head[:-1]
    return f"{head}…{tail}"


def label(name: str) -> str:
    """A name for a picture: on one line, without its middle where it is long, and no mathematics."""
    return visible(cut(name, LABEL)).replace("$", r"\$")


def table(estimate: Estimate, truth: Truth | None = None) -> Table:
    """One line an entry: row, group where there are groups, value, interval, answers used.

    With `truth`, also the known score and whether the interval holds it.
    """
    entries = range(len(estimate.rows))
    return _lay_out(style.summary(estimate), estimate, list(entries), truth=known(truth))


def leaderboard(estimate: Estimate, ranks: Ranks, truth: Truth | None = None) -> Table:
    """The rows of one group, best first, with the ranks that the intervals support."""
    found = _lay_out(style.summary(estimate), estimate, list(ranks.order), ranks=ranks.ranges, truth=known(truth))
    remark = f"Rank ranges consistent with pairwise {100 * estimate.level:.4g}% intervals, errors taken as independent."
    return dataclasses.replace(found, remarks=(*found.remarks, remark))


def comparison(estimate: Estimate, first: str, second: str) -> Table:
    """The difference of two rows, and what it says."""
    found = difference(estimate, first, second)
    independent = "Errors treated as independent (conservative when both answered the same questions)."
    shown = _lay_out(style.summary(found), found, list(range(len(found.rows))))
    return dataclasses.replace(shown, remarks=(*verdicts(found, first, second), independent))


def inside(estimate: Estimate, truth: Truth) -> dict[tuple[str, str], bool]:
    """(row, group) -> whether the interval contains the known score, where one is known."""
    entries = zip(estimate.rows, estimate.group, estimate.low, estimate.high, strict=True)
    true = known(truth)
    return {(r, g): bool(low <= true[r, g] <= high) for r, g, low, high in entries if (r, g) in true}


def _lay_out(
    title: str,
    estimate: Estimate,
    entries: Sequence[int],
    *,
    ranks: Sequence[str] | None = None,
    truth: Known | None = None,
) -> Table:
    """The columns that have something to say."""
    row, group = estimate.rows, estimate.group
    columns: dict[str, list[str]] = {"model": [row[i] for i in entries]}
    if any(group[i] != WHOLE for i in entries):
        columns["group"] = [group[i] for i in entries]
    if ranks is not None:
        columns["rank"] = list(ranks)
    columns[estimate.target] = [f"{estimate.value[i]:z.3f}" for i in entries]
    columns["interval"] = [style.interval(estimate, i) for i in entries]
    columns["answers"] = [f"{estimate.n_seen[i]:,}" for i in entries]
    remarks: tuple[str, ...] = ()
    if truth is not None:
        held = inside(estimate, truth)
        keys = [(row[i], group[i]) for i in entries]
        columns["truth"] = [f"{truth[key]:z.3f}" if key in truth else "-" for key in keys]
        columns["inside"] = [("yes" if held[key] else "no") if key in held else "-" for key in keys]
        remarks = (_score_card(estimate, truth, held),)
    if any(estimate.status[i] != "ok" for i in entries):
        columns["status"] = [estimate.status[i] for i in entries]
    remarks = (*remarks, *estimate.caveats)
    remarks += _remarks(estimate, entries)
    left = 2 if "group" in columns else 1
    return Table(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), remarks, left)


def _remarks(estimate: Estimate, entries: Sequence[int]) -> tuple[str, ...]:
    """What a reader must know, with whom it is said of: a line for each remark."""
    said: dict[str, list[str]] = {}
    for i in entries:
        if estimate.remark[i]:
            where = "" if estimate.group[i] == WHOLE else f" / {estimate.group[i]}"
            said.setdefault(estimate.remark[i], []).append(f"{estimate.rows[i]}{where}")
    return tuple(f"{_first(names)}: {remark}" for remark, names in said.items())


def _first(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _score_card(estimate: Estimate, truth: Known, held: Mapping[tuple[str, str], bool]) -> str:
    keys = zip(estimate.rows, estimate.group, estimate.value, strict=True)
    errors = [abs(value - truth[r, g]) for r, g, value in keys if (r, g) in truth]
    count = f"{sum(held.values())} of {len(held)} intervals contain the truth"
    return f"{count}; mean absolute error {np.mean(errors):z.3f}"


def _place(cell: str, width: int, left: bool) -> str:
    space = " " * (width - cell_len(cell))
    return cell + space if left else space + cell
