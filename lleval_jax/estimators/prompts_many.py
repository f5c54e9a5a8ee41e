"""Thousands of grids at once: tasks x models x budgets x draws of cells in one call, as PromptEval's study needs."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core import crossed
from lleval_jax.core.precision import jit
from lleval_jax.errors import require
from lleval_jax.estimators import crossed_fit, crossed_layout, prompt_answers
from lleval_jax.estimators.crossed_layout import Features
from lleval_jax.types import Array, Status

BLOCK = 64  # grids a call, side by side
ALONE = 8  # the same where a call takes its grids one by one: fewer that only fill it up
LANES = os.cpu_count() or 1  # calls side by side on a CPU, which takes grids one by one


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
    quantiles: Sequence[float] = prompt_answers.QUANTILES,
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
    about, weight = np.zeros((items, 0)), np.ones((n, items))

    def lay_out(g: int) -> crossed_layout.Layout:
        return crossed_layout.lay_out(scores[g], seen[g], weight, rows, about, None, None, dtype)

    first = lay_out(0)
    study = Study(
        first.design,
        first.real,
        *crossed_fit.nodes(dtype),
        crossed_fit.points(len(first.kinds), dtype, points),
        np.asarray(quantiles, dtype),
        np.asarray([(1 - level) / 2, (1 + level) / 2], dtype),
        jax.random.key(seed),
    )
    sizes = np.array([crossed_layout.room(int(c)) for c in count])
    alone = jax.default_backend() == "cpu"
    block = ALONE if alone else BLOCK
    jobs = []
    for size in np.unique(sizes):
        here = np.flatnonzero(sizes == size)
        jobs += [here[i : i + block] for i in range(0, len(here), block)]
    done = 0

    def run(here: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        nonlocal done
        tasks = [Task.of(int(g), lay_out(g)) for g in here]
        tasks += tasks[:1] * (block - len(tasks))
        stacked = jax.tree.map(lambda *x: np.stack(x), *tasks)
        found = _run(study, stacked, draws, None if alone else block)
        done += len(here)
        if tell is not None:
            tell(done, grids)
        return here, [np.asarray(x)[: len(here)] for x in found]

    with ThreadPoolExecutor(LANES if alone else 1) as pool:
        parts = list(pool.map(run, jobs))
    order = np.argsort(np.concatenate([here for here, _ in parts]))
    columns = [np.concatenate(column)[order] for column in zip(*(found for _, found in parts), strict=True)]
    words = np.array([Status(int(code)).word for code in columns[-1]])
    return Many._make([*[x / items for x in columns[:7]], *columns[7:-1], words])


class Study(NamedTuple):
    """What all grids share."""

    design: crossed.Design
    real: np.ndarray
    nodes: np.ndarray
    mass: np.ndarray
    points: np.ndarray
    quantiles: np.ndarray
    ends: np.ndarray
    key: Array


class Task(NamedTuple):
    """What is a grid's own."""

    index: np.ndarray
    cells: crossed.Cells
    offset: crossed.Numbers
    given: np.ndarray
    open: np.ndarray

    @classmethod
    def of(cls, index: int, layout: crossed_layout.Layout) -> "Task":
        """The grid's part of a layout."""
        return cls(np.asarray(index), layout.cells, layout.design.offset, layout.given, layout.open)


@functools.partial(jit, static_argnames=("draws", "at_once"))
def _run(study: Study, tasks: Task, draws: int, at_once: int | None) -> tuple[Array, ...]:
    """Some grids, `at_once` side by side; None: each for itself, so that none waits for one that needs more sweeps."""

    def one(task: Task) -> tuple[Array, ...]:
        design = study.design._replace(offset=task.offset)
        known = crossed_fit.look(design, task.cells, study.nodes, study.mass, study.points)
        key, ones = jax.random.fold_in(study.key, task.index), jnp.ones_like(task.offset)
        scores = crossed_fit.draw(design, task.cells, known, study.real, task.given, task.open, ones, key, draws)
        each, order = jnp.sort(scores, axis=0), jnp.sort(scores, axis=1)
        level_of = jnp.sort(jnp.quantile(order, study.quantiles, axis=1).T, axis=0)
        low, high = at_rank(each, study.ends)
        least, most = at_rank(level_of, study.ends)
        means = order.mean(0), scores.mean(0), low, high, level_of.mean(0), least, most
        scale = jnp.exp(known.found.mass @ known.found.point)
        status = jnp.where(jnp.isfinite(scores).all(), known.solution.status, int(Status.NOT_FINITE))
        return *means, scale, known.solution.steps, status

    return jax.lax.map(one, tasks, batch_size=at_once)


def at_rank(ordered: Array, shares: Array | np.ndarray) -> Array:
    """Quantiles of columns in rising order, (draws, columns) -> (shares, columns), with as much beyond as is asked for.

    Share s lies at rank s (draws + 1), so that an interval holds the next draw as often as it says (Weibull 1939);
    between the first and the last of `draws` lie fewer than all.
    """
    place = jnp.clip(shares * (len(ordered) + 1) - 1, 0, len(ordered) - 1)
    below = jnp.clip(place.astype(jnp.int32), 0, max(len(ordered) - 2, 0))
    part = (place - below.astype(place.dtype))[:, None]
    return ordered[below] * (1 - part) + ordered[jnp.minimum(below + 1, len(ordered) - 1)] * part
