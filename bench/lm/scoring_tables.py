"""Tables of scoring, and of prompt regression on a real model."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent

SIZES = ("5M", "135M")


def scoring() -> str:
    """Tokens scored a second, by size and side."""
    rows = []
    for size in SIZES:
        found = read("lm", "scoring")[size]
        for who, side in {"lleval_jax": found["ours"], **_ways(found)}.items():
            rate, seconds = f"{side['tokens_a_second']:,.0f}", side["seconds"]
            lost = who == "lleval_jax" and found["times_as_fast"] < 1
            spread = f"{number(min(seconds))} to {number(max(seconds))}"
            cells = (bold(rate, lost), number(side["warm_seconds"]), spread, number(side["cpu_seconds"]))
            rows.append((f"{size}, {found['rows']} x {found['length']} tokens", who, *cells))
    head = ("model and rows", "who", "tokens a second", "seconds, median", "least to most", "CPU seconds")
    return markdown(head, rows)


def _ways(found: dict) -> dict[str, dict]:
    return {f"transformers, {way}": side for way, side in found["theirs"]["ways"].items()}


def memory() -> str:
    """Bytes besides what goes in and comes out, by the size of a chunk."""
    rows = [
        (f"{row['chunk']:,}", *(f"{row[name] / 1e6:,.0f}" for name in ("forward", "with gradients")))
        for row in read("lm", "scoring")["memory"]["rows"]
    ]
    rows[-1] = (f"all {rows[-1][0]}, plain log-softmax", *rows[-1][1:])
    return markdown(("tokens of a chunk", "forward, MB", "with gradients, MB"), rows)


def agreement() -> str:
    """Of predictions with what was found, over combinations and over texts."""
    found = read("lm", "prompts")
    names = {
        "held_out": f"{found['held_out']['combinations']} combinations held out",
        "with_an_example": f"those {found['with_an_example']['combinations']} with an example",
        "texts": "single texts under all of them",
    }
    rows = [
        (words, who, *(number(found[key][name][k], 2) for k in ("r2", "rank_correlation", "mean_error")))
        for key, words in names.items()
        for name, who in {"pepr": "PEPR", "plain_mean": "plain mean of the elements"}.items()
    ]
    return markdown(("what", "predicted by", "R²", "rank correlation", "mean error, nats a token"), rows)


def elements() -> str:
    """What each element does."""
    rows = [
        (name, number(row["alone"], 3), number(row["value"], 2), f"{number(row['low'], 2)} to {number(row['high'], 2)}")
        for name, row in read("lm", "prompts")["weights"].items()
    ]
    return markdown(("element", "alone, nats a token", "weight", "95% interval"), rows)


def intervals() -> str:
    """How often they contain what was found, and the full prompt."""
    found = read("lm", "prompts")
    full = found["full"]
    rows = [
        ("combinations held out inside their 95% intervals", percent(found["held_out"]["inside_95%_intervals"])),
        ("the full prompt, nats a token", number(full["actual"], 3)),
        ("the best element alone, nats a token", number(full["best_alone"], 3)),
        ("the fit's own verdict", found["status"]),
    ]
    return markdown(("what", "found"), rows)


TABLES = {
    "scoring": scoring,
    "memory": memory,
    "agreement": agreement,
    "elements": elements,
    "intervals": intervals,
}
