"""How much does the prompt matter: the distribution of scores over prompts from few answers, with bands (PromptEval).

Maia Polo et al. 2024, *Efficient multi-prompt evaluation of LLMs*, arXiv:2405.17202. Rows of a grid are prompts (or
templates), columns are examples, few cells are answered. The extended Rasch model of its section 3,

    logit P(Y_ij = 1) = level + f(x_i) + u_i + g(z_j) + v_j,

keeps residual effects beside the covariates, leaves the level free and learns how large each kind of effect is, where
the paper fixes one penalty for all (`prompteval_paper`; `reference=True`). Effects u_i follow two normals that are
learned with them (`core.crossed.mixture`): real templates fail in groups. All answers are functions of joint posterior
draws of the prompts' scores on this very grid: what was answered counts as it is. Quantiles of point estimates would be
too narrow, or too wide; those of draws are not.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np
import pandas as pd
from scipy.special import expit

from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.crossed import scales
from lleval_jax.errors import NotConverged, require, require_known
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.prompts import balanced, choice, kernel, published
from lleval_jax.estimators.prompts.kernel import MASS, NODES
from lleval_jax.layout import grid as crossed_layout
from lleval_jax.layout.grid import Features
from lleval_jax.types import Status
from lleval_jax.values.params import PromptParams, coded
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Choice, Ended, FitResult, Source
from lleval_jax.values.sparse import SparseResponses, as_dense

CITE = ("polo2024prompteval",)
REPLICATES = 50  # bootstrap draws of the reference
DRAWS = 1000
ROUNDS = 3  # of learning how fractional answers scatter
LEAST_SCATTER = 0.02
LEAST = 1e-12  # of a probability


def fit(
    responses: Responses | SparseResponses,
    *,
    row_features: Features | None = None,
    item_features: Features | None = None,
    models: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    reference: bool = False,
    draws: int = DRAWS,
    room: int = 0,
    dtype: str = "float32",
    seed: int = 0,
    strict: bool = False,
) -> FitResult[PromptParams]:
    """Learn from a grid with few answers.

    Args:
        responses: prompts x examples, as `read(..., rows="prompt")` gives them; scores in [0, 1].
        row_features: covariates of the prompts, (rows, features) or a frame indexed by their names; `features(texts)`
            and `pca` make some. Constant columns are left out; collinear ones share their effect.
        item_features: the same of the examples.
        models: the model of each row, where there are several; examples are as hard for one as for another, and a
            prompt's effect is partly common to all models.
        prompts: the prompt of each row, needed with `models`.
        reference: the paper's own estimator (`prompteval_paper`: one fixed penalty, no residual effects, features as
            they stand) in place of ours, to compare with. It has no intervals; those shown are from 50 bootstrap draws
            of examples.
        draws: from the posterior.
        room: answers that the grid will have in the end, so that fits on the way share one compilation.
        dtype: of the arithmetic; "float64" needs JAX's x64.
        seed: of the draws.
        strict: raise `NotConverged` rather than warn.

    Returns:
        Params are `PromptParams`.

    Raises:
        BadInput: fewer than two prompts, no answers, features that do not fit, or names that do not.
        NotConverged: with `strict`, or where numbers ran away.
    """
    grid = as_dense(responses)
    n, items = grid.scores.shape
    require(n > 1, f"there is {n} prompt; the spread over prompts needs at least two")
    require(draws > 1, f"draws is {draws}; ask for at least two")
    require(bool(grid.seen.any()), "no cell of the grid is answered; plan some with prompts.choose and run them")
    _require_names(grid, models, prompts)
    if reference:
        require(models is None, "the reference knows one model; leave `models` out")
        return _reference(grid, row_features, item_features, seed)
    rows = crossed_layout.matrix(row_features, grid.rows, "prompts")
    columns, _ = crossed_layout.matrix(item_features, grid.items, "examples")
    layout, known, used = _looked(grid, rows, columns, models, prompts, dtype, room)
    solution = known.solution
    end = ended(
        f"the fit of {n} prompts x {items} examples",
        Status(int(solution.status)),
        int(solution.steps),
        advice="more answers or fewer features help, or dtype='float64'",
        strict=strict,
        value=float(known.now.evidence),
        unit="log evidence",
        error=float(solution.error),
        counted="sweeps",
    )
    scores = _scores(layout, known, used, seed, draws) / items
    if not np.isfinite(scores).all():
        raise NotConverged(
            f"draws of the scores of {n} prompts x {items} examples are not finite in {dtype}; use float64"
        )
    params = _params(grid, layout, known.found, scores, used)
    named: dict[str, tuple[str, ...]] = {}
    if models is not None and prompts is not None:
        (model, named["models"]), (prompt, named["templates"]) = (coded([*map(str, x)]) for x in (models, prompts))
        params = params._replace(model=model, prompt=prompt)
    return FitResult(
        params=params,
        axes={"prompts": grid.rows, "examples": grid.items, "kinds": layout.kinds, "features": layout.features} | named,
        ended=end,
        method="extended rasch",
        settings={
            "draws": draws,
            "seed": seed,
            "dtype": dtype,
        },
        source=grid.source.merge(Source(seed=seed, cite=CITE)),
    )


def choose(
    responses: Responses | SparseResponses,
    budget: int,
    *,
    by: Literal["balanced", "adaptive"] = "balanced",
    quantile: float = 0.5,
    row_features: Features | None = None,
    price: np.ndarray | None = None,
    seed: int = 0,
) -> Choice:
    """The cells to ask next, so that `budget` cells of the grid are answered in all; ask again after each batch.

    Args:
        responses: the whole grid, all prompts and examples, with the answers so far; there may be none.
        budget: answers in all, those already given included.
        by: "balanced": every prompt and every example about equally often, the paper's plan (its Algorithm 2);
            "adaptive": those that narrow the interval of `quantile` fastest, balanced as long as there is no answer.
        quantile: share in [0, 1] that "adaptive" looks at.
        row_features: as in `fit`, for "adaptive".
        price: (rows,) what an answer to each prompt costs, for "adaptive".
        seed: of what is drawn.

    Raises:
        BadInput: a budget beyond the grid, a quantile outside [0, 1], prices that do not fit.
    """
    grid = as_dense(responses)
    require_known(by, ("balanced", "adaptive"), "by")
    require(0 <= quantile <= 1, f"quantile {quantile:g} is not in [0, 1]; give a share, such as 0.05")
    n, items = grid.scores.shape
    price = np.ones(n) if price is None else np.asarray(price, float)
    require(price.shape == (n,) and bool((price > 0).all()), f"prices must be {n} positive numbers, one a prompt")
    have = int(grid.seen.sum())
    if by == "balanced" or have == 0:
        cells, why = balanced.plan(grid.seen, budget, seed=seed), "keeps prompts and examples balanced"
    else:
        require(budget <= n * items, f"a budget of {budget} answers is more than the grid's {n} x {items} cells")
        now, draws = _picture(grid, row_features, seed)
        share, size = choice.counts(draws, quantile), max(budget - have, 0)
        cells = choice.greedy(now, share, grid.seen, size, price, seed)
        why = f"narrows the interval of the {100 * quantile:g}% quantile most"
    picked = tuple(tuple(grid.items[j] for j in cells[1][cells[0] == i]) for i in range(n))
    enough = f"{have} answers are given, the budget is {budget}"
    told = (why if len(cells[0]) else enough,) * n
    return Choice(grid.rows, picked, told, grid.source.merge(Source(seed=seed, cite=CITE)))


def _looked(
    grid: Responses,
    rows: tuple[np.ndarray, tuple[str, ...]],
    columns: np.ndarray,
    models: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    dtype: str = "float32",
    room: int = 0,
) -> tuple[crossed_layout.Layout, kernel.Look, float]:
    """A grid laid out, what is known of it, and the dispersion used: 1 where answers are right or wrong."""
    fractional = bool(((grid.scores > 0) & (grid.scores < 1) & (grid.weight == 1))[grid.seen].any())
    weight, used = np.asarray(grid.weight, float), 1.0
    for left in reversed(range(ROUNDS if fractional else 1)):
        layout = crossed_layout.lay_out(
            grid.scores, grid.seen, weight / used, rows, columns, models, prompts, dtype, room
        )
        points = kernel.points(len(layout.kinds), dtype)
        known = kernel.look(layout.design, layout.cells, *kernel.nodes(dtype), points)
        if left:
            used = _scatter(layout, known.now, known.solution.x, used)
    return layout, known, used


def _scores(layout: crossed_layout.Layout, known: kernel.Look, dispersion: float, seed: int, draws: int) -> np.ndarray:
    """(draws, rows) sums over the grid."""
    given = layout.real, layout.given, layout.open, np.asarray(dispersion, layout.given.dtype)
    return np.asarray(kernel.draw(layout.design, layout.cells, known, *given, jax.random.key(seed), draws))


def _picture(grid: Responses, row_features: Features | None, seed: int) -> tuple[choice.Picture, np.ndarray]:
    """The normal posterior at the mode of the scales, and draws of the scores."""
    n, items = grid.scores.shape
    rows = crossed_layout.matrix(row_features, grid.rows, "prompts")
    layout, known, used = _looked(grid, rows, np.zeros((items, 0)))
    now = known.now
    effect, column = np.asarray(now.effect, float)[:n], np.asarray(now.column, float)[:items]
    p = expit(float(layout.design.offset) + effect[:, None] + column[None, :])
    picture = choice.Picture(
        np.asarray(now.covariance, float), np.asarray(now.pull, float)[:, :items], np.asarray(now.loose)[:items], p
    )
    return picture, _scores(layout, known, used, seed, DRAWS) / items


def _reference(
    grid: Responses, row_features: Features | None, item_features: Features | None, seed: int
) -> FitResult[PromptParams]:
    """The paper's estimator: its scores, and how they move when examples are drawn anew, as if these were draws."""
    n, items = grid.scores.shape
    x, z = (None if f is None else np.asarray(pd.DataFrame(f), float) for f in (row_features, item_features))
    found = published.fit(grid.scores, grid.seen, x, z)
    scores, rng, moved = published.scores(found, grid.scores, grid.seen), np.random.default_rng(seed), []
    while len(moved) < REPLICATES:
        drawn = rng.integers(0, items, items)
        answers, seen = grid.scores[:, drawn], grid.seen[:, drawn]
        if seen.any():
            again = published.fit(answers, seen, x, None if z is None else z[drawn])
            moved.append(published.scores(again, answers, seen))
    draws = np.array(moved)
    draws = np.clip(scores[None, :] + draws - draws.mean(0), 0, 1)
    nothing = np.zeros(0)
    params = PromptParams(
        draws=draws.astype(np.float32),
        level=np.asarray(found.level + found.theta.mean() + found.beta.mean()),
        effect=found.theta - found.theta.mean(),
        effect_sd=np.zeros(n),
        example=found.beta - found.beta.mean(),
        coef=nothing,
        coef_sd=nothing,
        scale=nothing,
        scale_low=nothing,
        scale_high=nothing,
        dispersion=np.asarray(1.0),
        answered=grid.n_seen,
        example_var=np.zeros(items),
    )
    return FitResult(
        params=params,
        axes={"prompts": grid.rows, "examples": grid.items, "kinds": (), "features": ()},
        ended=Ended("ok", 0, _log_likelihood(published.predicted(found), grid)),
        method="prompteval as published",
        settings={
            "draws": REPLICATES,
            "seed": seed,
            "dtype": "float64",
        },
        source=grid.source.merge(Source(seed=seed, cite=CITE)),
    )


