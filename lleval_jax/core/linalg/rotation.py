"""Rotation to simple structure by gradient projection (Bernaards & Jennrich 2005), on the host: a few small products.

A criterion maps loadings L to a value and its gradient dq/dL. Orthogonal rotations take L = A T with T'T = I, oblique
ones L = A T^-T with unit columns of T, so that T'T is the correlation of the rotated factors.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

EPSILON = 0.01  # of geomin
MOST_STEPS, MOST_HALVINGS = 1000, 12

Criterion = Callable[[np.ndarray], tuple[float, np.ndarray]]


class Turn(NamedTuple):
    """The rotation found: `turn` T (dims, dims), criterion `value`, and whether the projected gradient vanished."""

    turn: np.ndarray
    value: float
    converged: bool


def varimax(loadings: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the variance of the squared loadings within each factor, over 4 (Kaiser 1958)."""
    square = loadings**2
    spread = square - square.mean(0)
    return -float((spread**2).sum()) / 4, -loadings * spread


def oblimin(loadings: np.ndarray) -> tuple[float, np.ndarray]:
    """Products of squared loadings of different factors, over 4: direct oblimin with gamma 0, quartimin."""
    square = loadings**2
    others = square.sum(1, keepdims=True) - square
    return float((square * others).sum()) / 4, loadings * others


def geomin(loadings: np.ndarray) -> tuple[float, np.ndarray]:
    """Geometric means over factors of the squared loadings plus `EPSILON` (Yates 1987; Browne 2001, eq. 23)."""
    square = loadings**2 + EPSILON
    mean = np.exp(np.log(square).mean(1, keepdims=True))
    return float(mean.sum()), 2 / loadings.shape[1] * loadings / square * mean


CRITERIA: dict[str, tuple[Criterion, bool]] = {  # name -> criterion, oblique
    "varimax": (varimax, False),
    "oblimin": (oblimin, True),
    "geomin": (geomin, True),
}


def best(
    loadings: np.ndarray, criterion: Criterion, *, oblique: bool, rng: np.random.Generator, starts: int = 8, tol=1e-6
) -> Turn:
    """The best of several starts: as given, then random orthogonal ones. Loadings (items, dims), dims above one."""
    dims = loadings.shape[1]
    first = [np.eye(dims), *(np.linalg.qr(rng.standard_normal((dims, dims)))[0] for _ in range(starts - 1))]
    return min(
        (project(loadings, criterion, start, oblique=oblique, tol=tol) for start in first), key=lambda t: t.value
    )


def project(loadings: np.ndarray, criterion: Criterion, start: np.ndarray, *, oblique: bool, tol: float = 1e-6) -> Turn:
    """Gradient projection from one start: algorithms GPForth and GPFoblq of the paper."""
    turn, alpha = start, 1.0
    value, gradient = _pull(loadings, criterion, turn, oblique)
    for _ in range(MOST_STEPS):
        inward = turn * (turn * gradient).sum(0) if oblique else turn @ _symmetric(turn.T @ gradient)
        down = gradient - inward
        size = float(np.linalg.norm(down))
        if size < tol * max(1.0, abs(value)):
            return Turn(turn, value, True)
        alpha *= 2
        for _ in range(MOST_HALVINGS):
            new = _onto(turn - alpha * down, oblique)
            value_new, gradient_new = _pull(loadings, criterion, new, oblique)
            if value_new < value - 0.5 * alpha * size**2:
                break
            alpha /= 2
        if value_new >= value:
            return Turn(turn, value, size < 1e-3 * max(1.0, abs(value)))
        turn, value, gradient = new, value_new, gradient_new
    return Turn(turn, value, False)


def rotated(loadings: np.ndarray, turn: np.ndarray, *, oblique: bool) -> np.ndarray:
    """A T, or A T^-T."""
    return np.linalg.solve(turn, loadings.T).T if oblique else loadings @ turn


def _pull(loadings: np.ndarray, criterion: Criterion, turn: np.ndarray, oblique: bool) -> tuple[float, np.ndarray]:
    """Value and gradient with respect to T."""
    here = rotated(loadings, turn, oblique=oblique)
    value, by_loading = criterion(here)
    if oblique:
        return value, -np.linalg.solve(turn.T, by_loading.T @ here)
    return value, loadings.T @ by_loading


def _onto(x: np.ndarray, oblique: bool) -> np.ndarray:
    """The nearest matrix with unit columns, or the nearest orthogonal one."""
    if oblique:
        return x / np.linalg.norm(x, axis=0)
    left, _, right = np.linalg.svd(x)
    return left @ right


def _symmetric(x: np.ndarray) -> np.ndarray:
    return (x + x.T) / 2
