"""Tables of kinds of answers."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number

SETS = ("wildbench", "alpaca")


def density() -> str:
    """Held-out log predictive density of an answer."""
    rows = []
    for name in SETS:
        found = read("kinds", "scores")[name]["density"]
        best = max(each["log_density"] for each in found.values())
        for kind, each in found.items():
            gain = "" if kind == "bernoulli" else f"{number(each['gain'], 3)} ± {number(each['gain_se'], 3)}"
            ended = bold(f"{each['status']}, {each['steps']} steps", each["status"] != "ok")
            value = number(each["log_density"], 3) + " (best)" * (each["log_density"] == best)
            rows.append((name, kind, value, gain, ended))
    return markdown(("set", "answers", "log density", "gain ± standard error", "fit"), rows)


def full() -> str:
    """Full scores from few answers."""
    rows = []
    for name in SETS:
        found = read("kinds", "scores")[name].get("full", {})
        for kind, sizes in found.items():
            cells = []
            for each in sizes.values():
                inside = each["coverage_low"] <= 0.95 <= each["coverage_high"]
                low, high = (number(each[f"coverage_{end}"]) for end in ("low", "high"))
                cover = f"{number(each['coverage'], 3)} [{low}, {high}]"
                cells += [number(each["mae"], 4), bold(cover, not inside), number(each["width"], 3)]
            rows.append((name, kind, *cells))
    sizes = list(next(iter(read("kinds", "scores")["wildbench"]["full"].values())))
    head = [f"{what}, {k} answers" for k in sizes for what in ("MAE", "coverage of 95%", "width")]
    return markdown(("set", "answers", *head), rows)


TABLES = {"density": density, "full": full}
