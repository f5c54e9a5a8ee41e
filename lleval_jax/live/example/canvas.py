"""Pages of text, lines and boxes as a PDF file, in the fonts that every reader of PDF has. Same drawing, same bytes."""

import dataclasses
import zlib
from collections.abc import Sequence

# Widths of Helvetica, characters 32 to 126, in thousandths of the size (Adobe's font metrics).
WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 222, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(222, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
FONTS = ("Helvetica", "Helvetica-Bold")
LETTER = (612.0, 792.0)  # points
Colour = tuple[float, float, float]
BLACK: Colour = (0.0, 0.0, 0.0)


def width(text: str, size: float) -> float:
    """Points that a line of text takes."""
    return sum(WIDTHS[ord(c) - 32] if 32 <= ord(c) < 127 else 556 for c in text) * size / 1000


def wrapped(text: str, size: float, room: float) -> list[str]:
    """Lines of at most `room` points."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and width(longer, size) > room:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line] if line else lines


@dataclasses.dataclass
class Page:
    """A page that is drawn on; x to the right and y down, from its top left corner, in points."""

    size: tuple[float, float] = LETTER
    drawn: list[str] = dataclasses.field(default_factory=list)

    def text(self, x: float, y: float, text: str, size: float = 9.0, *, bold: bool = False) -> None:
        """A line whose baseline is at `y`."""
        safe = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        self.drawn.append(f"BT /F{int(bold)} {size:g} Tf {x:.2f} {self.size[1] - y:.2f} Td ({safe}) Tj ET")

    def middle(self, x: float, y: float, text: str, size: float = 9.0) -> None:
        """A line centred at `x`."""
        self.text(x - width(text, size) / 2, y, text, size)

    def path(self, points: Sequence[tuple[float, float]], colour: Colour = BLACK, thick: float = 0.8) -> None:
        """A line through the points."""
        there = " ".join(
            f"{x:.2f} {self.size[1] - y:.2f} {'l' if number else 'm'}" for number, (x, y) in enumerate(points)
        )
        self.drawn.append(f"{_rgb(colour)} RG {thick:g} w {there} S")

    def box(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        """A filled box with its top left corner at (x, y)."""
        self.drawn.append(f"{_rgb(colour)} rg {x:.2f} {self.size[1] - y - high:.2f} {wide:.2f} {high:.2f} re f 0 g")


def pdf(pages: Sequence[Page]) -> bytes:
    """The file of these pages."""
    count = len(pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{5 + 2 * i} 0 R' for i in range(count))}] >>".encode(),
        *(f"<< /Type /Font /Subtype /Type1 /BaseFont /{f} /Encoding /WinAnsiEncoding >>".encode() for f in FONTS),
    ]
    for number, page in enumerate(pages):
        box = f"[0 0 {page.size[0]:g} {page.size[1]:g}]"
        place = 6 + 2 * number
        fonts = "<< /Font << /F0 3 0 R /F1 4 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Resources {fonts} /Contents {place} 0 R >>".encode()
        )
        stream = zlib.compress("\n".join(page.drawn).encode("cp1252"), 9)
        head = f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode()
        objects.append(head + stream + b"\nendstream")
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return bytes(out) + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


def _rgb(colour: Colour) -> str:
    return " ".join(f"{part:.3f}" for part in colour)
