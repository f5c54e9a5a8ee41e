"""Tables of prompt regression."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import markdown, number, percent


def recovery() -> str:
    """Errors and coverage by number of texts."""
    names = ("weight_coverage", "zero_weight_coverage", "score_mae_63", "score_largest_error", "score_coverage")
    digits = (3, 3, 4, 3, 3)
    rows = [
        (f"{int(n):,}", number(r["weight_rmse"], 4), *(number(r[k], d) for k, d in zip(names, digits, strict=True)))
        for n, r in read("pepr", "pepr")["recovery"]["by_texts"].items()
    ]
    head = ("texts", "RMSE of weights", "coverage of weights", "of zero weights", "MAE of scores", "largest error")
    return markdown((*head, "coverage of scores"), rows)


def flags() -> str:
    """Share called not linear by the strength of a product of two elements."""
    found = read("pepr", "pepr")["flags"]["flagged"]
    return markdown([f"strength {number(float(k), 3)}" for k in found], [[percent(v, 1) for v in found.values()]])


def seconds() -> str:
    """1,000 bootstrap fits."""
    r = read("pepr", "pepr")["seconds"]
    rows = [
        ("one call, first", number(r["ours_cold"])),
        ("one call, warm", number(r["ours_warm"], 3)),
        ("loop over scipy's SLSQP", number(r["slsqp_loop"])),
        ("scores of 65,535 combinations of 16 elements", number(r["scores_of_65535_combinations"])),
    ]
    return markdown((f"{r['fits']:,} bootstrap fits of 200 texts", "seconds"), rows)


TABLES = {"recovery": recovery, "flags": flags, "seconds": seconds}
