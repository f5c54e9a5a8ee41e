"""Grids of answers as arrays for `core.crossed`: cells, effects and what is believed of their sizes beforehand."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from lleval_jax.core.crossed.model import Cells, Design, Numbers
from lleval_jax.core.shapes import few_columns, pad
from lleval_jax.errors import require

Features = np.ndarray | pd.DataFrame | Mapping[str, Sequence[float]]

LEAST_POWER = 6  # there is room for two to this power of cells at least
LEVEL = 5.0  # standard deviation of the common level, in logits about that of the answers: next to unpenalised
BETWEEN = 0.8  # standard deviation in logits of prompt effects that is thought most likely beforehand
EXPLAINED, REST = 0.7, 0.25  # the same of the part that features explain, and of what they leave
APART = 0.3  # of what a prompt does to one model and not to the others
MODELS = 0.7  # of models, where there are several
HARD = 1.5  # of examples
TELLS = 0.5  # of the part that features of examples explain
LOOSE = 1.5  # how many effects that prior is worth
FIRM = 2.0  # the same of examples' effects, which are never small
OPEN = 1.0  # the same of what features explain, which may be nothing
SPREADS = 1.2  # effects draw shares toward one half: the logit about which they lie is so many times that of the share


class Grid(NamedTuple):
    """One grid as arrays, padded to few sizes.

    real   (columns,)  1 for the columns of the grid, 0 for padding
    given  (rows,)     sum of the answers
    open   (rows,)     how many answers are not known
    """

    design: Design
    cells: Cells
    real: Numbers
    given: Numbers
    open: Numbers


class Axes(NamedTuple):
    """Names that stay on the host.

    kinds     of the scales, the examples' last
    features  of the rows, those that vary
    """

    kinds: tuple[str, ...]
    features: tuple[str, ...]


SAME_DESIGN: Any = Grid(Design(None, None, None, None, None, 0), Cells(0, 0, 0, 0), None, 0, 0)  # type: ignore[arg-type]
"""Axes of stacked grids of one shape, as `jax.vmap` takes them: all but cells, answers and offset is shared."""


def matrix(features: Features | None, names: Sequence[str], what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Standardised columns that vary, (len(names), k), and what they are called.

    A frame whose index has the names is put in their order; anything else is taken in its own order.
    """
    if features is None:
        return np.zeros((len(names), 0)), ()
    if isinstance(features, pd.DataFrame):
        if set(map(str, features.index)) >= set(names):
            features = features.set_axis(features.index.map(str)).loc[list(names)]
        called = tuple(map(str, features.columns))
    elif isinstance(features, Mapping):
        called = tuple(map(str, features))
        features = np.column_stack([np.asarray(column, float) for column in features.values()])
    else:
        features = np.asarray(features)
        called = tuple(f"feature {i + 1}" for i in range(features.shape[-1]))
    values = np.asarray(features, float)
    require(
        values.ndim == 2 and len(values) == len(names),
        f"features of {what} have shape {values.shape}; one line for each of the {len(names)} {what} is needed",
    )
    wrong = np.argwhere(~np.isfinite(values))
    require(
        len(wrong) == 0,
        f"a feature is not a finite number: {called[wrong[0][1]] if len(wrong) else ''!r} of "
        f"{names[wrong[0][0]] if len(wrong) else ''!r}; fill it in or leave the column out",
    )
    spread = values.std(0)
    varies = spread > 1e-9 * np.maximum(np.abs(values).max(0, initial=0), 1)
    kept = (values[:, varies] - values[:, varies].mean(0)) / spread[varies]
    return kept, tuple(name for name, yes in zip(called, varies, strict=True) if yes)


def lay_out(
    scores: np.ndarray,
    seen: np.ndarray,
    weight: np.ndarray,
    rows: tuple[np.ndarray, tuple[str, ...]],
    columns: np.ndarray,
    models: Sequence[str] | None,
    prompts: Sequence[str] | None,
    dtype: str,
    spare: int = 0,
) -> tuple[Grid, Axes]:
    """One grid.

    scores, seen, weight (rows, items); rows: features of the rows and their names; columns (items, features);
    models, prompts: which of each a row is, where there are several models; spare: cells that there will be.
    """
    design, kinds = _design(rows[0], columns, models, prompts, dtype)
    size, items = room(max(int(seen.sum()), spare)), scores.shape[1]
    answers = _answers([(scores, seen)], np.asarray(weight)[seen], size, dtype)
    cells, middle, given, unanswered = jax.tree.map(lambda x: x[0], answers)
    real = pad(np.ones(items, dtype), (len(design.columns),))
    return Grid(design._replace(offset=middle), cells, real, given, unanswered), Axes(kinds, rows[1])


