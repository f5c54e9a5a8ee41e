"""Intervals of `refresh_published` where its model holds: one model that did not run, in worlds of Rasch answers."""

import dataclasses

import numpy as np
from scipy import special

import lleval_jax as ll
from lleval_jax.estimators.refresh import published

LEVEL = 0.8


def world(seed: int = 0, rows: int = 6, sizes=(40, 30), groups: int = 2) -> tuple[list[ll.Responses], np.ndarray]:
    """Whole versions from a Rasch model, and the abilities."""
    random = np.random.default_rng(seed)
    theta, versions = random.normal(size=rows), []
    for size in sizes:
        p = special.expit(theta[:, None] - random.normal(size=size))
        group = [f"domain-{i % groups}" for i in range(size)]
        scores = (random.random(p.shape) < p).astype(np.float32)
        versions.append(ll.Responses.build(scores, rows=[f"m{i}" for i in range(rows)], group=group))
    return versions, theta


def held(seed: int) -> bool:
    """Whether the interval holds the score on the second version of the first model, which did not run there."""
    versions, _ = world(seed, rows=12, sizes=(400, 300))
    found = published.estimate(published.fit([versions[0], versions[1].take(range(1, 12, 2))]), level=LEVEL)
    return bool(found.low[0] <= versions[1].scores[0].mean() <= found.high[0])


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=200, metadata={"help": "versions in pairs"})


def study(settings: Settings, record) -> None:
    """How often the interval of the model that did not run holds."""
    found = np.mean([held(seed) for seed in range(settings.worlds)])
    record.keep({"worlds": settings.worlds, "level": LEVEL, "held": float(found)})
