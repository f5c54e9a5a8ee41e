"""tinyBenchmarks exactly as published, kept to measure against; `estimators/tiny/score.py` is what to use.

Maia Polo et al. 2024, *tinyBenchmarks: evaluating LLMs with fewer examples*, arXiv:2402.14992, and its code
(`efficbench`, a fork of `py-irt`). Where they differ the code is followed, because it made the figures:
difficulties count once a dimension, abilities have no prior, the best of 2000 noisy ELBOs picks the fit.

Everything but the variational fit runs on the host in float64. A function takes one scenario; items that it
weights unequally come with `weight`, their balance weights (mean 1).
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize
from scipy.special import expit

from lleval_jax.core.precision import jit
from lleval_jax.errors import require
from lleval_jax.types import Array

TINY = 1e-10  # inside the logarithms of the ability's likelihood
STEP = float(np.sqrt(np.finfo(float).eps))  # of scipy's forward differences
NEAR_BEST = 0.0025  # validation error by which a smaller fit may be worse
KMEANS_FITS = 5
KMEANS_STEPS = 300  # at most, as in scikit-learn


class Fit(NamedTuple):
    """Posterior means of the multidimensional 2PL.

    slope       (items, dims)  any sign
    difficulty  (items,)       b, not multiplied by the number of dimensions
    ability     (rows, dims)
    """

    slope: np.ndarray
    difficulty: np.ndarray
    ability: np.ndarray


class Choice(NamedTuple):
    """Result of validating the number of dimensions.

    dims    the chosen number
    errors  (candidates,)  mean absolute error of the predicted scores, averaged over scenarios
    bias    (scenarios,)   the same at `dims`, scenario by scenario: b of `lambda_`
    """

    dims: int
    errors: np.ndarray
    bias: np.ndarray


class Anchors(NamedTuple):
    """Items to ask: `items` (k,), which may repeat, and `omega` (k,), what each stands for, of sum 1."""

    items: np.ndarray
    omega: np.ndarray


def balance_weights(group: np.ndarray) -> np.ndarray:
    """Weights that make a mean over items the mean of the sub-scenarios' means (efficbench, experiments.py).

    `group` (items,) names each item's sub-scenario -> w_i = items / (sub-scenarios * items in i's), (items,).
    """
    _, index, count = np.unique(group, return_inverse=True, return_counts=True)
    return len(index) / (len(count) * count[index])


def binarise(scores: np.ndarray, grid: int = 1000) -> tuple[np.ndarray, float]:
    """1[score > c] with the c that moves the models' means least (efficbench, experiments.py).

    `scores` (rows, items) in [0, 1] of the training models -> the same shape in {0, 1}, and c. The first of
    equal minima over `grid` points from .01 to .99 wins; apply `scores > c` to the models that are tested.
    """
    mean = scores.mean(1)
    points = np.linspace(0.01, 0.99, grid)
    moved = [np.abs((scores > c).mean(1) - mean).mean() for c in points]
    c = float(points[np.argmin(moved)])
    return (scores > c).astype(float), c


class _Guide(NamedTuple):
    """Unconstrained parameters of the mean-field guide, each a vector.

    loc, log_scale       of the normal sites, one after another as `_sites` unravels them
    log_shape, log_rate  (2 dims + 1,) of the Gamma site u: slope's dims, ability's dims, difficulty
    """

    loc: Array
    log_scale: Array
    log_shape: Array
    log_rate: Array


def fit(scores: np.ndarray, dims: int, *, key: Array, epochs: int = 2000, rate: float = 0.1) -> Fit:
    """Multidimensional 2PL by stochastic variational inference (py-irt fork dc3d2a0, `multidim_2pl`).

    logit_ri = sum_d (a_id theta_rd - b_i) = a_i . theta_r - dims * b_i

    Priors: b_i ~ N(mu, 1/u), and theta_rd ~ N(mu_d, 1/u_d), a_id ~ N(mu_d, 1/u_d) for each d; every mu is
    N(0, 10), every u Gamma(1, 1), and 1/u a standard deviation. Guide: independent normals, from (0, 1), and
    Gammas, from (1, 1). Adam on the ELBO at one sample, its rate times .9999 an epoch; kept is what the epoch
    with the best sampled ELBO left behind. float32.

    Args:
        scores: (rows, items) in {0, 1}, all seen.
        dims: of the ability.
        key: of the samples.
        epochs: of all answers.
        rate: Adam's first learning rate.
    """
    with jax.numpy_dtype_promotion("standard"):  # optax raises a float to its integer count
        loc = _fit(jnp.asarray(scores, jnp.float32), jnp.float32(rate), key, dims, epochs)
    slope, difficulty, ability = (np.asarray(loc[site], float) for site in ("slope", "difficulty", "ability"))
    return Fit(slope, difficulty[:, 0], ability)


@functools.partial(jit, static_argnames=("dims", "epochs"))
def _fit(scores: Array, rate: Array, key: Array, dims: int, epochs: int) -> dict[str, Array]:
    adam = optax.scale_by_adam()
    size, sites = _sites(scores, dims)
    normal, gamma = jnp.zeros(size, jnp.float32), jnp.zeros(2 * dims + 1, jnp.float32)
    guide = _Guide(normal, normal, gamma, gamma)

    def epoch(carry, now: tuple[Array, Array]):
        guide, state, best, lowest = carry
        loss, slope = jax.value_and_grad(_loss)(guide, scores, now[0], dims)
        step, state = adam.update(slope, state)
        guide = jax.tree.map(lambda x, dx: x - now[1] * dx, guide, step)
        best = jnp.where(loss < lowest, guide.loc, best)
        return (guide, state, best, jnp.minimum(loss, lowest)), None

    rates = rate * jnp.float32(0.9999) ** jnp.arange(epochs, dtype=jnp.float32)
    first = guide, adam.init(guide), guide.loc, jnp.float32(jnp.inf)
    (_, _, best, _), _ = jax.lax.scan(epoch, first, (jax.random.split(key, epochs), rates))
    return sites(best)


def _sites(scores: Array, dims: int) -> tuple[int, Callable[[Array], dict[str, Array]]]:
    """How many normal variables there are, and the function from a vector of them to named arrays."""
    rows, items = scores.shape
    shapes = {"slope": (items, dims), "difficulty": (items, 1), "ability": (rows, dims)}
    shapes |= {"mean_slope": (dims,), "mean_difficulty": (1,), "mean_ability": (dims,)}
    flat, unravel = ravel_pytree({site: jnp.zeros(shape, jnp.float32) for site, shape in shapes.items()})
    return flat.size, unravel


def _loss(guide: _Guide, scores: Array, key: Array, dims: int) -> Array:
    """-ELBO at one reparameterised sample: log q(z) - log p(z, scores)."""
    normal_key, gamma_key = jax.random.split(key)
    noise = jax.random.normal(normal_key, guide.loc.shape, guide.loc.dtype)
    flat = guide.loc + jnp.exp(guide.log_scale) * noise
    log_u = jax.random.loggamma(gamma_key, jnp.exp(guide.log_shape), dtype=jnp.float32) - guide.log_rate
    log_q = _log_normal(flat, guide.loc, guide.log_scale).sum()
    log_q += _log_gamma(log_u, guide.log_shape, guide.log_rate).sum()
    log_p = _log_gamma(log_u, jnp.float32(0), jnp.float32(0)).sum()
    z = _sites(scores, dims)[1](flat)
    log_sd = {"slope": -log_u[:dims], "ability": -log_u[dims:-1], "difficulty": -log_u[-1:]}
    for site in log_sd:
        mean = z["mean_" + site]
        log_p += _log_normal(mean, jnp.float32(0), jnp.float32(np.log(10))).sum()
        log_p += _log_normal(z[site], mean[None, :], log_sd[site][None, :]).sum()
    logit = z["ability"] @ z["slope"].T - dims * z["difficulty"].T
    return log_q - log_p - (scores * logit - jax.nn.softplus(logit)).sum()


def _log_normal(x: Array, mean: Array, log_sd: Array) -> Array:
    """Log of N(x; mean, sd), elementwise."""
    return -0.5 * jnp.square((x - mean) * jnp.exp(-log_sd)) - log_sd - 0.5 * float(np.log(2 * np.pi))


def _log_gamma(log_u: Array, log_shape: Array, log_rate: Array) -> Array:
    """Log of Gamma(u; shape, rate) from log u, elementwise."""
    shape = jnp.exp(log_shape)
    return shape * log_rate - jax.lax.lgamma(shape) + (shape - 1) * log_u - jnp.exp(log_u + log_rate)


def curve(ability: np.ndarray, fitted: Fit) -> np.ndarray:
    """P(correct) = sigma(sum_d clip(a_d theta_d - b, -30, 30)), clipped before the sum (`item_curve`).

    (..., dims) -> (..., items).
    """
    terms = ability[..., None, :] * fitted.slope - fitted.difficulty[:, None]
    return expit(np.clip(terms, -30, 30).sum(-1))


def ability(scores: np.ndarray, items: np.ndarray, fitted: Fit) -> np.ndarray:
    """Ability without a prior (efficbench, `estimate_ability_parameters`).

    scipy's BFGS on -sum_i y log(p + 1e-10) + (1 - y) log(1 - p + 1e-10), from 0, until the gradient is below
    1e-5 or precision is lost. The gradient is scipy's default, forward differences, all at once. Where few
    items leave the likelihood without a maximum, that end of the search *is* the definition.

    Args:
        scores: (k,) answers of one model, in {0, 1}.
        items: (k,) which items; one that repeats counts as often.
        fitted: of `fit`.

    Returns:
        (dims,).
    """
    part = Fit(fitted.slope[items], fitted.difficulty[items], fitted.ability)
    dims = fitted.slope.shape[1]
    moves = STEP * np.eye(dims + 1, dims, -1)  # first none, then one for each dimension

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p = curve(theta + moves, part)
        values = -(np.log(p + TINY) @ scores + np.log(1 - p + TINY) @ (1 - scores))
        return float(values[0]), (values[1:] - values[0]) / STEP

    return minimize(loss, np.zeros(dims), jac=True, method="BFGS").x


def choose_dims(
    scores: np.ndarray,
    answers: np.ndarray,
    candidates: tuple[int, ...],
    *,
    key: Array,
    weight: np.ndarray | None = None,
    scenario: np.ndarray | None = None,
    epochs: int = 2000,
) -> Choice:
    """The smallest number of dimensions nearly the best on every fifth model (efficbench, experiments.py).

    Fits the other models; a validation model's ability comes from items 0, 2, 4, ..., and is judged by the
    score it predicts on items 1, 3, 5, .... As published, the prediction is balanced and the truth is not.

    Args:
        scores: (rows, items) of the training models, not binarised.
        answers: (rows, items), binarised.
        candidates: dims to try, smallest first.
        key: one fit's samples for each candidate.
        weight: (items,) balance weights; None if all are 1.
        scenario: (items,) 0, 1, ...; None if there is only one.
        epochs: of each fit.
    """
    rows, items = answers.shape
    weight = np.ones(items) if weight is None else weight
    scenario = np.zeros(items, int) if scenario is None else scenario
    held, even = np.arange(0, rows, 5), np.arange(0, items, 2)
    unseen = [1 + 2 * np.flatnonzero(scenario[1::2] == s) for s in range(scenario.max() + 1)]
    table = []  # (candidates, scenarios)
    for dims, k in zip(candidates, jax.random.split(key, len(candidates)), strict=True):
        fitted = fit(np.delete(answers, held, 0), dims, key=k, epochs=epochs)
        predicted = [weight * curve(ability(answers[r, even], even, fitted), fitted) for r in held]
        gaps = [np.stack(predicted)[:, s].mean(1) - scores[held][:, s].mean(1) for s in unseen]
        table.append(np.abs(gaps).mean(1))
    errors = np.mean(table, axis=1)
    chosen = int(np.argmax(errors - errors.min() < NEAR_BEST))
    return Choice(candidates[chosen], errors, table[chosen])


def random(group: np.ndarray, k: int, *, key: Array) -> Anchors:
    """Stratified random items (efficbench, `get_random`).

    Each sub-scenario of `group` (items,) gives k // sub-scenarios items, and the first k mod sub-scenarios of
    them in a random order give one more. All weigh 1/k. In a single sub-scenario one key's draws are nested.
    """
    rng = _generator(key)
    names = rng.permutation(np.unique(group))
    share = k // len(names) + (np.arange(len(names)) < k % len(names))
    pairs = zip(names, share, strict=True)
    drawn = [rng.permutation(np.flatnonzero(group == name))[:size] for name, size in pairs]
    return Anchors(np.concatenate(drawn), np.full(k, 1 / k))


def anchors(features: np.ndarray, weight: np.ndarray, k: int, *, key: Array) -> Anchors:
    """Items nearest to the centres of K-means (efficbench, `get_anchor_points_weights`).

    The best inertia of five runs of K-means, each with one k-means++ start. Two centres may share an item.

    Args:
        features: (items, features): `correctness_features` ("anchor") or `irt_features` ("anchor-irt").
        weight: (items,) balance weights; they weigh the items in K-means, and omega is each cluster's share.
        k: number of anchors.
        key: of the starts.
    """
    require(0 < k <= len(features), f"k={k} anchors were asked for from {len(features)} items")
    weight = weight / weight.sum()
    rng = _generator(key)
    runs = [_lloyd(features, weight, _plus_plus(features, weight, k, rng)) for _ in range(KMEANS_FITS)]
    centres, label, _ = runs[int(np.argmin([inertia for _, _, inertia in runs]))]
    return Anchors(_squared(centres, features).argmin(1), np.bincount(label, weight, minlength=k))


def correctness_features(scores: np.ndarray) -> np.ndarray:
    """An item is the training models' scores on it, not binarised (`get_anchor`): (items, rows)."""
    return scores.T


