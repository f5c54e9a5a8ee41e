"""Simulated answers with known true scores: right or wrong, repeats, fractions, clusters, and pairs of models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lleval_jax.values import Responses

RATES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)
Draw = Callable[[np.random.Generator, int, int, float], Responses]  # rng, models, questions, true score -> answers


def beta(rng: np.random.Generator, mean: float, strength: float, size: tuple[int, ...]) -> NDArray:
    """Chances with this mean; the less strength, the nearer to 0 and 1."""
    return rng.beta(mean * strength, (1 - mean) * strength, size)


def binary(rng: np.random.Generator, models: int, n: int, mean: float) -> Responses:
    """Right or wrong."""
    return Responses.build((rng.random((models, n)) < mean).astype(float))


def repeats(strength: float, times: int = 4) -> Draw:
    """So many right of `times` repeats, questions differing in chance."""

    def draw(rng: np.random.Generator, models: int, n: int, mean: float) -> Responses:
        right = rng.binomial(times, beta(rng, mean, strength, (models, n)))
        return Responses.build(right / times, weight=np.full(right.shape, times, np.float32))

    return draw


def fractions(strength: float) -> Draw:
    """Scores between 0 and 1."""
    return lambda rng, models, n, mean: Responses.build(beta(rng, mean, strength, (models, n)))


def sizes(kind: str, clusters: int, n: int) -> NDArray:
    """Questions of each cluster: "equal", or "skewed" (log-normal with deviation 1)."""
    if kind == "equal":
        return np.full(clusters, n // clusters)
    raw = np.exp(np.random.default_rng(1).normal(size=clusters))
    return np.maximum(1, (raw / raw.sum() * n).astype(int))


def clusters(kind: str, count: int, within: float) -> Draw:
    """Right or wrong; questions of a cluster correlate by `within`."""

    def draw(rng: np.random.Generator, models: int, n: int, mean: float) -> Responses:
        size = sizes(kind, count, n)
        label = np.repeat(np.arange(count), size)
        chance = np.full((models, count), mean) if not within else beta(rng, mean, 1 / within - 1, (models, count))
        answers = rng.random((models, len(label))) < chance[:, label]
        return Responses.build(answers.astype(float), group=[f"c{i:04d}" for i in label])

    return draw


def pairs(rng: np.random.Generator, count: int, n: int, gap: float, apart: float, times: int = 1) -> Responses:
    """`count` pairs of models, in rows 2i and 2i + 1; the first of a pair scores `gap` more.

    They differ on a share `apart` of the questions; with `times` repeats each differs in each repeat by itself.
    """
    first, second = (apart + gap) / 2, (apart - gap) / 2
    shift = rng.choice([1, -1, 0], (count, n, times), p=[first, second, 1 - first - second]).mean(-1)
    base = np.where(shift > 0, 0.0, np.where(shift < 0, 1.0, rng.integers(0, 2, (count, n))))
    scores = np.stack([np.clip(base + shift, 0, 1), base], 1)
    both = scores.reshape(2 * count, n)
    return Responses.build(both, weight=np.full(both.shape, times, np.float32))
