"""Where a caption begins and where it ends, on a page of a PDF.

A caption is a line that begins with Figure or Table, a number and a separator, and is not inside a paragraph: the plain
pattern also takes "Table 22.3 in Greene (2003) provides ...", at the start of a line, for one.
"""

import dataclasses
import re

from lleval_jax.live.pdf_lines import HYPHEN, Piece, Sheet

BEGINS = re.compile(
    r"^(?P<word>Figure|FIGURE|Fig\.?|FIG\.?|Table|TABLE)\s*(?P<number>[A-Z]\.?\d+(?:\.\d+)*|\d+(?:\.\d+)*|[IVXL]+)"
    r"(?P<mark>\s*[:.|\u2014\u2013]|(?=\s)|$)\s*(?P<text>.*)$"
)
AGAIN = re.compile(r"^(Table|TABLE|Figure)\s*(\S+?)[.:]?\s*[-(\u2013]?\s*(continued|cont\.|cont'd)", re.I)


@dataclasses.dataclass(frozen=True)
class Caption:
    """What it says and where. `text` is without "Figure 3:"."""

    kind: str
    number: str
    text: str
    lines: tuple[Piece, ...]
    again: bool = False  # the head of a later part of a table

    @property
    def left(self) -> float:
        """In points, as all of these."""
        return min(line.left for line in self.lines)

    @property
    def right(self) -> float:
        """Of the longest line."""
        return max(line.right for line in self.lines)

    @property
    def top(self) -> float:
        """Of the first line."""
        return self.lines[0].top

    @property
    def bottom(self) -> float:
        """Of the last line."""
        return max(line.bottom for line in self.lines)


def captions(sheet: Sheet) -> list[Caption]:
    """Those of a page, from the top."""
    found = []
    for piece in sheet.pieces:
        if (again := AGAIN.match(piece.text)) is not None and len(piece.text) < 60:
            found.append(Caption("table" if again[1].lower() == "table" else "figure", again[2], "", (piece,), True))
        elif (hit := BEGINS.match(piece.text)) is not None and _is_one(sheet, piece, hit):
            lines = _lines(sheet, piece)
            kind = "table" if hit["word"].lower() == "table" else "figure"
            found.append(
                Caption(kind, hit["number"], _joined([hit["text"], *(line.text for line in lines[1:])]), lines)
            )
    return sorted(found, key=lambda caption: caption.top)


def joined(texts: list[str]) -> str:
    """Lines of a paragraph as one text, hyphens at their ends taken out."""
    return _joined(texts)


def _joined(texts: list[str]) -> str:
    out = ""
    for text in texts:
        out = out[: -len(HYPHEN)] + text if out.endswith(HYPHEN) else f"{out} {text}".strip()
    return out.replace(HYPHEN, "-")


def _is_one(sheet: Sheet, piece: Piece, hit: re.Match[str]) -> bool:
    mark, text = hit["mark"].strip(), hit["text"]
    if not mark:  # "Fig. 3 Loss by epoch": the label must be bold, and what follows a capital
        return piece.bold and text[:1].isupper() and not _goes_on(sheet, piece)
    if not text:
        return False
    if mark == ":" and not _goes_on(sheet, piece):
        return True
    return (text[:1].isupper() or text[:1].isdigit() or mark == ":") and not _goes_on(sheet, piece)


def _goes_on(sheet: Sheet, piece: Piece) -> bool:
    """Whether a line goes on a paragraph: the line above is near, of the same size, and too full for its first word."""
    above = [
        each
        for each in sheet.pieces
        if each is not piece
        and 0.5 * piece.size < piece.base - each.base <= 1.7 * piece.size
        and each.left < piece.right
        and piece.left < each.right
        and abs(each.size - piece.size) < 0.5
    ]
    if not above:
        return False
    last = max(above, key=lambda each: each.base)
    column = max((each.right for each in sheet.pieces if abs(each.left - last.left) < 3), default=last.right)
    return last.right + 0.3 * piece.size + _first_word(piece) > column


def _first_word(piece: Piece) -> float:
    """Points that the first word of a line takes, about."""
    return piece.width * len(piece.text.split(" ")[0]) / max(len(piece.text), 1)


def _lines(sheet: Sheet, first: Piece) -> tuple[Piece, ...]:
    """The lines of a caption: until a gap, another size, a rule, a row of a table, or a line that was left short."""
    lines, step = [first], 1.75 * first.size
    while True:
        last = lines[-1]
        near = [
            each for each in sheet.pieces if 0.5 * last.size < each.base - last.base <= step and _under(lines, each)
        ]
        if not near:
            return tuple(lines)
        base = min(each.base for each in near)
        row = [each for each in near if each.base - base < 0.3 * last.size]
        after = _as_one(sorted(row, key=lambda each: each.left), lines)
        if after is None or abs(after.size - first.size) > 0.6 or BEGINS.match(after.text) and _is_label(after):
            return tuple(lines)
        if any(
            last.base < rule[1] < after.base and rule[0] < last.right and last.left < rule[2] for rule in sheet.rules
        ):
            return tuple(lines)
        wide = max(max(each.width for each in lines), after.width)
        if last.width + 0.3 * last.size + _first_word(after) < wide - 1 and not last.text.endswith(HYPHEN):
            return tuple(lines)
        if len(lines) == 1:
            step = min(step, 1.15 * (after.base - last.base))
        lines.append(after)


def _as_one(row: list[Piece], lines: list[Piece]) -> Piece | None:
    """A row of pieces as one line, where it is a justified line with one wide space; None for a row of a table."""
    first, last = row[0], row[-1]
    if len(row) == 1:
        return first
    gap = max(b.left - a.right for a, b in zip(row, row[1:], strict=False))
    fills = abs(first.left - lines[0].left) < 3 and abs(last.right - max(line.right for line in lines)) < 3
    if not fills or gap > 1.6 * first.size:
        return None
    text = " ".join(piece.text for piece in row)
    return dataclasses.replace(first, text=text, right=last.right)


def _is_label(piece: Piece) -> bool:
    hit = BEGINS.match(piece.text)
    return hit is not None and hit["mark"].strip() == ":"


def _under(lines: list[Piece], each: Piece) -> bool:
    return each.left < max(line.right for line in lines) and min(line.left for line in lines) < each.right
