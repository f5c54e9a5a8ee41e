"""What the published laws leave unused, and families of which nothing is known.

Part "missing": Sloth's variants (`sloth.published`) learn from the rows of the study, which leaves out rows that
lack a score and families of 1 or 2 rows; from all complete rows; and from all. Test rows are those of `scaling.py`.
Part "new": all models of a group's test families and of their lineages are left out, and all complete models of those
families are predicted as of family "new". Errors are mean absolute errors in points over models and benchmarks of a
group, averaged over groups; coverage is over all cells.
"""

from __future__ import annotations

import dataclasses
import json
import time
import warnings

import numpy as np

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.sloth.published import BENCHMARKS, CELLS
from bench.sloth.scaling import LEVELS, groups, without
from lleval_jax.estimators import sloth
from lleval_jax.estimators.sloth import published

STARTS = 2  # all end in one mode
TRAINED = {"link": "monotone", "floors": "learned"}
LAWS = {  # number of skills, and other words
    **{f"basic d={d}": (d, {}) for d in (2, 3)},
    **{f"trained d={d}": (d, TRAINED) for d in (2, 3)},
    "shared intercept d=2": (2, {"intercept": "shared"}),
}
PARTS = {
    "missing": ("basic d=2", "basic d=3", "trained d=2", "trained d=3"),
    "new": ("shared intercept d=2", "basic d=2", "ours d=3"),
}


def predicted(law: str, known: ll.Leaderboard, test: ll.Leaderboard, families: tuple[str, ...]) -> dict:
    """Errors, and which intervals held how wide, of models predicted from a leaderboard."""
    began = time.process_time()
    facts = zip(families, test.params.tolist(), test.tokens.tolist(), test.instruct.tolist(), strict=True)
    targets = [sloth.Target(name, size, tokens, instruct=tuned) for name, size, tokens, tuned in facts]
    if law == "ours d=3":
        fit = sloth.fit(known)
        found = [sloth.estimate(fit, family=targets, level=level) for level in LEVELS]
    else:
        skills, words = LAWS[law]
        fit = published.fit(known, skills=skills, starts=STARTS, **words)
        found = [published.estimate(fit, family=targets, level=level) for level in LEVELS]
    truth = test.scores.ravel()
    return {
        "error": 100 * float(np.abs(found[0].value - truth).mean()),
        "held": [((e.low <= truth) & (truth <= e.high)).tolist() for e in found],
        "width": [(100 * (e.high - e.low)).tolist() for e in found],
        "ok": fit.converged,
        "seconds": time.process_time() - began,
    }


def missing(law: str, name: str, given: int, most: int | None) -> dict[str, list[dict]]:
    """The protocol of `scaling.py` from more and more rows; what adds no row is not fitted again."""
    board = leaderboard(name)
    out: dict[str, list[dict]] = {"studied": [], "complete": [], "all": []}
    complete, families = np.array(board.seen.all(1)), np.asarray(board.families, object)
    studied = complete & np.array([complete[families == family].sum() > given for family in families])
    for group in groups(name, given)[:most]:
        known = without(board, group, given)
        test = board.take([board.models.index(model) for model in dict.fromkeys(group.model)])
        before, last = None, ""
        for word, use in (("studied", studied), ("complete", complete), ("all", board.seen.any(1))):
            now = known.hide(np.logical_not(use))
            same = before is not None and np.array_equal(now.seen, before.seen)
            out[word].append(out[last][-1] if same else predicted(law, now, test, test.families))
            before, last = now, word
    return out


def new(law: str, name: str, most: int | None) -> list[dict]:
    """Families of which no model is known, nor of what they are tuned from."""
    board, out = leaderboard(name), []
    for group in groups(name, 1)[:most]:
        tested = np.array([family in set(group.family) for family in board.families])
        related = tested | np.array([lineage in set(group.base_family) for lineage in board.lineages])
        test = board.take(np.flatnonzero(tested & board.seen.all(1)))
        out.append(predicted(law, board.hide(related), test, (sloth.NEW,) * len(test.models)))
    return out


def leaderboard(name: str) -> ll.Leaderboard:
    """That of the study, as published."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ll.DataWarning)
        return ll.read_leaderboard("sloth-open-llm", corrected=False).select(BENCHMARKS[name])


def summary(found: list[dict]) -> dict:
    """Mean error over groups, coverage and width over cells."""
    held, width = ([np.concatenate([one[name][i] for one in found]) for i in (0, 1)] for name in ("held", "width"))
    return {
        "mae": round(float(np.mean([one["error"] for one in found])), 3),
        "groups": len(found),
        "cells": len(held[0]),
        **{
            f"{level:.0%}": [round(float(a.mean()), 4), round(float(b.mean()), 2)]
            for level, a, b in zip(LEVELS, held, width, strict=True)
        },
        "converged": float(np.mean([one["ok"] for one in found])),
        "cpu_seconds": round(sum(one["seconds"] for one in found), 1),
    }


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    parts: tuple[str, ...] = setting(tuple(PARTS), "what is measured")
    laws: tuple[str, ...] = setting((), "of those of the parts; all if none is named")
    most: int | None = setting(None, "groups of each setting; all if none")
    names: tuple[str, ...] = setting(tuple(BENCHMARKS), "leaderboards")


def measured(part: str, law: str, settings: Settings) -> dict:
    """All settings of a part by one law."""
    if part == "new":
        return {name: summary(new(law, name, settings.most)) for name in settings.names}
    return {
        f"{name} n{given}": {word: summary(found) for word, found in missing(law, name, given, settings.most).items()}
        for name, given in CELLS
        if name in settings.names
    }


def study(settings: Settings, record: Record) -> None:
    """All laws of all parts; what is stored of other laws stays."""
    for part in settings.parts:
        for law in PARTS[part]:
            if not settings.laws or law in settings.laws:
                found = record.content.get(part, {}) | {law: measured(part, law, settings)}
                print(part, law, json.dumps(found[law]), flush=True)
                record.keep({"starts": STARTS, part: found})
