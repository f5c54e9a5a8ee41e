"""Figures and tables of a paper from its PDF: captions, boxes, crops at 200 dpi, cells, paragraphs that cite them."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lleval_jax.errors import BadFile
from lleval_jax.live import pdf_regions, pictures
from lleval_jax.live.pdf_captions import Caption, captions, joined
from lleval_jax.live.pdf_lines import Piece, Sheet, sheets
from lleval_jax.live.reading import Read, mentions, panels_named, shortened
from lleval_jax.live.values import Box, Element, Finding

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PAGES = 500


def read(content: bytes, paper: str, *, crops: bool = True) -> Read:
    """The elements of a PDF file, by page and from the top.

    Args:
        content: the file.
        paper: "id" or "idvN".
        crops: cut figures and tables out as pictures.

    Raises:
        BadFile: it is empty, damaged, encrypted, or has more than 500 pages.
    """
    images, findings, found = dict[str, bytes](), list[Finding](), list[Element]()
    paragraphs = list[str]()
    with _opened(content, paper) as document:
        for number, page in enumerate(document, 1):
            shown = None
            for drawn in sheets(page, number):
                heads = captions(drawn)
                paragraphs += _paragraphs(drawn, heads)
                for head in heads:
                    element, box = _element(drawn, head, heads, paper)
                    if head.again:
                        _add(found, element)
                        continue
                    if box is not None and crops:
                        shown = shown or _rendered(page, findings, paper)
                        element = dataclasses.replace(element, image=_crop(shown, box, drawn.turn, images))
                    found.append(element)
    whole = [
        dataclasses.replace(each, mentions=mentions(paragraphs, each.kind, each.number))
        for each in _once(found, findings)
    ]
    return Read(tuple(whole), images, tuple(dict.fromkeys(findings)))


@contextlib.contextmanager
def _opened(content: bytes, paper: str) -> Iterator[Any]:
    import pypdfium2

    if not content:
        raise BadFile(f"{paper}: the PDF has 0 bytes")
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        reason = "is encrypted; it needs a password" if locked else f"cannot be opened: {error}"
        raise BadFile(f"{paper}: the PDF {reason}") from error
    try:
        if len(document) > MOST_PAGES:
            raise BadFile(f"{paper}: the PDF has {len(document):,} pages, more than {MOST_PAGES}; it is not read")
        try:
            yield document
        except pypdfium2.PdfiumError as error:
            raise BadFile(f"{paper}: the PDF is damaged: {error}") from error
    finally:
        document.close()


def _element(drawn: Sheet, head: Caption, heads: list[Caption], paper: str) -> tuple[Element, Box | None]:
    box, cells = None, ()
    if head.kind == "figure":
        box = pdf_regions.figure(drawn, head, heads)
    else:
        box, cells = pdf_regions.table(drawn, head, heads)
    caption = shortened(head.text)
    return Element(
        paper=paper,
        kind="table" if head.kind == "table" else "figure",
        number=head.number,
        caption=caption,
        reader="pdf",
        page=drawn.number,
        box=None if box is None else drawn.unturned(box),
        cells=cells,
        panels=panels_named(caption) if head.kind == "figure" else (),
    ), box


def _add(found: list[Element], more: Element) -> None:
    """Rows of a later part of a table go to its first part, without the head that is repeated."""
    for place, each in enumerate(found):
        if each.kind == more.kind == "table" and each.number == more.number and each.cells:
            rows = more.cells[1:] if more.cells[:1] == each.cells[:1] else more.cells
            if rows and len(rows[0]) == len(each.cells[0]):
                found[place] = dataclasses.replace(each, cells=(*each.cells, *rows))


def _once(found: list[Element], findings: list[Finding]) -> Iterator[Element]:
    """Each number once: the first, for a list of figures or a second caption is no further element."""
    seen = set[str]()
    for each in found:
        if each.name in seen:
            reason = f"page {each.page} has a second caption of {each.kind} {each.number}; the first is kept"
            findings.append(Finding(paper=each.paper, step="pdf", reason=reason))
        else:
            seen.add(each.name)
            yield each


def _rendered(page: Any, findings: list[Finding], paper: str) -> "Image | None":
    pixels = page.get_width() * page.get_height() * (pictures.DPI / 72) ** 2
    if pixels > pictures.MOST_PIXELS:
        findings.append(Finding(paper=paper, step="pdf", reason=f"a page has {pixels:.0f} pixels; it is not drawn"))
        return None
    return page.render(scale=pictures.DPI / 72).to_pil().convert("RGB")


def _crop(shown: "Image | None", box: Box, turn: int, images: dict[str, bytes]) -> str:
    if shown is None:
        return ""
    if turn:
        shown = shown.rotate(-90 * turn, expand=True)
    scale = pictures.DPI / 72
    left, top, right, bottom = (round(side * scale) for side in box)
    return pictures.kept(shown.crop((left, top, right, bottom)), images)


def _paragraphs(drawn: Sheet, heads: list[Caption]) -> Iterator[str]:
    """Lines in the order of the file, put together while they follow closely in the same size."""
    said = {id(line) for head in heads for line in head.lines}
    lines = list[Piece]()
    for piece in drawn.pieces:
        if id(piece) in said:
            continue
        near = lines and 0 < piece.base - lines[-1].base < 1.7 * piece.size and abs(piece.size - lines[-1].size) < 1.5
        same = lines and abs(piece.base - lines[-1].base) < 0.5 * piece.size
        if lines and not near and not same:
            yield joined([line.text for line in lines])
            lines = []
        lines.append(piece)
    if lines:
        yield joined([line.text for line in lines])
