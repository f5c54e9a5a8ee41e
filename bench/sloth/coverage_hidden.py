"""Intervals of `sloth` and `skills` in simulated families: hidden models, loadings, efficiencies.

A leaderboard has nine families of three sizes, three benchmarks and one skill. The largest models of four families are
hidden; benchmarks of a model hang together through its skill, so a model counts once, and so do a world's loadings.
"""

import dataclasses

import numpy as np

import lleval_jax as ll
from bench.sloth.worlds import leaderboard
from lleval_jax.estimators import sloth

HIDDEN = (2, 5, 8, 11)


def hidden(seed: int) -> list[float]:
    """Of each hidden model, the share of benchmarks whose 95% interval holds the score."""
    truth = leaderboard(seed)
    away = np.isin(np.arange(len(truth.models)), HIDDEN)
    fit = ll.sloth.fit(truth.hide(away), skills=1)
    test = truth.take(np.flatnonzero(away))
    facts = zip(test.families, test.params.tolist(), test.tokens.tolist(), strict=True)
    found = ll.sloth.estimate(fit, family=[sloth.Target(*one) for one in facts])
    inside = (found.low <= test.scores.ravel()) & (test.scores.ravel() <= found.high)
    return inside.reshape(test.scores.shape).mean(1).tolist()


def skills(seed: int) -> tuple[int, int]:
    """How many of 3 loadings, and of 9 families' efficiencies, 95% intervals hold."""
    law = ll.sloth.fit(leaderboard(seed), skills=1)
    random = np.random.default_rng(seed)  # as in `leaderboard`: sizes, tokens, families, models, then loadings
    size = np.tile(np.geomspace(1, 70, 3), 9) * np.exp(0.2 * random.normal(size=27))
    tokens = np.exp(random.normal(0.5, 0.8, 9))[np.repeat(np.arange(9), 3)]
    family = random.normal(0, 0.5, 9)
    skill = 0.7 * np.log(size / 7) / 1.3 + 0.6 * np.log(tokens / 2) + np.repeat(family, 3)
    skill = skill + 0.25 * random.normal(size=27)
    truth = random.uniform(0.6, 1.2, 3) * skill.std()
    loading = ll.skills.estimate(law, of="loading")
    efficiency = ll.skills.estimate(law, of="efficiency")
    there = family / skill.std()
    there = there + (efficiency.value - there).mean()
    return (
        int(((loading.low <= truth) & (truth <= loading.high)).sum()),
        int(((efficiency.low <= there) & (there <= efficiency.high)).sum()),
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=96, metadata={"help": "leaderboards of either kind"})


def study(settings: Settings, record) -> None:
    """Shares held of each hidden model, and counts held of each world's 3 loadings and 9 efficiencies."""
    seeds = range(settings.worlds)
    shares = [share for seed in seeds for share in hidden(seed + 10)]
    loadings, efficiencies = zip(*(skills(seed + 40) for seed in seeds), strict=True)
    record.keep(
        {
            "worlds": settings.worlds,
            "level": 0.95,
            "hidden scores held": float(np.mean(shares)),
            "loadings held": float(np.mean(loadings)) / 3,
            "efficiencies held": float(np.mean(efficiencies)) / 9,
        }
    )
