"""A page of a PDF as pieces of text with boxes, rules and drawings, in points from the top left corner.

A piece is a run of characters on one line without a gap that is as wide as between columns. Superscripts and other fonts
within the line belong to it.
"""

import ctypes
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from lleval_jax.live.values import Box

GAP = 0.9  # of the size: white that ends a piece
SPACE = 0.15  # of the size: white between words
HYPHEN = "\x02"  # as pdfium gives a hyphen at the end of a line
MOST_CHARACTERS = 100_000  # of a page


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
    """What is on a page. `drawings` are boxes of pictures and lines, `rules` those of long horizontal lines."""

    number: int
    width: float
    height: float
    pieces: list[Piece]
    drawings: list[Box]
    rules: list[Box]


def sheet(page: Any, number: int) -> Sheet:
    """Read one page of pypdfium2."""
    left, bottom, right, top = page.get_cropbox()
    pieces = list(_pieces(page.get_textpage(), left, top))
    boxes = list(_boxes(page, left, top))
    area = (right - left) * (top - bottom)
    rules = [box for box in boxes if box[3] - box[1] < 2 and box[2] - box[0] > 25]
    drawings = [box for box in boxes if (box[2] - box[0]) * (box[3] - box[1]) < 0.9 * area and box not in rules]
    return Sheet(number, right - left, top - bottom, pieces, drawings, rules)


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


def _pieces(textpage: Any, left: float, top: float) -> Iterator[Piece]:
    """Characters in the order of the file, put together."""
    piece: Piece | None = None
    spaced = False
    for index, one in _characters(textpage, left, top):
        if one is None:
            spaced = True
            continue
        if piece is not None and _joins(piece, one):
            gap = one.left - piece.right
            piece.text += (
                " " if spaced and gap > 0.05 * piece.size or gap > SPACE * 1.2 * piece.size else ""
            ) + one.sign
            piece.left, piece.right = min(piece.left, one.left), max(piece.right, one.right)
            piece.top, piece.bottom = min(piece.top, one.top), max(piece.bottom, one.bottom)
            if one.size > 1.15 * piece.size:
                piece.base, piece.size = one.base, one.size
        else:
            if piece is not None:
                yield piece
            bold = _bold(textpage, index)
            piece = Piece(one.sign, one.left, one.top, one.right, one.bottom, one.base, one.size, bold)
        spaced = False
    if piece is not None:
        yield piece


def _joins(piece: Piece, one: Character) -> bool:
    size = max(piece.size, one.size)
    gap = one.left - piece.right
    small = one.size < 0.85 * piece.size or piece.size < 0.85 * one.size
    return abs(one.base - piece.base) <= (0.55 if small else 0.25) * size and -0.6 * size <= gap <= GAP * size


def _characters(textpage: Any, left: float, top: float) -> Iterator[tuple[int, Character | None]]:
    """(index, the character), None for white."""
    import pypdfium2.raw as raw

    a, b, c, d = (ctypes.c_double() for _ in range(4))
    x, y = ctypes.c_double(), ctypes.c_double()
    matrix = raw.FS_MATRIX()
    for index in range(min(textpage.count_chars(), MOST_CHARACTERS)):
        code = raw.FPDFText_GetUnicode(textpage, index)
        sign = chr(code) if code and not 0xD800 <= code < 0xE000 else "\N{REPLACEMENT CHARACTER}"
        if sign.isspace():
            yield index, None
            continue
        raw.FPDFText_GetCharBox(textpage, index, a, b, c, d)
        raw.FPDFText_GetCharOrigin(textpage, index, x, y)
        raw.FPDFText_GetMatrix(textpage, index, matrix)
        size = raw.FPDFText_GetFontSize(textpage, index) * math.hypot(matrix.c, matrix.d)
        if abs(matrix.b) > 2 * abs(matrix.a):  # turned text is part of a drawing
            continue
        right = max(b.value, a.value)
        yield index, Character(sign, a.value - left, top - d.value, right - left, top - c.value, top - y.value, size)


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
    for each in page.get_objects(filter=kinds, max_depth=1):
        a, b, c, d = each.get_bounds()
        if c > a or d > b:
            yield (a - left, top - d, c - left, top - b)
