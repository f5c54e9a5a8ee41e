"""Two controls of a fit: shuffled answers must teach nothing, answers drawn from the fit must give it back."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from lleval_jax.core.irt import quadrature
from lleval_jax.curves import curve_of
from lleval_jax.errors import require
from lleval_jax.estimators import irt
from lleval_jax.estimators.trust import residuals
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses
from lleval_jax.values.trust import Recovery, Shuffled

Z95 = 1.959964


def shuffled(fit: FitResult[IrtParams], *, responses: Responses | SparseResponses, seed: int) -> Shuffled:
    """Shuffle each item's answers over the models that gave them, and fit again.

    Difficulties stay, abilities and slopes lose their meaning: what a fit then still gains over the items' means is
    what it makes of noise.
    """
    here = residuals.aligned(fit, responses)
    rng = np.random.default_rng(seed)
    scores, weight = here.scores.copy(), np.array(here.weight)
    for item in range(len(here.items)):
        rows = np.flatnonzero(here.seen[:, item])
        dealt = rng.permutation(rows)
        scores[rows, item], weight[rows, item] = here.scores[dealt, item], here.weight[dealt, item]
    again = _again(fit, _replaced(here, scores, weight), standard_errors=False)
    return Shuffled(_gain(fit, here), _gain(again, here), _rms(fit), _rms(again))


def recovery(fit: FitResult[IrtParams], *, responses: Responses | SparseResponses, seed: int) -> Recovery:
    """Simulate answers at the fitted parameters, the same cells seen, fit again, and compare.

    Abilities are drawn from their posteriors. A scale is a convention, so that truth and refit are compared on one:
    abilities of mean 0 and covariance I over these models. With several dimensions the refit is then turned to the
    truth (Procrustes).
    """
    require("model" in fit.settings, "recovery needs a fit by irt.fit")
    here = residuals.aligned(fit, responses)
    rng, p = np.random.default_rng(seed), fit.params
    root = np.linalg.cholesky(p.ability_cov.astype(float) + 1e-9 * np.eye(p.slope.shape[1]))
    ability = p.ability + np.einsum("rij,rj->ri", root, rng.standard_normal(p.ability.shape))
    chance = p.floor + (p.ceiling - p.floor) * expit(ability @ p.slope.T + p.intercept)
    times = np.maximum(np.rint(here.weight), 1).astype(int)
    scores = np.where(here.seen, rng.binomial(times, chance) / times, 0).astype(np.float32)
    again = _again(fit, _replaced(here, scores, here.weight), standard_errors=True)
    q, dims = again.params, p.slope.shape[1]
    truth = _own_scale(p.slope, p.intercept, ability, np.zeros_like(q.ability_cov), np.zeros_like(q.covariance))
    found = _own_scale(q.slope, q.intercept, q.ability, q.ability_cov, q.covariance[:, : dims + 1, : dims + 1])
    return _compare(found, truth, own_slopes=not curve_of(fit.settings["model"]).shared_slope)


class _Scaled(NamedTuple):
    """Parameters on the scale of these models, with the covariances of slopes and abilities, variance of intercepts."""

    slope: np.ndarray
    intercept: np.ndarray
    ability: np.ndarray
    slope_cov: np.ndarray
    intercept_var: np.ndarray
    ability_cov: np.ndarray


def _compare(found: _Scaled, truth: _Scaled, own_slopes: bool) -> Recovery:
    turn = _procrustes(found.slope, truth.slope)
    slope_var, ability_var = (
        np.diagonal(turn.T @ cov @ turn, axis1=1, axis2=2) for cov in (found.slope_cov, found.ability_cov)
    )
    pairs = {
        "slope": (found.slope @ turn, truth.slope, slope_var),
        "intercept": (found.intercept, truth.intercept, found.intercept_var),
        "ability": (found.ability @ turn, truth.ability, ability_var),
    }
    if not own_slopes:
        del pairs["slope"]
    correlation = {name: _correlation(a, b) for name, (a, b, _) in pairs.items()}
    coverage = {name: float(np.mean(np.abs(a - b) <= Z95 * np.sqrt(v))) for name, (a, b, v) in pairs.items()}
    return Recovery(0.95, correlation, coverage)


def _again(fit: FitResult[IrtParams], responses: Responses, *, standard_errors: bool) -> FitResult[IrtParams]:
    """The same fit of other answers."""
    require(
        fit.settings.get("nodes") in (None, repr(quadrature.default(fit.params.slope.shape[1]))),
        "the fit has nodes of its own; fit with the default nodes to run its controls",
    )
    return irt.fit(responses, standard_errors=standard_errors, **irt.again(fit))


def _replaced(here: Responses, scores: np.ndarray, weight: np.ndarray) -> Responses:
    group = [here.groups[g] for g in here.group]
    return Responses.build(scores, seen=here.seen, weight=weight, rows=here.rows, items=here.items, group=group)


def _gain(fit: FitResult[IrtParams], here: Responses) -> float:
    """Log likelihood an answer above that of the items' means, nats."""
    weight = here.seen * here.weight.astype(float)
    right, asked = (weight * here.scores).sum(0), weight.sum(0)
    mean = np.clip(right / np.maximum(asked, 1e-9), 1e-12, 1 - 1e-12)
    alone = float((right * np.log(mean) + (asked - right) * np.log1p(-mean)).sum())
    return (fit.ended.value - alone) / max(float(asked.sum()), 1e-9)


def _rms(fit: FitResult[IrtParams]) -> float:
    return math.sqrt(float((fit.params.slope**2).sum(1).mean()))


def _own_scale(slope, intercept, ability, ability_cov, covariance) -> _Scaled:
    """The same curves with abilities of mean 0 and covariance I over the models, posterior covariances included."""
    centre, dims = ability.mean(0), ability.shape[1]
    root = np.linalg.cholesky(np.atleast_2d(np.cov(ability.T.astype(float), bias=True)) + ability_cov.mean(0))
    back = np.linalg.inv(root)
    line = np.append(centre, 1.0)
    return _Scaled(
        slope=slope @ root,
        intercept=intercept + slope @ centre,
        ability=(ability - centre) @ back.T,
        slope_cov=root.T @ covariance[:, :dims, :dims] @ root,
        intercept_var=np.einsum("j,ijk,k->i", line, covariance[:, : dims + 1, : dims + 1], line),
        ability_cov=back @ ability_cov @ back.T,
    )


def _procrustes(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(dims, dims) orthogonal turn that brings `found` nearest to `truth` (Schoenemann 1966)."""
    left, _, right = np.linalg.svd(found.T @ truth)
    return left @ right


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel(), b.ravel()
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-9 else 0.0
