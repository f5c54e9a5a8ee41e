"""Tables of language models' results."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown
from bench.lm import decoding_tables, embedding_tables, scoring_tables, sharding_tables


def damaged() -> str:
    """What came of damaged files."""
    found = read("lm", "damaged")
    kinds = ("loaded", "refused", "escaped", "unclear", "slow")
    rows = [
        (f"`{name}`", f"{sum(each[kind] for kind in kinds):,}", *(_count(kind, each[kind]) for kind in kinds))
        for name, each in found["files"].items()
    ]
    return markdown(("file", "cases", "loaded", "refused in one line", "another error", "unclear", "slow"), rows)


def _count(kind: str, count: int) -> str:
    return bold(f"{count:,}", kind not in ("loaded", "refused") and count > 0)


TABLES = {
    "damaged": damaged,
    **decoding_tables.TABLES,
    **embedding_tables.TABLES,
    **sharding_tables.TABLES,
    **scoring_tables.TABLES,
}
