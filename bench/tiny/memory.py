"""Memory of a process that is asked again and again, with other numbers of models and answers each time.

Each method has a process of its own, and a bank of 60 items. A service or a notebook that watches runs calls like this:
every new shape that is compiled stays in memory, so sizes are padded to a few.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time
import warnings

import numpy as np

import lleval_jax as ll
from bench.kit.measure import each
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.data.simulate import simulate

SCORES = ("weighted", "pirt", "gpirt", "kriged", "head", "mixed")
ABILITIES = ("map", "eap", "mle", "wle")
ITEMS, MODELS = 60, 60


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    methods: tuple[str, ...] = setting((*SCORES, *ABILITIES, "irt.fit"), "methods")
    calls: int = setting(600, "calls of each")
    early: int = setting(60, "calls after which memory is compared")
    workers: int = setting(1, "0: in this process")


def mebibytes() -> float:
    """Resident memory of this process."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def mappings() -> int:
    """Memory mappings of this process, of which Linux allows 65,530."""
    return len(pathlib.Path("/proc/self/maps").read_text().splitlines())


def answers(rng: np.random.Generator, items: tuple[str, ...]) -> ll.Responses:
    """Of 1 to 59 models to 3 to 59 items."""
    models, asked = int(rng.integers(1, 60)), rng.permutation(len(items))[: int(rng.integers(3, 60))]
    scores = rng.integers(0, 2, (models, len(asked))).astype(float)
    return ll.Responses.build(scores, items=[items[i] for i in asked])


def called(task: tuple[str, int, int]) -> list[dict[str, float]]:
    """Memory after the first calls and after the last."""
    method, calls, early = task
    warnings.simplefilter("ignore")
    known = simulate(MODELS, ITEMS, seed=0)[0]
    bank = ll.anchors.choose(ll.irt.fit(known), responses=known, k=20)
    rng, found, spent = np.random.default_rng(0), [], []
    for i in range(1, calls + 1):
        here, began = answers(rng, bank.items), time.perf_counter()
        if method == "irt.fit":
            ll.irt.fit(ll.Responses.build(np.concatenate([here.scores, known.scores[:8, : len(here.items)]])))
        elif method in ABILITIES:
            ll.ability.estimate(here, bank=bank, by=method)
        else:
            ll.tiny.estimate(here, bank=bank, by=method)
        spent.append(time.perf_counter() - began)
        if i in (1, early, calls):
            last = float(np.median(spent[-early:]))
            found.append({"calls": i, "mib": round(mebibytes()), "mappings": mappings(), "seconds_a_call": last})
    return found


def study(settings: Settings, record: Record) -> None:
    """One method after the other; rows of others stay."""
    for method in settings.methods:
        (found,) = each(called, [(method, settings.calls, settings.early)], settings.workers)
        print(method, *(f"{r['calls']}: {r['mib']} MiB, {r['mappings']} mappings;" for r in found), flush=True)
        record.keep({"rows": record.content.get("rows", {}) | {method: found}})
