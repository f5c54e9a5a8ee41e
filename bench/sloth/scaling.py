"""What the next size will score, compared with Sloth's published errors.

For each group of test families of the published study (see `published.py`) our default is fitted to the
leaderboard without the test models, and predicts them. Models that the study leaves out for a missing score take part,
unless they share a lineage with a test model. Sizes are as published. Errors are mean absolute errors in points over
test models and benchmarks of a group, averaged over groups; coverage is over all cells.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Literal

import numpy as np
import pandas as pd

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.sloth.published import BENCHMARKS, CELLS, errors
from lleval_jax.estimators import sloth

LEVELS = (0.8, 0.95)
FAR = 4.0  # times the size of the largest model of the family that is known: extrapolation


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    cells: tuple[str, ...] = setting(tuple(f"{name}:{given}" for name, given in CELLS), "benchmarks:models given")
    skills: int = setting(sloth.SKILLS, "behind the benchmarks")
    link: Literal["logistic", "monotone"] = setting("monotone", "of skills to scores")
    only_complete: bool = setting(False, "leave out models with a missing score")
    most: int | None = setting(None, "groups of each setting; all if none")


def groups(name: str, given: int) -> list[pd.DataFrame]:
    """Test models of each group, and the published errors on them."""
    return [group for _, group in errors(name, given).groupby("test_group", sort=False)]


def without(board: ll.Leaderboard, group: pd.DataFrame, given: int) -> ll.Leaderboard:
    """The leaderboard as it is known before the test models are: of their lineages only what the study gives.

    What is not known is hidden and not taken out, so that all groups of a setting are compiled once.
    """
    complete = board.seen.all(1)
    families = np.asarray(board.families, object)
    studied = complete & np.array([complete[families == family].sum() > given for family in families])
    related = np.isin(families, list(set(group.family))) | np.isin(board.lineages, list(set(group.base_family)))
    return board.hide(np.isin(board.models, list(set(group.model))) | (related & ~studied))


def measured(name: str, given: int, settings: Settings) -> dict:
    """Error of each group, and whether intervals held."""
    board = ll.read_leaderboard("sloth-open-llm", corrected=False).select(BENCHMARKS[name])
    missed, cells, status, seconds = {}, [], [], []
    for group in groups(name, given)[: settings.most]:
        known = without(board, group, given)
        if settings.only_complete:
            known = known.hide(~known.seen.all(1))
        began = time.process_time()
        fit = sloth.fit(known, skills=settings.skills, link=settings.link)
        seconds.append(time.process_time() - began)
        status.append(fit.status)
        test = board.take([board.models.index(model) for model in dict.fromkeys(group.model)])
        seen = known.take(np.flatnonzero(known.seen.any(1)))
        largest = {family: size for family, size in sorted(zip(seen.families, seen.params, strict=True))}
        targets = [
            sloth.Target(*row) for row in zip(test.families, test.params.tolist(), test.tokens.tolist(), strict=True)
        ]
        found = {level: sloth.estimate(fit, family=targets, level=level) for level in LEVELS}
        value = found[LEVELS[0]].value.reshape(test.scores.shape)
        missed[group.test_group.iloc[0]] = 100 * float(np.abs(value - test.scores).mean())
        held = [((e.low <= test.scores.ravel()) & (test.scores.ravel() <= e.high)) for e in found.values()]
        wide = [100 * (e.high - e.low) for e in found.values()]
        ratio = np.repeat([t.size / largest[t.family] for t in targets], len(board.benchmarks))
        cells.append(np.stack([*held, *wide, ratio]))
    return {
        "mae": float(np.mean(list(missed.values()))),
        "groups": missed,
        "cells": np.concatenate(cells, 1).round(4).tolist(),
        "status": sorted(set(status)),
        "converged": float(np.mean([word == "ok" for word in status])),
        "cpu_seconds_a_fit": float(np.mean(seconds)),
    }


def summary(record: dict) -> dict:
    """Coverage and width over all cells of some settings, near and far apart."""
    cells = np.concatenate([np.array(one["cells"]) for one in record.values()], 1)
    count, out = len(LEVELS), {}
    for word, use in (("all", cells[-1] > 0), ("far", cells[-1] >= FAR), ("near", cells[-1] < FAR)):
        part = cells[:, use]
        out[word] = {"cells": int(use.sum())} | {
            f"{level:.0%}": [float(part[i].mean().round(4)), float(part[count + i].mean().round(2))]
            for i, level in enumerate(LEVELS)
        }
    return out


def study(settings: Settings, record: Record) -> None:
    """All settings; coverage over those of this run."""
    found: dict = {"settings": {}}
    for name, given in (cell.split(":") for cell in settings.cells):
        one = measured(name, int(given), settings)
        found["settings"][f"{name} n{given}"] = one
        found["summary"] = summary(found["settings"])
        print(f"{name} n{given} {one['mae']:.2f} converged {one['converged']:.2f} {found['summary']}", flush=True)
        record.keep(found)
