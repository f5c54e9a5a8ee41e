"""The pages that are made from JSON: the front page of claims, and a README a method."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from bench.kit.claims import CLAIMS, Claim, Path
from bench.kit.entries import ENTRIES
from bench.kit.results import BENCH, read
from bench.kit.tables import HEAD, METHODS, bold, markdown, readme

BEFORE = "2026-11-23 to 27"  # when results were measured that store no date

INTRODUCTION = """# bench

What `lleval_jax` reaches, and what it does not, compared with rivals at their best settings. Each row is one number of
a JSON in `bench/METHOD/results/`, with machine, versions and settings; **what is lost or missed is in bold**, here and
in each method's tables.

"""

RUNNING = """
## Run it yourself

```
python -m bench list                  # every study: what it shows, minutes, needs
python -m bench run tiny.alpaca       # one of them; --help says what it can be asked
python -m bench run all --small       # does everything run? A few minutes; the long ones take turns by the day
python -m bench table                 # make these pages anew from the JSON; --check only compares
python -m bench pair OLD NEW          # seconds of the same calls at two checkouts, in turn
python -m bench same OLD NEW          # what all public verbs say at two checkouts, compared
python bench/irt/rivals/setup.py      # one environment per rival, once
```

Most studies read the shared data: `../shared`, or the folder named by `LLEVAL_SHARED`; `list` says which. A study is a
module `bench/METHOD/NAME.py` with a `Settings` and a `study(settings, record)`, and a line in `bench/kit/entries.py`.

## Methods

"""


def front() -> str:
    """The front page."""
    head = ("claim", "rival", "ours", "theirs", "interval", "command", "date", "machine")
    table = markdown(head, map(row, CLAIMS))
    titles = {method: (BENCH / method / "notes.md").read_text().splitlines()[0].lstrip("# ") for method in METHODS}
    links = "\n".join(f"- [{title}]({method}/README.md)" for method, title in titles.items())
    return HEAD + INTRODUCTION + table + "\n" + RUNNING + links + "\n"


def row(claim: Claim) -> tuple[str, ...]:
    """Cells of one claim; bold where it is lost."""
    found = read(claim.method, claim.results)
    ours = mean(found, claim.ours)
    theirs = mean(read(claim.method, claim.theirs_in or claim.results), claim.theirs) if claim.theirs else None
    lost = theirs is not None and (ours > theirs if claim.less else ours < theirs)
    about = found if "machine" in found else found[claim.ours[0][0]]
    machine = about["machine"]
    words = f"{machine['cores']} core{'s' * (machine['cores'] > 1)} of {machine['processor']}"
    shown = bold(claim.show(ours), lost), "" if theirs is None else claim.show(theirs)
    command = f"`python -m bench run {claim.entry}`"
    return claim.words, claim.rival, *shown, interval(claim, found), command, date(claim, found, about), words


def at(found: Any, path: Path) -> Any:
    """What lies down the keys of a path."""
    for key in path:
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


def mean(found: Any, paths: Any) -> float:
    """The mean of the numbers at some paths."""
    return float(np.mean([at(found, path) for path in paths]))


def interval(claim: Claim, found: Any) -> str:
    """Two ends, or the standard error."""
    parts = [at(found, path) for path in claim.interval]
    ends = parts[0] if parts and isinstance(parts[0], list) else parts
    if len(ends) == 2:
        return f"{claim.show(ends[0])} to {claim.show(ends[1])}"
    return f"± {claim.show(ends[0])} (standard error)" if ends else ""


def date(claim: Claim, found: Any, about: Any) -> str:
    """When it was measured."""
    rows = found.get("rows")
    measured = at(found, claim.ours[0][:2]).get("measured") if isinstance(rows, dict) else None
    return measured or about.get("date") or BEFORE


def pages() -> dict[pathlib.Path, str]:
    """Every page that is made, by path."""
    made = {BENCH / "README.md": front()}
    for method in METHODS:
        made[BENCH / method / "README.md"] = readme(method) + commands(method)
    return made


def commands(method: str) -> str:
    """How a method's studies are run."""
    rows = [
        (f"`python -m bench run {entry.name}`", entry.shows, f"{entry.minutes:g}", ", ".join(entry.needs))
        for entry in ENTRIES.values()
        if entry.method == method
    ]
    return "\n## Commands\n\n" + markdown(("command", "what it shows", "minutes, about", "needs"), rows) + "\n"


def write(*, check: bool) -> int:
    """Write the pages that differ, or only name them; 1 if `check` and any does."""
    differ = {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}
    for path, text in differ.items():
        what = "is not up to date; run: python -m bench table" if check else "written"
        print(f"{path.relative_to(BENCH.parent)} {what}")
        if not check:
            path.write_text(text)
    return int(check and bool(differ))
