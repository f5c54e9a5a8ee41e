"""A page of a PDF as pieces of text with boxes, rules and drawings; in points from its top left corner.

A piece is a run of characters on one line without a gap that is as wide as between columns. Superscripts and other
fonts within the line belong to it.
"""

import ctypes
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

from lleval_jax.live.values import Box

GAP = 0.9  # of the size: white that ends a piece
SPACE = 0.15  # of the size: white between words
HYPHEN = "\x02"  # as pdfium gives a hyphen at the end of a line
MOST_CHARACTERS = 100_000  # of a page
MOST_DRAWINGS = 20_000  # of a page
FEW = 40  # characters that run up a page, as the names of axes do


@dataclasses.dataclass(slots=True)
class Piece:
    """A run of text. `base` is its baseline, y down."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    base: float
    size: float
    bold: bool = False  # how it begins
    last: tuple[float, float] = (0.0, 0.0)  # left edge and baseline of its last character

    @property
    def width(self) -> float:
        """In points."""
        return self.right - self.left

    @property
    def box(self) -> Box:
        """Around its characters."""
        return (self.left, self.top, self.right, self.bottom)


@dataclasses.dataclass(slots=True)
class Sheet:
    """What is on a page. `drawings` are boxes of pictures and lines, `rules` those of long horizontal lines.

    `turn` is 0, or 1 for text that runs up the page and -1 down: then all is as on a page turned until it can be read.
    `across` are boxes of words that run in another direction, as names of axes do.
    """

    number: int
    width: float
    height: float
    pieces: list[Piece]
    drawings: list[Box]
    rules: list[Box]
    turn: int = 0
    across: list[Box] = dataclasses.field(default_factory=list)

    def unturned(self, box: Box) -> Box:
        """A box of this sheet, on the page as it lies in the file."""
        left, top, right, bottom = box
        if self.turn == 0:
            return box
        if self.turn > 0:
            return (top, self.width - right, bottom, self.width - left)
        return (self.height - bottom, left, self.height - top, right)


def sheets(page: Any, number: int) -> list[Sheet]:
    """A page of pypdfium2, and again for each direction in which more than a few words run."""
    left, bottom, right, top = page.get_cropbox()
    wide, high = right - left, top - bottom
    boxes = [box for box in _boxes(page, left, top) if (box[2] - box[0]) * (box[3] - box[1]) < 0.9 * wide * high]
    textpage = page.get_textpage()
    read = list(_characters(textpage, left, top, wide, high))
    found = []
    for turn in (0, 1, -1):
        mine = [(index, one) for index, way, one in read if way is None or way == turn]
        here = [_turned(box, turn, wide, high) for box in boxes]
        rules = [box for box in here if _is_rule(box)]
        drawings = [box for box in here if not _is_rule(box)]
        size = (high, wide) if turn else (wide, high)
        found.append(Sheet(number, *size, list(_pieces(textpage, mine)), drawings, rules, turn))
    for one in found:
        words = [other.unturned(piece.box) for other in found if other is not one for piece in other.pieces]
        one.across = [_turned(box, one.turn, wide, high) for box in words]
    return [one for one in found if one.turn == 0 or sum(len(piece.text) for piece in one.pieces) >= FEW]


def _is_rule(box: Box) -> bool:
    return box[3] - box[1] < 2 and box[2] - box[0] > 25


def _turned(box: Box, turn: int, wide: float, high: float) -> Box:
    left, top, right, bottom = box
    if turn > 0:
        return (high - bottom, left, high - top, right)
    return (top, wide - right, bottom, wide - left) if turn else box


@dataclasses.dataclass(slots=True)
class Character:
    """One sign and where it is."""

    sign: str
    left: float
    top: float
    right: float
    bottom: float
    base: float
    size: float


def _pieces(textpage: Any, characters: Iterable[tuple[int, Character | None]]) -> Iterator[Piece]:
    """Characters in the order of the file, put together."""
    piece: Piece | None = None
    spaced = False
    for index, one in characters:
        if one is None:
            spaced = True
            continue
        if piece is not None and _joins(piece, one):
            gap = one.left - piece.right
            piece.text += (
                " " if spaced and gap > 0.05 * piece.size or gap > SPACE * 1.2 * piece.size else ""
            ) + one.sign
            piece.left, piece.right = min(piece.left, one.left), max(piece.right, one.right)
            piece.last = (one.left, one.base)
            piece.top, piece.bottom = min(piece.top, one.top), max(piece.bottom, one.bottom)
            if one.size > 1.15 * piece.size:
                piece.base, piece.size = one.base, one.size
        else:
            if piece is not None:
                yield piece
            bold = _bold(textpage, index)
            piece = Piece(one.sign, one.left, one.top, one.right, one.bottom, one.base, one.size, bold)
            piece.last = (one.left, one.base)
        spaced = False
    if piece is not None:
        yield piece


def _joins(piece: Piece, one: Character) -> bool:
    size = max(piece.size, one.size)
    gap = one.left - piece.right
    if one.base == piece.last[1] and one.left == piece.last[0]:  # a further letter of a ligature
        return True
    small = one.size < 0.85 * piece.size or piece.size < 0.85 * one.size
    return abs(one.base - piece.base) <= (0.55 if small else 0.25) * size and -0.6 * size <= gap <= GAP * size


def _characters(
    textpage: Any, left: float, top: float, wide: float, high: float
) -> Iterator[tuple[int, int | None, Character | None]]:
    """(index, turn, the character); None for white, which belongs to any direction."""
    import pypdfium2.raw as raw

    x, y, box = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
    matrix, page = raw.FS_MATRIX(), textpage.raw
    for index in range(min(textpage.count_chars(), MOST_CHARACTERS)):
        code = raw.FPDFText_GetUnicode(page, index)
        sign = chr(code) if code and not 0xD800 <= code < 0xE000 else "\N{REPLACEMENT CHARACTER}"
        if sign.isspace():
            yield index, None, None
            continue
        raw.FPDFText_GetLooseCharBox(page, index, box)
        raw.FPDFText_GetCharOrigin(page, index, x, y)
        raw.FPDFText_GetMatrix(page, index, matrix)
        size = raw.FPDFText_GetFontSize(page, index) * math.hypot(matrix.c, matrix.d)
        turn = 0 if abs(matrix.b) <= 2 * abs(matrix.a) else 1 if matrix.b > 0 else -1
        low, far = min(box.left, box.right) - left, max(box.left, box.right) - left
        up, down = top - max(box.top, box.bottom), top - min(box.top, box.bottom)
        start, _, end, _ = _turned((low, up, far, down), turn, wide, high)
        base = (top - y.value, x.value - left, wide - (x.value - left))[turn]
        yield index, turn, Character(sign, start, base - 0.75 * size, end, base + 0.22 * size, base, size)


def _bold(textpage: Any, index: int) -> bool:
    """Whether a character's font is a bold one, by its name."""
    import pypdfium2.raw as raw

    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, index, name, 128, flags)
    said = name.value.decode("utf-8", "replace").lower()
    return "bold" in said or "cmbx" in said or said.endswith("-b")


def _boxes(page: Any, left: float, top: float) -> Iterator[Box]:
    """Boxes of all that is drawn at the top level: paths, bitmaps, and pictures taken in as a whole."""
    import pypdfium2.raw as raw

    kinds = [raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING, raw.FPDF_PAGEOBJ_FORM]
    for each in itertools.islice(page.get_objects(filter=kinds, max_depth=1), MOST_DRAWINGS):
        a, b, c, d = each.get_bounds()
        if c > a or d > b:
            yield (a - left, top - d, c - left, top - b)
