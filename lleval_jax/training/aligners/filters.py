"""What is left out of generated data, as data: rules with names; each row that is left out is counted under one.

A rule sees the rows that the rules before it let through. So `rows in = rows kept + rows dropped`, rule by rule.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from lleval_jax.values.corrections import Example, plain

if TYPE_CHECKING:
    from lleval_jax.lm.text_encoder import TextEncoder

T = TypeVar("T")
LEAKED = r"(?im)^\s*(topic|question|answer|input|response|critique|correct(or|ion))\s*:"  # words of a prompt
TAG = r"<[/|a-zA-Z][^<>\n]{0,40}>"
NONE = r"(?i)^\W*(none|null|n/?a|nothing)?\W*$"
REFUSAL = r"(?i)^\W*(i'?m|i am) (sorry|unable)|^\W*i (can'?t|can ?not|won'?t)\b|\bas an ai\b"
WORDS, LONGEST, MANY = 3, 50, 10  # of a topic; letters of one; rows from which lengths are compared
SPREAD = 3.0  # standard deviations of the logarithm of lengths


@dataclasses.dataclass(frozen=True)
class Rule(Generic[T]):
    """A reason to leave rows out.

    name  under which they are counted
    hits  of all rows: which
    """

    name: str
    hits: Callable[[Sequence[T]], Sequence[bool]]


class Sifted(NamedTuple, Generic[T]):
    """Rows that are left, and (row, name of the rule) of those that are not."""

    kept: list[T]
    dropped: list[tuple[T, str]]


def sift(rows: Sequence[T], rules: Sequence[Rule[T]]) -> Sifted[T]:
    """The rows that no rule hits.

    Example:
        >>> sift(["Bees", "Bees", "bread."], TOPICS)
        Sifted(kept=['Bees'], dropped=[('bread.', 'not a topic'), ('Bees', 'repeated')])
    """
    kept, dropped = list(rows), []
    for rule in rules:
        hits = list(rule.hits(kept))
        dropped += [(row, rule.name) for row, hit in zip(kept, hits, strict=True) if hit]
        kept = [row for row, hit in zip(kept, hits, strict=True) if not hit]
    return Sifted(kept, dropped)


def each(name: str, test: Callable[[T], bool]) -> Rule[T]:
    """A rule that looks at one row at a time."""
    return Rule(name, lambda rows: [bool(test(row)) for row in rows])


def matching(name: str, pattern: str, of: Callable[[T], str]) -> Rule[T]:
    """A rule that looks for a pattern in a text of a row."""
    found = re.compile(pattern)
    return each(name, lambda row: found.search(of(row)) is not None)


def repeated(of: Callable[[T], str], name: str = "repeated") -> Rule[T]:
    """Rows whose text has been there before, up to case and blanks."""

    def hits(rows: Sequence[T]) -> list[bool]:
        seen: set[str] = set()
        texts = [plain(of(row)).casefold() for row in rows]
        return [text in seen or bool(seen.add(text)) for text in texts]

    return Rule(name, hits)


def outlying(of: Callable[[T], str], name: str = "far longer than others") -> Rule[T]:
    """Rows whose text is longer than most by `SPREAD` standard deviations of the logarithm; of a few rows none."""

    def hits(rows: Sequence[T]) -> list[bool]:
        lengths = np.log1p([len(of(row)) for row in rows])
        if len(rows) < MANY or lengths.std() == 0:
            return [False] * len(rows)
        return (lengths > lengths.mean() + SPREAD * lengths.std()).tolist()

    return Rule(name, hits)


def near(encoder: "TextEncoder", most: float = 0.9) -> Rule[Example]:
    """Corrections that mean nearly what the answer does: for inspectors, which could not tell one from the other."""

    def hits(rows: Sequence[Example]) -> list[bool]:
        from lleval_jax.lm.embed import embed

        if not rows:
            return []
        sides = [embed(encoder, [getattr(row, name) for row in rows], unit=True) for name in ("answer", "correction")]
        return (np.sum(sides[0] * sides[1], axis=1) >= most).tolist()

    return Rule("nearly the same", hits)


def holding(banned: Sequence[str]) -> Rule[Example]:
    """Corrections that hold one of these texts, whatever its case."""
    words = [text.casefold() for text in banned]
    return each("holds what is banned", lambda row: any(word in row.correction.casefold() for word in words))


def _is_topic(text: str) -> bool:
    short = len(text.split()) <= WORDS and len(text) <= LONGEST
    plain_letters = all(letter.isalnum() or letter in " '&-" for letter in text)
    return bool(text) and short and text[:1].isupper() and plain_letters


def _itself(text: str) -> str:
    return text


def _correction(row: Example) -> str:
    return row.correction


TOPICS: tuple[Rule[str], ...] = (each("not a topic", lambda text: not _is_topic(text)), repeated(_itself))
QUESTIONS: tuple[Rule[str], ...] = (
    matching("nothing", NONE, _itself),
    matching("words of the prompt", LEAKED, _itself),
    matching("a tag", TAG, _itself),
    each("no question", lambda text: not text.rstrip().endswith(("?", ".", "!", ":")) or len(text.split()) < 3),
    repeated(_itself),
    outlying(_itself),
)
CORRECTIONS: tuple[Rule[Example], ...] = (
    matching("nothing", NONE, _correction),
    matching("words of the prompt", LEAKED, _correction),
    matching("a tag", TAG, _correction),
    each("a refusal", lambda row: bool(re.search(REFUSAL, row.correction)) and not re.search(REFUSAL, row.answer)),
    outlying(_correction),
)
