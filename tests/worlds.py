"""One tiny world a method: what it is fitted to, and what it then estimates. One shape each."""

import functools

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from bench.sloth import worlds as sloth
from lleval_jax.data import simulate_logprobs
from lleval_jax.data.simulate import simulate

MODELS, NEW, ITEMS, K = 24, 8, 48, 12


@functools.cache
def answers() -> ll.Responses:
    """Models that calibrate, then new ones, on all items of two groups."""
    return simulate(MODELS + NEW, ITEMS, seed=0, groups=2)[0]


def known() -> ll.Responses:
    """The models that calibrate."""
    return answers().take(range(MODELS))


def new() -> ll.Responses:
    """The others."""
    return answers().take(range(MODELS, MODELS + NEW))


@functools.cache
def items() -> ll.FitResult:
    """The items, fitted to the models that calibrate."""
    return ll.irt.fit(known())


@functools.cache
def bank(by: str = "spread") -> ll.ItemBank:
    """A bank of these items with K anchors."""
    with pytest.warns(ll.DataWarning, match=f"only {MODELS} models for calibration"):
        return ll.anchors.choose(items(), responses=known(), k=K, by=by, name="tests", seed=3)


@functools.cache
def grid() -> ll.Responses:
    """12 prompts by 40 examples, a third of the cells answered."""
    random = np.random.default_rng(5)
    logit = random.normal(0.3, 0.7, (12, 1)) + random.normal(0, 1, (1, 40))
    scores = (random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)
    return ll.Responses.build(np.where(random.random(logit.shape) < 0.35, scores, np.nan))


@functools.cache
def pairs() -> ll.Pairs:
    """Five models that met each other eight times, with ties."""
    random = np.random.default_rng(6)
    ends = [(f"model-{i}", f"model-{j}") for i in range(5) for j in range(i) for _ in range(8)]
    score = random.choice([0.0, 0.5, 1.0], len(ends), p=[0.3, 0.2, 0.5])
    return ll.Pairs.build(*zip(*ends, strict=True), score, models=[f"model-{i}" for i in range(5)])


@functools.cache
def leaderboard() -> ll.Leaderboard:
    """27 models of nine families on three benchmarks."""
    return sloth.leaderboard()


@functools.cache
def versions() -> tuple[ll.Responses, ll.Responses]:
    """Two versions of a benchmark of two domains; nine models ran the first, three of them the second."""
    random = np.random.default_rng(0)
    ability, made = np.linspace(-1.2, 1.2, 9), []
    for v, moved in enumerate((0.0, -0.3)):
        logit = ability[:, None] + moved - random.normal(0, 1, 80)
        scores = (random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)
        names = [f"v{v + 1}-{i}" for i in range(80)]
        rows = [f"model-{i}" for i in range(9)]
        made.append(ll.Responses.build(scores, rows=rows, items=names, group=["bio"] * 40 + ["law"] * 40))
    return made[0], made[1].take([0, 4, 8])


@functools.cache
def logprobs():
    """200 texts under six elements, the full prompt and two more combinations."""
    weight = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1, "e": 0.0, "f": 0.0}
    return simulate_logprobs(weight, 200, subsets=("a+b", "b+c+e"), seed=1)


def copied(table):
    """The table with each text a second time under another name."""
    return pd.concat([table, table.assign(text=[f"{name} again" for name in table["text"]])], ignore_index=True)
