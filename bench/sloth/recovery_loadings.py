"""How the error of loadings falls with the number of families: worlds of two skills that each ask three benchmarks."""

import dataclasses

import numpy as np
import pandas as pd
from scipy import special

import lleval_jax as ll

LOADING = np.array([[1, 0], [0.8, 0], [0.6, 0], [0, 1], [0, 0.8], [0, 0.6]])


def error(families: int, seed: int) -> float:
    """Root mean squared error of the loadings, in logits a standard deviation of the skill."""
    random = np.random.default_rng((seed, families))
    family = np.repeat(np.arange(families), 3)
    size = np.tile(np.geomspace(1, 70, 3), families) * np.exp(0.2 * random.normal(size=len(family)))
    tokens = np.exp(random.normal(0.5, 0.8, families))[family]
    inputs = np.stack([np.log(size / 7) / 1.3, np.log(tokens / 2)], 1)
    skill = inputs @ np.array([[0.7, 0.5], [0.5, 0.7]]) + random.normal(0, 0.7, (families, 2))[family]
    skill = skill + 0.3 * random.normal(size=skill.shape)
    score = 0.2 + 0.8 * special.expit(skill @ LOADING.T) + 0.01 * random.normal(size=(len(family), 6))
    facts = {"model": np.arange(len(family)).astype(str), "family": family.astype(str)}
    table = pd.DataFrame(facts | {"params": size * 1e9, "tokens": tokens * 1e12})
    table[[f"bench-{j}" for j in range(6)]] = np.clip(score, 0, 1)
    board = ll.Leaderboard.from_frame(table, floors={f"bench-{j}": 0.2 for j in range(6)})
    found = ll.skills.rotate(ll.sloth.fit(board, skills=2)).loadings
    truth = LOADING * skill.std(0)
    return min(float(np.sqrt(((found[:, order] - truth) ** 2).mean())) for order in ([0, 1], [1, 0]))


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=6, metadata={"help": "of each number of families"})
    families: tuple[int, ...] = dataclasses.field(default=(12, 36, 108), metadata={"help": "numbers of families"})


def study(settings: Settings, record) -> None:
    """Mean error for each number of families, and the power of that number which it falls by."""
    errors = {count: [error(count, seed) for seed in range(settings.worlds)] for count in settings.families}
    means = np.array([np.mean(found) for found in errors.values()])
    record.keep(
        {
            "worlds": settings.worlds,
            "errors": {str(count): float(mean) for count, mean in zip(errors, means, strict=True)},
            "power": float(np.polyfit(np.log(list(errors)), np.log(means), 1)[0]) if len(errors) > 1 else None,
        }
    )
