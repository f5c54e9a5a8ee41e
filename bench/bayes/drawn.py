"""Worlds drawn from the prior of each model: unknowns by its NumPyro function, answers by the formulas of papers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from scipy.special import expit, softmax

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes.numbers import numbers
from lleval_jax.bayes.prior import unknowns
from lleval_jax.core.irt import kinds

Draws = Mapping[str, np.ndarray]
MODELS, ITEMS = 4, 10
NEAR = 1e-6  # of a continuous score to 0 or 1
SYSTEMS = {"a-one": ("one", "a"), "a-two": ("two", "a"), "b-one": ("one", "b"), "b-two": ("two", "b")}
FAMILIES = {f"row-{i}": f"family-{i % 2}" for i in range(MODELS)}
GROUP = tuple("xxxxxyyyyy")


class World(NamedTuple):
    """How a model's worlds are made.

    model     of `bayes`
    blank     answers of the same shape
    answered  (unknowns, random) -> answers
    ranked    name -> (unknowns (..., of a site)) -> (..., entries): whose ranks are looked at
    """

    model: Any
    blank: Any
    answered: Callable[[Draws, np.random.Generator], Any]
    ranked: Mapping[str, Callable[[Draws], np.ndarray]]


def drawn(world: World, count: int, seed: int) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Answers of so many worlds, and the truth behind them: each site (count, ...)."""
    laid = world.model.lay_out(world.blank, None, "float32")
    one = functools.partial(unknowns, world.model, laid)
    with numbers("float32"):
        truth = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(seed), count))
    truth = {name: np.asarray(x, float) for name, x in truth.items()}
    random = np.random.default_rng([21, seed])
    return [world.answered({name: x[i] for name, x in truth.items()}, random) for i in range(count)], truth


def _right(p: np.ndarray, random: np.random.Generator, **words: Any) -> ll.Responses:
    return ll.Responses.build((random.random(p.shape) < p).astype(float), **words)


def _logit(draw: Draws) -> np.ndarray:
    return draw["ability"] @ draw["slope"].T + draw["intercept"]


def _irt(draw: Draws, random: np.random.Generator) -> ll.Responses:
    floor, ceiling = draw.get("floor", 0.0), draw.get("ceiling", 1.0)
    return _right(floor + (ceiling - floor) * expit(_logit(draw)), random)


def _with_hidden(draw: Draws, random: np.random.Generator) -> ll.Responses:
    """The last two items have no answers."""
    scores = (random.random((MODELS, ITEMS)) < expit(_logit(draw))).astype(float)
    scores[:, -2:] = np.nan
    return ll.Responses.build(scores)


def _in_groups(draw: Draws, random: np.random.Generator) -> ll.Responses:
    code = np.unique(GROUP, return_inverse=True)[1]
    return _right(expit(_logit(draw) + draw["apart"][:, code]), random, group=GROUP)