def irt_features(fitted: Fit) -> np.ndarray:
    """An item is its slopes and difficulty, not multiplied by dims (`sample_items`): (items, dims + 1)."""
    return np.concatenate([fitted.slope, fitted.difficulty[:, None]], axis=1)


def _generator(key: Array) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances.  (n, features) and (m, features) -> (n, m)."""
    return np.maximum((x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)[None, :], 0)


def _plus_plus(x: np.ndarray, weight: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++ (Arthur & Vassilvitskii 2007), each centre the best of 2 + log k draws as in scikit-learn."""
    chosen = [int(rng.choice(len(x), p=weight))]
    near = _squared(x[chosen], x)[0]
    for _ in range(1, k):
        total = np.cumsum(weight * near)
        draws = np.searchsorted(total, rng.random(2 + int(np.log(k))) * total[-1])
        draws = np.minimum(draws, len(x) - 1)
        after = np.minimum(near[None, :], _squared(x[draws], x))
        best = int(np.argmin(after @ weight))
        chosen.append(int(draws[best]))
        near = after[best]
    return x[chosen]


def _lloyd(x: np.ndarray, weight: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Lloyd's iterations, ended as in scikit-learn: centres (k, d), labels (items,), weighted inertia."""
    k, everyone = len(centres), np.arange(len(x))
    tol = 1e-4 * x.var(0).mean()
    before = np.full(len(x), -1)
    for _ in range(KMEANS_STEPS):
        squared = _squared(x, centres)
        label = squared.argmin(1)
        if (label == before).all():
            break
        before = label.copy()
        empty = np.setdiff1d(np.arange(k), label)  # an empty cluster takes the item furthest from its centre
        label[np.argsort(-squared[everyone, label])[: len(empty)]] = empty
        belongs = weight[None, :] * (label[None, :] == np.arange(k)[:, None])
        mass = belongs.sum(1, keepdims=True)
        moved = np.where(mass > 0, belongs @ x / np.where(mass > 0, mass, 1), centres)
        shift, centres = ((moved - centres) ** 2).sum(), moved
        if shift <= tol:
            break
    squared = _squared(x, centres)
    label = squared.argmin(1)
    return centres, label, float(weight @ squared[everyone, label])


def naive(scores: np.ndarray, chosen: Anchors) -> float:
    """Z_w = sum_k omega_k y_k: the anchors' scores (k,), weighted (`calculate_accuracies`)."""
    return float(chosen.omega @ scores)


def pirt(
    scores: np.ndarray,
    chosen: Anchors,
    probability: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    datapart: Literal["weighted", "plain"] = "weighted",
) -> float:
    """p-IRT: (n/N) * seen part + (1 - n/N) * mean of w_i p_i over the unseen (`compute_acc_pirt`).

    Args:
        scores: (k,) the model's scores on the anchors, not binarised.
        chosen: the anchors; n is their number, repeats counted.
        probability: (items,) of `curve` at the model's ability.
        weight: (items,) balance weights; None if all are 1.
        datapart: "weighted" is `naive`, as in the paper's figures; "plain" the mean of w_i y_i, as in the
            paper's text and the package.
    """
    require(datapart in ("weighted", "plain"), f"datapart is {datapart!r}; it is 'weighted' or 'plain'")
    weight = np.ones(len(probability)) if weight is None else weight
    seen = naive(scores, chosen) if datapart == "weighted" else float((weight[chosen.items] * scores).mean())
    share = len(chosen.items) / len(probability)
    unseen = np.delete(weight * probability, chosen.items)
    return share * seen + (1 - share) * float(unseen.mean()) if len(unseen) else seen


def lambda_(b: float, s2: float, n: int, anchors: bool = True) -> float:
    """Share of the naive estimate, b^2 / (v + b^2), v = s2 / n, or s2 / 4n for anchors (`get_lambda`).

    Args:
        b: validation error of the IRT part, `Choice.bias`; a mean absolute error, used as a bias.
        s2: mean over the training models of the variance of their scores over the scenario's items.
        n: number of answers.
        anchors: whether K-means chose them; it is taken to halve the standard error.
    """
    v = s2 / (4 * n if anchors else n)
    return b**2 / (v + b**2)


def gpirt(naive: float, pirt: float, share: float) -> float:
    """gp-IRT: share * Z_w + (1 - share) * Z_p, with the share of `lambda_` (`calculate_accuracies`)."""
    return share * naive + (1 - share) * pirt
