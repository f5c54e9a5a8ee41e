"""A learned head: from an answer vector straight to the full score, by Gaussian-process regression (`core.gp`)."""

import jax
import numpy as np

from lleval_jax.core import gp


def estimate(
    x: np.ndarray, full: np.ndarray, answers: np.ndarray, level: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Full score, standard error, low and high of models from their answers, all on the same k items.

    x        (calibration models, k)  their answers, full (calibration models,) their scores
    answers  (models, k)
    ->       four (models,), within [0, 1]
    """
    with jax.enable_x64(True):
        fitted = gp.fit(x, full, seed=seed)
        return tuple(np.asarray(part) for part in gp.predict(fitted, answers, level))  # type: ignore[return-value]


def left_out_errors(x: np.ndarray, full: np.ndarray, seed: int, folds: int = 5) -> np.ndarray:
    """(models,) truth minus the head's estimate of each calibration model, its fold left out."""
    fold = np.random.default_rng(seed).permutation(len(full)) % folds
    error = np.zeros(len(full))
    with jax.enable_x64(True):
        for f in range(folds):
            out = fold == f
            fitted = gp.fit(x[~out], full[~out], seed=seed, queries=2)
            error[out] = full[out] - np.asarray(gp.predict(fitted, x[out], 0.95)[0])
    return error