def _scores(name: str, z: np.ndarray, shape: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Of one kind: z (..., items), shape (items, shapes)."""
    kind = kinds.of(name)
    keys = jax.random.split(jax.random.key(int(random.integers(2**31))), z.shape)
    wide = np.broadcast_to(shape[:, : kind.shapes], (*z.shape, kind.shapes))
    with numbers("float32"):
        flat = jax.vmap(kind.draw)(
            keys.reshape(-1), z.astype("float32").ravel(), wide.astype("float32").reshape(z.size, -1)
        )
    found = np.asarray(flat, float).reshape(z.shape)
    return found if name.startswith(("graded", "gpcm")) else np.clip(found, NEAR, 1 - NEAR)


def _of_kind(name: str) -> Callable[[Draws, np.random.Generator], ll.Responses]:
    return lambda draw, random: ll.Responses.build(_scores(name, _logit(draw), draw["shape"], random))


def _judged(draw: Draws, random: np.random.Generator) -> dict[str, ll.Responses]:
    z = (_logit(draw) + draw["answer"].T)[None] - draw["severity"][:, None, None]
    scores = _scores("graded-4", z, draw["shape"], random)
    return {f"judge-{j}": ll.Responses.build(each) for j, each in enumerate(scores)}


def _compared(draw: Draws, random: np.random.Generator) -> ll.Pairs:
    pairs = PAIRS
    gap = draw["rating"][pairs.first] - draw["rating"][pairs.second]
    p = softmax(np.stack([gap / 2, np.full_like(gap, draw["log_tie"]), -gap / 2], 1), axis=1)
    counts = np.stack([random.multinomial(int(n), each) for n, each in zip(pairs.counts.sum(1), p, strict=True)])
    return ll.Pairs(pairs.models, pairs.first, pairs.second, counts.astype(float))


def _prompted(draw: Draws, random: np.random.Generator) -> ll.Responses:
    return _right(expit(draw["logit"]), random)


def _run(draw: Draws, random: np.random.Generator) -> ll.Responses:
    """Three repeats of each system on each task."""
    names = [list(dict.fromkeys(part[k] for part in SYSTEMS.values())) for k in (0, 1)]
    model, scaffold = (np.array([names[k].index(part[k]) for part in SYSTEMS.values()]) for k in (0, 1))
    row = draw["level"] + draw["model"][model] + draw["scaffold"][scaffold] + draw["system"]
    m, share = expit(row[:, None] + draw["task"]), draw["repeat_share"]
    size = (1 - share) / share
    p = random.beta(np.maximum(m * size, 1e-9), np.maximum((1 - m) * size, 1e-9))
    return _repeats(random.binomial(3, p) / 3)


def _repeats(scores: np.ndarray) -> ll.Responses:
    return ll.Responses.build(scores, weight=np.full(scores.shape, 3.0), rows=list(SYSTEMS))


def _of(name: str) -> Callable[[Draws], np.ndarray]:
    """A site, its entries in one axis after those of draws; of abilities the only dimension."""
    return lambda draw: np.asarray(draw[name])


def _abilities(draw: Draws) -> np.ndarray:
    return np.asarray(draw["ability"])[..., 0]


def _one(name: str) -> Callable[[Draws], np.ndarray]:
    return lambda draw: np.asarray(draw[name])[..., None]


def _hidden(draw: Draws) -> np.ndarray:
    return np.asarray(draw["intercept"])[..., -2:]


def _prompt_effects(draw: Draws) -> np.ndarray:
    """Of prompts, told from their mean: the common level's prior lies where the answers do."""
    mean = np.asarray(draw["logit"]).mean(-1)
    return mean - mean.mean(-1, keepdims=True)


def _ratings(draw: Draws) -> np.ndarray:
    rating = np.asarray(draw["rating"])
    return rating - rating.mean(-1, keepdims=True)


COLUMNS = np.random.default_rng(3).normal(size=(ITEMS, 2))
FEATURES = pd.DataFrame(COLUMNS, index=[f"item-{i}" for i in range(ITEMS)], columns=["one", "two"])
BLANK = ll.Responses.build(np.full((MODELS, ITEMS), 1.0))
PAIRS = ll.Pairs.build(
    [f"row-{i}" for i in range(MODELS) for _ in range(i)],
    [f"row-{j}" for i in range(MODELS) for j in range(i)],
    [1] * 6,
    weight=[8] * 6,
    models=[f"row-{i}" for i in range(MODELS)],
)
JUDGES = {f"judge-{j}": ll.Responses.build(np.ones((MODELS, 6))) for j in range(3)}
ABILITY = {"ability": _abilities}
WORLDS: dict[str, World] = {
    "rasch": World(bayes.rasch(), BLANK, _irt, ABILITY),
    "2pl": World(bayes.irt("2pl"), BLANK, _irt, ABILITY),
    "3pl": World(bayes.irt("3pl"), BLANK, _irt, ABILITY),
    "2pl, families and groups": World(
        bayes.irt("2pl", families=FAMILIES, groups=True),
        ll.Responses.build(np.ones((MODELS, ITEMS)), group=GROUP),
        _in_groups,
        ABILITY | {"apart_sd": _one("apart_sd"), "group_sd": _one("group_sd")},
    ),
    "rasch, item features": World(
        bayes.rasch(features=FEATURES),
        BLANK,
        _with_hidden,
        {"feature": _of("feature"), "feature_sd": _one("feature_sd"), "hidden item": _hidden},
    ),
    "graded": World(bayes.irt(answers="graded-4"), BLANK, _of_kind("graded-4"), ABILITY),
    "logit-normal": World(
        bayes.irt(answers="logit-normal"),
        ll.Responses.build(np.full((MODELS, ITEMS), 0.5)),
        _of_kind("logit-normal"),
        ABILITY,
    ),
    "judges": World(
        bayes.judges(answers="graded-4"),
        JUDGES,
        _judged,
        ABILITY | {"severity": _of("severity"), "answer_sd": _one("answer_sd")},
    ),
    "pairwise": World(bayes.pairwise(), PAIRS, _compared, {"rating": _ratings, "rating_sd": _one("rating_sd")}),
    "prompts": World(
        bayes.prompts(), ll.Responses.build(np.tile([0.0, 1.0], (6, 5))), _prompted, {"effect": _prompt_effects}
    ),
    "agents": World(
        bayes.agents(SYSTEMS),
        _repeats(np.ones((4, ITEMS))),
        _run,
        {"model": _of("model"), "scaffold": _of("scaffold"), "model_sd": _one("model_sd")},
    ),
}
