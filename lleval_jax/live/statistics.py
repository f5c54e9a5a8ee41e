"""What a version is, in numbers: funnel, letters, guessers, models; 95% intervals, clustered by paper."""

import dataclasses
import datetime
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from lleval_jax.live import judging, licences, options, shares
from lleval_jax.live.filters import agreement, blind, rules
from lleval_jax.live.numbers import number
from lleval_jax.live.run import Version
from lleval_jax.live.shares import Share
from lleval_jax.live.values import Element, Paper, Question, normalised

FILTERS = (
    rules.SCHEMA,
    rules.OPTIONS,
    rules.SUPPORT,
    judging.TWICE,
    blind.NAME,
    agreement.NAME,
    agreement.WRONG,
    judging.SHARE,
    "human",
)  # in the order in which a question meets them


@dataclasses.dataclass(frozen=True)
class Known:
    """A version, with its elements and papers by name."""

    version: Version
    elements: dict[str, Element]
    papers: dict[str, Paper]

    @classmethod
    def of(cls, version: Version) -> "Known":
        """By name."""
        elements = {each.name: each for each in version.elements}
        return cls(version, elements, {each.name: each for each in version.papers})

    def element(self, question: Question) -> Element:
        """That a question is about."""
        return self.elements[question.element]

    def paper(self, question: Question) -> Paper:
        """Of its element."""
        return self.papers[self.element(question).paper]

    def clusters(self, questions: Iterable[Question]) -> list[str]:
        """The paper of each question."""
        return [self.element(each).paper for each in questions]


def family(paper: Paper) -> str:
    """The family of its licence; "unknown" is never exported with its pictures."""
    found = licences.licence(paper.licence)
    return "unknown" if found is None else found.family


def facts(version: Version, today: datetime.date) -> dict[str, Any]:
    """All statistics of the data sheet, as JSON takes them: shares are {value, low, high, n, papers}."""
    known, kept = Known.of(version), version.kept
    first = {each.question for each in version.verdicts if not each.keep and each.filter in FILTERS[:4]}
    tested = judging.test([q for q in version.questions if q.id not in first], version.answers, known.elements)
    found = {
        "schema": "lleval/live-sheet/1",
        "name": version.recipe.name,
        "recipe": version.recipe.digest(),
        "day": today.isoformat(),
        "papers": len(version.papers),
        "elements": len(version.elements),
        "questions": len(version.questions),
        "kept": len(kept),
        "funnel": funnel(known),
        "by": {name: _by(known, of) for name, of in GROUPS.items()},
        "left out": _counts(f"{each.step}: {_placeless(each.reason)}" for each in version.findings),
        "dropped": _counts(f"{v.filter}: {_general(v.reason)}" for v in version.verdicts if not v.keep),
        "a paper": _spread(Counter(known.clusters(kept)).values()),
        "an element": _spread(Counter(each.element for each in kept).values()),
        "letters": letters(kept),
        "lengths": _lengths(kept),
        "guessers": {name: _share(known, kept, guess(kept)) for name, guess in GUESSERS.items()},
        "overlap": _overlap(known, kept),
        "age": _spread(
            (today - datetime.date.fromisoformat(known.papers[p].created)).days for p in _papers(known, kept)
        ),
        "blind": None if tested.blind is None else _blind(tested.blind),
        "blind with caption": None if tested.captioned is None else _blind(tested.captioned),
        "judges": [_judge(each) for each in tested.judges],
        "wrong keys": None if tested.latent is None else _latent(tested.latent, kept, known),
    }
    return _plain(found)


def funnel(known: Known, of: Callable[[Question], bool] = lambda _: True) -> list[dict[str, Any]]:
    """Step by step: how many questions came, how many stayed, and the share that did."""
    left, steps = [each for each in known.version.questions if of(each)], []
    for name in FILTERS:
        judged = {each.question: each.keep for each in known.version.verdicts if each.filter == name}
        met = [each for each in left if each.id in judged]
        if not judged:
            continue
        share = shares.share_of([judged[each.id] for each in met], known.clusters(met))
        left = [each for each in left if judged.get(each.id, True)]
        steps.append({"filter": name, "came": len(met), "stayed": sum(judged[each.id] for each in met), "share": share})
    return steps


def letters(questions: Sequence[Question]) -> dict[str, Any]:
    """How often each letter is the key, and the chi-square p-value of even letters: over all, and by kind."""
    kinds = sorted({each.kind for each in questions})
    by_kind = {kind: _even([each.key for each in questions if each.kind == kind]) for kind in kinds}
    keys = [each.key for each in questions]
    return {"counts": _tally(keys), "p": _even(keys), "p by kind": by_kind}


def _tally(keys: Sequence[int]) -> list[int]:
    return np.bincount(np.asarray(keys, int), minlength=options.COUNT).tolist()


def _even(keys: Sequence[int]) -> float | None:
    from scipy import special  # not needed for --help

    if len(keys) < 5 * options.COUNT:
        return None
    counts, expected = np.asarray(_tally(keys)), len(keys) / options.COUNT
    return float(special.chdtrc(options.COUNT - 1, float(((counts - expected) ** 2).sum() / expected)))


