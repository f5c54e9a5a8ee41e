"""arXiv, or another place that speaks as it does: which papers were made in a window of days, and their files."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

from lleval_jax.errors import BadInput, require
from lleval_jax.live.fetch import Fetcher, Got, NotFetched
from lleval_jax.live.papers import Page, Refused, merged, oai, within
from lleval_jax.live.values import Finding, Paper

TRIES = 3  # times that a list is begun again when its token has run out
MOST_PAGES = 10_000
SETS = ("cs", "econ", "eess", "math", "q-bio", "q-fin", "stat")  # the rest is physics


@dataclasses.dataclass(frozen=True, slots=True)
class Addresses:
    """Where an archive answers. `at("http://127.0.0.1:8000")` is a server of one's own that has them all."""

    oai: str = "https://oaipmh.arxiv.org/oai"
    api: str = "https://export.arxiv.org/api/query"
    rss: str = "https://rss.arxiv.org/rss"
    files: str = "https://export.arxiv.org"

    @classmethod
    def at(cls, base: str) -> "Addresses":
        """All under one address."""
        base = base.rstrip("/")
        return cls(f"{base}/oai", f"{base}/api/query", f"{base}/rss", base)


@dataclasses.dataclass(frozen=True, slots=True)
class Harvest:
    """Papers of the window, sorted by id, and what was left out or could not be had."""

    papers: tuple[Paper, ...]
    findings: tuple[Finding, ...]


def harvest(
    fetcher: Fetcher, categories: Sequence[str], first: str, last: str, addresses: Addresses | None = None
) -> Harvest:
    """The papers of these categories whose first version is of a day in the window. The licence is not judged here.

    OAI selects by the day of the last change, so all that changed since `first` is asked for and the window is applied
    to the day of the first version: the same window gives the same papers in a month, whatever was revised since.

    Args:
        fetcher: asks.
        categories: "cs.LG", or an archive, "cs"; a paper belongs to them if one of its categories does.
        first: ISO date, UTC.
        last: ISO date, UTC, included.
        addresses: arXiv's, if none are given.

    Raises:
        BadInput: no category, or dates that are none.
    """
    require(bool(categories), "name a category of the archive, such as cs.LG")
    require(first <= last, f"the window ends on {last}, before it begins on {first}")
    addresses, papers, findings = addresses or Addresses(), list[Paper](), list[Finding]()
    for group in sorted({_set(category) for category in categories}):
        try:
            for page in _pages(fetcher, addresses.oai, group, first):
                papers += page.papers
                findings += [Finding(paper=id, step="harvest", reason=reason) for id, reason in page.left_out]
        except NotFetched as error:
            findings.append(error.finding)
        except BadInput as error:
            findings.append(Finding(paper=addresses.oai, step="harvest", reason=str(error)))
    chosen = [p for p in merged(papers) if within(p, first, last) and _belongs(p, categories)]
    return Harvest(tuple(chosen), tuple(dict.fromkeys(findings)))


def document(
    fetcher: Fetcher, paper: Paper, form: Literal["src", "html", "pdf"], addresses: Addresses | None = None
) -> Got:
    """A file of the version whose licence was read.

    Raises:
        NotFetched: the archive does not have it.
    """
    return fetcher.get(f"{(addresses or Addresses()).files}/{form}/{paper.name}")


def _pages(fetcher: Fetcher, url: str, group: str, first: str) -> list[Page]:
    """All pages of a list. A token that ran out begins it again; what came twice is merged by id later."""
    for attempt in range(TRIES):
        pages, asked = list[Page](), {"metadataPrefix": "arXivRaw", "set": group, "from": first}
        try:
            while len(pages) < MOST_PAGES:
                pages.append(oai(fetcher.get(url, verb="ListRecords", **asked).content))
                if not pages[-1].token:
                    return pages
                asked = {"resumptionToken": pages[-1].token}
            raise BadInput(f"the list of {group} does not end after {MOST_PAGES:,} pages")
        except Refused as error:
            if error.code != "badResumptionToken" or attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _set(category: str) -> str:
    """The set of OAI that holds a category: physics for its many archives."""
    archive = category.partition(".")[0]
    return archive if archive in SETS else "physics"


def _belongs(paper: Paper, categories: Iterable[str]) -> bool:
    return any(one == each or one.startswith(f"{each}.") for each in categories for one in paper.categories)
