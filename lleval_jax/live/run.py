"""From a recipe to a version: fetch, read, ask, filter; each unit kept, so a run goes on wherever it was stopped."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol

from lleval_jax import writing
from lleval_jax.errors import require
from lleval_jax.live import archive, asking, duplicates, judging, licences, references, requests
from lleval_jax.live import recipe as recipes
from lleval_jax.live.archive import Addresses
from lleval_jax.live.fetch import Fetcher
from lleval_jax.live.filters.answers import Answer
from lleval_jax.live.recipe import Model, Recipe
from lleval_jax.live.steps import Blobs, Steps, read_table
from lleval_jax.live.values import Element, Finding, Paper, Question, Verdict
from lleval_jax.lm.client import Client
from lleval_jax.lm.replies import Cached
from lleval_jax.values.progress import Progress, Tell, silent

PAPERS, READ, ALIKE = "papers/1", "read/2", "alike/1"  # steps, with the versions of their code
Until = Literal["fetch", "read", "ask", "filter"]
UNTIL: tuple[Until, ...] = ("fetch", "read", "ask", "filter")


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The papers of a version, and what was left out."""

    papers: tuple[Paper, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclasses.dataclass(frozen=True)
class Read:
    """What a paper shows."""

    elements: tuple[Element, ...] = ()
    findings: tuple[Finding, ...] = ()


class Reader(Protocol):
    """Fetches a paper's documents and reads them: elements whose pictures lie in `blobs`, and what went wrong."""

    def __call__(
        self, fetcher: Fetcher, paper: Paper, addresses: Addresses, blobs: Blobs, /
    ) -> tuple[Sequence[Element], Sequence[Finding]]:
        """Elements and findings of one paper."""
        ...


class ClientOf(Protocol):
    """Makes the client of a model. `elements` are those of the run, for scripted models that know what they show."""

    def __call__(self, model: Model, elements: Sequence[Element], /) -> Client:
        """The client."""
        ...


@dataclasses.dataclass(frozen=True)
class Version:
    """All of a run: tables of what was found, asked, answered and judged."""

    recipe: Recipe
    papers: tuple[Paper, ...]
    elements: tuple[Element, ...]
    questions: tuple[Question, ...]
    answers: tuple[Answer, ...]
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]

    def judged(self, verdicts: Sequence[Verdict]) -> "Version":
        """With further verdicts, as of people (`review.reviewed`)."""
        return dataclasses.replace(self, verdicts=(*self.verdicts, *verdicts))

    @property
    def kept(self) -> tuple[Question, ...]:
        """The questions that no filter drops."""
        dropped = {each.question for each in self.verdicts if not each.keep}
        return tuple(each for each in self.questions if each.id not in dropped)


TABLES = {
    "papers": Paper,
    "elements": Element,
    "questions": Question,
    "answers": Answer,
    "verdicts": Verdict,
    "findings": Finding,
}


def new(path: str | os.PathLike[str], name: str, place: pathlib.Path) -> pathlib.Path:
    """A folder for a run of a recipe. `BadInput` where there is one, or the recipe cannot be read."""
    recipes.read(path)
    require(name not in ("", ".", "..") and "/" not in name, f"{name!r} is no name of a folder")
    folder = place / name
    require(not (folder / "recipe.toml").exists(), f"{folder} holds a run already; go on with it, or name another")
    folder.mkdir(parents=True, exist_ok=True)
    writing.put(folder / "recipe.toml", recipes.place_of(os.fspath(path)).read_bytes())
    return folder


def run(
    folder: pathlib.Path,
    *,
    until: Until = "filter",
    reader: Reader | None = None,
    client_of: ClientOf | None = None,
    tell: Tell = silent,
) -> Version:
    """Make the version in a run's folder, or go on with it.

    Args:
        folder: made by `new`.
        until: the last step that is done.
        reader: of documents; None: those of this package.
        client_of: makes the clients of models; None: as the recipe says.
        tell: is called with how far it is.

    Raises:
        BadInput: the folder is none of a run, or its recipe cannot be read.
        NoServer: a model's server is down; the same call goes on from there.
        RunFailed: another process is at work in the folder.
    """
    with Steps.opened(folder) as steps:
        recipe = recipes.read(folder / "recipe.toml")
        with running(recipe) as addresses, _fetcher(recipe, steps) as fetcher:
            chosen = _papers(steps, recipe, fetcher, addresses, tell)
            read = []
            if until != "fetch":
                read = list(_elements(steps, recipe, fetcher, addresses, chosen.papers, reader or _reader(), tell))
        distinct = _distinct(steps, recipe, [each for one in read for each in one.elements])
        elements = distinct.elements
        clients = _Clients(steps, recipe, elements, client_of or requests.client_of)
        asked = [] if until in ("fetch", "read") else list(_questions(steps, recipe, elements, clients, tell))
        findings = [*chosen.findings, *distinct.findings, *(f for one in (*read, *asked) for f in one.findings)]
        questions = list({each.id: each for one in reversed(asked) for each in reversed(one.questions)}.values())[::-1]
        given, verdicts = list[Answer](), list[Verdict]()
        if until == "filter":
            given, verdicts = judging.judged(steps, recipe, questions, {e.name: e for e in elements}, clients, tell)
        version = Version(
            recipe,
            chosen.papers,
            tuple(elements),
            tuple(questions),
            tuple(given),
            tuple(verdicts),
            tuple(findings),
        )
        for name, kind in TABLES.items():
            steps.table(name, getattr(version, name), kind)
    return version


