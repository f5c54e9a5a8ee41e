"""Which questions of a version go, and what takes their place: by what models answered, and what the archive says now.

A question is retired where its key is likely wrong, where it tells next to nothing of the models that are measured
today, where models that are not shown its picture have come to know it, or where its paper may no longer be shown.
What takes its place passed all filters and was left out only because its paper had enough. Nothing is deleted: what
is retired stays in the run's tables, so that versions can be linked.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from lleval_jax import writing
from lleval_jax.errors import BadInput, RunFailed, require
from lleval_jax.live import judging, licences, options
from lleval_jax.live.archive import harvest
from lleval_jax.live.fetch import Fetcher
from lleval_jax.live.recipe import Recipe
from lleval_jax.live.run import Version, running
from lleval_jax.live.statistics import Known
from lleval_jax.live.values import Paper, Question, Verdict

NAME, FOLDER, SCHEMA = "retired", "retired", "lleval/live-retired/1"  # the filter; where its decisions are in a run
DOUBT, FLOOR, ALARM = 0.5, 0.1, 0.01
KEY = "its key is wrong with probability"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of questions, by their ids. Where nothing is known nothing is decided.

    wrong        probability that the key is wrong (`lleval check`)
    information  mean Fisher information of one answer at the abilities of the models measured today
    blind        (right, asked) of models that were not shown the picture
    papers       what the archive says now, by id without version; None: it was not asked
    """

    wrong: Mapping[str, float] = dataclasses.field(default_factory=dict)
    information: Mapping[str, float] = dataclasses.field(default_factory=dict)
    blind: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    papers: Mapping[str, Paper] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """On one question. "take": it comes in for one that goes."""

    question: str
    verdict: Literal["keep", "retire", "take"]
    reasons: tuple[str, ...] = ()


class _Kept(msgspec.Struct):
    schema: str
    decisions: list[Decision]


def decide(
    version: Version, evidence: Evidence, *, doubt: float = DOUBT, floor: float = FLOOR, alarm: float = ALARM
) -> list[Decision]:
    """A decision on each question that is kept today, and on those that come in.

    Args:
        version: with what people said of it.
        evidence: what is known.
        doubt: probability of a wrong key above which a question goes.
        floor: share of the mean question's information below which one goes.
        alarm: probability, by guessing among the options, of as many right blind answers, below which one goes.

    Raises:
        BadInput: a bound is not between 0 and 1.
    """
    for name, value in {"doubt": doubt, "floor": floor, "alarm": alarm}.items():
        require(0 <= value <= 1, f"{name} is {value:g}; it is between 0 and 1")
    known, kept = Known.of(version), version.kept
    least = floor * _mean(evidence.information.get(each.id) for each in kept)
    found = []
    for each in kept:
        reasons = [
            *_paper(known.paper(each), version, evidence.papers),
            *_key(evidence.wrong.get(each.id, 0.0), doubt),
            *_leaked(evidence.blind.get(each.id, (0, 0)), alarm),
            *_tells(evidence.information.get(each.id), least, floor),
        ]
        found.append(Decision(question=each.id, verdict="retire" if reasons else "keep", reasons=tuple(reasons)))
    return [*found, *_taken(known, evidence, {each.question for each in found if each.verdict == "retire"})]


def level(version: Version, evidence: Evidence, decisions: Sequence[Decision]) -> dict[str, dict[str, float]]:
    """Domain -> questions and their information before, of those that go, and how many come in."""
    known, found = Known.of(version), dict[str, dict[str, float]]()
    by_id = {each.id: each for each in version.questions}
    for each in decisions:
        question = by_id[each.question]
        place = found.setdefault(
            _domain(known, question), dict.fromkeys(("before", "goes", "comes", "told", "lost"), 0.0)
        )
        if each.verdict == "take":
            place["comes"] += 1
            continue
        told = evidence.information.get(each.question, 0.0)
        place["before"] += 1
        place["told"] += told
        if each.verdict == "retire":
            place["goes"] += 1
            place["lost"] += told
    return dict(sorted(found.items()))


def asked_again(recipe: Recipe) -> dict[str, Paper]:
    """What the archive says today of the papers of a recipe's window, by id; those withdrawn are not among them.

    Raises:
        RunFailed: it did not answer whole, so that nothing can be said of any paper.
    """
    with running(recipe) as addresses, Fetcher(delay=recipe.papers.delay) as fetcher:
        asked = recipe.papers
        found = harvest(fetcher, asked.categories, asked.first.isoformat(), asked.last.isoformat(), addresses)
    failed = [
        each.reason for each in found.findings if each.step in ("fetch", "harvest") and each.paper.startswith("http")
    ]
    if failed:
        raise RunFailed(f"the archive was not asked whole: {failed[0]}. Try again later.")
    return {each.id: each for each in found.papers}


def keep(folder: pathlib.Path, decisions: Iterable[Decision]) -> pathlib.Path:
    """Put decisions into a run's folder, where the next export reads them; the file."""
    changed = [dataclasses.asdict(each) for each in decisions if each.verdict != "keep"]
    content = json.dumps({"schema": SCHEMA, "decisions": changed}, indent=1, ensure_ascii=False).encode()
    path = folder / FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}.json"
    path.parent.mkdir(exist_ok=True)
    writing.put(path, content)
    return path


