"""The default estimate: item response curves for what ability explains, kriging for what it leaves over.

Score of model l on item i, binary or fractional (quasi-likelihood; Papke & Wooldridge 1996):

    y_li = p_i(theta_l) + e_li,   p_i(theta) = sigmoid(b_i + a_i . theta),  theta ~ N(0, I),  Var(e_li) = phi p (1 - p)

Item coefficients have a normal prior with learned mean and variance, so 15 models are enough. Two items are near when
models answer them alike, in what ability explains and in what it leaves over. Anchors are the medoids of a K-means on
that embedding (Vivek et al. 2023; Maia Polo et al. 2024), and the residuals of the answered items are carried to the
others by simple kriging (Matheron 1963). How wide the interval must be is learned from models left out of everything,
the choice of their anchors included.

Beyond the calibration models' scores the curves are extrapolated, and may be wrong by the same on all items. That
offset has a prior sd in proportion to how far the estimate lies beyond; the mean residual of the answered items tells
it, as in a doubly robust mean (AIPW; Robins, Rotnitzky & Zhao 1994), and what it leaves open widens the interval.

On the host in float64: with few models and one pattern of answers, compiling would cost more than computing.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from lleval_jax.core.linalg import cluster
from lleval_jax.estimators.tiny.reach import Reach, beyond, reach
from lleval_jax.values.bank import Learned

FACTORS, SWEEPS, NEWTON = 2, 25, 25
STILL = 1e-10  # steps of abilities so short that they have converged
LOCAL, SHRINK = 32, 0.75  # residual directions in the embedding, share of their variance kept
GRID = np.linspace(-3.0, 4.0, 15)  # abilities at which item curves are compared ...
GRID_WEIGHT = (1 + (GRID / 1.5) ** 2) ** -1.5
GRID_WEIGHT /= GRID_WEIGHT.sum()  # ... under a heavy-tailed density: new models are often better
SHIFT = 0.25  # prior variance of a new model's shift common to all items, in logits
RHO = 0.7  # share of the kriged residual that is believed; learning it from few models only adds noise
WIDEN_DF = 4.0  # prior strength of the nominal width, in models
TAIL_DF = 12.0  # degrees of freedom of the interval: some models are unlike all others
BEYOND = 0.25  # prior sd of the curves' common offset, as a share of the way beyond the calibration models' scores
NEAR = 0.3  # a model is outside of what is known if it is by more than so many standard errors of its mean answer
LEFT_OUT_STARTS = 2
REPEATS, WORK = 8, 200_000  # choices of anchors that each fold is tried with, fewer where anchors times items are many
MOST_MODELS, FOLDS, BLOCK = 128, 9, 1024


class Curves(NamedTuple):
    """Two fits of the response model to the same scores.

    coef     (items, 1 + FACTORS)  intercept and slopes, for prediction
    phi      ()                    dispersion of the scores around the curves
    single   (items, 2)            intercept and slope of the one-ability curve, for comparing items
    ability  (models,)             of the models under `single`
    """

    coef: np.ndarray
    phi: np.ndarray
    single: np.ndarray
    ability: np.ndarray


def fit(
    scores: np.ndarray, weight: np.ndarray, full: np.ndarray, k: int, seed: int
) -> tuple[Learned, np.ndarray, np.ndarray, np.ndarray]:
    """Learn from complete answers of calibration models.

    scores (models, items) in [0, 1]; weight (targets, items), each row summing to 1; full (models, targets); k items
    will be asked.  -> what to keep, the anchors (k,), their shares of the first target (k,), and the errors of models
    left out, (used models, targets).
    """
    models = _spread_over_ranking(full[:, 0])
    scores, full = scores[models], full[models]
    fold = np.arange(len(scores)) % min(FOLDS, len(scores))
    times = max(1, min(REPEATS, WORK // (k * weight.shape[1])))
    value, variance = np.empty((2, times, *full.shape))
    for f in range(fold.max() + 1):
        out, rng = fold == f, np.random.default_rng((seed, f + 1))
        curves = fit_curves(scores[~out])
        near = embedding(curves, scores[~out])
        apart, ends = cluster.untied(near, np.random.default_rng(seed)), reach(full[~out])
        for t in range(times):
            index = cluster.medoids(apart, weight[0], k, rng, LEFT_OUT_STARTS)
            found = _predict(curves, near, weight, ends, index, scores[out][:, index])
            value[t, out], variance[t, out] = found[0], found[1] + found[2]
    error = full - value
    squared = (error**2 / (variance + 1e-12)).mean(0)
    widen = np.sqrt((WIDEN_DF + squared.sum(0)) / (WIDEN_DF + len(squared)))
    curves = fit_curves(scores)
    near = embedding(curves, scores)
    index = cluster.medoids(
        cluster.untied(near, np.random.default_rng(seed)), weight[0], k, np.random.default_rng((seed, 0))
    )
    return Learned(models, *curves, widen), index, cluster.shares(near, weight[0], index), error[0]


def predict(
    kept: Learned,
    calibration: np.ndarray,
    weight: np.ndarray,
    targets: np.ndarray,
    answers: np.ndarray,
    seen: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Value and standard error of each target from answers to any items, (models, targets) each.

    calibration  (calibration models, items)  the answers that `fit` saw
    weight       (targets, items);  targets (targets,) says which entries of `kept.widen` they are
    answers, seen (models, items); models with the same seen items are done together
    """
    curves = Curves(kept.coef, kept.phi, kept.single, kept.ability)
    near = embedding(curves, calibration[kept.models])
    ends = reach(calibration[kept.models] @ weight.T)
    value, sd = np.empty((2, len(answers), len(weight)))
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    for j, pattern in enumerate(patterns):
        rows, index = np.flatnonzero(which.ravel() == j), np.flatnonzero(pattern)
        found = _predict(curves, near, weight, ends, index, answers[np.ix_(rows, index)])
        value[rows], sd[rows] = found[0], np.sqrt(found[1] * kept.widen[targets] ** 2 + found[2])
    return value, sd


