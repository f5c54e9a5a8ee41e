"""Answer keys that are likely wrong: items whose mirror image would be an ordinary item of this benchmark.

Scoring a two-valued item by the wrong key turns each answer x into 1 - x, and its curve sigmoid(a t + b) into
sigmoid(-a t - b). With t the ability that a row's *other* answers show, standardised, each item gets its estimate
(a, b) by penalised logistic regression. On the scale of factor loadings, where steep items are no outliers
(Takane & de Leeuw 1987), l = a / sqrt(a^2 + 1.702^2) and h = b / sqrt(a^2 + 1.702^2) with covariance C by the delta
method come from one of three populations:

    sound    N(mu, S)      mu, S learned from all items
    flipped  N(-mu, S)     the mirror image
    idle     N(0, diag(sigma^2, S_hh + mu_h^2)): tells models little apart, in either direction; sigma learned

with shares learned by EM (errors C included: with few models no item looks flipped). What is reported is each item's
posterior probability of "flipped".
"""

from typing import NamedTuple

import numpy as np

from lleval_jax.estimators.residuals import Chunk

WEAK = 0.04  # precision of the penalty on slope and intercept: N(0, 5)
STEPS = 12  # Newton steps of a regression
ROUNDS = 60  # of EM over the items
SHARES = np.array([0.93, 0.02, 0.05])  # prior guess of the shares: sound, flipped, idle ...
IDLE = 0.25  # largest sigma, in units of the mean loading: one further below zero is no idle item's
OGIVE = 1.702  # logits in a standard deviation of the normal curve that is nearest to the logistic one
WORTH = 20.0  # ... and how many items it counts for


class Lines(NamedTuple):
    """Logistic regressions of items on ability: mean (items, 2) of slope and intercept, cov (items, 2, 2)."""

    mean: np.ndarray
    cov: np.ndarray


def regress(chunk: Chunk) -> Lines:
    """Each item on the ability that the other answers show: penalised, by Newton's method."""
    a, b = np.zeros((2, len(chunk.items)))
    w, t = chunk.weight.astype(float), chunk.ability.astype(float)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(a * t + b, -30, 30)))
        gap, v = w * (chunk.scores - p), w * p * (1 - p)
        score = np.stack([(gap * t).sum(0) - WEAK * a, gap.sum(0) - WEAK * b], 1)
        info = _two_by_two((v * t * t).sum(0) + WEAK, (v * t).sum(0), v.sum(0) + WEAK)
        cov = np.linalg.inv(info)
        move = np.clip(np.einsum("ijk,ik->ij", cov, score), -1, 1)
        a, b = a + move[:, 0], b + move[:, 1]
    return Lines(np.stack([a, b], 1), cov)


def flipped(lines: Lines) -> np.ndarray:
    """(items,) posterior probability that an item's key is wrong."""
    mean, cov = _loadings(lines)
    centre = np.median(mean, 0)
    spread = np.diag((1.4826 * np.median(np.abs(mean - centre), 0)) ** 2 + 1e-3)
    idle, share = (0.15 * max(centre[0], 0.1)) ** 2, SHARES
    for _ in range(ROUNDS):
        part = _responsibility(mean, cov, centre, spread, idle, share)
        share = (part.sum(0) + WORTH * SHARES) / (len(mean) + WORTH)
        sign = np.array([1.0, -1.0])
        held = [_shrunk(s * mean, cov, centre, spread) for s in sign]
        total = max(part[:, :2].sum(), 1e-9)
        centre_new = sum((part[:, k, None] * held[k][0]).sum(0) for k in (0, 1)) / total
        gap = [held[k][0] - centre_new for k in (0, 1)]
        second = [g[:, :, None] * g[:, None, :] + held[0][1] for g in gap]
        spread = sum((part[:, k, None, None] * second[k]).sum(0) for k in (0, 1)) + 2 * 0.02 * np.eye(2)
        spread, centre = spread / (total + 2), centre_new
        slack = np.maximum(mean[:, 0] ** 2 - cov[:, 0, 0], 0)
        idle = ((part[:, 2] * slack).sum() + 2 * (0.15 * centre[0]) ** 2) / (part[:, 2].sum() + 2)
        idle = min(idle, (IDLE * centre[0]) ** 2)
    return _responsibility(mean, cov, centre, spread, idle, share)[:, 1]


def _loadings(lines: Lines) -> Lines:
    """Loadings and standardised intercepts, with covariance by the delta method."""
    a, b = lines.mean.T
    size = np.sqrt(a**2 + OGIVE**2)
    turn = _two_by_two(OGIVE**2 / size**3, np.zeros_like(a), 1 / size)
    turn[:, 1, 0] = -a * b / size**3
    return Lines(lines.mean / size[:, None], turn @ lines.cov @ turn.transpose(0, 2, 1))


def _responsibility(mean, cov, centre, spread, idle, share) -> np.ndarray:
    """(items, 3) posterior shares of sound, flipped, idle."""
    quiet = np.diag([idle, spread[1, 1] + centre[1] ** 2])
    logs = [
        _log_normal(mean - centre, cov + spread),
        _log_normal(mean + centre, cov + spread),
        _log_normal(mean, cov + quiet),
    ]
    logs = np.stack(logs, 1) + np.log(share)
    logs -= logs.max(1, keepdims=True)
    return np.exp(logs) / np.exp(logs).sum(1, keepdims=True)


def _shrunk(mean: np.ndarray, cov: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and covariance of each item's own parameters."""
    gain = spread @ np.linalg.inv(cov + spread)
    return centre + np.einsum("ijk,ik->ij", gain, mean - centre), spread - gain @ spread


def _log_normal(gap: np.ndarray, cov: np.ndarray) -> np.ndarray:
    quad = np.einsum("ij,ijk,ik->i", gap, np.linalg.inv(cov), gap)
    return -0.5 * (quad + np.linalg.slogdet(cov)[1])


def _two_by_two(a: np.ndarray, b: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.stack([np.stack([a, b], -1), np.stack([b, d], -1)], -2)
