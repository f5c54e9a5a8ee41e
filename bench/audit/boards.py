"""How often does an audit separate models that are equally good, and how many of those that are not?

Boards of 20 models, the first ten equal, the others ever weaker, on questions of many difficulties. A board is wrong if
any two equal models are separated.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.special import expit

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators.audit import pairs
from lleval_jax.estimators.plain import signs

LEVEL, MODELS, EQUAL = 0.95, 20, 10
DESIGNS = {"200 questions": (200, 0), "500 questions": (500, 0), "500 questions in 50 clusters": (500, 50)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    boards: int = setting(1000, "simulated boards of each design")
    draws: int = setting(500, "random signs a board")


def board(rng: np.random.Generator, questions: int, clusters: int) -> pairs.Board:
    """Answers of all models; a model is good or bad at whole clusters."""
    ability = np.concatenate([np.zeros(EQUAL), -np.linspace(0.2, 2, MODELS - EQUAL)])[:, None]
    ease = ability + rng.normal(0.5, 1.5, questions)
    label = np.arange(questions)
    if clusters:
        label = label * clusters // questions
        ease = ease + rng.normal(0, 1, (MODELS, clusters))[:, label]
    right = (rng.random(ease.shape) < expit(ease)).astype(float)
    return pairs.Board(right, np.ones(right.shape, bool), label)


def judged(one: pairs.Board, draws: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """(models, models) pairs that each way separates: ours, each pair alone, and Bonferroni's bound on exact tests."""
    gaps = pairs.gaps(one)
    p, alone, _ = pairs.p_values(one, gaps, draws, rng)
    found = {"max-T": p <= 1 - LEVEL, "each pair alone": alone <= 1 - LEVEL}
    if one.single:
        won = np.rint(one.scores @ (1 - one.scores).T).astype(int)
        found["Bonferroni, McNemar"] = signs.exact(won, won.T) <= (1 - LEVEL) / (MODELS * (MODELS - 1) / 2)
    return found


def study(settings: Settings, record: Record) -> None:
    """All designs: boards with a false pair, and true pairs separated."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    true = np.triu(np.ones((MODELS, MODELS), bool), 1)
    true[:EQUAL, :EQUAL] = False
    for name, (questions, clusters) in DESIGNS.items():
        wrong: dict[str, list[bool]] = {}
        power: dict[str, list[float]] = {}
        for i in range(settings.boards):
            rng = np.random.default_rng([i, questions, clusters])
            for way, apart in judged(board(rng, questions, clusters), settings.draws, rng).items():
                wrong.setdefault(way, []).append(bool(apart[:EQUAL, :EQUAL].any()))
                power.setdefault(way, []).append(float(apart[true].mean()))
        found[name] = {w: {"wrong": float(np.mean(wrong[w])), "power": float(np.mean(power[w]))} for w in wrong}
        print(name, found[name], flush=True)
        record.keep({"boards": settings.boards, "level": LEVEL, "found": found})
