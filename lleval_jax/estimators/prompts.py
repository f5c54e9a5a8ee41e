"""How much does the prompt matter: the distribution of scores over prompts from few answers, with bands (PromptEval).

Maia Polo et al. 2024, *Efficient multi-prompt evaluation of LLMs*, arXiv:2405.17202. Rows of a grid are prompts (or
templates), columns are examples, few cells are answered. The extended Rasch model of its section 3,

    logit P(Y_ij = 1) = level + f(x_i) + u_i + g(z_j) + v_j,

keeps residual effects beside the covariates, leaves the level free and learns how large each kind of effect is, where
the paper fixes one penalty for all (`prompteval_paper`; `reference=True`). All answers are functions of joint
posterior draws of the prompts' scores on this very grid: what was answered counts as it is. Quantiles of point
estimates would be too narrow, or too wide; those of draws are not.
"""

import functools
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from lleval_jax.core import crossed, quadrature, solve, transport
from lleval_jax.core.anderson import Anderson
from lleval_jax.errors import NotConverged, require
from lleval_jax.estimators import balanced, crossed_layout, prompteval_paper, prompts_plan
from lleval_jax.estimators.crossed_layout import Features
from lleval_jax.estimators.prompt_features import embed as embed
from lleval_jax.estimators.prompt_features import features as features
from lleval_jax.estimators.prompt_features import pca as pca
from lleval_jax.types import Array, Status
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import Choice, Estimate, FitResult, Source
from lleval_jax.values.sparse import SparseResponses

CITE = ("polo2024prompteval",)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
WHAT = ("mean", "worst", "spread")
WORST = 0.05  # share of the prompts whose mean is "worst"
POINTS = 16  # at which the scales' posterior is looked at
NODES, MASS = np.polynomial.hermite_e.hermegauss(9)
TOL, STEPS = 1e-3, 200
SLACK = 1.0  # a sweep that moves farther than twice the last is taken back
REPLICATES = 50  # bootstrap draws of the reference
ROUNDS = 3  # of learning how fractional answers scatter
LEAST_SCATTER = 0.02
LEAST = 1e-12  # of a probability


class PromptParams(NamedTuple):
    """What `fit` learned.

    draws        (draws, rows)   joint posterior draws of the scores on the grid
    level        ()              logit of an average example under an average prompt
    effect       (rows,)         of prompts, in logits about the level
    effect_sd    (rows,)
    example      (items,)        of examples: easy ones above 0
    coef         (features,)     of standardised row features
    coef_sd      (features,)
    scale        (scales,)       standard deviation of each kind of effect, in logits, as `settings["kinds"]` names them
    scale_low, scale_high        the middle 90% of its posterior
    dispersion   ()              of answers about their curves; 1 for right and wrong
    answered     (rows,)         answers given
    """

    draws: np.ndarray
    level: np.ndarray
    effect: np.ndarray
    effect_sd: np.ndarray
    example: np.ndarray
    coef: np.ndarray
    coef_sd: np.ndarray
    scale: np.ndarray
    scale_low: np.ndarray
    scale_high: np.ndarray
    dispersion: np.ndarray
    answered: np.ndarray


