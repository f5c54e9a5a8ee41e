"""Wrong keys planted in open_llm_irt.

In each set the answers of 2% of the items (two at least), drawn from a seed, become 1 - x; the 2PL is fitted to the
result and the item report asked which keys are likely wrong (posterior probability above 0.5, the shipped rule).
Found: share of the planted items so named. False alarms: share of the other items so named. Some of these may have
wrong keys in the source: `named_untouched` lists what is named without any planting. The rule was settled on seeds
0-7 and from 1000; the stored figures are on seeds from 100. `few` takes also a random N of the models.
"""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np

import lleval_jax as ll
from bench.kit.problems import shared, two_parameter
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators.trust import items as itemfit

SETS = ("arc_A", "arc_B", "gsm8k_A", "gsm8k_B", "truthfulqa_B")
FOUND, FALSE = 0.80, 0.05  # bars


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(SETS, "forms of open_llm_irt")
    first: int = setting(100, "first seed")
    seeds: int = setting(20, "draws of wrong keys")
    few: int = setting(100, "also with so many models only")


def named(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which keys the report calls likely wrong, and which items it gives a negative slope."""
    responses = ll.Responses.build(answers)
    report = itemfit.examine(ll.irt.fit(responses, standard_errors=False), responses=responses).items
    return np.array([["key likely wrong" in f, "negative slope" in f] for f in report.flags]).T


def answers_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Answers (models, items) of a form, or simulated ones, and the items' names."""
    if name == "simulated":
        return two_parameter(100, 30).scores, np.arange(30)
    with np.load(shared("data", "open_llm_irt", f"{name}.npz"), allow_pickle=False) as stored:
        return stored["responses"].astype(np.int8), stored["items"]


def run(name: str, seeds: range, models: int) -> dict:
    """One set."""
    whole, items = answers_of(name)
    count, started = np.zeros(5, int), time.process_time()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        planted = np.isin(
            np.arange(len(items)), rng.choice(len(items), max(2, round(0.02 * len(items))), replace=False)
        )
        answers = whole if models == 0 else whole[rng.choice(len(whole), models, replace=False)]
        wrong, negative = named(np.where(planted, 1 - answers, answers))
        count += [planted.sum(), (wrong & planted).sum(), (~planted).sum(), (wrong & ~planted).sum(), 0]
        count[4] += (negative & planted).sum()
    row = {"items": len(items), "models": models or len(whole), "seeds": len(seeds), "planted": int(count[0])}
    row |= {"found": count[1] / count[0], "false_alarms": count[3] / count[2]}
    row |= {"found_by_negative_slope_alone": count[4] / count[0]}
    row["named_untouched"] = [str(i) for i in items[named(whole)[0]]] if models == 0 else None
    row["cpu_seconds_a_run"] = (time.process_time() - started) / (len(seeds) + (models == 0))
    print(name, json.dumps(row), flush=True)
    return row | {"counts": count.tolist()}


def study(settings: Settings, record: Record) -> None:
    """All sets, with all models and with few."""
    seeds, content = range(settings.first, settings.first + settings.seeds), {"bars": [FOUND, FALSE]}
    for label, models in (("all_models", 0), (f"{settings.few}_models", settings.few)):
        rows = {name: run(name, seeds, models) for name in settings.sets}
        total = np.sum([row.pop("counts") for row in rows.values()], 0)
        content[label] = {"found": total[1] / total[0], "false_alarms": total[3] / total[2], "sets": rows}
        print(label, f"found {total[1] / total[0]:.3f}, false alarms {total[3] / total[2]:.4f}", flush=True)
        record.keep(content | {"first_seed": settings.first})
