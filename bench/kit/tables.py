"""Tables of a method's README, made from its JSON and put where its notes.md says `<!-- table NAME -->`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.kit.results import BENCH

METHODS = (
    "plain",
    "irt",
    "tiny",
    "kinds",
    "adaptive",
    "guarantee",
    "prompts",
    "sloth",
    "refresh",
    "pepr",
    "trust",
    "audit",
    "judged",
    "bayes",
    "data",
    "lm",
    "training",
    "refine",
    "aligners",
    "live",
    "compress",
    "serving",
    "scale",
)
MARK = re.compile(r"^<!-- table ([\w-]+) -->$", re.M)
HEAD = "<!-- Made by `python -m bench table` from notes.md and results/*.json: change those, not this file. -->\n\n"
Rows = Iterable[Sequence[object]]


def markdown(head: Sequence[str], rows: Rows) -> str:
    """A table; None is an empty cell."""
    lines = [head, ["---"] * len(head), *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    for line in lines:
        if len(line) != len(head):
            raise ValueError(f"a row of {len(line)} cells under {len(head)} columns: {line}")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int = 2) -> str:
    """So many digits after the point, no zero before it; a dash for what was not measured."""
    if value is None:
        return "-"
    text = f"{value:,.{digits}f}"
    return re.sub(r"^(-?)0\.(?=\d)", r"\1.", text)


def percent(value: float, digits: int = 0) -> str:
    """A share."""
    return f"{100 * value:.{digits}f}%"


def bold(text: str, when: bool = True) -> str:
    """Bold, if so."""
    return f"**{text}**" if when and text else text


def within(value: float, low: float, high: float, digits: int = 3) -> str:
    """A share, bold outside of its bar."""
    return bold(number(value, digits), not low <= round(value, 6) <= high)


def readme(method: str) -> str:
    """The README of a method: its notes, with the tables in them.

    Raises:
        ValueError: a table that the notes do not show, or one that they name and nobody makes.
    """
    made: Mapping[str, Callable[[], str]] = importlib.import_module(f"bench.{method}.tables").TABLES
    notes = BENCH.joinpath(method, "notes.md").read_text()
    named = MARK.findall(notes)
    if sorted(named) != sorted(made):
        raise ValueError(f"bench/{method}/notes.md names the tables {sorted(named)}; tables.py makes {sorted(made)}")
    return HEAD + MARK.sub(lambda found: made[found[1]](), notes)