def fit_curves(scores: np.ndarray) -> Curves:
    """Item curves from complete scores (models, items)."""
    coef, _, phi = _joint_map(scores, FACTORS, 0.05)
    single, ability, _ = _joint_map(scores, 1, 1.0)
    return Curves(coef, np.asarray(phi), single, ability[:, 0])


def embedding(curves: Curves, scores: np.ndarray) -> np.ndarray:
    """(items, coordinates) in which items that are answered alike are near.

    One-ability curves at `GRID`, and the models' residuals, which are mostly noise and so shrunk: with SHRINK = 1 and
    no curves this is K-means on raw answers, with SHRINK = 0 on item parameters; between them beats both.
    """
    single = curves.single
    residual = scores - expit(single[:, 0] + curves.ability[:, None] * single[:, 1])
    local = residual.T @ _directions(residual, LOCAL) / len(scores)
    shape = expit(single[:, :1] + single[:, 1:] * GRID) * np.sqrt(GRID_WEIGHT)
    return np.concatenate([shape, np.sqrt(SHRINK) * local], axis=1)


def _predict(
    curves: Curves, near: np.ndarray, weight: np.ndarray, ends: Reach, index: np.ndarray, answers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answered items, p-IRT of the rest and the kriged residual; the nominal variance, and that of what lies beyond.

    Each (models, targets). Of the mean residual, what kriging does not carry yet counts by its share of certainty,
    t^2 / (t^2 + v), t the prior sd of the offset and v the variance of a mean of so many answers. Outside of what is
    known, answers are as dispersed as the row's own residuals, where that is more than among the known models.
    """
    coef, theta, precision = _abilities(curves, index, answers)
    p = expit(coef[:, 0] + theta @ coef[:, 1:].T)
    spread, residual = p * (1 - p), answers - p[:, index]
    unseen = weight.copy()
    unseen[:, index] = 0
    carry = RHO * _carry(near, unseen, index)
    value = answers @ weight[:, index].T + p @ unseen.T + residual @ carry.T
    gap = beyond(value, ends)
    own = np.maximum((residual**2).mean(1) / np.maximum(spread[:, index].mean(1), 1e-12), curves.phi)[:, None]
    mean_variance = own * spread[:, index].mean(1)[:, None] / len(index) + 1e-12
    trust = (BEYOND * gap) ** 2 / ((BEYOND * gap) ** 2 + mean_variance)
    outside = gap**2 / (gap**2 + NEAR**2 * mean_variance)
    phi = curves.phi + outside * (own - curves.phi)
    believed = trust * (unseen.sum(1) - carry.sum(1))
    columns = []
    for rest, share, more, noise in zip(unseen, carry, believed.T, phi.T, strict=True):
        share = share + more[:, None] / len(index)
        tilt = (rest * spread) @ coef[:, 1:] - (share * spread[:, index]) @ coef[index, 1:]
        ability = (tilt * np.linalg.solve(precision, tilt[..., None])[..., 0]).sum(1) * np.maximum(noise, 1)
        columns.append(ability + noise * (spread @ rest**2 + (spread[:, index] * share**2).sum(1)))
    left = BEYOND * gap * (1 - trust) * (unseen.sum(1) - carry.sum(1))
    plain = outside * mean_variance * unseen.sum(1) ** 2  # out there curves are not known to be better than a mean
    variance = np.maximum(np.stack(columns, 1), plain)
    return value + believed * residual.mean(1)[:, None], variance, left**2


def _abilities(curves: Curves, index: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients with a shift, (items, 1 + q); abilities of models (models, q) and their posterior precision."""
    coef = np.concatenate([curves.coef, np.ones((len(curves.coef), 1))], axis=1)  # a new model may be better everywhere
    prior = np.append(np.ones(FACTORS), 1 / SHIFT)
    theta, precision = np.zeros((len(answers), len(prior))), np.tile(np.diag(prior), (len(answers), 1, 1))
    for _ in range(NEWTON if len(index) else 0):
        before, (theta, precision) = theta, _ability_step(coef[index], answers, theta, prior)
        if np.abs(theta - before).max(initial=0) < STILL:
            break
    return coef, theta, precision


def each(curves: Curves, near: np.ndarray, index: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What one model will answer to each item, and how far off that may be, from its answers to some.

    near (items, coordinates) of `embedding`; index (k,) of what it answered; answers (k,)  -> mean, variance (items,).
    Residuals of the last BLOCK answers at most are kriged.
    """
    coef, theta, precision = _abilities(curves, index, answers[None])
    p = expit(coef[:, 0] + coef[:, 1:] @ theta[0])
    spread = p * (1 - p)
    ability = spread**2 * (coef[:, 1:] @ np.linalg.inv(precision[0]) * coef[:, 1:]).sum(1)
    mean, late = p, index[-BLOCK:]
    if len(index):
        distance = cluster.squared_distance(near, near[late])
        kernel = np.exp(-distance / (2 * distance.min(1).mean() + 1e-12))
        residual = np.linalg.solve(kernel[late] + np.eye(len(late)), (answers - p[index])[-BLOCK:])
        mean = np.clip(p + RHO * kernel @ residual, 0, 1)
    return mean, curves.phi * spread + ability


def _carry(near: np.ndarray, unseen: np.ndarray, index: np.ndarray) -> np.ndarray:
    """(targets, k) kriging weights of answered residuals for the weighted sums of unseen ones (targets, items).

    Gaussian kernel whose variance is the mean squared distance of an item to its nearest answered one, noise as large
    as the signal. More than BLOCK answered items are kriged in interleaved blocks whose predictions are averaged.
    """
    count, carry = -(-len(index) // BLOCK), np.zeros((len(unseen), len(index)))
    needed = unseen.any(0)
    away, unseen = near[needed], unseen[:, needed]
    for b in range(count):
        block = near[index[b::count]]
        distance = cluster.squared_distance(away, block)
        scale = 2 * (unseen[0] @ distance.min(1)) / max(unseen[0].sum(), 1e-12) + 1e-12
        among = np.exp(-cluster.squared_distance(block, block) / scale)
        carry[:, b::count] = np.linalg.solve(among + np.eye(len(block)), np.exp(-distance / scale).T @ unseen.T).T
    return carry / count


def _joint_map(scores: np.ndarray, factors: int, least_phi: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Joint MAP with learned priors by alternating Newton steps -> coef (items, 1 + factors), ability, phi.

    Unlike `core.irt.joint` it learns a dispersion below the Bernoulli's, which fractional scores need.
    """
    n, size = scores.shape
    first = _logit(scores.mean(1))
    first = (first - first.mean()) / (first.std() + 1e-6)
    theta = first[:, None]
    if factors > 1:
        centred = scores - scores.mean(0)
        rest = _directions(centred - np.outer(first, first @ centred) / n, factors - 1)
        theta = np.concatenate([theta, rest], axis=1)
    centre = np.concatenate([[_logit(scores.mean()), 1.0], np.zeros(factors - 1)])
    variance = np.append(6.0, np.ones(factors))
    least, most = np.append(0.25, np.full(factors, 0.05)), np.append(16.0, np.full(factors, 4.0))
    coef, phi = np.tile(centre, (size, 1)), 1.0
    for sweep in range(SWEEPS):
        design = np.concatenate([np.ones((n, 1)), theta], axis=1)
        for _ in range(1 if sweep else 3):
            p = expit(coef @ design.T)
            hessian = _gram(p * (1 - p) / phi, design) + np.diag(1 / variance)
            gradient = (scores.T - p) @ design / phi - (coef - centre) / variance
            coef = coef + _clipped(np.linalg.solve(hessian, gradient[..., None])[..., 0], 2.0)
        if sweep >= 3:  # the first sweeps run on the starting prior
            centre = np.concatenate([coef[:, :2].mean(0), np.zeros(factors - 1)])
            posterior = np.linalg.inv(hessian).diagonal(0, 1, 2).mean(0)
            variance = np.clip(((coef - centre) ** 2).mean(0) + posterior, least, most)
        theta, _ = _ability_step(coef, scores, theta, np.ones(factors))
        if sweep >= 10:
            p = expit(coef[:, 0] + theta @ coef[:, 1:].T)
            phi = float(np.clip(((scores - p) ** 2).sum() / (p * (1 - p)).sum(), least_phi, 1.0))
        mean, sd = theta.mean(0), theta.std(0) + 1e-6  # fix origin and unit of the abilities
        coef[:, 0] += coef[:, 1:] @ mean
        centre[0] += centre[1:] @ mean
        coef[:, 1:] *= sd
        theta = (theta - mean) / sd
    return coef, theta, phi


def _ability_step(
    coef: np.ndarray, answers: np.ndarray, theta: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One damped Newton step of the abilities (n, q) under N(0, diag 1 / prior), and the posterior precision."""
    slope = coef[:, 1:]
    p = expit(coef[:, 0] + theta @ slope.T)
    precision = _gram(p * (1 - p), slope) + np.diag(prior)
    step = np.linalg.solve(precision, ((answers - p) @ slope - prior * theta)[..., None])[..., 0]
    return theta + _clipped(step, 1.0), precision


def _gram(weight: np.ndarray, design: np.ndarray) -> np.ndarray:
    """sum_j weight_ij design_j design_j' for every i: (rows, columns), (columns, q) -> (rows, q, q)."""
    q = design.shape[1]
    return (weight @ (design[:, :, None] * design[:, None]).reshape(-1, q * q)).reshape(-1, q, q)


def _directions(matrix: np.ndarray, rank: int) -> np.ndarray:
    """Leading left singular vectors times sqrt(n), (n, rank), from the n x n Gram matrix."""
    return np.linalg.eigh(matrix @ matrix.T)[1][:, ::-1][:, :rank] * np.sqrt(len(matrix))


def _spread_over_ranking(full: np.ndarray) -> np.ndarray:
    """Rows to learn from: all, or MOST_MODELS evenly spread over the ranking."""
    if len(full) <= MOST_MODELS:
        return np.arange(len(full))
    rank = np.argsort(full, kind="stable")
    return np.sort(rank[np.linspace(0, len(full) - 1, MOST_MODELS).round().astype(int)])


def _clipped(step: np.ndarray, largest: float) -> np.ndarray:
    return step * np.minimum(1, largest / np.maximum(np.abs(step).max(1, keepdims=True), 1e-12))


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 0.01, 0.99)
    return np.log(p / (1 - p))
