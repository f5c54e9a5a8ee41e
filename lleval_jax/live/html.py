"""Figures and tables of a paper from HTML as LaTeXML writes it (arXiv, ar5iv): nested figures are panels."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from lleval_jax.errors import BadFile
from lleval_jax.live import pictures
from lleval_jax.live.latex_source import plain
from lleval_jax.live.reading import LONGEST_MENTION, MOST_MENTIONS, Read, panels_named, shortened, spaced
from lleval_jax.live.values import Cells, Element, Finding, Panel

MOST = 50_000_000  # bytes
SHORTEST = 400  # characters of text: arXiv serves stubs while a page is not made
MOST_SPAN = 200
TAG = re.compile(r"^\s*(?:Figure|Fig\.|Table)\s*([A-Z]?\.?[\dIVXLC]+(?:\.\d+)*)\s*[:.]?\s*", re.I)


def read(content: bytes, paper: str, files: Mapping[str, bytes] | None = None) -> Read:
    """The elements of a page, in its order.

    Args:
        content: the page.
        paper: "id" or "idvN".
        files: the pictures of `sources(content)`, by the name that the page gives them; those that are not given leave
            an element without image.

    Raises:
        BadFile: it is empty, too long, or a stub without text.
    """
    root = _parsed(content, paper)
    images, findings, found = dict[str, bytes](), list[Finding](), list[Element]()
    for node in root.iter("figure", "div"):
        kind = _kind(node)
        if kind and not any(_kind(above) for above in node.iterancestors()):
            element = _element(node, kind, paper, files or {}, images, findings)
            if element is not None:
                found.append(element)
    cited = _mentions(root)
    whole = (dataclasses.replace(each, mentions=cited.get(each.label, ())) for each in found)
    return Read(tuple(whole), images, tuple(dict.fromkeys(findings)))


def sources(content: bytes, paper: str = "the page") -> tuple[str, ...]:
    """The names of the pictures in figures, as the page gives them: what to fetch next to it."""
    nodes = (node for node in _parsed(content, paper).iter("img") if any(_kind(a) for a in node.iterancestors()))
    return tuple(
        dict.fromkeys(name for node in nodes if (name := node.get("src", "")) and not name.startswith("data:"))
    )


def _parsed(content: bytes, paper: str) -> Any:
    from lxml import etree, html  # type: ignore[attr-defined]

    if not content:
        raise BadFile(f"{paper}: the page has 0 bytes")
    if len(content) > MOST:
        raise BadFile(f"{paper}: the page has more than {MOST:,} bytes; it is not read")
    try:
        root = html.document_fromstring(content, parser=html.HTMLParser(encoding="utf-8", no_network=True))
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise BadFile(f"{paper}: the page cannot be read: {str(error)[:120]}") from error
    if len(spaced("".join(root.itertext()))) < SHORTEST:
        raise BadFile(f"{paper}: the page has less than {SHORTEST} characters of text; it is a stub")
    return root


def _kind(node: Any) -> str:
    """What a node is: "figure", "table", or "" for neither."""
    classes = (node.get("class") or "").split()
    if node.tag not in ("figure", "div"):
        return ""
    return "figure" if "ltx_figure" in classes else "table" if "ltx_table" in classes else ""


def _element(
    node: Any, kind: str, paper: str, files: Mapping[str, bytes], images: dict[str, bytes], findings: list[Finding]
) -> Element | None:
    """The element of a node with a caption that has a number; None without."""
    caption = next((_text(each) for each in node.iterchildren("figcaption", "div") if _is_caption(each)), "")
    number = TAG.match(caption)
    if number is None:
        return None
    said = shortened(caption[number.end() :])
    inner = [each for each in node.iter("figure") if each is not node and _kind(each)]
    panels = tuple(_panel(each, place, files, images, findings, paper) for place, each in enumerate(inner))
    shown = [image for each in node.iter("img") if (image := _image(each, files, findings, paper)) is not None]
    if kind == "figure" and not panels:
        panels = panels_named(said)
        if len(shown) == len(panels):
            panels = tuple(
                dataclasses.replace(panel, image=pictures.kept(image, images))
                for panel, image in zip(panels, shown, strict=True)
            )
    table = next(node.iter("table"), None)
    return Element(
        paper=paper,
        kind="figure" if kind == "figure" else "table",
        number=number[1],
        caption=said,
        reader="html",
        label=node.get("id", ""),
        image=pictures.kept(pictures.joined(shown), images) if shown and kind == "figure" else "",
        cells=_cells(table) if table is not None and kind == "table" else (),
        panels=panels if kind == "figure" else (),
    )


def _is_caption(node: Any) -> bool:
    return "ltx_caption" in (node.get("class") or "").split() or node.tag == "figcaption"


def _panel(
    node: Any, place: int, files: Mapping[str, bytes], images: dict[str, bytes], findings: list[Finding], paper: str
) -> Panel:
    caption = next((_text(each) for each in node.iterchildren("figcaption") if _is_caption(each)), "")
    mark = re.match(r"\s*\(?([a-z])\)\s*", caption)
    shown = [image for each in node.iter("img") if (image := _image(each, files, findings, paper)) is not None]
    return Panel(
        letter=mark[1] if mark else "abcdefghijklmnopqrstuvwxyz"[place % 26],
        caption=caption[mark.end() :] if mark else caption,
        image=pictures.kept(pictures.joined(shown), images) if shown else "",
    )


def _image(node: Any, files: Mapping[str, bytes], findings: list[Finding], paper: str) -> Any:
    """The picture of an `img`; None, and a finding, where it cannot be had."""
    name = node.get("src", "")
    try:
        if name not in files:
            raise BadFile(f"the picture {name[:100]!r} was not fetched")
        return pictures.opened(files[name], name)
    except BadFile as error:
        findings.append(Finding(paper=paper, step="html", reason=str(error)))
        return None


def _text(node: Any) -> str:
    """Text as it is shown; a formula by its TeX, made plain."""
    parts = list[str]()

    def walk(one: Any) -> None:
        if one.tag == "math":
            parts.append(plain(f"${one.get('alttext', '')}$"))
        elif isinstance(one.tag, str) and one.tag not in ("script", "style", "cite"):
            parts.append(one.text or "")
            for each in one:
                walk(each)
                parts.append(each.tail or "")

    walk(node)
    return spaced("".join(parts))


def _cells(table: Any) -> Cells:
    """Rows of a table; spans repeat their text."""
    rows, below = list[list[str]](), dict[tuple[int, int], str]()
    for number, line in enumerate(table.iter("tr")):
        row = list[str]()
        for cell in line.iterchildren("td", "th"):
            while (number, len(row)) in below:
                row.append(below[number, len(row)])
            wide, high, text = _span(cell, "colspan"), _span(cell, "rowspan"), _text(cell)
            for _ in range(wide):
                for down in range(1, high):
                    below[number + down, len(row)] = text
                row.append(text)
        while (number, len(row)) in below:
            row.append(below[number, len(row)])
        rows.append(row)
    rows = [row for row in rows if any(row)]
    wide = max(map(len, rows), default=0)
    return tuple((*row, *[""] * (wide - len(row))) for row in rows)


def _span(cell: Any, name: str) -> int:
    said = (cell.get(name) or "1").strip()
    return min(max(int(said), 1), MOST_SPAN) if said.isdigit() else 1


def _mentions(root: Any) -> dict[str, tuple[str, ...]]:
    """Id -> up to three paragraphs with a link to it."""
    found = dict[str, list[str]]()
    for paragraph in root.iter("p"):
        names = dict.fromkeys(a.get("href", "").partition("#")[2] for a in paragraph.iter("a"))
        for name in filter(None, names):
            if len(texts := found.setdefault(name, [])) < MOST_MENTIONS:
                texts.append(shortened(_text(paragraph), LONGEST_MENTION))
    return {name: tuple(texts) for name, texts in found.items()}