def load(folder: pathlib.Path) -> Version:
    """The version in a run's folder, as far as it is. `BadInput` where it was not run yet."""
    recipe = recipes.read(folder / "recipe.toml")
    return Version(recipe, **{name: tuple(read_table(folder, name, kind)) for name, kind in TABLES.items()})


class _Clients(Mapping[str, Cached]):
    """The models of a recipe, each made when it is first asked."""

    def __init__(self, steps: Steps, recipe: Recipe, elements: Sequence[Element], make: ClientOf) -> None:
        self.steps, self.recipe, self.elements, self.make = steps, recipe, elements, make
        self._made = dict[str, Cached]()

    def __getitem__(self, name: str) -> Cached:
        if name not in self._made:
            model = self.recipe.models[name]
            client = self.make(model, self.elements)
            self._made[name] = requests.kept(client, self.steps.folder, self.steps.blobs, model)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.recipe.models)

    def __len__(self) -> int:
        return len(self.recipe.models)


def _papers(steps: Steps, recipe: Recipe, fetcher: Fetcher, addresses: Addresses, tell: Tell) -> Chosen:
    """Those of the window whose licence is allowed."""

    def work() -> Chosen:
        tell(Progress("looking for papers"))
        asked = recipe.papers
        found = archive.harvest(fetcher, asked.categories, asked.first.isoformat(), asked.last.isoformat(), addresses)
        papers, findings = list[Paper](), list(found.findings)
        for paper in found.papers:
            decision = licences.allowed(paper.licence, asked.allow)
            if decision.keep or asked.images == "by-reference":
                papers.append(paper)
            else:
                findings.append(Finding(paper=paper.name, step="licence", reason=decision.reason))
        distinct, again = duplicates.papers(papers)
        return Chosen(distinct[: asked.most], (*findings, *again))

    return steps.once(PAPERS, recipe.name, [recipe.digest("papers")], Chosen, work).value


def _elements(
    steps: Steps,
    recipe: Recipe,
    fetcher: Fetcher,
    addresses: Addresses,
    papers: Sequence[Paper],
    reader: Reader,
    tell: Tell,
) -> Iterator[Read]:
    for done, paper in enumerate(papers):
        tell(Progress("reading papers", done, len(papers), unit="papers"))

        def work(paper: Paper = paper) -> Read:
            found, findings = reader(fetcher, paper, addresses, steps.blobs)
            if not licences.allowed(paper.licence, recipe.papers.allow).keep:
                found, more = references.referred(fetcher, paper, addresses, found, steps.blobs)
                findings = [*findings, *more]
            return Read(tuple(found), tuple(_placed(each, recipe, addresses) for each in findings))

        yield steps.once(
            READ, paper.name, [repr(paper), recipe.papers.address, recipe.papers.images], Read, work, needs=_pictures
        ).value
    tell(Progress("reading papers", len(papers), len(papers), unit="papers"))


def _distinct(steps: Steps, recipe: Recipe, found: Sequence[Element]) -> Read:
    """Those whose picture was not met before, and what is left out. A unit names what it leaves out, not all again."""
    pictures = [f"{each.name} {each.image}" for each in found if each.image]
    if not pictures:
        return Read(tuple(found))

    def work() -> Read:
        return Read(findings=duplicates.elements(found, steps.blobs.get)[1])

    again = steps.once(ALIKE, recipe.name, pictures, Read, work).value.findings
    gone = {each.reason.partition(" ")[0] for each in again}
    return Read(tuple(each for each in found if each.name not in gone), again)


def _placed(finding: Finding, recipe: Recipe, addresses: Addresses) -> Finding:
    """A finding of the archive that ships names it, and not its port of today: the same run gives the same tables."""
    if recipe.papers.loopback is None:
        return finding
    return dataclasses.replace(finding, reason=finding.reason.replace(addresses.files, recipes.LOOPBACK))


def _pictures(read: Read) -> list[str]:
    """The blobs that elements refer to."""
    found = [image for each in read.elements for image in (each.image, *(panel.image for panel in each.panels))]
    return [each for each in found if each]


def _questions(
    steps: Steps, recipe: Recipe, elements: Sequence[Element], clients: Mapping[str, Cached], tell: Tell
) -> Iterator[asking.Asked]:
    yield from asking.computed(steps, recipe, elements)
    if recipe.ask.model:
        seen = [each for each in elements if each.image or each.cells]
        yield from asking.written(steps, recipe, seen, clients[recipe.ask.model], tell)


@contextlib.contextmanager
def running(recipe: Recipe) -> Iterator[Addresses]:
    """Where the archive of a recipe answers; the one that ships is started."""
    if recipe.papers.loopback is None:
        yield recipe.papers.addresses
        return
    from lleval_jax.live.example.server import Archive

    with Archive(papers=recipe.papers.loopback or None) as started:
        yield Addresses.at(started.url)


@contextlib.contextmanager
def _fetcher(recipe: Recipe, steps: Steps) -> Iterator[Fetcher]:
    with Fetcher(delay=recipe.papers.delay, blobs=steps.blobs) as fetcher:
        yield fetcher


def _reader() -> Reader:
    from lleval_jax.live import documents

    return documents.read
