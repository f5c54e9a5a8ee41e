r"""Figures and tables of a paper from its LaTeX source: captions, pictures, cells, and the paragraphs that cite them.

What is read: `figure`, `table` and their starred, wrapped and turned forms, `longtable`; `subfigure`, `\subfloat` and
`\subfigure` as panels. Numbers are counted as LaTeX counts them. A picture drawn by commands (TikZ) has no file here:
its element has no image, and the PDF reader's crop stands in.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from lleval_jax.errors import BadFile
from lleval_jax.live import pictures
from lleval_jax.live.latex_source import braced, expanded, macros, plain, whole
from lleval_jax.live.latex_table import cells
from lleval_jax.live.reading import LONGEST_MENTION, MOST_MENTIONS, Read, panels_named, shortened
from lleval_jax.live.unpack import unpacked
from lleval_jax.live.values import Element, Finding, Panel

if TYPE_CHECKING:
    from PIL.Image import Image

FLOAT = re.compile(r"\\begin\{((?:wrap|sideways|SC|margin)?(figure|table)\*?|longtable)\}")
CAPTION = re.compile(r"\\(?:caption|captionof\s*\{(figure|table)\})(?![A-Za-z*])\s*")
PARTS = re.compile(r"\\begin\{(subfigure|subtable|subcaptionblock)\}|\\(subfloat|subfigure|subcaptionbox)(?![A-Za-z])")
GRAPHIC = re.compile(r"\\includegraphics\*?\s*(?:\[([^\]]*)\])?\s*\{([^{}]*)\}")
CITED = re.compile(r"\\(?:auto|[cC]|v)?ref\*?\{([^{}]*)\}")
ENDINGS = ("", ".pdf", ".png", ".jpg", ".jpeg", ".PDF", ".PNG", ".JPG", ".eps", ".ps", ".EPS")


@dataclasses.dataclass(frozen=True)
class Source:
    """The source of a paper, and what is collected while it is read."""

    paper: str
    files: Mapping[str, bytes]
    macros: Mapping[str, tuple[int, str, str]]
    folders: tuple[str, ...]
    images: dict[str, bytes]
    findings: list[Finding]

    def text(self, piece: str) -> str:
        """A piece of LaTeX as plain text, with the paper's own macros."""
        try:
            return plain(expanded(piece, self.macros, self.paper))
        except BadFile as error:
            self.note(str(error))
            return plain(piece[:LONGEST_MENTION])

    def note(self, reason: str) -> None:
        """Record what went wrong, and go on."""
        self.findings.append(Finding(paper=self.paper, step="latex", reason=reason))


def read(content: bytes, paper: str) -> Read:
    """The elements of a source archive, in the order of the text.

    Args:
        content: what the archive serves as source.
        paper: "id" or "idvN".

    Raises:
        BadFile: there is no LaTeX in it that can be read; the message says why.
    """
    files, left_out = unpacked(content, paper)
    text = whole(files, paper)
    folders = tuple(
        re.findall(r"\{([^{}]*)\}", next(iter(re.findall(r"\\graphicspath\s*\{((?:\{[^{}]*\})+)", text)), ""))
    )
    source = Source(paper, files, macros(text), ("", *folders), {}, list(left_out))
    body = text.partition("\\begin{document}")[2].partition("\\end{document}")[0]
    floats, rest = _floats(body)
    found, counts = list[Element](), {"figure": 0, "table": 0}
    for kind, inner in floats:
        found += _elements(source, kind, inner, counts)
    labelled = {each.label: each.number for each in found if each.label}
    cited = _mentions(rest, labelled, source.text)
    whole_elements = (dataclasses.replace(each, mentions=cited.get(each.label, ())) for each in found)
    return Read(tuple(whole_elements), source.images, tuple(dict.fromkeys(source.findings)))


def _floats(body: str) -> tuple[list[tuple[str, str]], str]:
    """([(kind, what is in it)], the text without them)."""
    found, kept, last = [], [], 0
    for hit in FLOAT.finditer(body):
        if hit.start() < last:
            continue
        end = body.find(f"\\end{{{hit[1]}}}", hit.end())
        if end < 0:
            continue
        kind = hit[2] or "table"
        inner = body[hit.start() : end] + f"\\end{{{hit[1]}}}" if hit[1] == "longtable" else body[hit.end() : end]
        found.append((kind, inner))
        kept.append(body[last : hit.start()])
        last = end + len(hit[1]) + 6
    return found, "\n\n".join([*kept, body[last:]])


