"""What the three readers of a document have in common: their result, limits, and how a caption is taken apart."""

import dataclasses
import re
from collections.abc import Iterable

from lleval_jax.live.values import Element, Finding, Panel

MOST_MENTIONS = 3
LONGEST_MENTION = 1_500  # characters
LONGEST_CAPTION = 10_000
LETTER = re.compile(r"\(([a-z])\)|(?:(?<=\s)|^)([a-z])\)")


@dataclasses.dataclass(frozen=True)
class Read:
    """What a reader found in one document: elements in order, pictures as PNG files by sha256, and what went wrong."""

    elements: tuple[Element, ...] = ()
    images: dict[str, bytes] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def spaced(text: str) -> str:
    """Runs of spaces and line ends as one space."""
    return " ".join(text.split())


def shortened(text: str, most: int = LONGEST_CAPTION) -> str:
    """The text, cut at the last space before `most` characters where it is longer."""
    text = spaced(text)
    return text if len(text) <= most else text[:most].rpartition(" ")[0] + " ..."


def panels_named(caption: str) -> tuple[Panel, ...]:
    """The panels that a caption names "(a) ... (b) ...", with the words that follow each; () for fewer than two.

    The letters must come in order from a, so that "(c) 2024" or a reference to one panel is none.

    Example:
        >>> [panel.caption for panel in panels_named("Loss: (a) training, (b) held out.")]
        ['training', 'held out']
    """
    found, marks = [], list(LETTER.finditer(caption))
    for mark in marks:
        if (mark[1] or mark[2]) == "abcdefghijklmnopqrstuvwxyz"[len(found) : len(found) + 1]:
            found.append(mark)
    if len(found) < 2:
        return ()
    ends = [*(mark.start() for mark in found[1:]), len(caption)]
    said = (caption[mark.end() : end] for mark, end in zip(found, ends, strict=True))
    words = [re.sub(r"[\s,;.]+(and)?\s*$", "", text).strip(" :") for text in said]
    return tuple(Panel(letter=mark[1] or mark[2], caption=text) for mark, text in zip(found, words, strict=True))


def mentions(paragraphs: Iterable[str], kind: str, number: str) -> tuple[str, ...]:
    """Up to three paragraphs that cite an element by its number: "Figure 3", "Fig. 3", "Figures 3 and 4"."""
    word = r"Fig(?:ure)?s?\.?" if kind == "figure" else r"Tab(?:le)?s?\.?"
    before = r"(?:[\dA-Z.]+(?:,\s*|\s+and\s+|[-\u2013]))*"
    cites = re.compile(rf"\b{word}[\s~]*{before}{re.escape(number)}(?!\d)")
    found = (shortened(text, LONGEST_MENTION) for text in paragraphs if cites.search(text))
    return tuple(found)[:MOST_MENTIONS]
