"""The table of sentences a second."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown


def embedding() -> str:
    """Of both sides; ours bold where the rival is faster."""
    found = read("lm", "embedding")
    ours, theirs = found["ours"], found["theirs"]
    lost = any(side["sentences_a_second"] > ours["sentences_a_second"] for side in theirs.values())
    rows = [("lleval_jax", *(bold(text, lost) for text in _rates(ours)), "")]
    rows += [
        (f"transformers, {rows} texts a batch", *_rates(side), f"{side['apart']:.0e}") for rows, side in theirs.items()
    ]
    return markdown(("who", "sentences a second, median", "best pass", "vectors apart, at most"), rows)


def _rates(side: dict) -> tuple[str, str]:
    return f"{side['sentences_a_second']:,.0f}", f"{side['best']:,.0f}"


TABLES = {"embedding": embedding}
