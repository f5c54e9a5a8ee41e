"""Whether a prompt's log-probability is the weighted mean of its elements': what the residuals say against it."""

from typing import NamedTuple

import numpy as np
from scipy.stats import f as f_distribution

CROWD = 5  # texts for each quadratic column that is tried; with fewer only the square of the fitted value is
NOTHING = 1e-12  # information below this share of the largest is none
NO_IDEA = 1e6  # variance of a weight that nothing is known about


class Freed(NamedTuple):
    """The fit set free of the sign constraint, and what each text contributes to it.

    weight      (k,)         of either sign, with sum one
    influence   (texts, k)   of each text on `weight`, leave-one-out
    after       (texts,)     residuals
    leverage    (texts,)
    unknown     (k, k)       variance of directions that the texts say nothing about: a very large one
    """

    weight: np.ndarray
    influence: np.ndarray
    after: np.ndarray
    leverage: np.ndarray
    unknown: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """(k, k) sandwich covariance of `weight`, HC3 (MacKinnon & White 1985)."""
        return self.influence.T @ self.influence + self.unknown


def free(
    columns: np.ndarray, residual: np.ndarray, curvature: np.ndarray, weight: np.ndarray, nuisance: np.ndarray
) -> Freed:
    """One Newton step from the constrained fit to where the sign constraint is gone and the sum is still one.

    For least squares that is the unconstrained minimum, for a likelihood the one-step estimator, as good as the
    unconstrained one (Le Cam). Its error is normal also where true weights are zero; that of the constrained fit is
    not.

    columns    (texts, k)  each row sums to zero
    residual   (texts,)    minus the derivative of the loss by the linear predictor
    curvature  (texts,)    its second derivative
    weight     (k,)        the constrained fit
    nuisance   (texts, q)  columns of further free coefficients
    """
    basis = sum_zero(columns.shape[1])
    design = np.concatenate([columns @ basis, nuisance], axis=1)
    inverse, nothing = _inverse(design.T @ (curvature[:, None] * design))
    move = inverse @ (design.T @ residual)
    after = residual - curvature * (design @ move)
    projected = design @ inverse
    leverage = np.minimum(curvature * (projected * design).sum(1), 0.99)
    k = basis.shape[1]
    influence = projected[:, :k] @ basis.T * (after / (1 - leverage))[:, None]
    unknown = NO_IDEA * basis @ nothing[:k, :k] @ basis.T
    return Freed(weight + basis @ move[:k], influence, after, leverage, unknown)


def sum_zero(k: int) -> np.ndarray:
    """(k, k - 1) an orthonormal basis of the vectors with sum zero."""
    return np.linalg.svd(np.eye(k) - 1 / k)[0][:, : k - 1]


def condition(columns: np.ndarray) -> float:
    """Largest over smallest singular value of the differences between columns; 1 where there is one column."""
    found = np.linalg.svd(columns @ sum_zero(columns.shape[1]), compute_uv=False)
    return 1.0 if not len(found) or found[0] == 0 else float(found[0] / max(found[-1], 1e-300))


def quadratics(sides: np.ndarray, level: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """(texts, columns) what a weighted mean leaves out: level, products of pairs of elements.

    sides   (sides, texts, k)  log-probabilities less their mean over elements; of pairs for both sides
    level   (texts,)           that mean; of pairs its difference
    fitted  (sides, texts)     what the fit makes of `sides`

    A single side also gets an intercept. Products are of columns centred over texts.
    """
    n, k = sides.shape[1:]
    centred = sides - sides.mean((0, 1))
    first, second = np.triu_indices(k, 1)
    if len(first) * CROWD > n:
        product = ((fitted - fitted.mean()) ** 2)[:, :, None]
    else:
        product = centred[:, :, first] * centred[:, :, second]
    if len(sides) == 1:
        return np.column_stack([np.ones(n), level - level.mean(), product[0]])
    return np.column_stack([level, product[0] - product[1]])


def pattern(design: np.ndarray, extra: np.ndarray, residual: np.ndarray, redrawn: np.ndarray) -> float:
    """Probability of residuals that go with `extra` as well as these do, if nothing but `design` is behind them.

    The statistic is that of the F test; its distribution comes from residuals drawn again under the hypothesis, so
    it needs neither normal nor equally large errors.

    design    (texts, a)      columns that were fitted
    extra     (texts, q)      columns that were not
    residual  (texts,)
    redrawn   (draws, texts)  residuals under the hypothesis
    """
    fitted = _orthonormal(design)
    rest = extra - fitted @ (fitted.T @ extra)
    size = np.linalg.norm(extra, axis=0)
    left = np.linalg.norm(rest, axis=0)
    kept = left > 1e-8 * np.maximum(size, 1e-300)
    if not kept.any():
        return 1.0
    beyond = _orthonormal(rest[:, kept] / left[kept])

    def statistic(residuals: np.ndarray) -> np.ndarray:
        residuals = residuals - (residuals @ fitted) @ fitted.T
        explained = ((residuals @ beyond) ** 2).sum(1)
        return explained / np.maximum((residuals**2).sum(1) - explained, 1e-300)

    return float((1 + (statistic(redrawn) >= statistic(residual[None])[0]).sum()) / (1 + len(redrawn)))


def subset_p(
    observed: np.ndarray, columns: np.ndarray, share: np.ndarray, freed: Freed, members: np.ndarray, df: float
) -> float:
    """Probability of an observed combination so far from the predicted one, if the model holds.

    Of a text, sum over members of w_k (observed - element k) has mean zero under the model, whatever the elements'
    differences on it: as many moments as there are members, all linear in the weights, so each text's part in them is
    known, that through the weights included. Hotelling's test with those parts.

    observed  (texts,)    log-probabilities under the combination
    columns   (texts, k)  under the elements
    share     (texts,)    weight of each text in the mean; zero where the combination was not scored
    freed     from the fit; `influence` in the same texts, zero rows for those that were not fitted
    members   (k,) bool
    """
    share = share / share.sum()
    gap = np.where(members, observed[:, None] - columns, 0)
    each = gap @ freed.weight
    away = columns[:, members] @ sum_zero(int(members.sum()))
    away = away - share @ away
    moments = np.column_stack([np.ones(len(each)), away / np.sqrt(share @ away**2 + 1e-300)])
    total = (share * each) @ moments
    part = share[:, None] * (each[:, None] * moments - total) + freed.influence @ (gap.T @ (share[:, None] * moments))
    spread, q = part.T @ part, len(total)
    if df <= q or np.trace(spread) == 0:
        return 1.0
    square = float(total @ np.linalg.pinv(spread, hermitian=True) @ total)
    return float(f_distribution.sf(square * (df - q + 1) / (df * q), q, df - q + 1))


def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-inverse of a positive semidefinite matrix, and the projector on what it has no information about."""
    if not len(matrix):
        return matrix, matrix
    values, vectors = np.linalg.eigh(matrix)
    informed = values > NOTHING * max(float(values[-1]), 1e-300)
    inverse = vectors / np.where(informed, values, np.inf) @ vectors.T
    return inverse, vectors[:, ~informed] @ vectors[:, ~informed].T


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """(texts, rank) the space that columns span."""
    if not columns.shape[1]:
        return columns
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, size > 1e-10 * max(float(size[0]), 1e-300)]
