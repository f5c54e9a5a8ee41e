"""The numbers behind PEPR: log-probabilities as columns, and the fits of their weights, one or thousands at once."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from lleval_jax.core.precision import jit
from lleval_jax.core.shapes import pad, rung
from lleval_jax.core.solvers import simplex
from lleval_jax.core.solvers.loop import Solution
from lleval_jax.errors import require
from lleval_jax.estimators.pepr import linearity
from lleval_jax.types import Array, Status
from lleval_jax.values.logprobs import LogProbs

Kind = Literal["texts", "pairs"]
RIDGES = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # what "auto" tries
FOLDS = 5
GRID = 25  # scales tried at once
SCALES = (1e-3, 1e2)  # between which the scale of pairs is sought
ROOM = 1 << 23  # numbers that fits done at once may hold
SURE = 1e-6  # least curvature of a pair, in units of the largest


class Table(NamedTuple):
    """What goes to the device.

    columns  (texts, groups)  log-probability under each different element, less `level`
    target   (texts,)         under the full prompt, less `level`; of pairs the level itself
    fitted   (texts,)         1 where a text teaches the weights
    """

    columns: Any
    target: Any
    fitted: Any


class Work(NamedTuple):
    """A table and what belongs to it on the host.

    kind    texts or pairs
    table   with numpy arrays
    share   (texts,)                  the mean score is share @ each
    mass    (texts,)                  how much of the mean a text is; with sum one
    each    (texts, elements)         log-probabilities, of pairs differences
    level   (texts,)                  mean of the different elements
    sides   (sides, texts, groups)    the columns before differences are taken
    joint   (texts, subsets)          log-probabilities under combinations, of pairs differences
    expand  (elements, groups)        weight of an element from that of its group: shared evenly
    """

    kind: Kind
    table: Table
    share: np.ndarray
    mass: np.ndarray
    each: np.ndarray
    level: np.ndarray
    sides: np.ndarray
    joint: np.ndarray
    expand: np.ndarray

    @property
    def twin(self) -> np.ndarray:
        """(elements,) the group of each."""
        return self.expand.argmax(1)


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


def prepare(data: LogProbs, per: str) -> Work:
    """Columns of comparable texts, equal elements merged.

    Raises:
        BadInput: lengths are needed and missing, no text was scored under the full prompt, or too few.
    """
    joint, seen, desired = data.joint, data.seen, data.desired
    size, mass = _sizes(data, per)
    single, joint = data.single / size[:, :, None], joint / size[:, :, None]
    group = _groups(single[0] - single[-1] if data.pairs else single[0])
    count = np.bincount(group)
    expand = (group[:, None] == np.arange(len(count))[None, :]) / count[None, :]
    different = single[:, :, [int((group == g).argmax()) for g in range(len(count))]]
    level = different.mean(2)
    sides = different - level[:, :, None]
    each, columns, middle, together = (_difference(part) for part in (single, sides, level, joint))
    whole = np.flatnonzero(data.member.all(1))
    if data.pairs:
        target, fitted = middle, np.ones(len(data.texts), bool)
    else:
        require(len(whole) > 0, "no text was scored under the full prompt; rows with element 'full' are needed")
        target, fitted = together[:, whole[0]] - middle, seen[:, whole[0]]
    scored = "scored as pairs" if data.pairs else "scored under the full prompt"
    k, n = len(count), int(fitted.sum())
    require(
        n > k, f"{n} texts were {scored}; {k} different elements need {k + 1} at least, ten times as many is better"
    )
    require(bool(desired.any()), "no text is desired; the score is the mean of those that are")
    table = Table(columns, np.where(fitted, target, 0), fitted.astype(float))
    mass = mass * desired / (mass @ desired)
    share = mass / size[0] if per == "length" else mass
    return Work("pairs" if data.pairs else "texts", table, share, mass, each, middle, sides, together, expand)


def run(work: Work, ridge: float | str, scale: float | str, draws: int, seed: int) -> Found:
    """The fit, its draws, and the same fit free of the sign constraint. Call inside `jax.enable_x64(True)`."""
    table, kind = work.table, work.kind
    n, k = table.columns.shape
    rows = rung(n)
    here = Table(*(jnp.asarray(pad(part, (rows, *part.shape[1:]))) for part in table))
    count = jnp.asarray(1 / work.expand.max(0))
    fits = functools.partial(_fits, kind, here, count)
    nuisance = np.zeros((n, 0))
    if scale == "auto":
        scale, weight = _best_scale(fits, here)
        nuisance = _logits(table, weight, scale)[:, None]
    scale = float(scale)
    penalty = _best_ridge(fits, table, here, scale, kind, seed) if ridge == "auto" else float(ridge)
    first, drawn, value = _draw(fits, work, here, penalty, scale, draws, seed)
    weight = np.asarray(first.x) / np.asarray(first.x).sum()
    loss, residual, curvature = pieces(kind, table, weight, scale)
    use = table.fitted > 0
    freed = linearity.free(scale * table.columns[use], residual[use], curvature[use], weight, nuisance[use])
    pull = np.zeros((n, k))
    pull[use] = freed.pull
    df = float(use.sum() - (k - 1) - nuisance.shape[1])
    return Found(
        weight=weight,
        freed=freed._replace(pull=pull),
        drawn_weight=drawn,
        drawn_value=value,
        ridge=penalty,
        scale=scale,
        loss=loss[use],
        steps=int(first.steps),
        status=Status(int(first.status)),
        df=df,
        free_scale=nuisance.shape[1] > 0,
    )


def pieces(kind: Kind, table: Table, weight: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(texts,) loss, residual and curvature."""
    if kind == "texts":
        residual = table.target - table.columns @ weight
        return residual**2, residual, np.ones(len(residual))
    z = _logits(table, weight, scale)
    p = expit(z)
    return np.logaddexp(0, -z), 1 - p, p * (1 - p)


