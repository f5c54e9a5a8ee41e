"""`estimate`: what a fit says of ratings, of who wins against whom, and of ranks."""

from statistics import NormalDist

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata

from lleval_jax.core.davidson import ELO, MIDDLE
from lleval_jax.errors import require, require_known, require_level
from lleval_jax.values.params import PairParams
from lleval_jax.values.results import WHOLE, Estimate, FitResult

TARGETS = ("rating", "win", "rank")
DRAWS = 10_000  # of ratings, for ranks
NEAR = 1e-12  # to 0 or 1
Numbers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def estimate(fit: FitResult[PairParams], target: str = "rating", *, level: float = 0.95, seed: int = 0) -> Estimate:
    """Ratings, win probabilities or ranks of all models, with intervals from the fit's covariance.

    Args:
        fit: from `pairwise.fit`.
        target: "rating", in points of Elo about a mean of 1000, where 400 points are odds of ten to one; "win", the
            expected score against each opponent (a tie is half a win), and "all", its mean over all opponents;
            "rank", 1 the highest, with the interval of ranks among ratings drawn from their normal.
        level: of the intervals.
        seed: of those draws.

    Raises:
        BadInput: an unknown target, or a fit of something else.

    Example:
        >>> import lleval_jax as ll
        >>> fit = ll.pairwise.fit(ll.Pairs.build(["a"] * 3, ["b"] * 3, [1, 1, 0]))
        >>> round(float(ll.pairwise.estimate(fit, "win")["a", "b"].value), 3)
        0.667
    """
    require_known(target, TARGETS, "target")
    require(isinstance(fit.params, PairParams), f"this fit ({fit.method}) is none of pairwise.fit")
    require_level(level)
    z, p = NormalDist().inv_cdf((1 + level) / 2), fit.params
    met = p.met.sum(1, keepdims=True)
    groups = (WHOLE, *fit.items) if target == "win" else (WHOLE,)
    found = _wins(p, z) if target == "win" else _ranks(p, level, seed) if target == "rank" else _ratings(p, z)
    return Estimate.crossed(
        fit.rows,
        groups,
        found,
        n_seen=np.concatenate([met, p.met], 1) if target == "win" else met,
        status=fit.status,
        target=target,
        method=fit.method,
        level=level,
        source=fit.source,
    )


def _ratings(p: PairParams, z: float) -> Numbers:
    """(models, 1) in points of Elo."""
    value = (MIDDLE + ELO * p.rating)[:, None]
    sd = ELO * _root(np.diagonal(p.covariance)[: len(value)])[:, None]
    return value, value - z * sd, value + z * sd, sd


def _ranks(p: PairParams, level: float, seed: int) -> Numbers:
    """(models, 1): the rank of the rating, and those among draws."""
    n = len(p.rating)
    drawn = np.random.default_rng(seed).multivariate_normal(p.rating, p.covariance[:n, :n], DRAWS, method="eigh")
    ranks, value = rankdata(-drawn, axis=1), rankdata(-p.rating)
    low, high = np.quantile(ranks, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return tuple(x[:, None] for x in (value, np.minimum(low, value), np.maximum(high, value), ranks.std(0)))  # type: ignore[return-value]


def _wins(p: PairParams, z: float) -> Numbers:
    """(models, 1 + opponents), by the delta method: intervals are symmetric in the logit of the expected score."""
    n = len(p.rating)
    gap = p.rating[:, None] - p.rating
    value, by_gap, by_tie = _expected(gap, p.log_tie)
    own = np.eye(n)
    slope = by_gap[:, :, None] * (own[:, None] - own[None])  # (models, opponents, models)
    if len(p.log_tie):
        slope = np.concatenate([slope, by_tie[:, :, None]], 2)
    others = ~np.eye(n, dtype=bool)
    mean = np.where(others, value, 0).sum(1, keepdims=True) / (n - 1)
    whole = np.where(others[:, :, None], slope, 0).sum(1, keepdims=True) / (n - 1)
    value, slope = np.concatenate([mean, value], 1), np.concatenate([whole, slope], 1)
    sd = _root(np.einsum("rok,kl,rol->ro", slope, p.covariance, slope))
    inner = np.clip(value, NEAR, 1 - NEAR)
    at, half = logit(inner), z * sd / (inner * (1 - inner))
    return value, np.minimum(expit(at - half), value), np.maximum(expit(at + half), value), sd


def _expected(gap: np.ndarray, log_tie: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected score of the first, a tie being half a win, and its slopes by gap and by log_tie."""
    if not len(log_tie):
        return expit(gap), expit(gap) * expit(-gap), np.zeros_like(gap)
    up, tie, down = np.exp(gap / 2), np.exp(log_tie[0]), np.exp(-gap / 2)
    whole = up + tie + down
    value = (up + tie / 2) / whole
    by_gap = (up / 2 - value * (up - down) / 2) / whole
    by_tie = tie * (0.5 - value) / whole
    return value, by_gap, by_tie


def _root(variance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(variance, 0))
