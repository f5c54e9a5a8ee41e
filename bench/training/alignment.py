"""AOT, DPO, IPO and KTO on real pairs at equal cost: tiny-lm, all weights, right against wrong solutions of GSM8K.

All contestants see as many answers a step, in as many steps. Rate and beta of each are searched alike, with the first
seed, by pairs won on validation pairs; then each runs with more seeds. All are judged on other pairs, one a problem:
pairs won, violated dominance, margins, and how far it went from the reference, on these texts and on what it writes.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.training import pairs
from bench.training.aligning import KEPT, Contestant, Ground, measures, rewards
from lleval_jax import lm
from lleval_jax.lm.load import LanguageModel
from lleval_jax.training.losses import AOT, DPO, IPO, KTO, Sides
from lleval_jax.training.run.schedule import Schedule

CONTESTANTS = {  # loss, share of the rejected answers, whether pairs
    "AOT paired": (lambda beta: AOT(beta=beta, paired=True), 1.0, True),
    "AOT unpaired": (lambda beta: AOT(beta=beta), 1.0, False),
    "AOT unequal": (lambda beta: AOT(beta=beta), KEPT, False),
    "DPO": (lambda beta: DPO(beta=beta), 1.0, True),
    "IPO": (lambda beta: IPO(beta=beta), 1.0, True),
    "KTO": (lambda beta: KTO(beta=beta), 1.0, False),
}
MICRO = 1536  # tokens of a micro-batch: two passes, whose programs all losses share
KEPT_OF_A_RUN = ("rate", "beta", "seconds", "tokens", "losses", "chosen", "rejected", "seed", "kl")
SAME = {"AOT unequal": "AOT unpaired"}  # takes the settings of another


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    who: tuple[str, ...] = setting(tuple(CONTESTANTS), "contestants")
    seeds: tuple[int, ...] = setting((0, 1, 2), "of the order of pairs")
    steps: int = setting(8, "of a run")
    answers: int = setting(24, "a step, of both sides")
    rates: tuple[float, ...] = setting((2e-4, 1e-3), "that are searched")
    betas: tuple[float, ...] = setting((0.1,), "that are searched; TRL takes 0.1 for all of these losses")
    longest: int = setting(160, "tokens of a row, at most")
    held: int = setting(96, "problems that are judged on")
    validation: int = setting(64, "problems that the search is judged on")
    written: int = setting(48, "of these, prompts that a text is written on to estimate the KL divergence")
    limit: int = setting(32, "tokens of such a text, at most")


def study(settings: Settings, record: Record) -> None:
    """The search, then all contestants, seed by seed; what is stored already is not run again."""
    model = lm.load("tiny-lm")
    data = pairs.short(model, pairs.solutions(), settings.longest)
    held, validation, learned = pairs.parted(data, (settings.held, settings.validation), 0)
    ground = Ground(model, learned, held, settings.longest, room=256, tokens=MICRO)
    search(ground, ground.on(validation), settings, record)
    chosen = {who: best(record.content["search"]["runs"], SAME.get(who, who)) for who in settings.who}
    runs(ground, chosen, settings, record)


def contestant(who: str, beta: float) -> Contestant:
    """By name."""
    loss, kept, paired = CONTESTANTS[who]
    return Contestant(loss(beta), kept, paired)


def search(ground: Ground, validation: Ground, settings: Settings, record: Record) -> None:
    """Each loss with each rate and beta, with the first seed."""
    found = record.content.get("search", {}).get("runs", [])
    done = {(each["who"], each["rate"], each["beta"]) for each in found}
    for who in (name for name in settings.who if name not in SAME):
        for rate, beta in itertools.product(settings.rates, settings.betas):
            if (who, rate, beta) in done:
                continue
            model, row = one(ground, who, {"rate": rate, "beta": beta}, settings, settings.seeds[0])
            reward = rewards(validation.judge(model), validation.reference)
            found.append({"who": who} | measures(reward) | row)
            record.part("search", {"pairs": len(validation.held.chosen.answers), "runs": found})
            print("search", who, rate, beta, json.dumps(measures(reward)), flush=True)


def best(found: list[dict], who: str) -> dict[str, float]:
    """Rate and beta that won most validation pairs; of equal ones the one with the smaller violation area."""
    row = min((each for each in found if each["who"] == who), key=lambda each: (-each["won"], each["area"]))
    return {"rate": row["rate"], "beta": row["beta"]}


def runs(ground: Ground, chosen: dict[str, dict], settings: Any, record: Record) -> None:
    """All contestants, seed by seed; what is judged on is kept row by row, for intervals."""
    found = record.content.get("runs", {}).get("runs", {})
    searched = record.content.get("search", {}).get("runs", [])
    about = facts(ground)
    for seed in settings.seeds:
        for who, words in chosen.items():
            if f"{who}/{seed}" in found:
                continue
            same = [each for each in searched if each.items() >= ({"who": who, "seed": seed} | words).items()]
            row = {key: same[0][key] for key in KEPT_OF_A_RUN} if same else one(ground, who, words, settings, seed)[1]
            found[f"{who}/{seed}"] = row
            record.part("runs", about | {"runs": found})
            both: Any = (np.array(row[side]) for side in ("chosen", "rejected"))
            reward = Sides(*both)
            print(who, seed, json.dumps(measures(reward)), float(np.mean(row["kl"])), flush=True)


def one(ground: Ground, who: str, words: dict[str, float], settings: Any, seed: int) -> tuple[LanguageModel, dict]:
    """One run: the model, and its rewards of what is judged on, row by row."""
    like = contestant(who, words["beta"])
    model, took = ground.aligned(like, _schedule(like, settings.answers, settings.steps, words["rate"], seed))
    reward = rewards(ground.judge(model), ground.reference)
    went = ground.divergence(model, settings.written, settings.limit, seed)
    row = words | took | {"chosen": rounded(reward.chosen), "rejected": rounded(reward.rejected)}
    return model, row | {"seed": seed, "kl": rounded(went)}


def facts(ground: Ground) -> dict[str, Any]:
    """What is learned and judged on, and what the reference makes of it."""
    reference = ground.reference
    sides = ground.judged.chosen, ground.judged.rejected
    longer, other = (np.array([len(row.tokens) - row.start for row in side]) for side in sides)
    return {
        "pairs": len(ground.rows.chosen),
        "tokens": round(ground.rows.tokens / (2 * len(ground.rows.chosen)), 1),
        "judged": len(ground.judged.chosen),
        "reference": {name: rounded(side) for name, side in reference._asdict().items()},
        "reference_won": float(np.mean(np.asarray(reference.chosen) > np.asarray(reference.rejected))),
        "longer_chosen": float(np.mean(longer > other)),
    }


def rounded(values: Any) -> list[float]:
    """To thousandths."""
    return [round(float(each), 3) for each in values]


def _schedule(who: Contestant, answers: int, steps: int, rate: float, seed: int) -> Schedule:
    return Schedule(steps=steps, batch=who.batch(answers), tokens=MICRO, rate=rate, seed=seed)
