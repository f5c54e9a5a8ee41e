"""Intervals of Sloth's published variants: the largest model of one family is hidden in worlds of the paper's law."""

import dataclasses

import numpy as np
import pandas as pd
from scipy import special

import lleval_jax as ll
from lleval_jax.estimators.sloth import published

LEVEL, INPUTS = 0.8, ("translog", "pca")
FLOOR = np.array([0, 0.1, 0.25])


def named(values) -> dict[str, float]:
    """Values of the benchmarks, by name."""
    return {f"bench-{j}": float(value) for j, value in enumerate(values)}


def drawn(seed: int = 0, families: int = 10, each: int = 3, noise: float = 0.02) -> ll.Leaderboard:
    """A leaderboard from the paper's law with one skill."""
    random = np.random.default_rng(seed)
    family = np.repeat(np.arange(families), each)
    size = np.tile(np.geomspace(1, 70, each), families) * np.exp(0.2 * random.normal(size=len(family)))
    tokens = np.exp(random.normal(0.5, 0.8, families))[family] * np.exp(0.1 * random.normal(size=len(family)))
    skill = 0.5 * np.log(size / 7) + 0.5 * np.log(tokens / 2) + random.normal(0, 0.5, families)[family]
    logit = skill[:, None] * random.uniform(0.6, 1.2, 3) + random.normal(0, 0.5, 3)
    score = FLOOR + (1 - FLOOR) * special.expit(logit) + noise * random.normal(size=logit.shape)
    table = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(len(family))],
            "family": [f"family-{f}" for f in family],
            "params": size * 1e9,
            "tokens": tokens * 1e12,
            **{f"bench-{j}": np.clip(score[:, j], 0, 1) for j in range(3)},
        }
    )
    return ll.Leaderboard.from_frame(table, floors=named(FLOOR))


def held(seed: int, inputs: str) -> bool:
    """Whether the interval of the hidden model's first score holds it."""
    truth = drawn(seed)
    fit = published.fit(truth.hide(np.arange(30) == 2), skills=1, inputs=inputs, starts=2)
    found = published.estimate(
        fit, family="family-0", size=float(truth.params[2]), tokens=float(truth.tokens[2]), level=LEVEL
    )
    return bool(found.low[0] <= truth.scores[2, 0] <= found.high[0])


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=200, metadata={"help": "of either kind of inputs"})


def study(settings: Settings, record) -> None:
    """How often the interval of the hidden model's first score holds, by the law's inputs."""
    found = {inputs: np.mean([held(seed, inputs) for seed in range(settings.worlds)]) for inputs in INPUTS}
    record.keep({"worlds": settings.worlds, "level": LEVEL, "held": {k: float(v) for k, v in found.items()}})