def decided(folder: pathlib.Path) -> list[Decision]:
    """What was decided so far in a run. `BadInput` where a file is none of `keep`."""
    found = list[Decision]()
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} is not what 'lleval live retire' writes: {error}") from error
        require(kept.schema == SCHEMA, f"{path} has the schema {kept.schema!r}; {SCHEMA} is wanted")
        found += kept.decisions
    return found


def applied(version: Version, decisions: Sequence[Decision]) -> Version:
    """The version without what was retired, with what came in for it. Of a key in doubt a person has the last word."""
    looked = {each.question for each in version.verdicts if each.filter == "human" and each.keep}
    decisions = [each for each in decisions if not (each.question in looked and _only_the_key(each))]
    taken = {each.question for each in decisions if each.verdict == "take"}
    old = [v for v in version.verdicts if not (v.question in taken and v.filter == judging.SHARE)]
    new = [
        Verdict(question=d.question, filter=NAME, keep=come, score=float(come), reason="; ".join(d.reasons))
        for d in decisions
        for come in [d.verdict == "take"]
        if d.verdict != "keep"
    ]
    return dataclasses.replace(version, verdicts=(*old, *new))


def _only_the_key(decision: Decision) -> bool:
    return decision.verdict == "retire" and all(each.startswith(KEY) for each in decision.reasons)


def _paper(paper: Paper, version: Version, papers: Mapping[str, Paper] | None) -> list[str]:
    if papers is None:
        return []
    now = papers.get(paper.id)
    if now is None:
        return [f"the archive no longer has {paper.name}, or it was withdrawn"]
    decision = licences.allowed(now.licence, version.recipe.papers.allow)
    same = now.version is None or paper.version is None or now.version == paper.version
    return [] if decision.keep or not same else [f"the licence of {paper.name} is another one now: {decision.reason}"]


def _key(wrong: float, doubt: float) -> list[str]:
    return [f"{KEY} {wrong:.2f}"] if wrong > doubt else []


def _leaked(blind: tuple[int, int], alarm: float) -> list[str]:
    right, asked = blind
    if not asked:
        return []
    from scipy import special  # not needed for --help

    chance = float(special.bdtrc(right - 1, asked, 1 / options.COUNT)) if right else 1.0
    return [f"{right} of {asked} models know it without the picture"] if chance < alarm else []


def _tells(told: float | None, least: float, floor: float) -> list[str]:
    if told is None or told >= least:
        return []
    return [f"it tells less than {100 * floor:g}% of what a question tells on average of the models of today"]


def _taken(known: Known, evidence: Evidence, gone: set[str]) -> list[Decision]:
    """Questions in reserve, until what a domain told is level again; a paper never has more than the recipe says."""
    version = known.version
    kept, most = version.kept, version.recipe.filter.per_paper
    counts = dict[tuple[str, str], int]()
    for each in kept:
        counts[_place(known, each)] = counts.get(_place(known, each), 0) + (each.id not in gone)
    found = list[Decision]()
    for domain, wanted in _wanted(known, evidence, kept, gone).items():
        for each in _reserve(known, domain, evidence):
            if wanted < 0.5:
                break
            if counts.get(_place(known, each), 0) < most:
                counts[_place(known, each)] = counts.get(_place(known, each), 0) + 1
                wanted -= 1
                found.append(Decision(question=each.id, verdict="take", reasons=(f"for one of {domain} that goes",)))
    return found


def _wanted(known: Known, evidence: Evidence, kept: Sequence[Question], gone: set[str]) -> dict[str, float]:
    """Domain -> mean questions that tell as much as those that go; as many as go where nothing is known of it."""
    found = dict[str, float]()
    for domain in sorted({_domain(known, each) for each in kept if each.id in gone}):
        mine = [each for each in kept if _domain(known, each) == domain]
        mean = _mean(evidence.information.get(each.id) for each in mine if each.id not in gone)
        lost = [evidence.information.get(each.id) for each in mine if each.id in gone]
        found[domain] = sum(1.0 if told is None or not mean else told / mean for told in lost)
    return found


def _reserve(known: Known, domain: str, evidence: Evidence) -> list[Question]:
    """Questions that only the limit of their paper left out, in the order of their ids."""
    failed = dict[str, set[str]]()
    for each in known.version.verdicts:
        if not each.keep:
            failed.setdefault(each.question, set()).add(each.filter)
    version = known.version
    found = [each for each in version.questions if failed.get(each.id) == {judging.SHARE}]
    found = [each for each in found if _domain(known, each) == domain]
    return sorted((q for q in found if not _paper(known.paper(q), version, evidence.papers)), key=lambda each: each.id)


def _domain(known: Known, question: Question) -> str:
    return known.paper(question).categories[0]


def _place(known: Known, question: Question) -> tuple[str, str]:
    """What the recipe limits: a paper, and figures or tables."""
    element = known.element(question)
    return element.paper, element.kind


def _mean(values: Iterable[float | None]) -> float:
    found = [each for each in values if each is not None]
    return sum(found) / len(found) if found else 0.0
