"""Answers of arXiv's three interfaces as papers: Atom (search), OAI-PMH (harvest), RSS (the day). Bytes in, papers out.

Only OAI and RSS state a licence; only OAI and Atom the day of the first version. `merged` puts them together. Sources:
https://info.arxiv.org/help/api/user-manual.html, /help/oa/, /help/rss.html; OAI-PMH 2.0.
"""

import dataclasses
import datetime
import email.utils
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.live.values import Paper

if TYPE_CHECKING:
    from lxml.etree import _Element as Node

NEW = re.compile(r"(\d{4}\.\d{4,5})(?:v(\d+))?")
OLD = re.compile(r"([a-z-]+)(?:\.[a-z-]{2,})?/(\d{7})(?:v(\d+))?")
WITHDRAWN = re.compile(
    r"\b(this|the) (paper|article|submission|manuscript) (has been|is|was) withdrawn\b|^withdrawn\b", re.I
)
TRUST = {"oai": 0, "rss": 1, "atom": 2}  # whose record of a paper is taken


class Refused(BadInput):
    """The archive answered with an error of OAI-PMH; `code` is its name for it ("badResumptionToken", ...)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"the archive refused the question: {code}: {text}")
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer: papers, (id, reason) of those left out, how many there are, what asks for the next part."""

    papers: tuple[Paper, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    total: int | None = None
    token: str = ""


def identity(text: str) -> tuple[str, int | None]:
    """The id without version and the version of whatever form of address: "math.AG/0301001v2" -> ("math/0301001", 2).

    Raises:
        BadInput: there is no arXiv id in it.
    """
    bare = text.strip().lower()
    if (found := OLD.search(bare)) is not None:
        return f"{found[1]}/{found[2]}", int(found[3]) if found[3] else None
    found = NEW.search(bare)
    require(found is not None, f"{text.strip()[:80]!r} holds no arXiv id, such as 2410.10783 or math/0301001")
    return found[1], int(found[2]) if found[2] else None  # type: ignore[index]


def atom(content: bytes) -> Page:
    """A page of the search interface. It states no licence: `licence` is ""."""
    root = _parsed(content, "Atom")
    papers = tuple(_atom_paper(entry) for entry in _all(root, "entry") if "/api/errors" not in _text(entry, "id"))
    errors = [_text(entry, "summary") for entry in _all(root, "entry") if "/api/errors" in _text(entry, "id")]
    require(not errors, f"the archive refused the question: {'; '.join(errors)}")
    total = _text(root, "totalResults")
    return Page(papers, total=int(total) if total.isdigit() else None)


def oai(content: bytes) -> Page:
    """A page of ListRecords or GetRecord with metadataPrefix arXiv or arXivRaw.

    Records that were deleted or withdrawn are left out, with the reason. No match is a page without papers.

    Raises:
        Refused: the archive named another error; an old resumption token is "badResumptionToken".
    """
    root = _parsed(content, "OAI-PMH")
    for error in _all(root, "error"):
        if error.get("code") != "noRecordsMatch":
            raise Refused(error.get("code") or "unknown", (error.text or "").strip())
    papers, left_out = [], []
    for record in root.iter("{*}record"):
        name = _text(record, "identifier")
        if any(header.get("status") == "deleted" for header in _all(record, "header")):
            left_out.append((identity(name)[0], "deleted from the archive"))
            continue
        paper, comments = _oai_paper(record)
        if WITHDRAWN.search(comments):
            left_out.append((paper.id, "withdrawn"))
        else:
            papers.append(paper)
    token = next(root.iter("{*}resumptionToken"), None)
    size = token.get("completeListSize", "") if token is not None else ""
    return Page(tuple(papers), tuple(left_out), int(size) if size.isdigit() else None, _own(token))


def rss(content: bytes) -> Page:
    """A day of a category. It does not state the day of the first version: `created` is "" and `within` refuses it."""
    return Page(tuple(_rss_paper(item) for item in _parsed(content, "RSS").iter("{*}item")))


def merged(papers: Iterable[Paper]) -> tuple[Paper, ...]:
    """One record for each id, in order of ids; the same papers in any order give the same result.

    The record is the one that states a licence, of the newest version, and of OAI before RSS before Atom; the licence
    belongs to that version. What it does not say (day of the first version, version) is taken from the others, the
    version only where both name the same day of update.
    """
    by_id: dict[str, list[Paper]] = {}
    for paper in papers:
        by_id.setdefault(paper.id, []).append(paper)
    return tuple(_one(by_id[name]) for name in sorted(by_id))


def within(paper: Paper, first: str, last: str) -> bool:
    """Whether the first version is of a day from `first` to `last` (ISO, UTC, both included); False without a day."""
    return bool(paper.created) and first <= paper.created <= last


def _one(records: list[Paper]) -> Paper:
    ranked = sorted(records, key=lambda p: (not p.licence, -(p.version or 0), p.updated, TRUST[p.source], repr(p)))
    newest = max((p for p in ranked if p.licence), key=lambda p: (p.updated, p.version or 0), default=ranked[0])
    best = next(p for p in ranked if p.updated == newest.updated and bool(p.licence) == bool(newest.licence))
    created = best.created or min((p.created for p in records if p.created), default="")
    same = [p.version for p in records if p.updated == best.updated and p.version is not None]
    version = best.version if best.version is not None else max(same, default=None)
    return dataclasses.replace(best, created=created, version=version)


def _atom_paper(entry: "Node") -> Paper:
    id, version = identity(_text(entry, "id"))
    primary = [term for each in _all(entry, "primary_category") if (term := each.get("term"))]
    terms = [term for each in _all(entry, "category") if (term := each.get("term"))]
    return Paper(
        id=id,
        version=version,
        title=_text(entry, "title"),
        authors=tuple(_text(each, "name") for each in _all(entry, "author")),
        categories=tuple(dict.fromkeys([*primary, *terms])),
        created=_day(_text(entry, "published")),
        updated=_day(_text(entry, "updated")),
        licence="",
        source="atom",
    )


def _oai_paper(record: "Node") -> tuple[Paper, str]:
    """(the paper, its comments), of either format."""
    meta = next((each for each in record.iter("{*}arXiv", "{*}arXivRaw")), None)
    require(meta is not None, f"record {_text(record, 'identifier')} has no metadata of the form arXiv or arXivRaw")
    id, _ = identity(_text(meta, "id"))
    versions = [(int(v.get("version", "v0")[1:]), _day(_text(v, "date"))) for v in _all(meta, "version")]
    if versions:
        created, (version, updated) = min(versions)[1], max(versions)
        authors = tuple(filter(None, re.split(r",\s*|\s+and\s+", _text(meta, "authors"))))
    else:
        created, version = _day(_text(meta, "created")), None
        updated = _day(_text(meta, "updated")) or created
        authors = tuple(
            " ".join(filter(None, (_text(a, "forenames"), _text(a, "keyname"), _text(a, "suffix"))))
            for a in meta.iter("{*}author")  # type: ignore[union-attr]
        )
    paper = Paper(
        id=id,
        version=version,
        title=_text(meta, "title"),
        authors=authors,
        categories=tuple(_text(meta, "categories").split()),
        created=created,
        updated=updated,
        licence=_text(meta, "license"),
        source="oai",
    )
    return paper, _text(meta, "comments")


def _rss_paper(item: "Node") -> Paper:
    id, version = identity(_text(item, "guid") or _text(item, "link"))
    return Paper(
        id=id,
        version=version,
        title=_text(item, "title"),
        authors=tuple(filter(None, re.split(r",\s*", _text(item, "creator")))),
        categories=tuple(filter(None, (" ".join((each.text or "").split()) for each in _all(item, "category")))),
        created="",
        updated=_day(_text(item, "pubDate")),
        licence=_text(item, "rights"),
        source="rss",
    )


def _parsed(content: bytes, what: str) -> "Node":
    """The root of an answer. Nothing outside it is read and no entity is expanded."""
    from lxml import etree  # type: ignore[attr-defined]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise BadFile(f"the answer is not whole {what}: {str(error)[:200]}. Fetch it again.") from error


def _all(node: "Node", name: str) -> "Iterator[Node]":
    """Children of this name, in any namespace."""
    return node.iterchildren(f"{{*}}{name}")


def _text(node: Any, name: str) -> str:
    """The text of the first node of this name inside, spaces taken together; "" where there is none."""
    return _own(next(node.iter(f"{{*}}{name}"), None))


def _own(node: Any) -> str:
    return "" if node is None else " ".join("".join(node.itertext()).split())


def _day(text: str) -> str:
    """The day in UTC of a date as OAI, Atom or RSS write it; "" for none."""
    if not text or re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return text
    try:
        if text[0].isdigit():
            moment = datetime.datetime.fromisoformat(text)
        else:
            moment = email.utils.parsedate_to_datetime(text)
    except ValueError as error:
        raise BadFile(f"the archive gave the date {text[:60]!r}, which is not one") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC).date().isoformat()