def pattern_p(work: Work, found: Found, seed: int, draws: int) -> float:
    """Probability of a pattern like that in the residuals if the weighted mean holds (`linearity.pattern`)."""
    table, use, rng = work.table, work.table.fitted > 0, np.random.default_rng(seed)
    columns = found.scale * table.columns[use] @ linearity.sum_zero(len(found.weight))
    fitted = work.sides[:, use] @ found.weight
    extra = linearity.quadratics(work.sides[:, use], work.level[use], fitted)
    if work.kind == "texts":
        residual = found.freed.after
        sign = rng.choice([-1.0, 1.0], (draws, len(residual)))
        return linearity.pattern(columns, extra, residual, sign * residual / np.sqrt(1 - found.freed.leverage))
    if found.free_scale:
        columns = np.column_stack([columns, _logits(table, found.weight, found.scale)[use]])
    _, residual, curvature = pieces(work.kind, table, found.weight, found.scale)
    root = np.sqrt(np.maximum(curvature[use], 1e-12))
    again = (rng.random((draws, len(root))) >= residual[use]) - (1 - residual[use])
    turn = root[:, None]
    return linearity.pattern(columns * turn, extra * turn, residual[use] / root, again / root)


def subset_p(data: LogProbs, work: Work, found: Found) -> np.ndarray:
    """(subsets,) `linearity.subset_p` of each combination but the one that was fitted, times how many there are."""
    expand, freed = work.expand, found.freed
    pull = freed._replace(weight=expand @ freed.weight, pull=freed.pull @ expand.T)
    out = np.ones(len(data.member))
    for s, members in enumerate(data.member):
        share = work.share * data.seen[:, s]
        fitted = members.all() and not data.pairs
        if members.sum() > 1 and not fitted and (share > 0).sum() > 1:
            observed = np.where(data.seen[:, s], work.joint[:, s], 0)
            out[s] = linearity.subset_p(observed, work.each, share, pull, members, found.df)
    return np.minimum(out * max(1, (out < 1).sum()), 1)


def explained(work: Work, found: Found) -> np.ndarray:
    """(2,) share of variance, or for pairs of the log loss: of all, and beyond the plain mean of the"""
    table, use = work.table, work.table.fitted > 0
    k = table.columns.shape[1]
    plain = pieces(work.kind, table, np.full(k, 1 / k), found.scale)[0][use].sum()
    whole = use.sum() * np.log(2)
    if work.kind == "texts":
        full = (table.target + work.level)[use]
        whole = ((full - full.mean()) ** 2).sum()
    left = found.loss.sum()
    return np.array([1 - left / base if base > 0 else 1.0 for base in (whole, plain)])


def loglik(work: Work, found: Found) -> float:
    """Log likelihood reached: of pairs, or with normal errors of the variance found."""
    if work.kind == "pairs":
        return -float(found.loss.sum())
    return -0.5 * len(found.loss) * float(np.log(2 * np.pi * max(found.loss.mean(), 1e-300)) + 1)


def _sizes(data: LogProbs, per: str) -> tuple[np.ndarray, np.ndarray]:
    """(sides, texts) what log-probabilities are divided by, and (texts,) how much each text counts in the mean."""
    if per == "text":
        return np.ones((len(data.single), len(data.texts))), np.ones(len(data.texts))
    what = "tokens_preferred and tokens_rejected" if data.pairs else "tokens"
    require(data.tokens is not None, f"per={per!r} needs the texts' lengths: there is no column {what}")
    tokens = np.asarray(data.tokens, float)
    if per == "token":
        return tokens, np.ones(len(data.texts))
    require(not data.pairs, "per='length' has no meaning for pairs, whose texts have two lengths; take 'token'")
    return np.sqrt(tokens), tokens[0]


def _groups(each: np.ndarray) -> np.ndarray:
    """(elements,) one number for all elements with the same log-probabilities."""
    near = 1e-9 * (1 + np.abs(each).max(initial=0))
    group = np.full(each.shape[1], -1)
    for k in range(each.shape[1]):
        same = [j for j in range(k) if np.abs(each[:, j] - each[:, k]).max() <= near]
        group[k] = group[same[0]] if same else group.max() + 1
    return group


