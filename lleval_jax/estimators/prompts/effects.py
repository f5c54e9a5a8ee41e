"""How much does the prompt matter: the distribution of scores over prompts from few answers, with bands (PromptEval).

Maia Polo et al. 2024, *Efficient multi-prompt evaluation of LLMs*, arXiv:2405.17202. Rows of a grid are prompts (or
templates), columns are examples, few cells are answered. The extended Rasch model of its section 3,

    logit P(Y_ij = 1) = level + f(x_i) + u_i + g(z_j) + v_j,

keeps residual effects and covariates, leaves the level free and learns how large each kind of effect is, where
the paper fixes one penalty for all (`prompts.published`). Effects u_i follow two normals that are
learned with them (`core.crossed.mixture`): real templates fail in groups. All answers are functions of joint posterior
draws of the prompts' scores on this very grid: what was answered counts as it is. Quantiles of point estimates would be
too narrow, or too wide; those of draws are not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
from scipy.special import expit

from lleval_jax.core.precision import Precision, precise
from lleval_jax.errors import NotConverged, require, require_known
from lleval_jax.estimators import planned
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.prompts import balanced, choice, kernel
from lleval_jax.estimators.prompts.published import CITE
from lleval_jax.layout import grid as layout
from lleval_jax.layout.grid import Axes, Features
from lleval_jax.renamed import renamed
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Status
from lleval_jax.values.params import PromptParams, coded
from lleval_jax.values.prices import prices_of
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Choice, FitResult, Source
from lleval_jax.values.sparse import SparseResponses, as_dense

DRAWS = 1000
ROUNDS = 3  # the last of them fits with how fractional answers scatter, which those before learn


@renamed(dtype="precision", reference="ll.prompts.published.fit")
def fit(
    responses: Responses | SparseResponses,
    *,
    row_features: Features | None = None,
    item_features: Features | None = None,
    models: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    draws: int = DRAWS,
    room: int = 0,
    precision: Precision = "float32",
    seed: int = 0,
    strict: bool = False,
    tell: Tell = silent,
    plan: Plan = HERE,
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
        draws: from the posterior.
        room: answers that the grid will have in the end, so that fits on the way share one compilation.
        precision: of the arithmetic, "float32" or "float64".
        seed: of the draws.
        strict: raise `NotConverged` rather than warn.
        tell: called with a word before the fit, which goes in one piece.
        plan: with `out` what was found is kept there, and the same call reads it; its steps are not, since it goes in
            one piece, on one device.

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
    tell(Progress(f"fitting {n:,} prompts x {items:,} examples"))
    found, axes = _solved(grid, row_features, item_features, models, prompts, precision, room, draws, seed, plan)
    end = ended(
        f"the fit of {n} prompts x {items} examples",
        Status(int(found.status)),
        int(found.steps),
        advice="more answers or fewer features help, or float64",
        strict=strict,
        value=float(found.mode.evidence),
        unit="log evidence",
        error=float(found.error),
        counted="sweeps",
    )
    if not np.isfinite(found.sums).all():
        raise NotConverged(
            f"draws of the scores of {n} prompts x {items} examples are not finite in {precision}; use float64"
        )
    params = _params(found, grid, axes)
    named: dict[str, tuple[str, ...]] = {}
    if models is not None and prompts is not None:
        (model, named["models"]), (prompt, named["templates"]) = (coded([*map(str, x)]) for x in (models, prompts))
        params = params._replace(model=model, prompt=prompt)
    return FitResult(
        params=params,
        axes={"prompts": grid.rows, "examples": grid.items, "kinds": axes.kinds, "features": axes.features} | named,
        ended=end,
        method="extended rasch",
        settings={
            "draws": draws,
            "seed": seed,
            "precision": precision,
        },
        source=grid.source.merge(Source(seed=seed, cite=CITE)),
    )


@renamed(budget="k")
def choose(
    responses: Responses | SparseResponses,
    *,
    k: int,
    by: Literal["balanced", "adaptive"] = "balanced",
    quantile: float = 0.5,
    row_features: Features | None = None,
    price: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Choice:
    """The cells to ask next, so that `k` cells of the grid are answered in all; ask again after each batch.

    Args:
        responses: the whole grid, all prompts and examples, with the answers so far; there may be none.
        k: answers in all, those already given included.
        by: "balanced": every prompt and every example about equally often, the paper's plan (its Algorithm 2);
            "adaptive": those that narrow the interval of `quantile` fastest, balanced as long as there is no answer.
        quantile: share in [0, 1] that "adaptive" looks at.
        row_features: as in `fit`, for "adaptive".
        price: of an answer to each prompt, by its name, for "adaptive"; None: all cost the same.
        seed: of what is drawn.

    Raises:
        BadInput: more answers than the grid has cells, a quantile outside [0, 1], prices that do not fit.
    """
    grid = as_dense(responses)
    require_known(by, ("balanced", "adaptive"), "by")
    require(0 <= quantile <= 1, f"quantile {quantile:g} is not in [0, 1]; give a share, such as 0.05")
    n, items = grid.scores.shape
    cost = None if price is None else prices_of(price, grid.rows, "prompts")
    have = int(grid.seen.sum())
    if by == "balanced" or have == 0:
        cells, why = balanced.plan(grid.seen, k, seed=seed), "keeps prompts and examples balanced"
    else:
        require(k <= n * items, f"{k} answers are more than the grid's {n} x {items} cells")
        picture, draws = _picture(grid, row_features, seed)
        share, size = choice.counts(draws, quantile), max(k - have, 0)
        cells = choice.greedy(picture, share, grid.seen, size, cost, seed)
        why = f"narrows the interval of the {100 * quantile:g}% quantile most"
    picked = tuple(tuple(grid.items[j] for j in cells[1][cells[0] == i]) for i in range(n))
    enough = f"{have} answers are given, {k} were asked for"
    whys = (why if len(cells[0]) else enough,) * n
    return Choice(grid.rows, picked, whys, grid.source.merge(Source(seed=seed, cite=CITE)))


def _solved(
    grid: Responses,
    row_features: Features | None,
    item_features: Features | None,
    models: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    dtype: str = "float32",
    room: int = 0,
    draws: int = DRAWS,
    seed: int = 0,
    plan: Plan = HERE,
) -> tuple[kernel.Found, Axes]:
    """A grid laid out and fitted, on the host."""
    rows = layout.matrix(row_features, grid.rows, "prompts")
    columns, _ = layout.matrix(item_features, grid.items, "examples")
    weight = np.asarray(grid.weight, float)
    fractional = bool(((grid.scores > 0) & (grid.scores < 1) & (grid.weight == 1))[grid.seen].any())
    with precise(dtype):
        data, axes = layout.lay_out(grid.scores, grid.seen, weight, rows, columns, models, prompts, dtype, room)
        solver = kernel.Effects(draws, rounds=ROUNDS if fractional else 1)
        facts = {"answers": grid, "features": (rows, columns), "models": models, "prompts": prompts, "draws": draws}
        facts |= {"room": room, "seed": seed, "precision": dtype}
        found = planned.solve(solver, data, jax.random.key(seed), plan=plan, name="prompts.fit", facts=facts)
    return jax.tree.map(np.asarray, found), axes


def _picture(grid: Responses, row_features: Features | None, seed: int) -> tuple[choice.Picture, np.ndarray]:
    """The normal posterior at the mode of the scales, and draws of the scores."""
    n, items = grid.scores.shape
    found, _ = _solved(grid, row_features, None, seed=seed)
    mode: Any = jax.tree.map(lambda x: np.asarray(x, float), found.mode)
    effect, column = mode.effect[:n], mode.column[:items]
    p = expit(float(found.offset) + effect[:, None] + column[None, :])
    information, variance = mode.effects_on_column[:, :items], mode.column_var_given[:items]
    return choice.Picture(mode.covariance, information, variance, p), np.asarray(found.sums) / items


def _require_names(grid: Responses, models: Sequence[str] | None, prompts: Sequence[str] | None) -> None:
    require((models is None) == (prompts is None), "models and prompts go together: give both, one a row, or neither")
    for what, names in (("models", models), ("prompts", prompts)):
        if names is not None:
            require(len(names) == len(grid.rows), f"{what} names {len(names)} rows; the grid has {len(grid.rows)}")


def _params(found: kernel.Found, grid: Responses, axes: Axes) -> PromptParams:
    """Means over the points of the scales' posterior."""
    items, f = len(grid.items), len(axes.features)
    at: Any = jax.tree.map(lambda x: np.asarray(x, float), found.marginals)
    size, example = np.exp(at.point), (at.mass @ at.column)[:items]
    effect, sd = _mixed(at.mass, at.effect, at.effect_var)
    coef = at.coef[:, 1 : 1 + f] * size[:, :1], at.coef_var[:, 1 : 1 + f] * size[:, :1] ** 2
    coef, coef_sd = _mixed(at.mass, *coef)
    low, high = _quantiles(at.mass, size, (0.05, 0.95))
    return PromptParams(
        draws=np.asarray(found.sums / items, np.float32),
        level=np.asarray(float(found.offset) + effect.mean() + example.mean()),
        effect=effect - effect.mean(),
        effect_sd=sd,
        example=example - example.mean(),
        coef=coef,
        coef_sd=coef_sd,
        scale=np.exp(at.mass @ at.point),
        scale_low=low,
        scale_high=high,
        dispersion=np.asarray(float(found.dispersion)),
        answered=grid.n_seen,
        example_var=np.asarray(found.marginals.mass @ found.marginals.column_var)[:items],
    )


def _quantiles(mass: np.ndarray, values: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """Of weighted points, mass (points,) and values (points, k): the first at which so much is reached, (k,) each."""
    order = np.argsort(values, axis=0)
    ordered, reached = np.take_along_axis(values, order, axis=0), np.cumsum(mass[order], axis=0)
    places = [np.minimum((reached < share).sum(0), len(mass) - 1) for share in shares]
    return [ordered[place, np.arange(values.shape[1])] for place in places]


def _mixed(mass: np.ndarray, mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a mixture: mass (points,), mean and var (points, k)."""
    centre = mass @ mean
    return centre, np.sqrt(mass @ (var + (mean - centre) ** 2))
