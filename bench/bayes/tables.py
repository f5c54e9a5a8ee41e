"""Tables of whole posteriors."""

from __future__ import annotations

from statistics import median
from typing import Any

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number, percent


def speed() -> str:
    """NUTS on a 2PL, ours and a plain NumPyro model."""
    found = read("bayes", "speed")
    bars, rows = found["bars"], []
    for name, who in (("lleval_jax", "ours"), ("a plain NumPyro model", "plain")):
        each, mine = found[who], who == "ours"
        warm, effective = median(each["warm"]), min(each["effective"])
        rows.append(
            (
                name,
                number(each["cold"], 0),
                bold(number(warm, 0), mine and warm > bars["seconds"]),
                bold(number(effective, 0), mine and effective < bars["effective"]),
                number(median(each["effective_a_second"]), 1),
                found["divergences"] if mine else None,
            )
        )
    ratio = bold(number(found["ratio"], 1), found["ratio"] < bars["ratio"])
    rows.append(("ratio", None, None, None, ratio, None))
    head = ("sampler", "cold, s", "warm, s", "least bulk ESS", "ESS a second", "divergences")
    return markdown(head, rows)


def calibration() -> str:
    """Ranks of true values, by model and engine."""
    rows = []
    for name, found in read("bayes", "calibration").items():
        for what, each in found.items():
            if not isinstance(each, dict) or "covered" not in each:
                continue
            covered, uniform = each["covered"], bold("no") if not each["uniform"] else "yes"
            least = f"{min(each['p']):.2g}"
            share = percent(found["approximate"])
            rows.append((name, what, *(percent(covered[k], 1) for k in ("95", "50")), uniform, least, share))
    head = ("model, engine", "of", "95% intervals hold", "50% intervals hold", "uniform", "least p", "not corrected")
    return markdown(head, rows)


TABLES: dict[str, Any] = {"speed": speed, "calibration": calibration}
