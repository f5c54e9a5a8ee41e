"""Tables of how often plain intervals contain the truth."""

from __future__ import annotations

from collections.abc import Mapping

from bench.kit.results import read
from bench.kit.tables import markdown, number, within


def _found() -> dict:
    return read("plain", "plain_coverage")


def _cells(found: Mapping[str, float]) -> list[str]:
    low, high = _found()["bars"]
    return [within(found["mean"], low, high), number(found["least"], 3)]


def _both(name: str, n: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> tuple[str, ...]:
    return name, n, *_cells(ours), *_cells(theirs)


def counted() -> str:
    """Right or wrong, ours and the textbook's."""
    found = _found()["counted"]
    rows = [(n, *_cells(found["wilson"][n]), *_cells(found["t"][n])) for n in found["wilson"]]
    return markdown(("questions", "ours: mean", "least", "textbook: mean", "least"), rows)


def sampled() -> str:
    """Parts of a finite benchmark."""
    rows = [(name, *_cells(found)) for name, found in _found()["sampled"].items()]
    return markdown(("questions", "mean", "least"), rows)


def simulated() -> str:
    """Repeats, fractions, clusters."""
    rows = [
        _both(name, n, each["wilson"], each["t"])
        for name, sizes in _found()["simulated"].items()
        for n, each in sizes.items()
    ]
    return markdown(("answers", "questions", "ours: mean", "least", "textbook: mean", "least"), rows)


def paired() -> str:
    """Differences of two models."""
    rows = [
        _both(name, n, each["adjusted"], each["t"])
        for name, sizes in _found()["paired"].items()
        for n, each in sizes.items()
    ]
    return markdown(("answers", "questions", "ours: mean", "least", "textbook: mean", "least"), rows)


def with_bank() -> str:
    """Differences with a bank: independent errors, and the smaller of two half widths."""
    found = read("plain", "plain_with_bank")["found"]
    keys = (
        "independent",
        "half_independent",
        "compared",
        "half_compared",
        "narrower",
        "compared_where_narrower",
        "product",
    )
    rows = [(name, f"{each['pairs']:,}", *(number(each[key], 3) for key in keys)) for name, each in found.items()]
    head = ("models, questions", "pairs", "independent: contain", "half width", "ours: contain", "half width")
    return markdown((*head, "narrower", "there: contain", "mean product of errors"), rows)


TABLES = {"counted": counted, "sampled": sampled, "simulated": simulated, "paired": paired, "with-bank": with_bank}
