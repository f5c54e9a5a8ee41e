"""PromptEval exactly as published, kept to measure against; `prompts.fit` is what to use.

Maia Polo et al. 2024, *Efficient multi-prompt evaluation of LLMs*, arXiv:2405.17202, and its code (`prompteval`, commit
c238d64). Logit P(Y_ij = 1) = theta_i + beta_j, theta = X gamma, beta = Z psi; one logistic regression over the cells
seen, with the penalty 1/2 |w|^2 + 100 * (log loss), fixed. The code is followed in all that moves its numbers: a last
item of beta = 0, a penalised level, a label flipped where all agree. Its solver (liblinear) stops early at tolerance
1e-4; here the minimum itself is found, on the host, in float64.

`fit` takes and gives what all fits do; `extended_rasch` and what follows are the arrays behind it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from scipy.special import expit

from lleval_jax.errors import NotConverged, require
from lleval_jax.layout.grid import Features
from lleval_jax.values.params import PromptParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Ended, FitResult, Source
from lleval_jax.values.sparse import SparseResponses, as_dense

CITE = ("polo2024prompteval",)
REPLICATES = 50  # bootstrap draws of examples
LEAST = 1e-12  # of a probability
PENALTY = 100.0  # C, the prior variance of every coefficient around 0
COLLINEAR = 1e-6  # share of the variance of covariates that the least direction must have
CLIP = 30.0  # of a logit, before it becomes a probability
EPSILON = 1e-10  # added to both sides of a mean
STEPS = 100


class Rasch(NamedTuple):
    """A fitted model.

    coefficients  (unknowns,)  as the published code orders them: gamma, psi and the level, where there is one
    theta         (rows,)      of the rows, here prompt templates
    beta          (items,)
    level         ()           added to every logit
    """

    coefficients: np.ndarray
    theta: np.ndarray
    beta: np.ndarray
    level: float


def fit(
    responses: Responses | SparseResponses,
    *,
    row_features: Features | None = None,
    item_features: Features | None = None,
    seed: int = 0,
) -> FitResult[PromptParams]:
    """The paper's estimator: one fixed penalty, no residual effects, features as they stand.

    It has no intervals; its `draws` are scores, moved as they move when examples are drawn again (bootstrap).

    Args:
        responses: prompts x examples, answers right or wrong.
        row_features: covariates of the prompts.
        item_features: the same of the examples.
        seed: of the bootstrap.

    Raises:
        BadInput: fewer than two prompts, no answers, answers other than 0 and 1, or features that do not fit or are
            collinear.
        NotConverged: the regression did not converge.
    """
    grid = as_dense(responses)
    require(len(grid.rows) > 1, f"there is {len(grid.rows)} prompt; the spread over prompts needs at least two")
    x, z = (None if f is None else np.asarray(pd.DataFrame(f), float) for f in (row_features, item_features))
    found = extended_rasch(grid.scores, grid.seen, x, z)
    n, items = grid.scores.shape
    nothing = np.zeros(0)
    params = PromptParams(
        draws=_bootstrap(grid, found, x, z, seed).astype(np.float32),
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
        ended=Ended("ok", 0, _log_likelihood(predicted(found), grid)),
        method="prompteval as published",
        settings={"draws": REPLICATES, "seed": seed, "precision": "float64"},
        source=grid.source.merge(Source(seed=seed, cite=CITE)),
    )


def _bootstrap(grid: Responses, found: Rasch, x: np.ndarray | None, z: np.ndarray | None, seed: int) -> np.ndarray:
    """(replicates, rows) the scores found, moved as they move when examples are drawn again."""
    items = grid.scores.shape[1]
    rng, moved = np.random.default_rng(seed), []
    while len(moved) < REPLICATES:
        drawn = rng.integers(0, items, items)
        answers, seen = grid.scores[:, drawn], grid.seen[:, drawn]
        if seen.any():
            again = extended_rasch(answers, seen, x, None if z is None else z[drawn])
            moved.append(scores(again, answers, seen))
    draws = np.array(moved)
    return np.clip(scores(found, grid.scores, grid.seen)[None, :] + draws - draws.mean(0), 0, 1)


def _log_likelihood(p: np.ndarray, grid: Responses) -> float:
    right, wrong = np.log(np.maximum(p, LEAST)), np.log(np.maximum(1 - p, LEAST))
    return float(np.where(grid.seen, grid.scores * right + (1 - grid.scores) * wrong, 0).sum())


def extended_rasch(
    answers: np.ndarray, seen: np.ndarray, x: np.ndarray | None = None, z: np.ndarray | None = None
) -> Rasch:
    """The extended Rasch model (`ExtendedRaschModel.fit`).

    Without covariates the last item's beta is 0; with those of one side nothing is left out; with both there is a
    level.

    Args:
        answers: (rows, items) in {0, 1} where seen.
        seen: (rows, items) bool.
        x: (rows, features) of the rows; None gives each row its own theta.
        z: (items, features) of the items; None gives each item its own beta.

    Raises:
        BadInput: answers are not 0 and 1, shapes do not agree, or covariates are collinear.
    """
    row, item, labels = _cells(answers, seen)
    (rows, items), free = seen.shape, (x is None) + (z is None)
    x = np.eye(rows) if x is None else _covariates(x, rows, "x")
    z = None if z is None else _covariates(z, items, "z")
    if z is None:
        dropped = items - 1 if free == 2 else items  # an index past the end belongs to no item
        w = minimum(x[row], labels, item, dropped)
        beta = np.append(w[x.shape[1] :], np.zeros(items - dropped))
        return Rasch(w, x @ w[: x.shape[1]], beta, 0.0)
    level = np.ones((len(labels), 1 if free == 0 else 0))
    if free:  # each row its own theta: the sparse side of `minimum` comes last, in the published order first
        w = np.roll(minimum(z[item], labels, row, rows), rows)
    else:
        w = minimum(np.hstack([x[row], z[item], level]), labels)
    gamma, psi, rest = np.split(w, [x.shape[1], x.shape[1] + z.shape[1]])
    return Rasch(w, x @ gamma, z @ psi, float(rest.sum()))


def fit_rows(answers: np.ndarray, seen: np.ndarray, x: np.ndarray | None = None) -> Rasch:
    """The ablation without item effects (`LogReg.fit`), arguments as in `extended_rasch`.

    With covariates there is a level. Without, as published, there is none and the last row's coefficient is added to
    every logit, as if it were one: the order of the rows is right and their level is not.
    """
    row, _, labels = _cells(answers, seen)
    rows, items = seen.shape
    given = np.eye(rows) if x is None else np.asarray(x, float)
    require(len(given) == rows, f"x is {given.shape}; give one line for each of the {rows} rows")
    level = np.ones((len(labels), 0 if x is None else 1))
    w = minimum(np.hstack([given[row], level]), labels)
    return Rasch(w, given @ w[: given.shape[1]], np.zeros(items), float(w[-1]))


def predicted(fitted: Rasch) -> np.ndarray:
    """Probability of a right answer, (rows, items)."""
    logits = fitted.theta[:, None] + fitted.beta[None, :] + fitted.level
    return expit(np.clip(logits, -CLIP, CLIP))


def scores(fitted: Rasch, answers: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """X-pIRT: each row's mean over all items, of the answer where seen and the probability elsewhere, (rows,)."""
    return np.where(seen, answers, predicted(fitted)).mean(1)


