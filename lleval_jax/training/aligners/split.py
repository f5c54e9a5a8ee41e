"""Parts by question: whatever is made of one question is in one part, for aligners and inspectors alike."""

import hashlib
from collections.abc import Mapping, Sequence

from lleval_jax.errors import require
from lleval_jax.values.corrections import Corrections, plain

SHARES: Mapping[str, float] = {"learn": 0.7, "calibrate": 0.15, "test": 0.15}


def part_of(question: str, shares: Mapping[str, float] = SHARES, seed: int = 0) -> str:
    """The part of a question: by its text up to case and blanks, and the seed; nothing else.

    Example:
        >>> part_of("Why is the sky blue?") == part_of("why is  the sky blue?")
        True
    """
    total = sum(shares.values())
    require(bool(shares) and min(shares.values()) >= 0 < total, f"the shares are {dict(shares)}; none is below 0")
    name = f"{seed} {plain(question).casefold()}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    place, edge, last = int.from_bytes(digest[:8], "big") / 2**64 * total, 0.0, ""
    for part, share in shares.items():
        edge, last = edge + share, part if share else last
        if share and place < edge:
            return part
    return last


def by_question(examples: Corrections, shares: Mapping[str, float] = SHARES, seed: int = 0) -> dict[str, Corrections]:
    """The examples of each part. The same seed gives the same parts to all that learn, whatever their rows are."""
    parts = [part_of(row.question, shares, seed) for row in examples.rows]
    return {
        part: examples.keep(row for row, own in zip(examples.rows, parts, strict=True) if own == part)
        for part in shares
    }


def rows_of(questions: Sequence[str], part: str, shares: Mapping[str, float] = SHARES, seed: int = 0) -> list[int]:
    """Which rows are of a part."""
    return [row for row, question in enumerate(questions) if part_of(question, shares, seed) == part]