def _elements(source: Source, kind: str, inner: str, counts: dict[str, int]) -> Iterator[Element]:
    """The captioned elements of one float: one, or several side by side."""
    outer, parts = _parts(inner)
    captions = list(CAPTION.finditer(outer))
    if "\\ContinuedFloat" in inner:
        return
    for number, hit in enumerate(captions):
        sort = hit[1] or kind
        counts[sort] += 1
        caption, end = braced(outer, braced(outer, hit.end(), "[]")[1])
        first = captions[number - 1].end() if number else 0
        last = captions[number + 1].start() if number + 1 < len(captions) else len(outer)
        piece = outer if len(captions) == 1 else outer[first:last]
        label = re.search(r"\\label\{([^{}]*)\}", caption) or re.search(r"\\label\{([^{}]*)\}", outer[end:last])
        label = label or (re.search(r"\\label\{([^{}]*)\}", outer) if len(captions) == 1 else None)
        said = shortened(source.text(caption))
        image, panels = _pictures(source, piece, parts, said) if sort == "figure" else ("", ())
        yield Element(
            paper=source.paper,
            kind="figure" if sort == "figure" else "table",
            number=str(counts[sort]),
            caption=said,
            reader="latex",
            label=label[1] if label else "",
            image=image,
            cells=cells(piece, source.text) if sort == "table" else (),
            panels=panels,
        )


def _parts(inner: str) -> tuple[str, list[tuple[str, str]]]:
    """(the float without its panels, [(caption, what is in it)] of the panels)."""
    parts, kept, last = [], [], 0
    for hit in PARTS.finditer(inner):
        if hit.start() < last:
            continue
        if hit[1]:
            end = inner.find(f"\\end{{{hit[1]}}}", hit.end())
            end, body = (end, inner[hit.end() : end]) if end >= 0 else (len(inner), inner[hit.end() :])
            mark = CAPTION.search(body)
            caption = braced(body, braced(body, mark.end(), "[]")[1])[0] if mark else ""
            after = end + len(f"\\end{{{hit[1]}}}")
        else:
            caption, at = braced(inner, hit.end(), "[]") if hit[2] != "subcaptionbox" else braced(inner, hit.end())
            body, after = braced(inner, braced(inner, at, "[]")[1])
        parts.append((caption, body))
        kept.append(inner[last : hit.start()])
        last = max(after, hit.end())
    return "".join([*kept, inner[last:]]), parts


def _pictures(source: Source, piece: str, parts: list[tuple[str, str]], caption: str) -> tuple[str, tuple[Panel, ...]]:
    """(sha256 of the picture of a figure, its panels)."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    if parts:
        shown = [_graphics(source, body) for _, body in parts]
        panels = tuple(
            Panel(
                letter=letters[number % 26],
                caption=source.text(said),
                image=pictures.kept(pictures.joined(images), source.images) if images else "",
            )
            for number, ((said, _), images) in enumerate(zip(parts, shown, strict=True))
        )
        images = [image for each in shown for image in each]
    else:
        images, panels = _graphics(source, piece), panels_named(caption)
        if len(images) == len(panels):
            panels = tuple(
                dataclasses.replace(panel, image=pictures.kept(image, source.images))
                for panel, image in zip(panels, images, strict=True)
            )
    return pictures.kept(pictures.joined(images), source.images) if images else "", panels


def _graphics(source: Source, piece: str) -> "list[Image]":
    """The pictures that a piece of LaTeX shows; those that cannot be had are findings."""
    found = []
    for options, name in GRAPHIC.findall(piece):
        tries = (
            f"{folder}{name.strip().strip(chr(34))}{end}".removeprefix("./")
            for folder in source.folders
            for end in ENDINGS
        )
        file = next((each for each in tries if each in source.files), "")
        if not file:
            source.note(f"the picture {name[:100]!r} is not in the archive")
        elif file.lower().endswith((".eps", ".ps")):
            source.note(f"the picture {file[:100]!r} is PostScript, which is not read")
        else:
            page = re.search(r"page\s*=\s*(\d+)", options)
            try:
                found.append(_opened(source.files[file], file, int(page[1]) if page else 1))
            except BadFile as error:
                source.note(str(error))
    return found


def _opened(content: bytes, name: str, page: int) -> "Image":
    if content[:5] == b"%PDF-":
        return pictures.rendered(content, page=page, name=name)
    return pictures.opened(content, name)


def _mentions(text: str, labelled: Mapping[str, str], plain_text: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Label -> up to three paragraphs that cite it."""
    found = dict[str, list[str]]()
    for paragraph in re.split(r"\n\s*\n", text):
        cited = {label.strip() for labels in CITED.findall(paragraph) for label in labels.split(",")} & labelled.keys()
        short = [label for label in cited if len(found.get(label, ())) < MOST_MENTIONS]
        if short:
            shown = CITED.sub(
                lambda hit: ", ".join(labelled.get(each.strip(), "") for each in hit[1].split(",")), paragraph
            )
            shown = re.sub(r"\\(sub)*section\*?\{[^{}]*\}", "", shown)
            said = shortened(plain_text(shown), LONGEST_MENTION)
            for label in short:
                found.setdefault(label, []).append(said)
    return {label: tuple(texts) for label, texts in found.items()}
