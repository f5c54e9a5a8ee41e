"""A crude EM for scores over prompts: one normal for prompts, one for examples, the posterior taken as diagonal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

ROUNDS, SWEEPS, DRAWS = 40, 4, 64
LEAST = 1e-3  # of a variance


class Fit(NamedTuple):
    """Mean, effects of prompts (n,), of examples (m,) taken off, of covariates (k,), and their (co)variances."""

    mean: float
    prompt: np.ndarray
    example: np.ndarray
    coefficients: np.ndarray
    prompt_variance: np.ndarray
    example_variance: np.ndarray
    covariates: np.ndarray
    covariance: np.ndarray


def fit(seen: np.ndarray, answers: np.ndarray, x: np.ndarray | None = None) -> Fit:
    """Scoring steps block by block, then variances from the effects and their diagonal curvature."""
    (n, m), (i, j) = answers.shape, np.nonzero(seen)
    y = answers[i, j].astype(float)
    x = np.zeros((n, 0)) if x is None else x - x.mean(0)
    mean, u, v, g = 0.0, np.zeros(n), np.zeros(m), np.zeros(x.shape[1])
    of_u = of_v = of_g = 1.0
    curvature = np.zeros((len(g), len(g)))

    def weighed() -> tuple[np.ndarray, np.ndarray]:
        p = expit(mean + u[i] - v[j] + x[i] @ g)
        return p * (1 - p), y - p

    for _ in range(ROUNDS):
        for _ in range(SWEEPS):
            w, r = weighed()
            mean += r.sum() / np.maximum(w, 1e-4).sum()
            w, r = weighed()
            if len(g):
                curvature = (x[i] * w[:, None]).T @ x[i] + np.eye(len(g)) / of_g
                g = g + np.linalg.solve(curvature, x[i].T @ r - g / of_g)
                w, r = weighed()
            u = u + (np.bincount(i, r, n) - u / of_u) / (np.bincount(i, w, n) + 1 / of_u)
            w, r = weighed()
            v = v + (-np.bincount(j, r, m) - v / of_v) / (np.bincount(j, w, m) + 1 / of_v)
        w, _ = weighed()
        of_rows, of_columns = np.bincount(i, w, n) + 1 / of_u, np.bincount(j, w, m) + 1 / of_v
        of_u, of_v = max((u**2 + 1 / of_rows).mean(), LEAST), max((v**2 + 1 / of_columns).mean(), LEAST)
        if len(g):
            curvature = (x[i] * w[:, None]).T @ x[i] + np.eye(len(g)) / of_g
            of_g = max((g**2 + np.diag(np.linalg.inv(curvature))).mean(), LEAST)
    return Fit(mean, u, v, g, 1 / of_rows, 1 / of_columns, x, np.linalg.inv(curvature))


def scores(
    seen: np.ndarray, answers: np.ndarray, fitted: Fit, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of prompts (n,) at the mode, and their order statistics, means over draws from the posterior."""
    f, base = fitted, fitted.covariates @ fitted.coefficients
    mode = np.where(seen, answers, expit(f.mean + (f.prompt + base)[:, None] - f.example[None])).mean(1)
    order = np.zeros(len(mode))
    for _ in range(DRAWS):
        prompt = f.prompt + np.sqrt(f.prompt_variance) * random.normal(size=len(f.prompt))
        example = f.example + np.sqrt(f.example_variance) * random.normal(size=len(f.example))
        if len(f.coefficients):
            base = f.covariates @ random.multivariate_normal(f.coefficients, f.covariance)
        p = expit(f.mean + (prompt + base)[:, None] - example[None])
        order += np.sort(np.where(seen, answers, p).mean(1)) / DRAWS
    return mode, order
