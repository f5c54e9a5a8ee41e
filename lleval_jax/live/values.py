"""What passes through a living benchmark: papers, what is drawn in them, questions, verdicts. Frozen, kept as rows."""

import dataclasses
import functools
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, TypeAlias

Box: TypeAlias = tuple[
    float, float, float, float
]  # left, top, right, bottom, in points from the page's top left corner
Cells: TypeAlias = tuple[
    tuple[str, ...], ...
]  # rows of a table; the first row heads the columns, a span repeats its text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One version of one paper, as its archive describes it.

    `id` is without version ("2410.10783", "math/0211159"); `version` is None where the feed does not say.
    `created` is the day of the first version, `updated` of this one (ISO dates, UTC). `licence` is the address that the
    archive states, "" where it states none. `source` names the feed that said so ("oai", "rss", "atom").
    """

    id: str
    version: int | None
    title: str
    authors: tuple[str, ...]
    categories: tuple[str, ...]  # the first is the primary one
    created: str
    updated: str
    licence: str
    source: str

    @property
    def name(self) -> str:
        """`2410.10783v2`, or without the version where none is known: what `Element.paper` says."""
        return self.id if self.version is None else f"{self.id}v{self.version}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What went wrong with a paper or an address, or was left out, and why. A run goes on and lists it."""

    paper: str  # "id", "idvN", or an address
    step: str  # "fetch", "latex", "html", "pdf", "agreement", ...
    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A part of a compound figure. `image` is the sha256 of its file in the store, "" where there is none."""

    letter: str
    caption: str = ""
    image: str = ""
    box: Box | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A figure or a table of a paper, as one reader found it.

    `paper` is "id" or "idvN". `number` is what the caption says ("3", "A.1"), `label` the source's own ("fig:loss").
    `page` counts from 1; `box` is on that page. `image` is the sha256 of its picture in the store, "" for none.
    `mentions` are the paragraphs that cite it, at most three.
    """

    paper: str
    kind: Literal["figure", "table"]
    number: str
    caption: str
    reader: Literal["latex", "html", "pdf"]
    label: str = ""
    page: int | None = None
    box: Box | None = None
    image: str = ""
    cells: Cells = ()
    panels: tuple[Panel, ...] = ()
    mentions: tuple[str, ...] = ()
    type: str = "unknown"  # of a figure: "chart", "diagram", "photo"

    @property
    def name(self) -> str:
        """`2410.10783v2/figure-3`: the same in all readers, and in the manifest."""
        return f"{self.paper}/{self.kind}-{self.number}"

    @property
    def compound(self) -> bool:
        """Whether it has several panels: a question must then name one."""
        return len(self.panels) >= 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about one element with four options, one of which is the key.

    `options` are in the order that is shown, which follows from `id` alone (see `ordered`). `kind` is what it asks for
    ("arithmetic", "look-up", ...). `made_by` names the generator ("exact", a model). `evidence` is what in the image or
    the cells shows the answer.
    """

    id: str
    element: str
    kind: str
    text: str
    options: tuple[str, ...]
    key: int
    made_by: str
    evidence: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one filter says of one question, and why. `request` is the sha256 of the model's request, "" without one."""

    question: str
    filter: str
    keep: bool
    score: float
    reason: str
    request: str = ""


def normalised(text: str) -> str:
    """As two questions or options are compared: case, spaces, dashes and compatibility forms of Unicode taken out."""
    return plain(text).casefold()


@functools.lru_cache(maxsize=65536)
def plain(text: str) -> str:
    """The same with its case."""
    found = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-")
    return re.sub(r"\s+", " ", found).strip()


def question_id(element: str, text: str, options: Sequence[str]) -> str:
    """Sixteen hex digits of what is asked. The same content has the same id on any machine, in any order of options."""
    parts = [element, normalised(text), *sorted(normalised(option) for option in options)]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def ordered(id: str, options: Sequence[str]) -> tuple[str, ...]:
    """The order in which options are shown: by their hash with the question's id, so never by how many came before."""
    return tuple(sorted(options, key=lambda option: hashlib.sha256(f"{id}\x1f{normalised(option)}".encode()).digest()))


def question(
    *, element: str, kind: str, text: str, options: Sequence[str], answer: str, made_by: str, evidence: str = ""
) -> Question:
    """A question whose id and order of options follow from its content. `answer` is one of `options`."""
    id = question_id(element, text, options)
    shown = ordered(id, options)
    return Question(
        id=id,
        element=element,
        kind=kind,
        text=text,
        options=shown,
        key=shown.index(answer),
        made_by=made_by,
        evidence=evidence,
    )
