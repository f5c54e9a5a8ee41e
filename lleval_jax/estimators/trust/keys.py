"""Answer keys that are likely wrong: items whose mirror image would be an ordinary item of this benchmark.

Scoring a two-valued item by the wrong key turns each answer x into 1 - x, and its curve sigmoid(a t + b) into
sigmoid(-a t - b). With t the ability that a row's *other* answers show, each item's likelihood is laid out on a grid
over its factor loading l = a / sqrt(a^2 + 1.702^2) and standardised intercept h = b / sqrt(a^2 + 1.702^2) (Takane &
de Leeuw 1987), where steep items are no outliers. The items come from one of three populations:

    sound    N(mu, S)      mu, S learned from all items
    flipped  N(-mu, S)     the mirror image
    idle     N(0, diag(sigma^2, S_hh + mu_h^2)): tells models little apart, in either direction; sigma learned

with shares learned by EM. What is reported is each item's posterior probability of "flipped"; being integrated over the
whole likelihood, it needs no large number of models.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from lleval_jax.estimators.trust.residuals import Chunk

WEAK = 0.04  # precision of the penalty on slope and intercept: N(0, 5)
STEPS = 12  # Newton steps of a regression
ROUNDS = 60  # of EM over the items
SHARES = np.array([0.93, 0.02, 0.05])  # prior guess of the shares: sound, flipped, idle ...
WORTH = 20.0  # ... and how many items it counts for
IDLE = 0.25  # largest sigma, in units of the mean loading: one further below zero is no idle item's
OGIVE = 1.702  # logits in a standard deviation of the normal curve that is nearest to the logistic one
EDGES = np.linspace(-3.125, 3.125, 26)  # between bins of ability
LOADING, LEVEL = np.linspace(-0.98, 0.98, 29), np.linspace(-3, 3, 25)  # the grid, the same when mirrored


class Lines(NamedTuple):
    """Logistic regressions of items on ability: mean (items, 2) of slope and intercept, cov (items, 2, 2)."""

    mean: np.ndarray
    cov: np.ndarray


def regress(chunk: Chunk) -> Lines:
    """Each item on the ability that the other answers show: penalised, by Newton's method."""
    a, b = np.zeros((2, len(chunk.items)))
    w, t = chunk.weight.astype(float), chunk.ability.astype(float)
    for _ in range(STEPS):
        p = expit(np.clip(a * t + b, -30, 30))
        gap, v = w * (chunk.scores - p), w * p * (1 - p)
        score = np.stack([(gap * t).sum(0) - WEAK * a, gap.sum(0) - WEAK * b], 1)
        info = _two_by_two((v * t * t).sum(0) + WEAK, (v * t).sum(0), v.sum(0) + WEAK)
        cov = np.linalg.inv(info)
        move = np.clip(np.einsum("ijk,ik->ij", cov, score), -1, 1)
        a, b = a + move[:, 0], b + move[:, 1]
    return Lines(np.stack([a, b], 1), cov)


def tally(chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """Right answers and answers of each item by bin of ability, (items, bins) twice."""
    bins, items = len(EDGES) + 1, chunk.scores.shape[1]
    at = np.digitize(chunk.ability, EDGES) + bins * np.arange(items)
    sums = [
        np.bincount(at.ravel(), x.ravel(), bins * items).reshape(items, bins)
        for x in (chunk.weight * chunk.scores, chunk.weight)
    ]
    return sums[0], sums[1]


def flipped(right: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(items,) posterior probability that an item's key is wrong, from what `tally` gives."""
    likelihood = _likelihood(right, asked)
    grid = np.stack(np.meshgrid(LOADING, LEVEL, indexing="ij"), -1).reshape(-1, 2)
    centre, spread, idle, share = np.array([0.5, 0.0]), np.diag([0.1, 1.0]), 0.01, SHARES
    for _ in range(ROUNDS):
        density, each = _populations(likelihood, grid, centre, spread, idle, share)
        total = np.maximum(each.sum(1, keepdims=True), 1e-300)
        share = ((each / total).sum(0) + WORTH * SHARES) / (len(right) + WORTH)
        mass = density * (likelihood.T @ (1 / total))
        own = mass[:, 0] + mass[::-1, 1]  # a flipped item, mirrored, is one more sound item
        centre = own @ grid / max(own.sum(), 1e-9)
        gap = grid - centre
        spread = ((own[:, None] * gap).T @ gap + 2 * np.diag([0.04, 0.25])) / (own.sum() + 2)
        quiet = (mass[:, 2] @ grid[:, 0] ** 2 + 2 * (0.15 * centre[0]) ** 2) / (mass[:, 2].sum() + 2)
        idle = min(quiet, (IDLE * centre[0]) ** 2)
    each = _populations(likelihood, grid, centre, spread, idle, share)[1]
    return each[:, 1] / np.maximum(each.sum(1), 1e-300)


def _likelihood(right: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(items, grid) likelihood of each item's answers, 1 at its best point."""
    middle = np.concatenate([[EDGES[0] - 0.25], (EDGES[:-1] + EDGES[1:]) / 2, [EDGES[-1] + 0.25]])
    size = OGIVE / np.sqrt(1 - LOADING**2)
    z = (size[:, None] * (LOADING[:, None] * middle))[:, None, :] + (size[:, None] * LEVEL)[:, :, None]
    z = z.reshape(-1, len(middle))
    loglik = right @ z.T - asked @ np.logaddexp(0, z).T
    return np.exp(loglik - loglik.max(1, keepdims=True)).astype(np.float32)


def _populations(likelihood, grid, centre, spread, idle, share) -> tuple[np.ndarray, np.ndarray]:
    """Share times density of sound, flipped and idle items on the grid (grid, 3); their evidences (items, 3)."""
    sound = _normal(grid - centre, spread)
    quiet = _normal(grid, np.diag([max(idle, 1e-3), spread[1, 1] + centre[1] ** 2]))
    density = np.stack([sound, sound[::-1], quiet], 1) * share
    return density, likelihood @ density


def _normal(gap: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Normal density at the grid's points, summing to 1 over them."""
    quad = np.einsum("ij,jk,ik->i", gap, np.linalg.inv(cov), gap)
    density = np.exp(-0.5 * (quad - quad.min()))
    return density / density.sum()


def _two_by_two(a: np.ndarray, b: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.stack([np.stack([a, b], -1), np.stack([b, d], -1)], -2)
