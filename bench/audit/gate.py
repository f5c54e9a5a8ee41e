"""How often does a gate pass a model that is worse by the margin, or fail one that is not worse by more?

Each design is at the margin itself, where both are likeliest; 10,000 pairs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators.plain import margin as margins

MARGIN, LEVEL, AT_ONCE = 0.02, 0.95, 1000
Draw = Callable[[np.random.Generator, int, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    pairs: int = setting(10_000, "simulated pairs of each design and number of questions")
    questions: tuple[int, ...] = setting((100, 500, 2000), "numbers of questions")


def signs(rng: np.random.Generator, shape: tuple[int, ...], apart: float) -> np.ndarray:
    """Differences of right or wrong answers, a share `apart` of which is not 0, with mean -MARGIN."""
    u = rng.random(shape, np.float32)
    return (u < (apart - MARGIN) / 2).astype(np.int8) - (u > 1 - (apart + MARGIN) / 2)


def independent(apart: float) -> Draw:
    """One answer a question."""
    return lambda rng, pairs, n: signs(rng, (pairs, n), apart)


def repeats(rng: np.random.Generator, pairs: int, n: int) -> np.ndarray:
    """Four answers a question: half of what varies is between questions."""
    whole = signs(rng, (pairs, n), 0.2)
    return np.mean([np.where(rng.random((pairs, n)) < 0.5, whole, signs(rng, (pairs, n), 0.2)) for _ in range(4)], 0)


def clusters(size: int) -> Draw:
    """Half of the questions of a cluster go together."""

    def draw(rng: np.random.Generator, pairs: int, n: int) -> np.ndarray:
        together = signs(rng, (pairs, n // size), 0.2).repeat(size, 1)
        return np.where(rng.random((pairs, n)) < 0.5, together, signs(rng, (pairs, n), 0.2))

    return draw


DESIGNS: dict[str, tuple[Draw, int]] = {  # and the size of clusters, 0 for none
    "right or wrong, differ on 3%": (independent(0.03), 0),
    "right or wrong, differ on 10%": (independent(0.1), 0),
    "right or wrong, differ on 40%": (independent(0.4), 0),
    "4 repeats": (repeats, 0),
    "clusters of 5": (clusters(5), 5),
    "clusters of 10": (clusters(10), 10),
}


def rates(draw: Draw, size: int, n: int, pairs: int) -> dict[str, float]:
    """Shares of false passes and of false fails."""
    rng, passes, fails = np.random.default_rng([n, size]), 0, 0
    label = np.arange(n) // size if size else None
    for start in range(0, pairs, AT_ONCE):
        count = min(AT_ONCE, pairs - start)
        low, high = margins.bounds(margins.counts(draw(rng, count, n).astype(float), label, MARGIN), LEVEL)
        passes, fails = passes + int((low > -MARGIN).sum()), fails + int((high < -MARGIN).sum())
    return {"pass": passes / pairs, "fail": fails / pairs}


def study(settings: Settings, record: Record) -> None:
    """All designs."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, (draw, size) in DESIGNS.items():
        found[name] = {str(n): rates(draw, size, n, settings.pairs) for n in settings.questions}
        print(name, found[name], flush=True)
        record.keep({"margin": MARGIN, "level": LEVEL, "pairs": settings.pairs, "rates": found})
