"""Filters against planted truth: blind share and its interval, wrong keys caught, numbers that no table has."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.live import worlds
from lleval_jax.live.example.models import Scripted
from lleval_jax.live.filters import agreement, answers, blind, rules


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    questions: int = setting(2000, "questions of a world")
    seeds: int = setting(100, "worlds for each share that is known without the picture")
    shares: tuple[float, ...] = setting((0.0, 0.07, 0.3), "shares that are known without the picture")
    judges: int = setting(20, "worlds with planted wrong keys")


def known(settings: Settings, share: float) -> dict[str, Any]:
    """Coverage of the interval, questions lost by luck, and what the rule of LiveXiv's code removes."""
    questions, papers = worlds.plain(settings.questions)
    inside, value, lost, theirs = [], [], [], []
    for seed in range(settings.seeds):
        rng = np.random.default_rng(seed)
        found = blind.estimate(questions, worlds.blind(questions, share, rng), papers)
        inside.append(bool(found.share.low <= share <= found.share.high))
        value.append(found.share.value)
        knows = np.random.default_rng(seed).random(len(questions)) < share
        lost.append(found.dropped - int(knows.sum()))
        one = rng.integers(0, 4, len(questions)) == [each.key for each in questions]  # one guess, thrice the same
        theirs.append(float(np.mean(knows | one)))
    most = settings.questions / 64 + 3 * np.sqrt(settings.questions / 64 * (1 - 1 / 64))
    return {
        "inside": int(sum(inside)),
        "mean": float(np.mean(value)),
        "lost": float(np.mean(lost)),
        "most lost": int(max(lost)),
        "allowed": float(most),
        "LiveXiv removes": float(np.mean(theirs)),
    }


def keys(settings: Settings) -> dict[str, Any]:
    """Planted 10% wrong keys, a judge that errs in 5%; then two judges together, and judges that are none."""
    elements = worlds.tables(settings.questions // 8)
    questions = worlds.asked(elements)
    papers = {each.element: elements[each.element].paper for each in questions}
    caught, lost, share, inside, suspects, false = [], [], [], [], [], []
    for seed in range(settings.judges):
        rng = np.random.default_rng(seed)
        turned, wrong = worlds.planted(questions, 0.1, rng)
        given = [*worlds.judged(questions, 0.05, rng), *worlds.judged(questions, 0.05, rng, "two")]
        kept = {each.question: each.keep for each in agreement.verdicts(turned, given[: len(given) // 2], ["one"])}
        caught.append(np.mean([not kept[id] for id in wrong]))
        lost.append(np.mean([not kept[each.id] for each in turned if each.id not in wrong]))
        hidden = agreement.latent(turned, given, papers)
        assert hidden is not None
        share.append(hidden.share.value)
        inside.append(hidden.share.low <= len(wrong) / len(turned) <= hidden.share.high)
        named = {each.question for each in agreement.suspects(hidden) if not each.keep}
        suspects.append(len(named & wrong) / len(wrong))
        false.append(len(named - wrong) / len(turned))
    means = {"caught": caught, "lost": lost, "share": share, "suspected": suspects, "falsely": false}
    found: dict[str, Any] = {name: float(np.mean(values)) for name, values in means.items()}
    found["inside"] = f"{int(sum(inside))} of {settings.judges}"
    return found | {"no judges": _no_judges(questions[:400], elements)}


def _no_judges(questions: list, elements: dict) -> dict[str, Any]:
    """Models that are no judges, through requests and replies."""
    papers, found = {each.element: elements[each.element].paper for each in questions}, {}
    for name in ("yes-man", "wordy"):
        client = Scripted(name, elements.values())
        given = [
            answers.answer(
                q, "judge", name, order, client.complete(answers.request(q, elements[q.element], "judge", order))
            )
            for q in questions
            for order in answers.JUDGE
        ]
        one = agreement.judge(name, questions, given, papers)
        read = [each for each in given if each.pick is not None]
        said = {"kappa": None if np.isnan(one.kappa.value) else one.kappa.value, "filter": one.useful}
        found[name] = said | {"read": len(read), "unread": one.unread, "misassigned": 0 if not read else None}
    return found


def parsed_by_position(stray: float = 0.1, many: int = 7, images: int = 2000) -> float:
    """The share of verdicts that LiveXiv's way of reading gives to another question, with a stray word before some."""
    rng = np.random.default_rng(0)
    shifted = 0
    for _ in range(images):
        words: list[int] = []
        for place in range(many):
            words += [-1] * int(rng.random() < stray) + [place]
        shifted += sum(word != place for place, word in enumerate(words[:many]))
    return shifted / (images * many)


def support() -> dict[str, Any]:
    """False alarms on computed keys, and planted numbers that are caught."""
    elements = worlds.tables(120)
    questions = worlds.asked(elements)
    alarms = np.mean([not rules.support(each, elements[each.element]).keep for each in questions])
    rng, caught = np.random.default_rng(1), []
    for each in [q for q in questions if q.kind in ("look-up", "difference", "sum")][:200]:
        false = f"{rng.uniform(100, 900):.2f}"
        shown = tuple(false if i == each.key else option for i, option in enumerate(each.options))
        bad = dataclasses.replace(each, evidence=re.sub(r"[\d.]+$", false, each.evidence), options=shown)
        caught.append(not rules.support(bad, elements[each.element]).keep)
    return {
        "questions": len(questions),
        "false alarms": float(alarms),
        "planted": len(caught),
        "caught": float(np.mean(caught)),
    }


def study(settings: Settings, record: Record) -> None:
    """All of it."""
    record.keep(
        {
            "questions": settings.questions,
            "seeds": settings.seeds,
            "blind": {f"{share:g}": known(settings, share) for share in settings.shares},
            "agreement": keys(settings),
            "by position": parsed_by_position(),
            "support": support(),
        }
    )