def _difference(sides: np.ndarray) -> np.ndarray:
    return sides[0] - sides[1] if len(sides) == 2 else sides[0]


def _logits(table: Table, weight: np.ndarray, scale: float) -> np.ndarray:
    """(texts,) of pairs."""
    return scale * (table.target + table.columns @ weight)


def _draw(
    fits: Any, work: Work, here: Table, penalty: float, scale: float, draws: int, seed: int
) -> tuple[Solution, np.ndarray, np.ndarray]:
    """The fit of all texts, and (draws, groups) fits and (draws, elements) mean scores of texts weighted by Exp(1)."""
    rng, (rows, k) = np.random.default_rng(seed), here.columns.shape
    size = max(1, min(draws + 1, ROOM // (rows * k)))
    parts, values = [], []
    for start in range(0, draws + 1, size):
        often = rng.standard_exponential((size, len(work.share)))
        often[0] = 1 if start == 0 else often[0]
        lanes = pad(work.table.fitted * often, (size, rows))
        parts.append(fits(lanes, np.full(size, penalty), np.full(size, scale)))
        values.append((work.share * often) @ work.each / (often @ work.mass)[:, None])
    many = jax.tree.map(lambda *x: np.concatenate(x)[: draws + 1], *parts)
    return jax.tree.map(lambda x: x[0], many), many.x[1:], np.concatenate(values)[1 : draws + 1]


def _best_scale(fits: Any, here: Table) -> tuple[float, np.ndarray]:
    """The scale at which pairs are most probable, and the weights there: a grid, three times finer around its best."""
    low, high = ends = np.log(SCALES)
    lanes = jnp.broadcast_to(here.fitted[None], (GRID, len(here.fitted)))
    for _ in range(4):
        grid = np.linspace(low, high, GRID)
        found = fits(lanes, np.zeros(GRID), np.exp(grid))
        best = int(np.asarray(found.value).argmin())
        low, high = np.clip(grid[best] + 1.5 * (grid[1] - grid[0]) * np.array([-1, 1]), *ends)
    return float(np.exp(grid[best])), np.asarray(found.x)[best]


def _best_ridge(fits: Any, table: Table, here: Table, scale: float, kind: Kind, seed: int) -> float:
    """The penalty with the least loss on texts left out, in `FOLDS` parts."""
    use = np.flatnonzero(table.fitted)
    fold = np.full(len(table.fitted), -1)
    fold[use] = np.random.default_rng(seed).permutation(len(use)) % FOLDS
    taught = np.stack([(fold != f) & (fold >= 0) for f in range(FOLDS)])
    lanes = jnp.asarray(np.repeat(pad(taught.astype(float), (FOLDS, len(here.fitted))), len(RIDGES), axis=0))
    weights = np.asarray(fits(lanes, jnp.asarray(RIDGES * FOLDS), jnp.full(len(lanes), scale)).x)
    loss = np.zeros(len(RIDGES))
    for lane, weight in enumerate(weights):
        f, r = divmod(lane, len(RIDGES))
        loss[r] += pieces(kind, table, weight, scale)[0][fold == f].sum()
    return RIDGES[int(loss.argmin())]


@functools.partial(jit, static_argnames="kind")
def _fits(kind: Kind, table: Table, count: Array, weight: Array, penalty: Array, scale: Array) -> Solution:
    """Fits to the same texts under many (fits, texts) weights, (fits,) penalties and scales."""
    return jax.vmap(functools.partial(_fit_one, kind, table, count))(weight, penalty, scale)


def _fit_one(kind: Kind, table: Table, count: Array, weight: Array, penalty: Array, scale: Array) -> Solution:
    """One fit. count (groups,) says how many elements each column stands for; they are punished as so many."""
    columns = table.columns
    weight = weight / jnp.sum(weight)
    start = count / jnp.sum(count)
    even = jnp.mean(jnp.sum(table.fitted[:, None] * columns**2, 0)) / jnp.sum(table.fitted)
    unit = jnp.where(even > 0, even, 1)
    pull = jnp.diag(penalty / count)
    if kind == "texts":
        turned = weight[:, None] * columns / unit
        return simplex.minimise(simplex.Quadratic(turned.T @ columns + pull, turned.T @ table.target), start)
    pull = pull * scale**2 * unit / 4

    def value(x: Array) -> Array:
        z = scale * (table.target + columns @ x)
        return weight @ jax.nn.softplus(-z) + 0.5 * x @ pull @ x

    def quadratic(x: Array) -> simplex.Quadratic:
        z = scale * (table.target + columns @ x)
        p = jax.nn.sigmoid(z)
        curve = weight * jnp.maximum(p * (1 - p), SURE) * scale**2
        gram = (curve[:, None] * columns).T @ columns + pull
        gradient = -scale * (weight * jax.nn.sigmoid(-z)) @ columns + pull @ x
        return simplex.Quadratic(gram, gram @ x - gradient)

    return simplex.minimise(simplex.Smooth(value, quadratic), start)