def average(answers: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The baseline `avg`: each row's mean over what was seen, (rows,); as published, 1 where nothing was."""
    return (np.where(seen, answers, 0).sum(1) + EPSILON) / (seen.sum(1) + EPSILON)


def quantiles(scores: np.ndarray, levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Quantiles of the rows' scores (rows,) at `levels` in [0, 1], between order statistics linearly."""
    return np.percentile(scores, 100 * np.asarray(levels))


def binarise(answers: np.ndarray, cut: float = 0.5) -> np.ndarray:
    """1[answer >= cut], for fractions such as a judge's; the published code fits these and scores the raw ones."""
    return (np.asarray(answers) >= cut).astype(float)


def _cells(answers: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, item and label of each cell seen, row by row; one label is flipped where all are equal."""
    require(answers.shape == seen.shape, f"answers are {answers.shape} and seen is {seen.shape}; give equal shapes")
    row, item = np.nonzero(seen)
    labels = np.asarray(answers[row, item], float)
    other = labels[(labels != 0) & (labels != 1)]
    require(len(labels) > 0, "no cell is seen; PromptEval needs answers to start from")
    require(len(other) == 0, f"an answer is {other[:1]}; PromptEval fits 0 and 1, see `binarise`")
    if np.all(labels == labels[0]):
        flipped = np.random.RandomState(0).choice(len(labels))  # noqa: NPY002, the published draw
        labels[flipped] = 1 - labels[flipped]
    return row, item, labels


def _covariates(x: np.ndarray, size: int, name: str) -> np.ndarray:
    """float64, one line for each of `size`, of full rank together with a level (`check_multicolinearity`)."""
    x = np.asarray(x, float)
    require(x.ndim == 2 and len(x) == size, f"{name} is {x.shape}; give ({size}, features)")
    variance = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    least = variance.min() / max(variance.sum(), np.finfo(float).tiny)
    require(
        least > COLLINEAR,
        f"the least direction of {name} has {least:.1e} of its variance; drop constant and repeated columns, "
        "see `prompts.covariates.pca_filter`",
    )
    return x


def minimum(dense: np.ndarray, labels: np.ndarray, index: np.ndarray | None = None, levels: int = 0) -> np.ndarray:
    """Weights w of least 1/2 |w|^2 + C * sum log(1 + exp(-s w'd)), s = +-1, by Newton's method.

    A cell's design d is a dense part and then one-hot columns. Their block of the Hessian is diagonal, so it is
    eliminated and a step solves for the dense part alone.

    Args:
        dense: (cells, features).
        labels: (cells,) in {0, 1}.
        index: (cells,) which one-hot column is 1; `levels` or more for none. None if there are no such columns.
        levels: number of one-hot columns.

    Returns:
        (features + levels,), dense part first.

    Raises:
        NotConverged: after 100 steps.
    """
    cells, features = dense.shape
    index = np.full(cells, levels) if index is None else index
    has = np.flatnonzero(index < levels)
    first = csr_array(dense)  # one-hot as well, where rows have no covariates
    hot = csr_array((np.ones(len(has)), (has, index[has])), shape=(cells, levels))
    sign = 2 * labels - 1

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (first @ w[:features] + hot @ w[features:])
        return 0.5 * w @ w + PENALTY * np.logaddexp(0, -margin).sum(), margin

    w = np.zeros(features + levels)
    value, margin = loss(w)
    for _ in range(STEPS):
        p = expit(-margin)
        pull, curve = PENALTY * sign * p, PENALTY * p * (1 - p)
        downhill = np.concatenate([np.asarray(first.T @ pull), np.asarray(hot.T @ pull)]) - w
        step = _solve(first, hot, curve, downhill)
        while (new := loss(w + step))[0] > value + 1e-12 * abs(value):
            step = step / 2
        w, (value, margin) = w + step, new
        if np.abs(step).max() < 1e-10 * (1 + np.abs(w).max()):
            return w
    raise NotConverged(f"PromptEval's regression has not converged in {STEPS} steps over {cells} cells")


def _solve(first: csr_array, hot: csr_array, curve: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """(I + D' diag(curve) D)^-1 pull for the design D = [first, hot], through the Schur complement of the hot part."""
    features = first.shape[1]
    weighted = first.multiply(curve[:, None])
    diagonal = 1 + hot.T @ curve
    across = (hot.T @ weighted).toarray()  # (levels, features)
    schur = np.eye(features) + (first.T @ weighted).toarray() - across.T @ (across / diagonal[:, None])
    w = cho_solve(cho_factor(schur), pull[:features] - across.T @ (pull[features:] / diagonal))
    return np.concatenate([w, (pull[features:] - across @ w) / diagonal])
