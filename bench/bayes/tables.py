"""Tables of whole posteriors."""

from __future__ import annotations

from statistics import median
from typing import Any

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number


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


TABLES: dict[str, Any] = {"speed": speed}
