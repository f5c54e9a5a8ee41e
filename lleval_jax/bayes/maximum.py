"""What a maximum likelihood fit says of the same quantities, by the delta method: to compare posteriors with."""

from statistics import NormalDist

import numpy as np
from scipy.special import expit

from lleval_jax.errors import require, require_known
from lleval_jax.values.params import IrtParams
from lleval_jax.values.results import WHOLE, Estimate, FitResult


def estimate(fit: FitResult[IrtParams], target: str = "rate", *, level: float = 0.95) -> Estimate:
    """Abilities, or mean probabilities of a right answer, with normal intervals that take the items as known.

    Args:
        fit: from `irt.fit`.
        target: "rate" or "ability", as of a `Posterior`.
        level: of the intervals.

    Raises:
        BadInput: another kind of fit, another target, or rates of answers that are graded or continuous.
    """
    require(isinstance(fit.params, IrtParams), f"this fit ({fit.method}) is none of irt.fit")
    require_known(target, ("rate", "ability"), "target")
    require(
        fit.params.answers is None or target == "ability",
        "rates by the delta method are of answers that are right or wrong; of graded and continuous ones ask for "
        "'ability', or calibrate a bank of the fit and estimate with it",
    )
    p, groups = fit.params, fit.axes["groups"]
    if target == "ability":
        value, variance = p.ability, np.diagonal(p.ability_cov, axis1=1, axis2=2)
        dims = value.shape[1]
        names = (WHOLE,) if dims == 1 else tuple(f"ability-{d + 1}" for d in range(dims))
    else:
        share = np.ones((1, len(p.group))) / len(p.group)
        if len(groups) > 1:
            member = np.arange(len(groups))[:, None] == p.group
            share = np.concatenate([share, member / np.maximum(member.sum(1, keepdims=True), 1)])
        curve = expit(p.ability @ p.slope.T + p.intercept)
        value = (p.floor + (p.ceiling - p.floor) * curve) @ share.T
        slope = np.einsum("ri,id,gi->rgd", (p.ceiling - p.floor) * curve * (1 - curve), p.slope, share)
        variance = np.einsum("rgd,rde,rge->rg", slope, p.ability_cov, slope)
        names = (WHOLE, *groups) if len(groups) > 1 else (WHOLE,)
    sd = np.sqrt(np.maximum(variance, 0))
    half = NormalDist().inv_cdf((1 + level) / 2) * sd
    return Estimate.crossed(
        fit.rows,
        names,
        (value, value - half, value + half, sd),
        n_seen=np.reshape(p.n_seen, (-1, 1)),
        status=fit.status,
        target=target,
        method=f"{fit.method}, delta method",
        level=level,
        source=fit.source,
    )
