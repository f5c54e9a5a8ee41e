"""Three aligners with three inspectors on planted flaws: what is repaired, what is kept, what good answers suffer.

Questions of the test are others than those that are learned. The same answers go through a squad in the order of each
row's scores, through one in the paper's order by batch, and through each aligner alone without an inspector.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from bench.aligners import flaws
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax import training as tr
from lleval_jax.training.aligners.train import ADAPTERS
from lleval_jax.values.aligned import Aligned
from lleval_jax.values.pool import Pool

SETS: list[tuple[str, ...]] = [
    (),
    ("polite",),
    ("measured",),
    ("whole",),
    ("polite", "measured"),
    ("measured", "whole"),
]
TEST_SEED = 1000


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    model: str = setting("smollm2", "the model that becomes three aligners")
    encoder: str = setting("minilm", "of the inspectors; empty: inspectors by margin")
    rows: int = setting(400, "examples of a criterion")
    steps: int = setting(100, "of training an aligner")
    batch: int = setting(8, "examples of a step")
    rate: float = setting(1e-3, "learning rate")
    test: int = setting(180, "answers of the test")
    limit: int = setting(48, "tokens that an aligner writes")


def study(settings: Settings, record: Record) -> None:
    """All arms."""
    base = lm.load(settings.model)
    encoder = lm.load_encoder(settings.encoder) if settings.encoder else None
    tests = _apart(settings)
    members, areas = [], {}
    for number, flaw in enumerate(flaws.FLAWS):
        parts = tr.by_question(flaws.examples(flaw, settings.rows, seed=number))
        schedule = tr.Schedule(steps=settings.steps, batch=settings.batch, rate=settings.rate, seed=number)
        learned = tr.fit_aligner(base, parts["learn"], lora=ADAPTERS, schedule=schedule, limit=settings.limit)
        before = tr.marks.flat(tr.marks.marked(base, learned.marks)[0])
        kind: Any = tr.scorers.Margin(learned.aligner.model, before)
        inspector = tr.fit_inspector(kind if encoder is None else tr.scorers.Embedding(encoder), parts)
        areas[flaw] = inspector.report._asdict() if inspector.report else None
        members.append(tr.Member(inspector, learned.aligner))
        record.keep({"inspectors": areas})
    questions, answers = tuple(each.question for each in tests), tuple(each.flawed for each in tests)
    pool = Pool(tuple(map(str, range(len(tests)))), questions, answers)
    arms = {"row": {}, "batch": {"order": "batch", "accept": "always"}}
    found = {name: reached(tests, tr.Squad(tuple(members), **words).run(pool)) for name, words in arms.items()}
    for member in members:  # without an inspector: every answer goes through it
        texts = [
            row.text or answer for row, answer in zip(member.aligner.align(*zip_(pool)).rows, answers, strict=True)
        ]
        found[f"{member.aligner.name} alone"] = measures(tests, texts)
    record.keep({"inspectors": areas, "arms": found, "settings": dataclasses.asdict(settings)})


def _apart(settings: Settings) -> list[flaws.Made]:
    """Answers to questions that no aligner or inspector has seen."""
    seen = {
        row.question
        for number, flaw in enumerate(flaws.FLAWS)
        for row in flaws.examples(flaw, settings.rows, seed=number).rows
    }
    made = [each for each in flaws.world(4 * settings.test, SETS, TEST_SEED) if each.question not in seen]
    return made[: settings.test]


def zip_(pool: Pool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Questions and answers."""
    return pool.questions, pool.weak


def reached(tests: list[flaws.Made], aligned: Aligned) -> dict[str, Any]:
    """What a squad did, by exact checks."""
    found = measures(tests, [row.after for row in aligned.rows])
    return found | {"passes": float(aligned.passes.mean()), "statuses": aligned.statuses}


def measures(tests: list[flaws.Made], after: list[str]) -> dict[str, Any]:
    """Shares, each with how many answers it is of."""
    pairs = list(zip(tests, after, strict=True))
    flawed = [(each, text) for each, text in pairs if each.flaws]
    good = [(each, text) for each, text in pairs if not each.flaws]
    two = [(each, text) for each, text in flawed if len(each.flaws) == 2]
    gone = [not set(each.flaws) & flaws.flaws_of(text) for each, text in flawed if len(each.flaws) == 1]
    return {
        "removed": _share(gone),
        "both removed": _share([not set(each.flaws) & flaws.flaws_of(text) for each, text in two]),
        "content kept": _share([flaws.kept(each.good, text) for each, text in pairs]),
        "good changed": _share([text.split() != each.good.split() for each, text in good]),
    }


def _share(values: list[Any]) -> dict[str, Any]:
    return {"value": float(np.mean(values)) if values else None, "of": len(values)}