def lay_out_many(
    grids: Sequence[tuple[np.ndarray, np.ndarray]], rows: tuple[np.ndarray, tuple[str, ...]], dtype: str, size: int
) -> Grid:
    """Grids of one shape, stacked along `SAME_DESIGN`, with room for `size` cells each.

    grids: scores and seen of each, (rows, items); rows: features of the rows and their names.
    """
    items = grids[0][0].shape[1]
    design, _ = _design(rows[0], np.zeros((items, 0)), None, None, dtype)
    cells, middle, given, unanswered = _answers(grids, None, size, dtype)
    real = pad(np.ones(items, dtype), (len(design.columns),))
    return Grid(design._replace(offset=middle), cells, real, given, unanswered)


def _design(
    features: np.ndarray,
    columns: np.ndarray,
    models: Sequence[str] | None,
    prompts: Sequence[str] | None,
    dtype: str,
) -> tuple[Design, tuple[str, ...]]:
    """How coefficients act, the offset left at 0, and the names of the scales."""
    n, (items, q) = len(features), columns.shape
    parts, kinds, priors, own = _row_effects(features, models, prompts, n)
    loads = np.concatenate([np.ones((n, 1)), *parts], axis=1)
    sizes = [1] + [part.shape[1] for part in parts]
    if q:
        kinds, sizes = (*kinds, "example features"), [*sizes, q]
        priors = [*priors, (TELLS / np.sqrt(q), OPEN)]
    name, size_of_own = own
    size, worth = np.transpose([*priors, (size_of_own, LOOSE), (HARD, FIRM)])
    kind = np.zeros((sum(sizes), len(kinds)))
    ends = np.cumsum(sizes)
    for h in range(len(kinds)):
        kind[ends[h] : ends[h + 1], h] = 1
    fixed = np.zeros(len(kind))
    fixed[0] = np.log(LEVEL)
    prior = np.stack([np.log(size), worth])
    numbers = loads, pad(columns, (few_columns(items), q)), kind, fixed, prior, np.zeros(())
    return Design(*(x.astype(dtype) for x in numbers)), (*kinds, name, "example")


def _answers(
    grids: Sequence[tuple[np.ndarray, np.ndarray]], weight: np.ndarray | None, size: int, dtype: str
) -> tuple[Cells, np.ndarray, np.ndarray, np.ndarray]:
    """Of scores and seen of each grid: cells, offsets, and of each row the sum of its answers and how many are missing.

    weight: of all answers, one grid after the other; None: 1 each.
    """
    many, (n, items) = len(grids), grids[0][0].shape
    which, cell = np.divmod(np.flatnonzero(np.stack([seen for _, seen in grids])), n * items)
    row, column = np.divmod(cell, items)
    weight = np.ones(len(which)) if weight is None else weight
    score = np.concatenate([scores[seen] for scores, seen in grids])
    count = np.bincount(which, minlength=many)
    slot = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)

    def padded(values: np.ndarray, kind: str) -> np.ndarray:
        out = np.zeros((many, size), kind)
        out[which, slot] = values
        return out

    cells = Cells(padded(row, "int32"), padded(column, "int32"), padded(score, dtype), padded(weight, dtype))
    middle = SPREADS * np.log(odds(np.bincount(which, score * weight, many), np.bincount(which, weight, many)))
    by_row = which * n + row
    given, answered = np.bincount(by_row, score, many * n), np.bincount(by_row, minlength=many * n)
    given, unanswered = (x.reshape(many, n).astype(dtype) for x in (given, items - answered))
    return cells, middle.astype(dtype), given, unanswered


def odds(right: Any, count: Any) -> Any:
    """Of a right answer, of so many: the logit about which effects lie is `SPREADS` times its logarithm."""
    return (right + 0.5) / (count - right + 0.5)


def room(cells: int) -> int:
    """Places for so many cells: a power of two, so that sizes share compilations."""
    return 1 << max(LEAST_POWER, (cells - 1).bit_length())


def _row_effects(
    features: np.ndarray, models: Sequence[str] | None, prompts: Sequence[str] | None, n: int
) -> tuple[list[np.ndarray], tuple[str, ...], list[tuple[float, float]], tuple[str, float]]:
    """Loadings of the row effects, their kinds, each kind's likeliest size and how many effects that prior is worth.

    And the name and likeliest size of what is each row's own.
    """
    parts: list[np.ndarray] = []
    kinds: list[str] = []
    priors: list[tuple[float, float]] = []

    def add(name: str, loads: np.ndarray, size: float, worth: float = LOOSE) -> None:
        parts.append(loads)
        kinds.append(name)
        priors.append((size, worth))

    explained = features.shape[1] > 0
    rest = REST if explained else BETWEEN
    if explained:
        add("features", features, EXPLAINED / np.sqrt(features.shape[1]), OPEN)
    if models is None:
        return parts, tuple(kinds), priors, ("prompt", rest)
    add("model", one_hot(models), MODELS)
    add("prompt", one_hot(prompts if prompts is not None else range(n)), rest)
    return parts, tuple(kinds), priors, ("model x prompt", APART)


def one_hot(names: Sequence[Any]) -> np.ndarray:
    """(rows, levels) 1 where a row has that name."""
    _, code = np.unique(np.asarray([str(name) for name in names]), return_inverse=True)
    return np.eye(code.max() + 1)[code]
