"""Tables of a new version from a few models."""

from __future__ import annotations

from collections.abc import Sequence

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent

KINDS = {
    "published": "published",
    "own choice": "ours, own choice",
    "published choice": "ours, their choice",
    "cpu": "their code on a CPU, m = 3, 5, 8 (15 cells)",
    "cpu choice": "ours, its choice (15 cells)",
    "corrected": "ours, rows put right, own choice",
}


def published() -> str:
    """LiveXiv's method: theirs and ours."""
    found, rows = read("refresh", "refresh_reference"), []
    printed = {key(cell): cell["mae"] for cell in found["cells"]["published"]}
    for kind, word in KINDS.items():
        means = found["means"][kind]
        gaps = [abs(cell["mae"] - printed[key(cell)]) for cell in found["cells"][kind]]
        largest = number(max(gaps)) if kind in ("own choice", "published choice") else ""
        rows.append((word, *(number(means[part]["mae"]) for part in ("vqa", "tqa", "all")), largest))
        if "mae_over_starts" in means["all"]:
            over = (number(means[part]["mae_over_starts"]) for part in ("vqa", "tqa", "all"))
            rows.append((f"{word}, mean of {found['starts']} starts", *over, ""))
    return markdown(("", "vqa", "tqa", "all", "largest difference of a cell from the published"), rows)


def key(cell: dict) -> tuple:
    """Which cell it is."""
    return cell["modality"], cell["version"], cell["m"]


def errors(part: str, columns: Sequence[str]) -> str:
    """Mean errors of all methods, the same models given."""
    names = ("mae", *columns, "spearman", "kendall")
    rows = []
    for name, means in read("refresh", "refresh")[part]["means"].items():
        choice, _, method = name.rpartition(" published") if name.endswith(" published") else name.partition(" ")
        method = bold(method, method == "refresh") or "as published"
        digits = [3 if column in ("spearman", "kendall") else 2 for column in names]
        rows.append((choice, method, *(number(means.get(c), d) for c, d in zip(names, digits, strict=True))))
    return markdown(("models", "method", "MAE", *columns, "Spearman", "Kendall"), rows)


def held(part: str) -> str:
    """How often intervals hold, models not run; bold: outside of 92 to 98% (95%), below 75% (80%)."""
    rows = []
    for name, r in read("refresh", "refresh")[part]["coverage"].items():
        choice, what, level = name.split(", ")
        outside = not 0.92 <= r["share"] <= 0.98 if level == "95%" else r["share"] < 0.75
        share = f"{bold(number(r['share'], 3), outside)} ± {number(r['error'], 3)}"
        rows.append((choice, what, level, share, f"{r['held']:,} of {r['of']:,}", number(r["width"], 1)))
    return markdown(("models", "scores", "level", "hold", "count", "width, points"), rows)


def worst() -> str:
    """Ours less the best rule of each cell, known only afterwards."""
    rows = []
    for part in ("livexiv", "others", "forms"):
        found = read("refresh", "refresh")[part]["worst"]
        for name, points in found["points"].items():
            if name.endswith(("best, same models", "best, spread")):
                above = found["above_bar"][name]
                rows.append((part, name, number(points), bold(f"{above} of {found['cells']}", above > 0)))
    return markdown(("data", "difference", "in the worst cell, points", "cells above the bar of .3"), rows)


def worlds() -> str:
    """Simulated worlds, honest and contaminated; bold: 95% intervals that hold in less than 92%."""
    rows = []
    for kind in ("honest", "contaminated"):
        for name, r in read("refresh", "refresh")["simulation"][kind].items():
            if isinstance(r, dict):
                share = (
                    f"{bold(number(r['95%']['share'], 3), r['95%']['share'] < 0.92)} ± {number(r['95%']['error'], 3)}"
                )
                less, width = number(r["80%"]["share"], 3), number(r["95%"]["width"], 1)
                rows.append((kind, name, number(r["mae"], 1), f"{share} ({r['of']:,})", less, width))
    return markdown(("worlds", "models not run", "MAE", "95% hold (of)", "80% hold", "width of 95%"), rows)


def suspects() -> str:
    """Families that gain on one version; bold: flagged in less than 80%."""
    found = read("refresh", "refresh")["simulation"]["suspects"]
    rows = []
    for none, six, eight in zip(found[::3], found[1::3], found[2::3], strict=True):
        flagged = [bold(percent(r["family"], 1), r["family"] < 0.8) for r in (six, eight)]
        drift = {"points": "as much in points", "logits": "as much in logits"}[none["drift in"]]
        rows.append((drift, none["gain on"], none["looked at"], percent(none["anybody"], 1), *flagged))
    head = ("drift", "gain on", "looked at", "false alarms, all honest", "+6 points flagged", "+8 points flagged")
    return markdown(head, rows)


def seconds() -> str:
    """Warm and cold seconds of the chain vqa v1 to v4, and of the method as published."""
    found = read("refresh", "refresh")["speed"]
    rows = [
        (word, *(number(found[name][k]) for k in ("cold_seconds", "warm_seconds", "cpu_seconds")))
        for name, word in (
            ("chain", "four fits, three choices, an estimate"),
            ("published chain", "four fits as published"),
        )
    ]
    for r in found["bootstrap"]:
        beside = f"{r['batch']} at a time" if r["batch"] else "one after the other"
        rows.append(
            (f"{r['draws']:,} refits in one call, {beside}", "", number(r["seconds"], 1), number(r["cpu_seconds"], 1))
        )
    return markdown(("", "first call, s", "warm s", "CPU s"), rows)


def by_size() -> str:
    """Seconds by the number of items and of models."""
    found, rows = read("refresh", "refresh")["speed"], []
    for r in found["items"]["rows"]:
        rows.append((f"{r['items']:,} items", number(r["fit"]), number(r["counting"], 3), "", ""))
    for r in found["models"]["rows"]:
        rows.append((f"{r['models']} models", number(r["fit"]), "", number(r["choose"]), number(r["estimate"])))
    return markdown(("", "fit, s", "counting answers, s", "choice of 12, s", "estimate, s"), rows)


LIVEXIV = ("vqa", "tqa", "mae_domains", "vqa domains", "tqa domains")
CODE = tuple(f"code {day}" for day in ("2024-04", "2025-01", "2025-04"))

TABLES = {
    "published": published,
    "livexiv": lambda: errors("livexiv", LIVEXIV),
    "livexiv-held": lambda: held("livexiv"),
    "others": lambda: errors("others", ("mmlivebench", *CODE, *(f"{name} domains" for name in CODE))),
    "others-held": lambda: held("others"),
    "forms": lambda: errors("forms", ("arc", "gsm8k")),
    "forms-held": lambda: held("forms"),
    "worst": worst,
    "worlds": worlds,
    "suspects": suspects,
    "seconds": seconds,
    "by-size": by_size,
}
