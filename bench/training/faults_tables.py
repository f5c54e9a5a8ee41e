"""Tables of what faults do to a run."""

from __future__ import annotations

import re

from bench.kit.results import read
from bench.kit.tables import bold, markdown

PLACE = re.compile(r"/\S*?/(?=(whole one|asked|wild|disk\d+)/)")


def _found(part: str):  # noqa: ANN202  (a list or a dict)
    return read("training", "faults")[part]["found"]


def kills() -> str:
    """How many kills, and what came out."""
    found = _found("kills")
    rows = []
    for where, word in ((False, "in a step"), (True, "while a checkpoint was being written")):
        cases = [each for each in found["cases"] if each["in_checkpoint"] is where]
        same = sum(each["same"] for each in cases)
        rows.append((word, len(cases), bold(f"{same}", same < len(cases))))
    ends = found["ends"]
    same, left = sum(each["records"] and each["weights"] for each in ends), sum(each["left"] for each in ends)
    last = "taken to their end", "", bold(f"{same}", same < len(ends))
    note = f"Checkpoints left half written in their folders at the end: {left}."
    return f"{markdown(('killed', 'kills', 'records the same'), [*rows, last])}\n\n{note}"


def disk() -> str:
    """What a full disk does."""
    rows = [
        (
            f"{each['room'] / 1024:.0f} kB",
            each["lines"],
            each["said"],
            each["checkpoint"],
            "yes" if each["same"] else bold("no"),
        )
        for each in _found("disk")
    ]
    return markdown(("room", "lines", "what is said", "last checkpoint", "with room again: the same"), rows)


def damage() -> str:
    """What damaged files do."""
    kinds = ("refused", "from the best, and said", "whole", "wrong")
    rows = [
        (name, *(bold(f"{counts.get(kind, 0)}", kind == "wrong" and counts.get(kind, 0) > 0) for kind in kinds))
        for name, counts in _found("damage")["counts"].items()
    ]
    head = ("damage to one file", "refused", "gone on from the best, and said so", "no matter", "went on wrongly")
    return markdown(head, rows)


def refused() -> str:
    """What is said of changed data and of losses that are not finite."""
    return markdown(("", "what is said"), [(name, PLACE.sub("", said)) for name, said in _found("refused").items()])


def devices() -> str:
    """How far losses are from those of a run on one device."""
    rows = [
        (each["before"], each["after"], bold(f"{each['far']:.0e}", each["far"] > each["bound"]))
        for each in _found("devices")
    ]
    return markdown(("devices before the stop", "after it", "largest relative difference of a loss"), rows)


TABLES = {"kills": kills, "disk": disk, "damage": damage, "refused": refused, "devices": devices}
