"""Where two readers of one paper agree, their figures and tables are taken; where they do not, that is a finding."""

import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from lleval_jax.live.panels import with_panels
from lleval_jax.live.reading import Read
from lleval_jax.live.types import type_of
from lleval_jax.live.values import Element, Finding

NEAR = 0.1  # share of letters in which two captions may differ
LONGEST = 1_000  # letters of a caption that are compared
TRUST = ("latex", "html", "pdf")


def agreed(
    reads: Sequence[Read], paper: str, *, otherwise: Literal["drop", "latex"] = "drop", alone: bool = False
) -> Read:
    """The elements that at least two readers found with the same number and nearly the same caption.

    An element takes each thing from the reader that knows it best: caption and cells from LaTeX, then HTML, then PDF;
    page and box from PDF; pictures from the first that has one.

    Args:
        reads: what each reader found; those that could read nothing are not among them.
        paper: "id" or "idvN".
        otherwise: what becomes of an element on which readers differ: left out, or LaTeX's is kept if it has one.
        alone: take the elements of the only reader there is; else they are left out.
    """
    images = {key: content for read in reads for key, content in read.images.items()}
    findings = [finding for read in reads for finding in read.findings]
    by_reader = {each.elements[0].reader: each for each in reads if each.elements}
    ordered = [by_reader[reader] for reader in TRUST if reader in by_reader]
    readers = [read.elements[0].reader for read in ordered]

    def note(reason: str) -> None:
        findings.append(Finding(paper=paper, step="agreement", reason=reason))

    for kind in ("figure", "table"):
        counts = [sum(each.kind == kind for each in read.elements) for read in ordered]
        if len(set(counts)) > 1:
            said = ", ".join(f"{name} {count}" for name, count in zip(readers, counts, strict=True))
            note(f"readers count different {kind}s: {said}")
    tables = {read.elements[0].reader: {each.name: each for each in read.elements} for read in ordered}
    kept = []
    for name in dict.fromkeys(each.name for read in ordered for each in read.elements):
        found = {reader: table[name] for reader, table in tables.items() if name in table}
        reason = _difference(found, alone=alone and len(ordered) == 1)
        if reason:
            note(f"{name.rpartition('/')[2]}: {reason}")
            if otherwise == "drop" or "latex" not in found:
                continue
            found = {"latex": found["latex"]}
        whole = with_panels(_joined(found), images)
        kept.append(dataclasses.replace(whole, type=type_of(whole, images)) if whole.kind == "figure" else whole)
    used = {key for each in kept for key in (each.image, *(panel.image for panel in each.panels))}
    return Read(tuple(kept), {k: v for k, v in images.items() if k in used}, tuple(dict.fromkeys(findings)))


def distance(one: str, other: str) -> float:
    """The edit distance of two captions over the longer one's length; case, spaces and signs do not count.

    Example:
        >>> distance("Loss, by epoch.", "loss by  epochs")
        0.07692307692307693
    """
    a, b = _letters(one)[:LONGEST], _letters(other)[:LONGEST]
    if a == b:
        return 0.0
    row = list(range(len(b) + 1))
    for i, sign in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, each in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (sign != each))
    return row[-1] / max(len(a), len(b))


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def _difference(found: Mapping[str, Element], *, alone: bool) -> str:
    """Why an element is not to be trusted; "" where two readers agree. One that differs from both is taken out."""
    if len(found) == 1:
        return "" if alone else f"only the reader of {next(iter(found))} has it"
    near = {
        reader
        for reader, one in found.items()
        if any(distance(one.caption, other.caption) <= NEAR for name, other in found.items() if name != reader)
    }
    if not near:
        said = "; ".join(f"{reader}: {one.caption[:60]!r}" for reader, one in found.items())
        return f"captions differ: {said}"
    return ""


def _joined(found: Mapping[str, Element]) -> Element:
    """One element of what the readers say, each thing from the most trusted one that has it."""
    ordered = list(found.values())  # in order of trust
    best = ordered[0]
    if len(ordered) == 3 and distance(best.caption, ordered[1].caption) > NEAR < distance(
        best.caption, ordered[2].caption
    ):
        best = ordered[1]  # the other two agree
    placed = next((each for each in ordered if each.page is not None), best)
    panels = max((each.panels for each in ordered), key=lambda each: (any(p.image for p in each), len(each)))
    return dataclasses.replace(
        best,
        page=placed.page,
        box=placed.box,
        image=next((each.image for each in ordered if each.image), ""),
        cells=next((each.cells for each in ordered if each.cells), ()),
        mentions=next((each.mentions for each in ordered if each.mentions), ()),
        panels=panels,
    )
