"""Thousands of grids at once: tasks x models x budgets x draws of cells in one call, as PromptEval's study needs."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.crossed import joint, messages
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.precision import jit, light_jit
from lleval_jax.core.shapes import pad, rung
from lleval_jax.errors import require
from lleval_jax.estimators.prompts import kernel
from lleval_jax.estimators.prompts import quantiles as prompt_answers
from lleval_jax.layout import grid as crossed_layout
from lleval_jax.layout.grid import Features
from lleval_jax.types import Array, Status

BLOCK = 64  # grids a call, side by side
FEW = 8  # points of the scales
ALONE = 8  # the same where a call takes its grids one by one: fewer that only fill it up
TOGETHER = 16  # grids a call of the quick method on a CPU
NEAR = 0.2  # how far a log scale may still move in the quick method, whose points of the scales lie farther apart
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
    points: int | None = None,
    method: Literal["mcmc", "ep"] = "mcmc",
    dtype: str = "float32",
    seed: int = 0,
    tell: Callable[[int, int], None] | None = None,
) -> Many:
    """The same as `prompts.fit` and its estimates, for many grids of one shape.

    `method="ep"` is some twenty times faster and supposes less: prompts' effects follow one normal, not two, and the
    posterior given scales is a normal that expectation propagation finds by messages (`core.crossed.messages`), with no
    Markov chains. Its intervals hold where that is so; where some templates fail, as real ones do, those of the outer
    quantiles are too narrow (bench/prompts/README.md): it is for large studies and simulations, not for a last word.

    Args:
        scores: (grids, rows, items) right and wrong answers, where seen.
        seen: (grids, rows, items) bool.
        row_features: covariates of the prompts, the same for all grids.
        quantiles: shares in [0, 1].
        level: coverage of the intervals.
        draws: from each posterior; the ends of 95% intervals from 64 draws are rough.
        points: at which the posterior of the scales is looked at, 8 by default; not with "ep", which has its own.
        method: "mcmc", as `prompts.fit`, or "ep", quick.
        dtype: of the arithmetic.
        seed: of the draws.
        tell: called with grids done and grids in all.

    Raises:
        BadInput: shapes that do not fit, a grid without an answer, a method that is not known, or, with "ep", answers
            other than 0 and 1, or points.
    """
    require(
        scores.ndim == 3 and scores.shape == seen.shape,
        f"scores {scores.shape} and seen {seen.shape} must have one shape, grids x rows x items",
    )
    grids, n, items = scores.shape
    count = seen.sum((1, 2))
    require(bool((count > 0).all()), f"grid {int(count.argmin())} has no answer")
    require(method in ("mcmc", "ep"), f"method is {method!r}; it must be 'mcmc' or 'ep'")
    require(points is None or method == "mcmc", 'method="ep" has points of its own; leave points= out')
    rows = crossed_layout.matrix(row_features, [str(i) for i in range(n)], "prompts")
    about, weight = np.zeros((items, 0)), np.ones((n, items))

    def lay_out(g: int) -> crossed_layout.Layout:
        return crossed_layout.lay_out(scores[g], seen[g], weight, rows, about, None, None, dtype)

    first = lay_out(0)
    study = Study(
        first.design,
        first.real,
        *kernel.nodes(dtype),
        kernel.points(len(first.kinds), dtype, FEW if points is None else points),
        np.asarray(quantiles, dtype),
        np.asarray([(1 - level) / 2, (1 + level) / 2], dtype),
        jax.random.key(seed),
    )
    alone = jax.default_backend() == "cpu"
    lanes = LANES if alone else 1
    if method == "ep":
        right = scores[seen]
        require(bool(((right == 0) | (right == 1)).all()), 'method="ep" needs answers that are 0 or 1; leave it out')
        sizes, block = np.array([rung(int(c)) for c in count]), TOGETHER if alone else BLOCK

        def fit(here: np.ndarray) -> list[np.ndarray]:
            return _quick(study, scores, seen, _filled(here, block), int(sizes[here[0]]), draws)
    else:
        sizes, block = np.array([crossed_layout.room(int(c)) for c in count]), ALONE if alone else BLOCK

        def fit(here: np.ndarray) -> list[np.ndarray]:
            tasks = [Task.of(int(g), lay_out(g)) for g in here]
            tasks += tasks[:1] * (block - len(tasks))
            found = _run(study, jax.tree.map(lambda *x: np.stack(x), *tasks), draws, None if alone else block)
            return [np.asarray(x) for x in found]

    jobs = []
    for size in np.unique(sizes):
        here = np.flatnonzero(sizes == size)
        jobs += [here[i : i + block] for i in range(0, len(here), block)]
    done = 0

    def run(here: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        nonlocal done
        found = [x[: len(here)] for x in fit(here)]
        done += len(here)
        if tell is not None:
            tell(done, grids)
        return here, found

    with ThreadPoolExecutor(lanes) as pool:
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
        known = kernel.look(design, task.cells, study.nodes, study.mass, study.points)
        key, ones = jax.random.fold_in(study.key, task.index), jnp.ones_like(task.offset)
        scores = kernel.draw(design, task.cells, known, study.real, task.given, task.open, ones, key, draws)
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


# --- the quick method -------------------------------------------------------------------------------------------------


def _filled(here: np.ndarray, block: int) -> np.ndarray:
    """Grids of a call, the first again where there are too few."""
    return np.concatenate([here, np.repeat(here[:1], block - len(here))])


def _quick(
    study: Study, scores: np.ndarray, seen: np.ndarray, here: np.ndarray, size: int, draws: int
) -> list[np.ndarray]:
    """Grids `here` of a study, with room for `size` answers each; what `Many` holds, the status as a number.

    Draws are sorted on the host: XLA takes a millisecond a grid, numpy a fiftieth of that.
    """
    dtype, items = study.real.dtype, scores.shape[2]
    cells, offset = [], []
    for g in here:
        place = np.flatnonzero(seen[g])
        row, column = np.divmod(place.astype(np.int32), items)
        score, one = scores[g][row, column].astype(dtype), np.ones(len(place), dtype)
        cells.append([pad(x, (size,)) for x in (row, column, score, one)])
        offset.append(crossed_layout.offset(float(score.sum()), len(place)))
    stacked = crossed.Cells(*(np.stack(x) for x in zip(*cells, strict=True)))
    at_once = None if jax.default_backend() == "cpu" else len(here)
    given = here, stacked, np.asarray(offset, dtype), joint.points(dtype.name)
    found = _settled(study, *given, draws, at_once)
    scale, move, sums = (np.asarray(x) for x in found)
    each, order = np.sort(sums, axis=1), np.sort(sums, axis=2)
    level_of = np.sort(between(order.swapaxes(1, 2), study.quantiles * (order.shape[2] - 1)).swapaxes(1, 2), axis=1)
    rank = study.ends * (draws + 1) - 1
    finite = np.isfinite(sums).all((1, 2))
    status = np.where(move < NEAR, int(Status.CONVERGED), int(Status.MAX_STEPS))
    return [
        order.mean(1),
        sums.mean(1),
        *between(each, rank).swapaxes(0, 1),
        level_of.mean(1),
        *between(level_of, rank).swapaxes(0, 1),
        np.exp(scale),
        np.full(len(here), messages.SWEEPS),
        np.where(finite, status, int(Status.NOT_FINITE)),
    ]


@functools.partial(light_jit, static_argnames=("draws", "at_once"))
def _settled(
    study: Study,
    index: Array,
    cells: crossed.Cells,
    offset: Array,
    points: tuple[np.ndarray, np.ndarray],
    draws: int,
    at_once: int | None,
) -> tuple[Array, Array, Array]:
    """Of some grids: log scales, how far they moved last, draws of the sums. Messages side by side, draws `at_once`."""
    nodes, mass, real = (jnp.asarray(x) for x in (study.nodes, study.mass, study.real))

    def settled(cells: crossed.Cells, offset: Array) -> messages.Sites:
        design = study.design._replace(offset=offset)
        return messages.settle(design, cells, nodes, mass)

    def drawn(grid: tuple[Array, crossed.Cells, Array, messages.Sites]) -> tuple[Array, Array]:
        index, cells, offset, sites = grid
        design, key = study.design._replace(offset=offset), jax.random.fold_in(study.key, index)
        return joint.score_draws(design, cells, sites, points, nodes, mass, real, key, draws)

    sites = jax.vmap(settled)(cells, offset)
    sums, scale = jax.lax.map(drawn, (index, cells, offset, sites), batch_size=at_once)
    return scale, sites.move, sums


def between(ordered: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(n, draws, columns) at these places among the draws, (places,), from 0 on; linear, ends beyond.

    -> (n, places, columns)
    """
    last = ordered.shape[1] - 1
    place = np.clip(place, 0, last)
    below = np.minimum(place.astype(int), max(last - 1, 0))
    part = (place - below)[None, :, None].astype(ordered.dtype)
    return ordered[:, below] * (1 - part) + ordered[:, np.minimum(below + 1, last)] * part
