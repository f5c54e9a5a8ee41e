"""The fit of PEPR: settings that are sought, the weights, fits to texts drawn again, and the fit free of its signs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.special import expit

from lleval_jax.core.shapes import pad
from lleval_jax.core.solvers.loop import Solution
from lleval_jax.estimators import planned
from lleval_jax.estimators.pepr import kernel, linearity
from lleval_jax.layout.texts import SAME_TEXTS, Kind, Scored, Table, Texts
from lleval_jax.types import Status
from lleval_jax.values.progress import Progress, Tell

RIDGES = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # what "auto" tries
FOLDS = 5
GRID = 25  # scales tried at once
SCALES = (1e-3, 1e2)  # between which the scale of pairs is sought
ROOM = 1 << 23  # numbers that fits done at once may hold


class Found(NamedTuple):
    """The fit of a table. `weight` (groups,), `drawn_weight` (draws, groups), `drawn_value` (draws, elements)."""

    weight: np.ndarray
    freed: linearity.Freed
    drawn_weight: np.ndarray
    drawn_value: np.ndarray
    ridge: float
    scale: float
    loss: np.ndarray
    steps: int
    status: Status
    df: float
    free_scale: bool


def run(
    data: Texts,
    scored: Scored,
    ridge: float | str,
    scale: float | str,
    draws: int,
    seed: int,
    tell: Tell,
    how: Mapping[str, Any],
) -> Found:
    """The fit, its draws, and the same fit free of the sign constraint. `how`: words for `planned.solve_many`."""
    table, kind = scored.table, scored.kind
    n, k = table.columns.shape
    nuisance = np.zeros((n, 0))
    if scale == "auto":
        tell(Progress("seeking the scale"))
        scale, weight = _best_scale(data, how)
        nuisance = logits(table, weight, scale)[:, None]
    scale = float(scale)
    if ridge == "auto":
        tell(Progress("seeking the ridge"))
        ridge = _best_ridge(data, scored, scale, seed, how)
    penalty = float(ridge)
    first, drawn, value = _draw(data, scored, penalty, scale, draws, seed, tell, how)
    weight = first.x / first.x.sum()
    loss, residual, curvature = pieces(kind, table, weight, scale)
    use = table.fitted > 0
    freed = linearity.free(scale * table.columns[use], residual[use], curvature[use], weight, nuisance[use])
    influence = np.zeros((n, k))
    influence[use] = freed.influence
    return Found(
        weight=weight,
        freed=freed._replace(influence=influence),
        drawn_weight=drawn,
        drawn_value=value,
        ridge=penalty,
        scale=scale,
        loss=loss[use],
        steps=int(first.steps),
        status=Status(int(first.status)),
        df=float(use.sum() - (k - 1) - nuisance.shape[1]),
        free_scale=nuisance.shape[1] > 0,
    )


def pieces(kind: Kind, table: Table, weight: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(texts,) loss, residual and curvature."""
    if kind == "texts":
        residual = table.target - table.columns @ weight
        return residual**2, residual, np.ones(len(residual))
    z = logits(table, weight, scale)
    p = expit(z)
    return np.logaddexp(0, -z), 1 - p, p * (1 - p)


def logits(table: Table, weight: np.ndarray, scale: float) -> np.ndarray:
    """(texts,) of pairs."""
    return scale * (table.target + table.columns @ weight)


def _fits(
    kind: Kind,
    data: Texts,
    weight: np.ndarray,
    penalty: np.ndarray | float,
    scale: np.ndarray | float,
    how: Mapping[str, Any],
) -> Solution:
    """Fits to the same texts under many (fits, texts) weights, (fits,) penalties and scales, on the host."""
    lanes = len(weight)
    many = data._replace(weight=weight, penalty=np.full(lanes, penalty), scale=np.full(lanes, scale))
    keys = jax.random.split(jax.random.key(0), lanes)
    return jax.tree.map(np.asarray, planned.solve_many(kernel.Weights(kind), many, keys, axes=SAME_TEXTS, **how))


def _draw(
    data: Texts,
    scored: Scored,
    penalty: float,
    scale: float,
    draws: int,
    seed: int,
    tell: Tell,
    how: Mapping[str, Any],
) -> tuple[Solution, np.ndarray, np.ndarray]:
    """The fit of all texts, and (draws, groups) fits and (draws, elements) mean scores of texts weighted by Exp(1)."""
    rng, (rows, k) = np.random.default_rng(seed), data.columns.shape
    size = max(1, min(draws + 1, ROOM // (rows * k)))
    parts, values = [], []
    for start in range(0, draws + 1, size):
        often = rng.standard_exponential((size, len(scored.share)))
        often[0] = 1 if start == 0 else often[0]
        lanes = pad(scored.table.fitted * often, (size, rows))
        tell(Progress("fitting texts drawn again", start, draws, unit="draws"))
        parts.append(_fits(scored.kind, data, lanes, penalty, scale, how))
        values.append((scored.share * often) @ scored.each / (often @ scored.mass)[:, None])
    many = jax.tree.map(lambda *x: np.concatenate(x)[: draws + 1], *parts)
    return jax.tree.map(lambda x: x[0], many), many.x[1:], np.concatenate(values)[1 : draws + 1]


def _best_scale(data: Texts, how: Mapping[str, Any]) -> tuple[float, np.ndarray]:
    """The scale at which pairs are most probable, and the weights there: a grid, three times finer around its best."""
    low, high = ends = np.log(SCALES)
    lanes = np.broadcast_to(data.fitted[None], (GRID, len(data.fitted)))
    for _ in range(4):
        grid = np.linspace(low, high, GRID)
        found = _fits("pairs", data, lanes, 0.0, np.exp(grid), how)
        best = int(found.value.argmin())
        low, high = np.clip(grid[best] + 1.5 * (grid[1] - grid[0]) * np.array([-1, 1]), *ends)
    return float(np.exp(grid[best])), np.asarray(found.x)[best]


def _best_ridge(data: Texts, scored: Scored, scale: float, seed: int, how: Mapping[str, Any]) -> float:
    """The penalty with the least loss on texts left out, in `FOLDS` parts."""
    table = scored.table
    use = np.flatnonzero(table.fitted)
    fold = np.full(len(table.fitted), -1)
    fold[use] = np.random.default_rng(seed).permutation(len(use)) % FOLDS
    taught = np.stack([(fold != f) & (fold >= 0) for f in range(FOLDS)])
    lanes = np.repeat(pad(taught.astype(float), (FOLDS, len(data.fitted))), len(RIDGES), axis=0)
    weights = _fits(scored.kind, data, lanes, np.array(RIDGES * FOLDS), scale, how).x
    loss = np.zeros(len(RIDGES))
    for lane, weight in enumerate(weights):
        f, r = divmod(lane, len(RIDGES))
        loss[r] += pieces(scored.kind, table, weight, scale)[0][fold == f].sum()
    return RIDGES[int(loss.argmin())]