def _longest(questions: Sequence[Question]) -> list[float]:
    """The chance that a longest option is the key."""
    sizes = [[len(option) for option in each.options] for each in questions]
    return [(s[q.key] == max(s)) / s.count(max(s)) for s, q in zip(sizes, questions, strict=True)]


def _middle(questions: Sequence[Question]) -> list[float]:
    """Of numbers: one of the two between the others; of texts: chance."""
    return [_between(each) for each in questions]


def _between(question: Question) -> float:
    found = [number(each) for each in question.options]
    if any(each is None for each in found):
        return 1 / options.COUNT
    place = sorted(range(options.COUNT), key=lambda i: found[i].value).index(question.key)  # type: ignore[union-attr]
    return 0.5 * (place in (1, 2))


def _frequent(questions: Sequence[Question]) -> list[float]:
    """The letter that is most often the key in the other questions."""
    counts = np.asarray(_tally([each.key for each in questions]))
    left = [counts - np.eye(options.COUNT, dtype=int)[each.key] for each in questions]
    return [float(int(np.argmax(one)) == each.key) for one, each in zip(left, questions, strict=True)]


GUESSERS: dict[str, Callable[[Sequence[Question]], list[float]]] = {
    "the longest option": _longest,
    "the first option": lambda questions: [float(each.key == 0) for each in questions],
    "the most frequent letter": _frequent,
    "a number in the middle": _middle,
}
GROUPS: dict[str, Callable[[Known, Question], str]] = {
    "domain": lambda known, each: known.paper(each).categories[0],
    "element": lambda known, each: known.element(each).kind,
    "type": lambda known, each: known.element(each).type if known.element(each).kind == "figure" else "table",
    "licence": lambda known, each: family(known.paper(each)),
    "kind": lambda known, each: each.kind,
    "made by": lambda known, each: each.made_by,
}


def _by(known: Known, of: Callable[[Known, Question], str]) -> dict[str, Any]:
    """Group -> questions that came and that were kept, and the share."""
    kept = {each.id for each in known.version.kept}
    groups: dict[str, list[Question]] = {}
    for each in known.version.questions:
        groups.setdefault(of(known, each), []).append(each)
    return {
        name: {
            "came": len(group),
            "kept": sum(each.id in kept for each in group),
            "share": shares.share_of([each.id in kept for each in group], known.clusters(group)),
        }
        for name, group in sorted(groups.items())
    }


def _share(known: Known, questions: Sequence[Question], right: list[float]) -> Share:
    return shares.mean_of(right, known.clusters(questions))


def _overlap(known: Known, questions: Sequence[Question]) -> Share:
    """The share of a question's words that a citing paragraph has too; of elements that are cited."""
    cited = [each for each in questions if known.element(each).mentions]
    values = []
    for each in cited:
        words = set(normalised(each.text).rstrip("?.").split())
        there = set(normalised(" ".join(known.element(each).mentions)).replace(".", " ").split())
        values.append(len(words & there) / len(words))
    return shares.mean_of(values, known.clusters(cited))


def _lengths(questions: Sequence[Question]) -> dict[str, float | None]:
    """Letters of keys and of other options, on average."""
    keys = [len(each.options[each.key]) for each in questions]
    others = [len(o) for each in questions for i, o in enumerate(each.options) if i != each.key]
    return {"key": float(np.mean(keys)) if keys else None, "others": float(np.mean(others)) if others else None}


def _papers(known: Known, questions: Sequence[Question]) -> list[str]:
    return sorted({name for name in known.clusters(questions) if known.papers[name].created})


def _spread(values: Iterable[float]) -> dict[str, float] | None:
    found = sorted(values)
    return {"least": found[0], "median": float(np.median(found)), "most": found[-1]} if found else None


def _counts(reasons: Iterable[Hashable]) -> dict[Any, int]:
    return dict(Counter(reasons).most_common())


def _placeless(reason: str) -> str:
    """A reason without the address that it begins with."""
    return re.sub(r"^\S+/(src|html|pdf)/\S+: ", r"\1: ", reason)


def _general(reason: str) -> str:
    """A reason without what it says of the single question."""
    return re.sub(r"(the same question as) \w+", r"\1 another", re.sub(r"'[^']*'|\b\d+\.\d+\b", "…", reason))


def _blind(found: blind.Blind) -> dict[str, Any]:
    return found._asdict()


def _judge(found: agreement.Judged) -> dict[str, Any]:
    return found._asdict() | {"filter": found.useful, "note": "" if found.useful else agreement.NO_FILTER}


def _latent(found: agreement.Latent, kept: Sequence[Question], known: Known) -> dict[str, Any]:
    after = [found.wrong[each.id] for each in kept if each.id in found.wrong]
    suspects = sum(p > 0.5 for p in found.wrong.values())
    after_share = shares.mean_of(after, known.clusters([each for each in kept if each.id in found.wrong]))
    return {"before": found.share, "after": after_share, "accuracy": found.accuracy, "suspected": suspects}


def _plain(value: Any) -> Any:
    """As JSON takes it: shares as objects, NaN as null."""
    if isinstance(value, Share):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and np.isnan(value) else value
