"""Thousands of grids at once: tasks x models x budgets x draws of cells in one call, as PromptEval's study needs."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import jax
import numpy as np

from lleval_jax.core.precision import Precision, jit, precise
from lleval_jax.core.shapes import few
from lleval_jax.errors import require
from lleval_jax.estimators import contract
from lleval_jax.estimators.prompts import kernel
from lleval_jax.estimators.prompts.quantiles import QUANTILES
from lleval_jax.layout import grid as layout
from lleval_jax.layout.grid import Features
from lleval_jax.renamed import renamed
from lleval_jax.types import Status
from lleval_jax.values.progress import Progress, Tell, silent

BLOCK = 64  # grids a call, side by side
FEW = 8  # points of the scales
ALONE = 8  # grids a call where it takes them one by one: fewer that only fill it up
TOGETHER = 16  # grids a call of the quick method on a CPU
LANES = os.cpu_count() or 1  # calls side by side on a CPU, each of which takes one core


_keys = jit(jax.vmap(jax.random.fold_in, (None, 0)))  # of grids, by their places in the call


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


@renamed(method="by", dtype="precision")
def fit_many(
    scores: np.ndarray,
    *,
    seen: np.ndarray,
    row_features: Features | None = None,
    quantiles: Sequence[float] = QUANTILES,
    level: float = 0.95,
    draws: int = 64,
    points: int | None = None,
    by: Literal["mcmc", "ep"] = "mcmc",
    precision: Precision = "float32",
    seed: int = 0,
    tell: Tell = silent,
) -> Many:
    """The same as `prompts.fit` and its estimates, for many grids of one shape.

    `by="ep"` is some twenty times faster and supposes less: prompts' effects follow one normal, not two, and the
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
        by: "mcmc", as `prompts.fit`, or "ep", quick.
        precision: of the arithmetic.
        seed: of the draws.
        tell: called with the grids done, of how many; from several threads on a CPU.

    Raises:
        BadInput: shapes that do not fit, a grid without an answer, a method that is not known, or, with "ep", answers
            other than 0 and 1, or points.
    """
    count = _answered(scores, seen, by, points)
    on_cpu = jax.default_backend() == "cpu"
    if by == "ep":
        solver, block, at_once = kernel.Messages(draws, one_by_one=on_cpu), TOGETHER if on_cpu else BLOCK, None
        sizes = np.array([few(int(c)) for c in count])
    else:
        solver, block, at_once = kernel.Effects(draws, FEW if points is None else points), BLOCK, None
        sizes = np.array([layout.room(int(c)) for c in count])
        if on_cpu:  # none waits for one that needs more sweeps
            block, at_once = ALONE, 1
    rows = layout.matrix(row_features, [str(i) for i in range(scores.shape[1])], "prompts")
    key = jax.random.key(seed)
    shares = np.asarray(quantiles, precision), np.asarray([(1 - level) / 2, (1 + level) / 2], precision)
    done = 0

    def fit(block_of: np.ndarray) -> list[np.ndarray]:
        nonlocal done
        filled = np.resize(block_of, block)
        with precise(precision):
            each = [(scores[g], seen[g]) for g in filled]
            data = layout.lay_out_many(each, rows, precision, int(sizes[block_of[0]]))
            found = contract.solve_many(solver, data, _keys(key, filled), axes=layout.SAME_DESIGN, at_once=at_once)
        keep = len(block_of)
        sums, log_scale = np.asarray(found.sums)[:keep], np.asarray(found.log_scale)[:keep]
        steps, status = np.asarray(found.steps)[:keep], np.asarray(found.status)[:keep]
        done += keep
        tell(Progress("fitting grids", done, len(scores), unit="grids"))
        return _summary(sums, log_scale, steps, status, *shares)

    alike = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]
    blocks = [grids[i : i + block] for grids in alike for i in range(0, len(grids), block)]
    with ThreadPoolExecutor(LANES if on_cpu else 1) as pool:
        parts = list(pool.map(fit, blocks))
    order = np.argsort(np.concatenate(blocks))
    columns = [np.concatenate(column)[order] for column in zip(*parts, strict=True)]
    words = np.array([Status(int(code)).word for code in columns[-1]])
    return Many._make([*[x / scores.shape[2] for x in columns[:7]], *columns[7:-1], words])


def _answered(scores: np.ndarray, seen: np.ndarray, by: str, points: int | None) -> np.ndarray:
    """(grids,) how many answers each has, if all is as it must be."""
    require(
        scores.ndim == 3 and scores.shape == seen.shape,
        f"scores {scores.shape} and seen {seen.shape} must have one shape, grids x rows x items",
    )
    count = seen.sum((1, 2))
    require(bool((count > 0).all()), f"grid {int(count.argmin())} has no answer")
    require(by in ("mcmc", "ep"), f"by is {by!r}; it must be 'mcmc' or 'ep'")
    require(points is None or by == "mcmc", '"ep" has points of its own; leave points= out')
    if by == "ep":
        right = scores[seen]
        require(bool(((right == 0) | (right == 1)).all()), '"ep" needs answers that are 0 or 1; leave it out')
    return count


def _summary(
    sums: np.ndarray,
    log_scale: np.ndarray,
    steps: np.ndarray,
    status: np.ndarray,
    quantiles: np.ndarray,
    ends: np.ndarray,
) -> list[np.ndarray]:
    """What `Many` holds, of sums in place of scores and the status as a number.

    Draws are sorted on the host: XLA takes a millisecond a grid, numpy a fiftieth of that.
    """
    each, order = np.sort(sums, axis=1), np.sort(sums, axis=2)
    level_of = between(order.swapaxes(1, 2), quantiles * (order.shape[2] - 1)).swapaxes(1, 2)
    level_of = np.sort(level_of, axis=1)
    low, high = np.moveaxis(at_rank(each, ends), 1, 0)
    least, most = np.moveaxis(at_rank(level_of, ends), 1, 0)
    finite = np.isfinite(sums).all((1, 2))
    means = order.mean(1), sums.mean(1), low, high, level_of.mean(1), least, most
    return [*means, np.exp(log_scale), steps, np.where(finite, status, int(Status.NOT_FINITE))]


def at_rank(ordered: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles of columns in rising order, with as much beyond as is asked for.

    (..., draws, columns) -> (..., shares, columns). Share s lies at rank s (draws + 1), so that an interval holds the
    next draw as often as it says (Weibull 1939); between the first and the last of `draws` lie fewer than all.
    """
    return between(ordered, shares * (ordered.shape[-2] + 1) - 1)


def between(ordered: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(..., draws, columns) at these places among the draws, (places,), from 0 on; linear, ends beyond.

    -> (..., places, columns)
    """
    last = ordered.shape[-2] - 1
    place = np.clip(place, 0, last)
    below = np.minimum(place.astype(int), max(last - 1, 0))
    part = (place - below)[:, None].astype(ordered.dtype)
    return ordered[..., below, :] * (1 - part) + ordered[..., np.minimum(below + 1, last), :] * part
