"""Whether the chance that `prompts.best` states comes true: sessions in worlds of the model's own prior."""

import dataclasses

import numpy as np

from lleval_jax import Responses
from lleval_jax.estimators.prompts import best

PROMPTS, ITEMS, BUDGET = 6, 40, 63
DRAWS = 400  # of the posterior: a chance of 0.9 is known to about 0.015
RULES = ("halving", "top-two")


def answers_to(truth: Responses, choice) -> Responses:
    """The answers to a choice, and nothing else; no cell is asked twice."""
    seen = np.zeros(truth.seen.shape, bool)
    for row, items in zip(choice.rows, choice.items, strict=True):
        for item in items:
            cell = truth.rows.index(row), truth.items.index(item)
            assert not seen[cell], f"{row} is asked {item} twice"
            seen[cell] = True
    part = Responses.build(truth.scores, seen=seen, rows=truth.rows, items=truth.items)
    return part.take(np.flatnonzero(seen.any(1))).select([truth.items[j] for j in np.flatnonzero(seen.any(0))])


def session(random: np.random.Generator, rule: str, seed: int) -> tuple[float, bool]:
    """(stated chance that the named prompt is best, whether it is), of one world."""
    between, hard = np.exp(np.log([0.6, 1.5]) + np.array([0.6, 0.5]) * random.normal(size=2))
    logit = random.normal() + between * random.normal(size=(PROMPTS, 1)) + hard * random.normal(size=(1, ITEMS))
    right = (random.random(logit.shape) < 1 / (1 + np.exp(-logit))) * 1.0
    truth = Responses.build(right, rows=[f"p{i}" for i in range(PROMPTS)], items=[f"e{j}" for j in range(ITEMS)])
    state = best.init(truth.rows, items=truth.items, budget=BUDGET, by=rule, seed=seed, certainty=0.9, draws=DRAWS)
    while not (choice := best.choose(state)).enough:
        state = best.update(state, responses=answers_to(truth, choice))
    found, scores = best.best(state), truth.scores.mean(1)
    return found.probability, bool(scores[truth.rows.index(found.prompt)] == scores.max())


def sessions(worlds: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """(worlds,) stated chances, and whether they came true."""
    random = np.random.default_rng(2)
    stated, true = zip(*(session(random, rule, k) for k in range(worlds)), strict=True)
    return np.array(stated), np.array(true)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=150, metadata={"help": "sessions of each rule"})


def study(settings: Settings, record) -> None:
    """Mean stated chance, and how often it came true, by rule."""
    for rule in RULES:
        stated, true = sessions(settings.worlds, rule)
        figures = {"worlds": settings.worlds, "stated": float(stated.mean()), "true": float(true.mean())}
        record.keep({rule: figures})
