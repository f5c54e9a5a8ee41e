"""Tables of scaling laws."""

from __future__ import annotations

import numpy as np

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent, within

CELLS = tuple(f"{name} n{given}" for name in ("lb1", "lb2", "lb1+lb2") for given in (1, 2))
HEAD = tuple(cell.replace("lb1+lb2", "both").replace(" n", ", ") for cell in CELLS)
BEST = "trained d=3"  # of the published methods, in the mean
MARGIN = 0.1  # above the published error at most, for two and three skills


def scaling() -> str:
    """Ours and the best published method."""
    ours, theirs = read("sloth", "scaling")["settings"], read("sloth", "scaling_published")["variants"][BEST]
    rows = []
    for word, values in (
        ("**`sloth.fit` (three skills, learned link)**", [ours[cell]["mae"] for cell in CELLS]),
        ("best published single method (trained link, d = 3)", [theirs["published"][cell] for cell in CELLS]),
    ):
        rows.append((word, *map(number, values), bold(number(float(np.mean(values))), word.startswith("**"))))
    return markdown(("", *HEAD, "mean"), rows)


def coverage() -> str:
    """How often intervals of `sloth.fit` hold."""
    rows = []
    words = {"all": "all", "far": "4 times the largest model given, or more", "near": "nearer"}
    for word, found in read("sloth", "scaling")["summary"].items():
        cells = [words[word], f"{found['cells']:,}"]
        for level, bar in (("95%", (0.92, 0.98)), ("80%", (0.75, 0.85))):
            share, width = found[level]
            cells += [within(share, *bar), number(width, 1)]
        rows.append(cells)
    return markdown(("cells", "of them", "95% hold", "width", "80% hold", "width"), rows)


def variants() -> str:
    """Sloth's variants, ours / published; bold: missed by more than the bar."""
    rows = []
    for name, found in read("sloth", "scaling_published")["variants"].items():
        judged = name in ("basic d=2", "basic d=3", "trained d=2", "trained d=3")
        cells = [
            bold(f"{number(mine)} / {number(printed)}", judged and mine > printed + MARGIN)
            for mine, printed in ((found["mae"][cell], found["published"][cell]) for cell in CELLS)
        ]
        rows.append((name, *cells, number(found["cpu_seconds"], 1), number(found["cpu_seconds_a_fit"])))
    return markdown(("", *HEAD, "CPU s, 53 groups, 8 starts", "CPU s a fit"), rows)


def missing() -> str:
    """Errors by the rows learned from."""
    rows = []
    for law, found in read("sloth", "scaling_missing")["missing"].items():
        for word in ("studied", "complete", "all"):
            of = [found[cell][word] for cell in CELLS]
            errors = [one["mae"] for one in of]
            count = sum(one["cells"] for one in of)
            held = [sum(one[level][0] * one["cells"] for one in of) / count for level in ("80%", "95%")]
            name = {"studied": "as studied", "complete": "all complete rows", "all": "**all rows**"}[word]
            mean = number(float(np.mean(errors)))
            rows.append((law, name, *map(number, errors), mean, *(percent(share, 1) for share in held)))
    return markdown(("law", "rows", *HEAD, "mean", "80% held", "95% held"), rows)


def new() -> str:
    """Families of which no model is known."""
    rows = []
    for law, found in read("sloth", "scaling_missing")["new"].items():
        of = list(found.values())
        count = sum(one["cells"] for one in of)
        both = [[sum(one[level][i] * one["cells"] for one in of) / count for level in ("80%", "95%")] for i in (0, 1)]
        held, wide = (", ".join(form(x, 1) for x in part) for form, part in zip((percent, number), both, strict=True))
        name = {"ours d=3": "**`sloth.fit`**"}.get(law, law)
        rows.append((name, *(number(one["mae"]) for one in of), held, wide))
    return markdown(("law", "lb1", "lb2", "both", "80%, 95% held", "mean width"), rows)


def downstream() -> str:
    """HumanEval and EQ-Bench from skills; bold: above the paper's regression, or intervals that hold too seldom."""
    words = {
        "smallest known": "HumanEval of the smallest model known",
        "none known": "no HumanEval of the lineage known",
        "llama 3 70B, HumanEval": "Sloth's protocol: 70B Llama 3, both",
        "llama 3 70B, EQ-Bench": "the same, EQ-Bench, instruct",
    }
    rows = []
    found = read("sloth", "downstream")["summary"]
    for name, word in words.items():
        r = found[name]
        lost = r["ours"] > min(r["papers"], r["mean"])
        held = [
            f"{bold(number(r[k][0], 3), r[k][0] < least)} ({number(r[k][1], 1)})"
            for k, least in (("95%", 0.92), ("80%", 0.75))
        ]
        cells = (bold(number(r["ours"]), lost), number(r["papers"]), number(r["mean"]))
        rows.append((word, r["models"], *cells, *held))
    head = ("", "models", "**`downstream.fit`**", "paper", "mean", "95% held (width)", "80% held (width)")
    return markdown(head, rows)


def passk() -> str:
    """pass@k of two models; bold: outside of the interval."""
    rows = []
    for r in read("sloth", "downstream")["pass@k"]:
        cells = []
        for value, told, low, high in zip(r["observed"], r["value"], r["low"], r["high"], strict=True):
            text = f"{number(value, 3)} / {number(told, 3)} [{number(low, 3)}, {number(high, 3)}]"
            cells.append(bold(text, not low <= value <= high))
        rows.append((r["model"], *cells))
    return markdown(("observed / predicted [95%]", "pass@1", "pass@5", "pass@10"), rows)


TABLES = {
    "scaling": scaling,
    "coverage": coverage,
    "variants": variants,
    "missing": missing,
    "new": new,
    "downstream": downstream,
    "passk": passk,
}
