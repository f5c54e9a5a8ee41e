"""What the small arXiv answers: OAI-PMH, Atom, RSS, abstract pages. A question in, bytes out; no network here."""

import datetime
import email.utils
import re
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape, quoteattr

from lleval_jax.live.example.corpus import Record

Query = Mapping[str, str]
OAI = "http://www.openarchives.org/OAI/2.0/"
FORMS = {"arXiv", "arXivRaw"}
ASKED = ("metadataPrefix", "set", "from", "until")


def oai(records: Iterable[Record], query: Query, page: int, expired: bool = False) -> bytes:
    """An answer to a verb of OAI-PMH 2.0, `page` records at a time. `expired`: no token is known."""
    verb = query.get("verb", "")
    simple = {
        "Identify": "<repositoryName>made</repositoryName><protocolVersion>2.0</protocolVersion>",
        "ListMetadataFormats": "".join(
            f"<metadataFormat><metadataPrefix>{each}</metadataPrefix></metadataFormat>" for each in sorted(FORMS)
        ),
        "ListSets": "".join(
            f"<set><setSpec>{name}</setSpec></set>" for name in sorted({group for r in records for group in _sets(r)})
        ),
    }
    if verb in simple:
        return _answer(f"<{verb}>{simple[verb]}</{verb}>")
    if verb == "GetRecord":
        return _one(records, query)
    if verb not in ("ListRecords", "ListIdentifiers"):
        return _error("badVerb", verb or "none")
    return _list(records, query, verb, page, expired)


def _one(records: Iterable[Record], query: Query) -> bytes:
    prefix = query.get("metadataPrefix", "")
    if prefix not in FORMS:
        return _error("cannotDisseminateFormat", prefix)
    for record in records:
        if query.get("identifier") == f"oai:arXiv.org:{record.id}":
            return _answer(f"<GetRecord>{_oai_record(record, prefix)}</GetRecord>")
    return _error("idDoesNotExist", query.get("identifier", ""))


def _list(records: Iterable[Record], query: Query, verb: str, page: int, expired: bool) -> bytes:
    start, asked = 0, dict[str, str]()
    if token := query.get("resumptionToken"):
        parts = token.split("|")
        if expired or len(parts) != 5 or not parts[4].isdigit():
            return _error("badResumptionToken", token)
        asked.update(zip(ASKED, parts, strict=False))
        start = int(parts[4])
    else:
        asked.update({name: query.get(name, "") for name in ASKED})
    if asked["metadataPrefix"] not in FORMS:
        return _error("cannotDisseminateFormat", asked["metadataPrefix"])
    if not all(re.fullmatch(r"(\d{4}-\d\d-\d\d)?", asked[name]) for name in ("from", "until")):
        return _error("badArgument", "from and until are days, 2026-11-01")
    chosen = [record for record in records if _asked_for(record, asked)]
    if not chosen:
        return _error("noRecordsMatch", "")
    shown = chosen[start : start + page]
    whole = verb == "ListRecords"
    inner = "".join(_oai_record(each, asked["metadataPrefix"]) if whole else _header(each) for each in shown)
    if len(chosen) > page:
        more = start + page < len(chosen)
        token = "|".join((*(asked[name] for name in ASKED), str(start + page)))
        inner += f'<resumptionToken completeListSize="{len(chosen)}">{token if more else ""}</resumptionToken>'
    return _answer(f"<{verb}>{inner}</{verb}>")


def _asked_for(record: Record, asked: Query) -> bool:
    day = record.datestamp.isoformat()
    return (
        (not asked["set"] or asked["set"] in _sets(record))
        and asked["from"] <= day
        and (not asked["until"] or day <= asked["until"])
    )


def _sets(record: Record) -> set[str]:
    known = {"cs", "eess", "q-bio", "stat", "math"}
    archives = {category.partition(".")[0] for category in record.categories}
    return {each if each in known else "physics" for each in archives}


def _header(record: Record) -> str:
    status = ' status="deleted"' if record.status == "deleted" else ""
    sets = "".join(f"<setSpec>{each}</setSpec>" for each in sorted(_sets(record)))
    name = f"<identifier>oai:arXiv.org:{record.id}</identifier>"
    return f"<header{status}>{name}<datestamp>{record.datestamp}</datestamp>{sets}</header>"


