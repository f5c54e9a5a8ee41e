"""Tables of AOT, DPO, IPO and KTO at equal cost."""

from __future__ import annotations

from collections.abc import Callable

from bench.kit.results import read
from bench.kit.tables import markdown, number
from bench.training import spread
from bench.training.spread import Found

MEASURES: dict[str, tuple[spread.Measure, int]] = {
    "pairs won": (spread.won, 2),
    "dominance violated": (spread.violated, 2),
    "violation area, nats": (spread.area, 2),
    "margin, nats": (spread.margin, 1),
    "W1, nats": (spread.distance, 1),
    "log-ratio on data": (spread.moved, 1),
}
KL = "KL on own texts"


def searched() -> str:
    """What each rate and beta reached on validation pairs."""
    rows = [
        (
            row["who"],
            f"{row['rate']:g}",
            f"{row['beta']:g}",
            *(number(row[key], 2) for key in ("won", "violated", "area")),
        )
        for row in read("training", "alignment")["search"]["runs"]
    ]
    return markdown(("loss", "rate", "beta", "pairs won", "dominance violated", "violation area, nats"), rows)


def _runs(name: str) -> dict[str, list[dict]]:
    """By contestant, in the order of seeds."""
    found: dict[str, list[dict]] = {}
    for key, run in read("training", name)["runs"]["runs"].items():
        found.setdefault(key.split("/")[0], []).append(run)
    return found


def reached(name: str) -> str:
    """Every measure with its interval over prompts."""
    rows = []
    for who, runs in _runs(name).items():
        sides = [(run["chosen"], run["rejected"]) for run in runs]
        cells = [_cell(spread.found(sides, measure), digits) for measure, digits in MEASURES.values()]
        rows.append((who, len(runs), *cells, _cell(_kl(runs), 1)))
    return markdown(("contestant", "seeds", *MEASURES, KL), rows)


def seeds(name: str) -> str:
    """The least and most over seeds."""
    rows = []
    for who, runs in _runs(name).items():
        sides = [(run["chosen"], run["rejected"]) for run in runs]
        found = [(spread.found(sides, measure), digits) for measure, digits in MEASURES.values()]
        rows.append((who, *(f"{number(f.least, d)} to {number(f.most, d)}" for f, d in [*found, (_kl(runs), 1)])))
    return markdown(("contestant", *MEASURES, KL), rows)


def rates() -> str:
    """All rates of the search on what is judged on, one seed: losses at one rate can be compared."""
    rows = []
    for run in sorted(read("training", "alignment")["search"]["runs"], key=lambda run: run["rate"]):
        sides = [(run["chosen"], run["rejected"])]
        cells = [_cell(spread.found(sides, measure), digits) for measure, digits in MEASURES.values()]
        rows.append((f"{run['rate']:g}", run["who"], *cells, _cell(_kl([run]), 1)))
    return markdown(("rate", "contestant", *MEASURES, KL), rows)


def against(name: str, whom: str = "DPO") -> str:
    """Differences to one contestant on the same prompts, as many seeds as both have."""
    every = _runs(name)
    rows = []
    for who, runs in every.items():
        if who == whom or whom not in every:
            continue
        count = min(len(runs), len(every[whom]))
        mine, theirs = ([(run["chosen"], run["rejected"]) for run in each[:count]] for each in (runs, every[whom]))
        cells = [_cell(spread.found(mine, measure, theirs), digits) for measure, digits in MEASURES.values()]
        rows.append((f"{who} less {whom}", *cells))
    return markdown(("contestants", *MEASURES), rows)


def _kl(runs: list[dict]) -> Found:
    return spread.found([(run["kl"], run["kl"]) for run in runs], spread.first)


def _cell(found: Found, digits: int) -> str:
    return f"{number(found.value, digits)} [{number(found.low, digits)}, {number(found.high, digits)}]"


def elsewhere() -> str:
    """Every command with what it printed."""
    said = [f"$ {each['command']}\n{each['printed']}" for each in read("training", "elsewhere")["path"]]
    return "```\n" + "\n\n".join(said) + "\n```"


TABLES: dict[str, Callable[[], str]] = {
    "searched": searched,
    "aligned": lambda: reached("alignment"),
    "aligned-seeds": lambda: seeds("alignment"),
    "aligned-rates": rates,
    "aligned-against": lambda: against("alignment"),
    "aligned-smollm2": lambda: reached("alignment_smollm2"),
    "aligned-smollm2-against": lambda: against("alignment_smollm2"),
    "elsewhere": elsewhere,
}
