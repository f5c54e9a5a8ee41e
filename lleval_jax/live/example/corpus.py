"""400 made records of an archive: forms of licence, versions, windows, duplicates. What should be kept is known."""

import dataclasses
import datetime
import functools
import random

from lleval_jax.live.example import contents

SIZE = 400
FIRST = 20  # of the records that have a paper
CLOSED = (12, 13)  # papers that may not be redistributed
MOST = 42  # papers at most, all but two of them open
CHANGED = range(100, 150)  # records that are revised between the first look and the later one
LICENCES = (  # what the record states, whether the usual rule keeps it: the table made by hand
    ("http://creativecommons.org/licenses/by/4.0/", True),
    ("https://creativecommons.org/licenses/by/4.0", True),
    ("http://arxiv.org/licenses/nonexclusive-distrib/1.0/", False),
    ("http://creativecommons.org/licenses/by-sa/4.0/", True),
    ("http://creativecommons.org/licenses/by-nc-sa/4.0/", False),
    ("http://creativecommons.org/licenses/by-nc-nd/4.0/", False),
    ("http://creativecommons.org/publicdomain/zero/1.0/", True),
    ("https://creativecommons.org/publicdomain/zero/1.0", True),
    ("http://creativecommons.org/licenses/by/3.0/", True),
    ("http://creativecommons.org/licenses/by-sa/3.0", True),
    ("http://creativecommons.org/licenses/by-nc-sa/3.0/", False),
    ("http://creativecommons.org/licenses/by-nc-nd/3.0/", False),
    ("http://creativecommons.org/licenses/publicdomain/", True),
    ("http://arxiv.org/licenses/assumed-1991-2003/", False),
    ("https://arxiv.org/licenses/nonexclusive-distrib/1.0", False),
    ("", False),
    ("http://creativecommons.org/licenses/by/5.0/", False),
    ("http://example.org/licenses/by/4.0/", False),
    ("CC BY 4.0", False),
    (None, False),  # no such field
)
CATEGORIES = ("cs.LG", "cs.CV", "cs.RO", "eess.SP", "q-bio.GN", "physics.optics", "stat.ML", "hep-th")


@dataclasses.dataclass(frozen=True)
class Record:
    """A paper as the archive knows it. `versions` are moments in UTC; `licences` those of each version."""

    id: str
    title: str
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    abstract: str
    versions: tuple[datetime.datetime, ...]
    licences: tuple[str | None, ...]
    keep: bool  # by the licence of the newest version
    datestamp: datetime.date
    status: str = ""  # "deleted", "withdrawn"
    content: int | None = None  # number of the made paper

    @property
    def created(self) -> str:
        """Day of the first version."""
        return self.versions[0].date().isoformat()


@functools.cache
def corpus(*, later: bool = False, papers: int = contents.COUNT) -> tuple[Record, ...]:
    """The records.

    Args:
        later: a month on, when 50 have a further version or a new datestamp.
        papers: so many of them have files, 42 at most.
    """
    records = [_record(number, papers) for number in range(SIZE)]
    for number in range(60, 65):  # the same paper under two ids
        if records[number].content is None:
            records[number + 5] = dataclasses.replace(records[number + 5], title=records[number].title)
    if later:
        records = [_revised(each, number) if number in CHANGED else each for number, each in enumerate(records)]
    return tuple(records)


def _record(number: int, papers: int) -> Record:
    draw = random.Random(number)
    url, keep = LICENCES[number % len(LICENCES)]
    paper = number - FIRST if FIRST <= number < FIRST + papers else None
    first = _first(number, draw, paper is not None)
    versions = [first + datetime.timedelta(days=9 * i) for i in range(1 + (number % 5 == 0) + (number % 15 == 0))]
    categories = tuple(draw.sample(CATEGORIES, 3 if number % 7 == 0 else 1 + number % 2))
    title = f"On the prediction of things of kind {number}"
    if paper is not None:
        made, versions = contents.content(paper), versions[:1]
        title, categories = made.title, ("cs.LG", *categories[1:2])
        url, keep = LICENCES[(0, 1, 3, 6)[paper % 4]] if paper not in CLOSED else LICENCES[2]
    older = (
        "http://arxiv.org/licenses/nonexclusive-distrib/1.0/" if keep else "http://creativecommons.org/licenses/by/4.0/"
    )
    licences = (*[older] * (len(versions) - 1), url)  # an earlier version had another one
    return Record(
        id=_id(number, first),
        title=title,
        authors=(f"A. Maker{number}", "B. Writer"),
        categories=tuple(dict.fromkeys(categories)),
        abstract="We study it." if keep else "We study Creative Commons CC BY 4.0 licences (by/4.0).",
        versions=tuple(versions),
        licences=licences,
        keep=keep,
        datestamp=versions[-1].date() + datetime.timedelta(days=1 + number % 3),
        status={301: "deleted", 302: "deleted", 311: "withdrawn", 312: "withdrawn", 313: "withdrawn"}.get(number, ""),
        content=paper,
    )


def _first(number: int, draw: random.Random, files: bool) -> datetime.datetime:
    """When the first version came: at the edges of November 2026, or somewhere from September to December."""
    edges = {
        0: "2026-10-31 23:59:59",
        1: "2026-11-01 00:00:00",
        2: "2026-11-30 23:59:59",
        3: "2026-12-01 00:00:00",
        4: "2026-11-01 00:00:01",
    }
    if number in edges:
        moment = datetime.datetime.fromisoformat(edges[number])
    elif files:
        moment = datetime.datetime(2026, 11, 3 + number % 20, 9)
    elif 380 <= number:
        moment = datetime.datetime(2003, 1, 1 + number % 28, 12)
    else:
        moment = datetime.datetime(2026, 9, 10) + datetime.timedelta(hours=draw.randrange(24 * 85))
    return moment.replace(tzinfo=datetime.UTC)


def _id(number: int, first: datetime.datetime) -> str:
    if number >= 380:
        return f"{('math', 'hep-th', 'cs')[number % 3]}/0301{number:03d}"
    return f"{first:%y%m}.{number:05d}"


def _revised(record: Record, number: int) -> Record:
    """With a third of them only the datestamp changes."""
    day = datetime.date(2026, 12, 28)
    if number % 3 == 0:
        return dataclasses.replace(record, datestamp=day)
    moment = datetime.datetime(2026, 12, 27, 8, tzinfo=datetime.UTC)
    return dataclasses.replace(
        record,
        versions=(*record.versions, moment),
        licences=(*record.licences, record.licences[-1]),
        datestamp=day,
    )
