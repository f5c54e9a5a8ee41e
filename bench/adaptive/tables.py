"""Tables of what to ask next."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent, within

SETS = ("gsm8k_A", "gsm8k_B", "arc_A", "arc_B", "truthfulqa_B", "alpaca", "alpaca, folds drawn 10 times")
RULES = {"score": "**score (the default)**", "information": "information", "random": "random"}


def items() -> str:
    """Items until the standard error is small enough; bold: half of the fixed anchors' not reached, or coverage."""
    rows = []
    for name in SETS:
        methods = read("adaptive", "adaptive")["sets"].get(name, {}).get("methods", {})
        for rule, of in methods.items():
            cells = [name, RULES.get(rule, rule)]
            for goal in ("0.02", "0.01"):
                r, fixed = of[goal], methods.get("fixed anchors", {}).get(goal)
                cells += [asked(rule, r, fixed), number(r["rmse"], 4), within(r["coverage"], 0.93, 0.97)]
            rows.append(cells)
    head = ("set", "rule", "2 points: items", "rmse", "coverage", "1 point: items", "rmse", "coverage")
    return markdown(head, rows)


def asked(rule: str, r: dict, fixed: dict | None) -> str:
    """Items, bold where the default misses its bar of half the fixed anchors'."""
    if rule == "fixed anchors":
        return ("" if r["reached"] else "over ") + number(r["items"], 0)
    text = number(r["items"], 0)
    if r["reached"] < 1:
        text += f" ({percent(r['reached'])} got there)"
    bar = fixed["items"] / 2 if fixed and fixed["reached"] else float("inf")
    return bold(text, rule == "score" and r["items"] > bar)


def pairs() -> str:
    """Items until two models are told apart."""
    rows = []
    for name, of in sorted(read("adaptive", "pairs")["sets"].items()):
        for way in (
            "difference, at every look",
            "independent, at every look",
            "difference, plain",
            "independent, plain",
        ):
            cells = []
            for rule in ("score", "random"):
                r = of[f"{rule}: {way}"]
                cells += [number(r["items"], 0), percent(r["decided"]), percent(r["wrong"], 1)]
            rows.append((name, way, *cells))
    head = ("set", "interval", "score: items", "decided", "wrong", "random: items", "decided", "wrong")
    return markdown(head, rows)


def ranking() -> str:
    """Answers until the order is clear."""
    rows = []
    for name, of in read("adaptive", "ranking")["sets"].items():
        for way, r in of["ways"].items():
            wrong = percent(r["0.05"]["early"]["wrong_order"], 1)
            rows.append((name, way, *(number(r[apart]["answers"], 0) for apart in ("0.05", "0.02")), wrong))
    return markdown(("set", "way", "5 points", "2 points", "wrong order at 1,000"), rows)


def sessions() -> str:
    """Ten thousand sessions."""
    found = read("adaptive", "sessions")
    rows = [
        (
            rule,
            *(number(found[rule][k], 1) for k in ("cold_seconds", "warm_seconds", "warm_processor_seconds")),
            number(found[rule]["rmse"], 4),
            number(found[rule]["coverage"], 3),
        )
        for rule in ("score", "information", "random")
    ]
    return markdown(("rule", "first call, s", "warm s", "warm CPU s", "rmse", "coverage of 95%"), rows)


TABLES = {"items": items, "pairs": pairs, "ranking": ranking, "sessions": sessions}