def _oai_record(record: Record, prefix: str) -> str:
    if record.status == "deleted":
        return f"<record>{_header(record)}</record>"
    licence = record.licences[-1]
    comments = "This paper has been withdrawn by the author" if record.status == "withdrawn" else "12 pages"
    common = (
        f"<title>{escape(record.title)}</title><categories>{' '.join(record.categories)}</categories>"
        f"<comments>{comments}</comments>{'' if licence is None else f'<license>{escape(licence)}</license>'}"
        f"<abstract>{escape(record.abstract)}</abstract>"
    )
    if prefix == "arXivRaw":
        inner = f"<authors>{escape(', '.join(record.authors))}</authors>" + "".join(
            f'<version version="v{i}"><date>{_rfc(moment)}</date><size>9kb</size></version>'
            for i, moment in enumerate(record.versions, 1)
        )
    else:
        names = (name.rpartition(" ") for name in record.authors)
        inner = f"<created>{record.created}</created>" + "".join(
            f"<authors><author><keyname>{key}</keyname><forenames>{fore}</forenames></author></authors>"
            for fore, _, key in names
        )
        if len(record.versions) > 1:
            inner += f"<updated>{record.versions[-1].date()}</updated>"
    meta = f'<{prefix} xmlns="http://arxiv.org/OAI/{prefix}/"><id>{record.id}</id>{inner}{common}</{prefix}>'
    return f"<record>{_header(record)}<metadata>{meta}</metadata></record>"


def atom(records: Iterable[Record], query: Query) -> bytes:
    """A search: `cat:cs.LG`, `submittedDate:[202611010000 TO 202611302359]`, joined by AND; newest first if asked."""
    asked = query.get("search_query", "")
    category = re.search(r"cat:([\w.-]+)", asked)
    window = re.search(r"submittedDate:\[(\d{12}) TO (\d{12})\]", asked)
    chosen = [
        record
        for record in records
        if record.status != "deleted"
        and (category is None or category[1] in record.categories)
        and (window is None or window[1] <= f"{record.versions[0]:%Y%m%d%H%M}" <= window[2])
    ]
    if query.get("sortBy") in ("submittedDate", "lastUpdatedDate"):
        place = 0 if query["sortBy"] == "submittedDate" else -1
        chosen.sort(key=lambda record: record.versions[place], reverse=query.get("sortOrder") != "ascending")
    start, most = int(query.get("start", "0")), min(int(query.get("max_results", "10")), 2000)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom">'
        f"<opensearch:totalResults>{len(chosen)}</opensearch:totalResults>"
        + "".join(_entry(record) for record in chosen[start : start + most])
        + "</feed>"
    ).encode()


def _entry(record: Record) -> str:
    authors = "".join(f"<author><name>{escape(name)}</name></author>" for name in record.authors)
    terms = "".join(f"<category term={quoteattr(each)}/>" for each in record.categories)
    return (
        f"<entry><id>http://arxiv.org/abs/{record.id}v{len(record.versions)}</id>"
        f"<updated>{record.versions[-1]:%Y-%m-%dT%H:%M:%SZ}</updated>"
        f"<published>{record.versions[0]:%Y-%m-%dT%H:%M:%SZ}</published><title>{escape(record.title)}</title>"
        f"<summary>{escape(record.abstract)}</summary>{authors}"
        f"<arxiv:primary_category term={quoteattr(record.categories[0])}/>{terms}</entry>"
    )


def rss(records: Iterable[Record], category: str) -> bytes:
    """The newest twenty of a category."""
    chosen = [record for record in records if category in record.categories and not record.status]
    chosen = sorted(chosen, key=lambda record: record.versions[-1], reverse=True)[:20]
    return (
        '<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:arxiv="http://arxiv.org/schemas/atom"><channel><title>{category}</title>'
        + "".join(_item(record) for record in chosen)
        + "</channel></rss>"
    ).encode()


def _item(record: Record) -> str:
    newest, licence = len(record.versions), record.licences[-1]
    return (
        f"<item><title>{escape(record.title)}</title><link>https://arxiv.org/abs/{record.id}</link>"
        f'<guid isPermaLink="false">oai:arXiv.org:{record.id}v{newest}</guid>'
        + "".join(f"<category>{each}</category>" for each in record.categories)
        + f"<pubDate>{_rfc(record.versions[-1])}</pubDate>"
        f"<arxiv:announce_type>{'new' if newest == 1 else 'replace'}</arxiv:announce_type>"
        f"{'' if licence is None else f'<dc:rights>{escape(licence)}</dc:rights>'}"
        f"<dc:creator>{escape(', '.join(record.authors))}</dc:creator></item>"
    )


def page(record: Record, version: int) -> bytes:
    """An abstract page: the class `has_license` is on Creative Commons licences only, as on arXiv."""
    url = record.licences[version - 1]
    mark = ' class="has_license"' if url and "creativecommons.org" in url else ""
    link = f'<div class="abs-license"><a{mark} href={quoteattr(url)}>licence</a></div>' if url else ""
    return f"<html><h1>{escape(record.title)}</h1><p>{escape(record.abstract)}</p>{link}</html>".encode()


def _rfc(moment: datetime.datetime) -> str:
    return email.utils.format_datetime(moment, usegmt=True)


def _answer(inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><OAI-PMH xmlns="{OAI}">{inner}</OAI-PMH>'.encode()


def _error(code: str, text: str) -> bytes:
    return _answer(f'<error code="{code}">{escape(text)}</error>')
