"""Tables of few answers to the full score."""

from __future__ import annotations

import itertools

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number
from bench.tiny.published import ESTIMATORS, SAMPLINGS, SIZES, WIDE


def alpaca() -> str:
    """AlpacaEval 2.0."""
    rows = []
    for k, r in read("tiny", "alpaca")["rows"].items():
        missed = r["mae"] > r["bar"]
        mae = bold(number(r["mae"], 4) + ", above the bar" * missed, missed)
        reference = number(r["best_reference_row"], 4)
        rows.append((k, mae, number(r["bar"], 4), reference, number(r["coverage"], 3), number(r["width"], 3)))
    head = ("anchors", "MAE", "bar", "best of 12 reference rows", "coverage of 95%", "mean width")
    return markdown(head, rows)


def full_score() -> str:
    """open_llm_irt, both protocols."""
    rows = []
    for name, of in sorted(read("tiny", "full_score")["rows"].items()):
        cells = [name]
        for r in (of["folds"], of["strangers"]):
            missed = round(r["mae"], 3) > r["bar"]
            cells.append(bold(f"{number(r['mae'], 3)}{', above the bar' * missed}", missed) + f" ({number(r['bar'])})")
            bounds = f"[{number(r['coverage_low'], 3)}, {number(r['coverage_high'], 3)}]"
            cells += [f"{number(r['coverage'], 3)} {bounds}", number(r["width"])]
        rows.append(cells)
    head = ("set", "5-fold: MAE (bar)", "coverage", "width", "strangers: MAE (bar)", "coverage", "width")
    return markdown(head, rows)


def published() -> str:
    """tinyBenchmarks as published: ours, theirs."""
    of, rows = read("tiny", "tinybench_reference")["rows"], []
    for s, e in itertools.product(SAMPLINGS, ESTIMATORS):
        cells = []
        for n in SIZES:
            r = of[f"{s} {e} {n}"]
            text = f"{number(r['mae'], 4)} / {number(r['reference'], 4)}"
            cells.append(bold(text, abs(r["standard_errors_apart"]) > WIDE))
        rows.append((s, e, *cells))
    return markdown(("items", "estimator", *(f"{n}" for n in SIZES)), rows)


def livexiv() -> str:
    """The shipped banks' way, all domains together."""
    rows = []
    for r in read("tiny", "coverage_livexiv")["rows"]:
        if r["group"] == "all":
            low, high = r["coverage_bounds"]
            held = f"{r['covered']} of {r['models']} [{number(low)}, {number(high)}]"
            rows.append((r["bank"], r["k"], r["method"], number(r["mae"], 3), held, number(r["mean_width"], 3)))
    return markdown(("bank", "k", "method", "MAE", "95% intervals that hold", "mean width"), rows)


def few_models() -> str:
    """What banks of few calibration models say of new ones."""
    rows = []
    for truth, found in read("tiny", "few_models")["found"].items():
        for models, r in found.items():
            rows.append((truth, models, number(r["inside"], 3), number(r["half_width"], 3), number(r["error"], 3)))
    return markdown(("truth", "models", "95% intervals that contain the score", "half width", "MAE"), rows)


def stronger() -> str:
    """Models above all calibration models, and below."""
    rows, pooled = [], {}
    for key, of in read("tiny", "stronger")["rows"].items():
        ours, least = of["auto"], 0.9 if key.endswith("extrap") else 0.0
        coverage = bold(number(ours["coverage"], 3), ours["coverage"] < least)
        errors = [number(of[method]["mae"]) for method in ("auto", "kriged", "aipw", "mean")]
        rows.append((*key.split(), *errors, f"{ours['bias']:+.1f}", coverage, number(ours["width"], 1)))
        pooled.setdefault(key.split()[1], []).append([of[m]["mae"] for m in ("auto", "kriged", "aipw", "mean")])
    for protocol, errors in pooled.items():
        means = [number(sum(column) / len(column)) for column in zip(*errors, strict=True)]
        rows.append(("mean of sets", protocol, *means, None, None, None))
    head = ("set", "models", "default", "kriged", "AIPW", "mean of the answers", "bias", "coverage of 95%", "width")
    return markdown(head, rows)


def agents() -> str:
    """SWE-bench Verified by the number of instances run."""
    rows = []
    for key, of in read("tiny", "agents")["rows"].items():
        protocol, items = key.split()
        ours, errors = of["auto"], [number(of[method]["mae"]) for method in ("auto", "kriged", "aipw", "mean")]
        who = {"interp": "at random", "extrap": "strongest 30%"}[protocol]
        rows.append(
            (who, items, *errors, f"{ours['bias']:+.1f}", number(ours["coverage"], 3), number(ours["width"], 1))
        )
    head = ("systems left out", "instances", "default", "kriged", "AIPW", "mean of the answers", "bias")
    return markdown((*head, "coverage of 95%", "width"), rows)


def memory() -> str:
    """Memory over calls of random shapes."""
    rows = []
    for method, parts in read("tiny", "memory")["rows"].items():
        _, early, last = parts
        cells = [f"{part['mib']:,} ({part['mappings']:,})" for part in parts]
        rows.append((method, *cells, f"{last['mib'] - early['mib']:+,}", number(1000 * last["seconds_a_call"], 0)))
    head = (
        "method",
        "MiB (mappings) after 1 call",
        "60 calls",
        "600 calls",
        "last against 60th",
        "ms a call at the end",
    )
    return markdown(head, rows)


TABLES = {
    "few-models": few_models,
    "alpaca": alpaca,
    "full-score": full_score,
    "published": published,
    "livexiv": livexiv,
    "stronger": stronger,
    "agents": agents,
    "memory": memory,
}