class Distribution(NamedTuple):
    """Scores of the prompts in rising order, as posterior means of the order statistics, with a band for each.

    share (rows,) place in the ranking, from 0 to 1; value, low, high (rows,)
    """

    share: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def fit(
    responses: Responses | SparseResponses,
    *,
    row_features: Features | None = None,
    item_features: Features | None = None,
    models: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    reference: bool = False,
    draws: int = 500,
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
        Params are `PromptParams`; `covariance` holds the variances of the examples' effects, (items, 1, 1).

    Raises:
        BadInput: fewer than two prompts, no answers, features that do not fit, or names that do not.
        NotConverged: with `strict`, or where numbers ran away.
    """
    grid = responses.dense() if isinstance(responses, SparseResponses) else responses
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
    weight, scatter = np.asarray(grid.weight, float), 1.0
    fractional = bool(((grid.scores > 0) & (grid.scores < 1) & (grid.weight == 1))[grid.seen].any())
    for _ in range(ROUNDS if fractional else 1):
        layout = crossed_layout.lay_out(
            grid.scores, grid.seen, weight / scatter, rows, columns, models, prompts, dtype, room
        )
        used = scatter
        solution, now = _solve(layout.design, layout.cells, *nodes(dtype))
        scatter = _scatter(layout, now, solution.x, used) if fractional else 1.0
    status = Status(int(solution.status))
    if status is not Status.CONVERGED:
        message = f"the fit of {n} prompts x {items} examples is {status.word} after {int(solution.steps)} sweeps"
        if strict or status is Status.NOT_FINITE:
            raise NotConverged(message)
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    found, total = _draw(
        layout.design,
        layout.cells,
        solution.x,
        points(len(layout.kinds), dtype),
        layout.real,
        layout.given,
        layout.open,
        np.asarray(used, dtype),
        jax.random.key(seed),
        draws,
    )
    params = _params(grid, layout, found, np.asarray(total) / items, used)
    return FitResult(
        params=params,
        covariance=np.asarray(found.mass @ found.given.column_var)[:items, None, None],
        rows=grid.rows,
        items=grid.items,
        group=grid.group,
        groups=grid.groups,
        loglik=float(now.evidence),
        steps=int(solution.steps),
        status=status.word,
        n_seen=grid.n_seen,
        method="extended rasch",
        settings={
            "axes": ["prompts", "examples"],
            "kinds": list(layout.kinds),
            "features": list(layout.features),
            "models": None if models is None else list(map(str, models)),
            "draws": draws,
            "seed": seed,
            "dtype": dtype,
        },
        source=grid.source.merge(Source(seed=seed, cite=CITE)),
    )


def estimate(
    fit: FitResult[PromptParams],
    *,
    quantiles: Sequence[float] = QUANTILES,
    what: Sequence[str] = (),
    per_prompt: bool = False,
    level: float = 0.95,
) -> Estimate:
    """Quantiles of the scores over prompts, and what else is asked for, each with its interval.

    Args:
        fit: from `fit`.
        quantiles: shares in [0, 1]; linear between order statistics. Rows are named "q05", "q50", ...
        what: of "mean" over prompts, "worst" (mean of the worst 5%, at least one) and "spread" (standard deviation).
        per_prompt: also the score of each prompt.
        level: coverage of the intervals.

    Returns:
        Values are posterior means. With several models every entry stands once for each, with the model as group.

    Raises:
        BadInput: a quantile outside [0, 1], or an unknown functional.
    """
    require(0 < level < 1, f"level is {level}; it must lie strictly between 0 and 1")
    for share in quantiles:
        require(0 <= share <= 1, f"quantile {share:g} is not in [0, 1]; give shares, such as 0.05")
    for word in what:
        require(word in WHAT, f"there is no functional {word!r}; there are {', '.join(WHAT)}")
    require(len(quantiles) + len(what) > 0 or per_prompt, "nothing is asked for; give quantiles, `what` or per_prompt")
    names: list[str] = []
    groups: list[str] = []
    drawn: list[np.ndarray] = []
    seen: list[int] = []
    for group, here in _groups(fit).items():
        scores = fit.params.draws[:, here]
        answered = fit.params.answered[here]
        labels = [f"q{100 * share:02.4g}" for share in quantiles] + list(what)
        columns = [*np.quantile(scores, quantiles, axis=1)] if len(quantiles) else []
        columns += [FUNCTIONALS[word](scores) for word in what]
        names += labels
        seen += [int(answered.sum())] * len(labels)
        if per_prompt:
            names += [fit.rows[i] for i in here]
            columns += list(scores.T)
            seen += answered.tolist()
        drawn += columns
        groups += [group] * len(columns)
    return _summary(fit, np.stack(drawn), tuple(names), tuple(groups), np.array(seen), level, "accuracy")


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
    grid = responses.dense() if isinstance(responses, SparseResponses) else responses
    require(by in ("balanced", "adaptive"), f"by is {by!r}; it must be 'balanced' or 'adaptive'")
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
        share, size = prompts_plan.counts(draws, quantile), max(budget - have, 0)
        cells = prompts_plan.greedy(now, share, grid.seen, size, price, seed)
        why = f"narrows the interval of the {100 * quantile:g}% quantile most"
    picked = tuple(tuple(grid.items[j] for j in cells[1][cells[0] == i]) for i in range(n))
    enough = f"{have} answers are given, the budget is {budget}"
    told = (why if len(cells[0]) else enough,) * n
    return Choice(grid.rows, picked, told, grid.source.merge(Source(seed=seed, cite=CITE)))


def _picture(grid: Responses, row_features: Features | None, seed: int) -> tuple[prompts_plan.Picture, np.ndarray]:
    """The normal posterior at the mode of the scales, and draws of the scores."""
    n, items = grid.scores.shape
    rows = crossed_layout.matrix(row_features, grid.rows, "prompts")
    none = np.zeros((items, 0))
    layout = crossed_layout.lay_out(grid.scores, grid.seen, grid.weight, rows, none, None, None, "float32")
    now = _solve(layout.design, layout.cells, *nodes("float32"))[1]
    effect, column = np.asarray(now.effect, float)[:n], np.asarray(now.column, float)[:items]
    p = 1 / (1 + np.exp(-(float(layout.design.offset) + effect[:, None] + column[None, :])))
    picture = prompts_plan.Picture(
        np.asarray(now.covariance, float), np.asarray(now.pull, float)[:, :items], np.asarray(now.loose)[:items], p
    )
    return picture, fit(grid, row_features=row_features, seed=seed).params.draws


def difference(fit: FitResult[PromptParams], first: str, second: str, *, level: float = 0.95) -> Estimate:
    """Score of prompt `first` minus that of `second`, and below it, as entry "probability", how surely it is better.

    Raises:
        BadInput: a prompt that is not there, or twice the same.
    """
    require(first != second, f"two different prompts are needed to compare; both are {first!r}")
    for name in (first, second):
        require(name in fit.rows, f"there is no prompt {name!r}; there are {', '.join(map(repr, fit.rows[:6]))}")
    a, b = (fit.params.draws[:, fit.rows.index(name)] for name in (first, second))
    seen = fit.params.answered[[fit.rows.index(first), fit.rows.index(second)]]
    return _summary(
        fit, (a - b)[None], (f"{first} - {second}",), (WHOLE,), seen.min(keepdims=True), level, "difference"
    )


def better(fit: FitResult[PromptParams], first: str, second: str) -> float:
    """Posterior probability that prompt `first` scores above `second` on the grid; ties count half."""
    difference(fit, first, second)  # for what it says of wrong names
    a, b = (fit.params.draws[:, fit.rows.index(name)] for name in (first, second))
    return float(np.mean(a > b) + 0.5 * np.mean(a == b))


def distribution(fit: FitResult[PromptParams], *, model: str | None = None, level: float = 0.95) -> Distribution:
    """The whole distribution of scores over prompts, with a band for each order statistic.

    Raises:
        BadInput: several models and none named, or one that is not there.
    """
    groups = _groups(fit)
    name = model if model is not None else next(iter(groups))
    require(model is not None or len(groups) == 1, f"name a model: {', '.join(groups)}")
    require(name in groups, f"there is no model {name!r}; there are {', '.join(groups)}")
    order = np.sort(fit.params.draws[:, groups[name]], axis=1)
    low, high = np.quantile(order, [(1 - level) / 2, (1 + level) / 2], axis=0)
    count = order.shape[1]
    value = np.clip(order.mean(0), low, high)
    return Distribution((np.arange(count) + 0.5) / count, value, low, high)


def wasserstein(first: Distribution | np.ndarray, second: Distribution | np.ndarray) -> float:
    """W1 distance of two distributions of as many scores, in units of the score.

    Raises:
        BadInput: different numbers of scores.
    """
    a, b = (np.asarray(x.value if isinstance(x, Distribution) else x, float) for x in (first, second))
    require(a.shape == b.shape, f"distributions of {a.shape} and {b.shape} scores; give as many in both")
    return float(transport.wasserstein(jnp.asarray(a), jnp.asarray(b)))


def _worst(scores: np.ndarray) -> np.ndarray:
    count = max(1, int(np.ceil(WORST * scores.shape[1])))
    return np.sort(scores, axis=1)[:, :count].mean(1)


FUNCTIONALS = {"mean": lambda s: s.mean(1), "worst": _worst, "spread": lambda s: s.std(1)}


def _summary(
    fit: FitResult[PromptParams],
    drawn: np.ndarray,
    names: tuple[str, ...],
    groups: tuple[str, ...],
    seen: np.ndarray,
    level: float,
    target: str,
) -> Estimate:
    """Means, middle intervals and half widths of 68% intervals of draws (entries, draws)."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
    near, far = np.quantile(drawn, [0.1587, 0.8413], axis=1)
    return Estimate(
        target=target,
        method=fit.method,
        rows=names,
        group=groups,
        value=np.clip(drawn.mean(1), low, high),
        low=low,
        high=high,
        level=level,
        std_error=(far - near) / 2,
        n_seen=seen,
        status=(fit.status,) * len(names),
        source=fit.source,
    )


def _groups(fit: FitResult[PromptParams]) -> dict[str, np.ndarray]:
    """Model -> its rows; "all" where there is one model."""
    models = fit.settings.get("models")
    if models is None:
        return {WHOLE: np.arange(len(fit.rows))}
    return {name: np.flatnonzero(np.asarray(models) == name) for name in dict.fromkeys(models)}


def _reference(
    grid: Responses, row_features: Features | None, item_features: Features | None, seed: int
) -> FitResult[PromptParams]:
    """The paper's estimator: its scores, and how they move when examples are drawn anew, as if these were draws."""
    n, items = grid.scores.shape
    x, z = (None if f is None else np.asarray(pd.DataFrame(f), float) for f in (row_features, item_features))
    found = prompteval_paper.fit(grid.scores, grid.seen, x, z)
    scores, rng, moved = prompteval_paper.scores(found, grid.scores, grid.seen), np.random.default_rng(seed), []
    while len(moved) < REPLICATES:
        drawn = rng.integers(0, items, items)
        answers, seen = grid.scores[:, drawn], grid.seen[:, drawn]
        if seen.any():
            again = prompteval_paper.fit(answers, seen, x, None if z is None else z[drawn])
            moved.append(prompteval_paper.scores(again, answers, seen))
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
    )
    return FitResult(
        params=params,
        covariance=np.zeros((items, 1, 1)),
        rows=grid.rows,
        items=grid.items,
        group=grid.group,
        groups=grid.groups,
        loglik=_log_likelihood(prompteval_paper.predicted(found), grid),
        steps=0,
        status="ok",
        n_seen=grid.n_seen,
        method="prompteval as published",
        settings={
            "axes": ["prompts", "examples"],
            "kinds": [],
            "features": [],
            "models": None,
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


def nodes(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature of a logit: standard normal nodes and their masses."""
    return NODES.astype(dtype), (MASS / MASS.sum()).astype(dtype)


@functools.cache
def points(scales: int, dtype: str, count: int = POINTS) -> np.ndarray:
    """Standard normal points, (count, scales)."""
    return quadrature.Points(count).nodes(scales)[0].astype(dtype)


def solution_of(design: crossed.Design, cells: crossed.Cells, nodes: Array, mass: Array) -> solve.Solution:
    """Sites and scales at their fixed point."""
    fn = functools.partial(crossed.propagate, design, cells, nodes, mass)
    guarded = Anderson(memory=5, slack=SLACK)
    return solve.solve(guarded, fn, crossed.start(design, cells), tol=TOL, max_steps=STEPS)


@jax.jit
def _solve(
    design: crossed.Design, cells: crossed.Cells, nodes: Array, mass: Array
) -> tuple[solve.Solution, crossed.Posterior]:
    """The solution, and the posterior that it implies."""
    solution = solution_of(design, cells, nodes, mass)
    return solution, crossed.posterior(design, cells, *solution.x)


@functools.partial(jax.jit, static_argnames="draws")
def _draw(
    design: crossed.Design,
    cells: crossed.Cells,
    at: crossed.Belief,
    points: Array,
    real: Array,
    given: Array,
    open_: Array,
    dispersion: Array,
    key: Array,
    draws: int,
) -> tuple[crossed.Scales, Array]:
    found = crossed.scales(design, cells, at, points)
    return found, crossed.score_draws(design, cells, at, found, real, given, open_, dispersion, key, draws)


def _scatter(layout: crossed_layout.Layout, now: crossed.Posterior, at: crossed.Belief, used: float) -> float:
    """Dispersion of fractional answers, from how far each lies from what the others say of it (EP's cavities)."""
    seen = layout.cells.weight > 0
    mean, var, precision, shift = (np.asarray(x, float)[seen] for x in (now.mean, now.var, at.precision, at.shift))
    alone = np.maximum(1 / var - precision, 1e-6)
    centre, sd = (mean / var - shift) / alone, 1 / np.sqrt(alone)
    p = 1 / (1 + np.exp(-(float(layout.design.offset) + centre[:, None] + sd[:, None] * NODES[None, :])))
    mass = MASS / MASS.sum()
    first, second = p @ mass, p**2 @ mass
    weight = np.asarray(layout.cells.weight, float)[seen] * used
    miss = (np.asarray(layout.cells.score, float)[seen] - first) ** 2 - (second - first**2)
    return float(np.clip((weight * miss).sum() / (first - second).sum(), LEAST_SCATTER, 1.0))


def _params(
    grid: Responses, layout: crossed_layout.Layout, found: crossed.Scales, scores: np.ndarray, scatter: float
) -> PromptParams:
    """Means over the points of the scales' posterior."""
    n, items, f = len(grid.rows), len(grid.items), len(layout.features)
    mass, given = np.asarray(found.mass, float), found.given
    effects = np.asarray(given.effect, float)[:, :n]
    var = np.asarray(jnp.diagonal(given.covariance, axis1=1, axis2=2), float)[:, :n]
    size = np.asarray(jnp.exp(found.point), float)
    coef = np.asarray(given.coef, float)[:, 1 : 1 + f] * size[:, :1]
    coef_var = np.asarray(jnp.diagonal(given.spread, axis1=1, axis2=2), float)[:, 1 : 1 + f] * size[:, :1] ** 2
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
    )


def _mixed(mass: np.ndarray, mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a mixture: mass (points,), mean and var (points, k)."""
    centre = mass @ mean
    return centre, np.sqrt(mass @ (var + (mean - centre) ** 2))