def _log_likelihood(p: np.ndarray, grid: Responses) -> float:
    right, wrong = np.log(np.maximum(p, LEAST)), np.log(np.maximum(1 - p, LEAST))
    return float(np.where(grid.seen, grid.scores * right + (1 - grid.scores) * wrong, 0).sum())


def _require_names(grid: Responses, models: Sequence[str] | None, prompts: Sequence[str] | None) -> None:
    require((models is None) == (prompts is None), "models and prompts go together: give both, one a row, or neither")
    for what, names in (("models", models), ("prompts", prompts)):
        if names is not None:
            require(len(names) == len(grid.rows), f"{what} names {len(names)} rows; the grid has {len(grid.rows)}")


def _scatter(layout: crossed_layout.Layout, now: crossed.Posterior, at: crossed.State, used: float) -> float:
    """Dispersion of fractional answers, from how far each lies from what the others say of it (EP's cavities)."""
    seen = layout.cells.weight > 0
    mean, var, precision, shift = (np.asarray(x, float)[seen] for x in (now.mean, now.var, at.precision, at.shift))
    alone = np.maximum(1 / var - precision, 1e-6)
    centre, sd = (mean / var - shift) / alone, 1 / np.sqrt(alone)
    p = expit(float(layout.design.offset) + centre[:, None] + sd[:, None] * NODES[None, :])
    mass = MASS / MASS.sum()
    first, second = p @ mass, p**2 @ mass
    weight = np.asarray(layout.cells.weight, float)[seen] * used
    miss = (np.asarray(layout.cells.score, float)[seen] - first) ** 2 - (second - first**2)
    return float(np.clip((weight * miss).sum() / (first - second).sum(), LEAST_SCATTER, 1.0))


