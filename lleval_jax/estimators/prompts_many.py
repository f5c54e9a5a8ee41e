"""Thousands of grids at once: tasks x models x budgets x draws of cells in one call, as PromptEval's study needs."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core import crossed
from lleval_jax.errors import require
from lleval_jax.estimators import crossed_layout, prompts
from lleval_jax.estimators.crossed_layout import Features
from lleval_jax.types import Array, Status

BATCH = 64  # grids at once
LANES = 2  # batches side by side: one alone leaves a core idle between its products


class Many(NamedTuple):
    """Of each grid, what its posterior draws say.

    distribution  (grids, rows)       scores in rising order, as in `prompts.distribution`
    score, low, high  (grids, rows)   of each prompt, with its interval
    quantile, quantile_low, quantile_high  (grids, quantiles)
    scale         (grids, scales)     standard deviations of the effects, in logits
    steps         (grids,)
    status        (grids,)            words
    """

    distribution: np.ndarray
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    quantile: np.ndarray
    quantile_low: np.ndarray
    quantile_high: np.ndarray
    scale: np.ndarray
    steps: np.ndarray
    status: np.ndarray


def fit_many(
    scores: np.ndarray,
    seen: np.ndarray,
    *,
    row_features: Features | None = None,
    quantiles: Sequence[float] = prompts.QUANTILES,
    level: float = 0.95,
    draws: int = 64,
    points: int = 8,
    dtype: str = "float32",
    seed: int = 0,
    tell: Callable[[int, int], None] | None = None,
) -> Many:
    """The same as `prompts.fit` and its estimates, for many grids of one shape.

    Args:
        scores: (grids, rows, items) right and wrong answers, where seen.
        seen: (grids, rows, items) bool.
        row_features: covariates of the prompts, the same for all grids.
        quantiles: shares in [0, 1].
        level: coverage of the intervals.
        draws: from each posterior; the ends of 95% intervals from 64 draws are rough.
        points: at which the posterior of the scales is looked at.
        dtype: of the arithmetic.
        seed: of the draws.
        tell: called with grids done and grids in all.

    Raises:
        BadInput: shapes that do not fit, or a grid without an answer.
    """
    require(
        scores.ndim == 3 and scores.shape == seen.shape,
        f"scores {scores.shape} and seen {seen.shape} must have one shape, grids x rows x items",
    )
    grids, n, items = scores.shape
    count = seen.sum((1, 2))
    require(bool((count > 0).all()), f"grid {int(count.argmin())} has no answer")
    rows = crossed_layout.matrix(row_features, [str(i) for i in range(n)], "prompts")
    key, about = jax.random.key(seed), np.zeros((items, 0))
    sizes = np.array([crossed_layout.room(int(c)) for c in count])
    jobs = []
    for size in np.unique(sizes):
        here = np.flatnonzero(sizes == size)
        jobs += [here[i : i + BATCH] for i in range(0, len(here), BATCH)]
    done = 0

    def run(here: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        nonlocal done
        layouts = [
            crossed_layout.lay_out(scores[g], seen[g], np.ones((n, items)), rows, about, None, None, dtype)
            for g in here
        ]
        cells, offset, given, open_ = (
            _stacked([f(layout) for layout in layouts])
            for f in (lambda x: x.cells, lambda x: x.design.offset, lambda x: x.given, lambda x: x.open)
        )
        keys = jax.random.split(jax.random.fold_in(key, int(here[0])), BATCH)
        shape = prompts.points(len(layouts[0].kinds), dtype, points)
        fixed = layouts[0].design, layouts[0].real, *prompts.nodes(dtype), shape, np.asarray(quantiles, dtype)
        found = _run(*fixed, cells, offset, given, open_, keys, draws, level)
        done += len(here)
        if tell is not None:
            tell(done, grids)
        return here, [np.asarray(x)[: len(here)] for x in found]

    with ThreadPoolExecutor(LANES) as pool:
        parts = list(pool.map(run, jobs))
    order = np.argsort(np.concatenate([here for here, _ in parts]))
    columns = [np.concatenate(column)[order] for column in zip(*(found for _, found in parts), strict=True)]
    words = np.array([Status(int(code)).word for code in columns[-1]])
    return Many._make([*[x / items for x in columns[:7]], *columns[7:-1], words])


def _stacked(values: list) -> Array:
    """Trees of arrays as one with a leading axis of `BATCH`, the first again where there are fewer."""
    return jax.tree.map(lambda *x: np.stack([*x, *[x[0]] * (BATCH - len(x))]), *values)


@functools.partial(jax.jit, static_argnames=("draws", "level"))
def _run(
    design: crossed.Design,
    real: Array,
    nodes: Array,
    mass: Array,
    points: Array,
    quantiles: Array,
    cells: crossed.Cells,
    offset: Array,
    given: Array,
    open_: Array,
    keys: Array,
    draws: int,
    level: float,
) -> tuple[Array, ...]:
    ends = jnp.asarray([(1 - level) / 2, (1 + level) / 2], given.dtype)

    def one(cells: crossed.Cells, offset: Array, given: Array, open_: Array, key: Array) -> tuple[Array, ...]:
        here = design._replace(offset=offset)
        solution = prompts.solution_of(here, cells, nodes, mass)
        found = crossed.scales(here, cells, solution.x, points)
        scores = crossed.score_draws(
            here, cells, solution.x, found, real, given, open_, jnp.ones_like(offset), key, draws
        )
        order = jnp.sort(scores, axis=1)
        level_of = jnp.quantile(order, quantiles, axis=1)
        low, high = jnp.quantile(scores, ends, axis=0)
        least, most = jnp.quantile(level_of, ends, axis=1)
        scale = jnp.exp(found.mass @ found.point)
        means = order.mean(0), scores.mean(0), low, high, level_of.mean(1), least, most
        return *means, scale, solution.steps, solution.status

    return jax.vmap(one)(cells, offset, given, open_, keys)
