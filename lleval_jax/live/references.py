"""Pictures by reference: an export names page and box of what may not be handed on; who has it cuts it out again.

Of such a paper the export holds its id, version and title, and of a picture the page, the box, the SHA-256 of the file
and 64 bits by which it is known (`duplicates.fingerprint`): other versions of the renderer give other bytes of the same
picture. Captions, cells and evidence are left out as well.
"""

import csv
import dataclasses
import hashlib
import io
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lleval_jax import writing
from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.live import duplicates, pictures
from lleval_jax.live.archive import Addresses, document
from lleval_jax.live.fetch import Fetcher, NotFetched
from lleval_jax.live.steps import Blobs
from lleval_jax.live.values import Box, Element, Finding, Paper
from lleval_jax.values.progress import Progress, Tell, silent

FILE = "references.csv"
HEAD = ("image_file", "paper", "version", "page", "box", "bits")


class Restored(NamedTuple):
    """What `restore` did: pictures with the same bytes, others that are known by their bits, and what failed."""

    same: int
    alike: int
    failed: tuple[Finding, ...]


def cut(content: bytes, page: int, box: Box, name: str = "the file") -> bytes:
    """The PNG file of a box of a page of a PDF, at 200 dpi.

    Raises:
        BadFile: it is not a PDF file, has no such page, or the page is too large.
    """
    shown = pictures.rendered(content, page=page, name=name)
    left, top, right, bottom = (round(side * pictures.DPI / 72) for side in box)
    return pictures.png(shown.crop((left, top, right, bottom)))


def referred(
    fetcher: Fetcher, paper: Paper, addresses: Addresses, found: Iterable[Element], blobs: Blobs
) -> tuple[list[Element], list[Finding]]:
    """Elements whose picture is a box of the PDF, so that it can be cut out again; others are left out."""
    kept, findings = list[Element](), list[Finding]()
    elements = list(found)
    try:
        content = document(fetcher, paper, "pdf", addresses).content if elements else b""
    except NotFetched as error:
        return [], [Finding(paper=paper.name, step="reference", reason=str(error))]
    for each in elements:
        if each.page is None or each.box is None:
            reason = f"{each.name} has no place in the PDF to refer to"
            findings.append(Finding(paper=paper.name, step="reference", reason=reason))
            continue
        panels = tuple(dataclasses.replace(panel, image="") for panel in each.panels)
        image = blobs.put(cut(content, each.page, each.box, paper.name))
        kept.append(dataclasses.replace(each, image=image, panels=panels))
    return kept, findings


def table(rows: Sequence[Mapping[str, str]], blobs: Blobs) -> str:
    """references.csv: the pictures of an export's rows that it does not hold; "" where it holds all."""
    mine = {each["image_file"]: each for each in rows if each["box"]}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for name, each in sorted(mine.items()):
        bits = duplicates.fingerprint(pictures.opened(blobs.get(name.removesuffix(".png")))).bits
        writer.writerow([name, each["paper"], each["version"], each["page"], each["box"], f"{bits:016x}"])
    return out.getvalue() if mine else ""


def restore(
    export: pathlib.Path, fetcher: Fetcher, addresses: Addresses | None = None, *, tell: Tell = silent
) -> Restored:
    """Fetch the papers that an export refers to, and put its pictures into `images`.

    Args:
        export: a folder that `exports.write` made.
        fetcher: asks for the papers.
        addresses: where they are; arXiv's, if none are given.
        tell: is called with how far it is.

    Raises:
        BadInput: the export refers to nothing, or its list cannot be read.
    """
    lines = _lines(export / FILE)
    same = alike = 0
    failed, papers = list[Finding](), dict[str, list[dict[str, str]]]()
    for each in lines:
        papers.setdefault(each["paper"] + (f"v{each['version']}" if each["version"] else ""), []).append(each)
    (export / "images").mkdir(exist_ok=True)
    for done, (name, mine) in enumerate(papers.items()):
        tell(Progress("fetching papers", done, len(papers), unit="papers"))
        try:
            content = fetcher.get(f"{(addresses or Addresses()).files}/pdf/{name}").content
            made = [(each, cut(content, int(each["page"]), _box(each["box"]), name)) for each in mine]
        except (NotFetched, BadFile) as error:
            failed.append(Finding(paper=name, step="restore", reason=str(error)))
            continue
        for each, picture in made:
            if f"{hashlib.sha256(picture).hexdigest()}.png" == each["image_file"]:
                same += 1
            elif _near(picture, each["bits"]):
                alike += 1
            else:
                reason = f"page {each['page']} shows another picture than {each['image_file']}"
                failed.append(Finding(paper=name, step="restore", reason=reason))
                continue
            writing.put(export / "images" / each["image_file"], picture)
    return Restored(same, alike, tuple(failed))


def _near(picture: bytes, bits: str) -> bool:
    mine = duplicates.fingerprint(pictures.opened(picture)).bits
    return (mine ^ int(bits, 16)).bit_count() <= duplicates.BITS


def _lines(path: pathlib.Path) -> list[dict[str, str]]:
    """The lines of references.csv; names of files are hashes, so that none leads out of the folder."""
    require(path.is_file(), f"{path.parent} has no {FILE}: it holds all its pictures, or is no export")
    found = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    for number, each in enumerate(found, 2):
        try:
            good = len(each["image_file"]) == 68 and bytes.fromhex(each["image_file"].removesuffix(".png"))
            require(bool(good and int(each["page"]) > 0 and int(each["bits"], 16) >= 0), "")
            _box(each["box"])
        except (KeyError, ValueError, TypeError, BadInput):
            raise BadInput(f"{path}:{number} is not as an export writes it: {dict(each)}") from None
    return found


def _box(text: str) -> Box:
    left, top, right, bottom = map(float, json.loads(text))
    return left, top, right, bottom