def _params(
    grid: Responses, layout: crossed_layout.Layout, found: scales.Scales, scores: np.ndarray, scatter: float
) -> PromptParams:
    """Means over the points of the scales' posterior."""
    n, items, f = len(grid.rows), len(grid.items), len(layout.features)
    mass, given = np.asarray(found.mass, float), found.given
    effects = np.asarray(given.effect, float)[:, :n]
    var = np.asarray(np.diagonal(given.covariance, axis1=1, axis2=2), float)[:, :n]
    size = np.asarray(np.exp(found.point), float)
    coef = np.asarray(given.coef, float)[:, 1 : 1 + f] * size[:, :1]
    coef_var = np.asarray(np.diagonal(given.spread, axis1=1, axis2=2), float)[:, 1 : 1 + f] * size[:, :1] ** 2
    column = np.asarray(given.column, float)
    if layout.design.columns.shape[1]:
        column = column + np.asarray(given.effect, float)[:, n:] @ np.asarray(layout.design.columns, float).T
    column = (mass @ column)[:items]
    effect, sd = _mixed(mass, effects, var)
    level = float(layout.design.offset) + effect.mean() + column.mean()
    order = np.sort(np.exp(np.asarray(found.point, float)), axis=0)
    cumulated = np.cumsum(np.take_along_axis(mass[:, None] + 0 * size, np.argsort(size, axis=0), axis=0), axis=0)
    low, high = (
        order[np.minimum((cumulated < q).sum(0), len(mass) - 1), np.arange(size.shape[1])] for q in (0.05, 0.95)
    )
    coef, coef_sd = _mixed(mass, coef, coef_var)
    return PromptParams(
        draws=scores.astype(np.float32),
        level=np.asarray(level),
        effect=effect - effect.mean(),
        effect_sd=sd,
        example=column - column.mean(),
        coef=coef,
        coef_sd=coef_sd,
        scale=np.exp(mass @ np.asarray(found.point, float)),
        scale_low=low,
        scale_high=high,
        dispersion=np.asarray(scatter),
        answered=grid.n_seen,
        example_var=np.asarray(found.mass @ found.given.column_var)[:items],
    )


def _mixed(mass: np.ndarray, mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a mixture: mass (points,), mean and var (points, k)."""
    centre = mass @ mean
    return centre, np.sqrt(mass @ (var + (mean - centre) ** 2))
