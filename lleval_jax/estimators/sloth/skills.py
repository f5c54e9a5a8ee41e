"""What a scaling law says of skills: what benchmarks ask, what models and families have, where compute is best spent.

The skills of a law (`sloth.law`) are identified up to a linear map: any rotation predicts the same. As in
Sloth (Maia Polo et al. 2024, arXiv:2412.06540) they are made to have mean 0 and variance 1 over the known models,
turned to simple structure (geomin, which lets them correlate, unless told otherwise), and signed so that larger models
have more of each.

A law may have fewer skills than it was fitted with: a skill whose loadings have gone to zero has no direction, and a
rotation that took it in would turn the others into it. Such a skill is left out, with a `DataWarning`.
"""

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from lleval_jax.core.laws import pooled
from lleval_jax.core.linalg import rotation
from lleval_jax.errors import DataWarning, chosen, outside, require, require_known, require_level
from lleval_jax.estimators.irt.rotation import names
from lleval_jax.estimators.sloth import units
from lleval_jax.estimators.sloth.draws import draws
from lleval_jax.layout.board import inputs
from lleval_jax.values.params import SlothParams
from lleval_jax.values.results import Estimate, FitResult
from lleval_jax.values.trust import Rotation

By = Literal["geomin", "oblimin", "varimax"]
WORDS = {"loading": "logits per SD of the skill", "skill": "sds over models", "efficiency": "sds over models"}
DRAWS = 200  # of the law, for intervals of loadings
STARTS = 24  # of the search for a rotation, which has several local ends
GRID = 400  # sizes tried for a budget
IDLE = 0.05  # logits a standard deviation: skills that load on all benchmarks together by less are left out
OUTSIDE = "outside of the draws"  # status of a value that laws about as likely as the best do not bear out


class _View(NamedTuple):
    """A law's skills in the units that are shown: raw skills become (skill - middle) @ turn.

    turn    (skills, kept)  without those that load on nothing
    middle  (skills,)  raw mean over models
    plain   (benchmarks, kept)  loadings in these units, not yet rotated
    """

    rotation: Rotation
    turn: np.ndarray
    middle: np.ndarray
    plain: np.ndarray


def rotate(law: FitResult[SlothParams], *, by: By = "geomin", seed: int = 0) -> Rotation:
    """Loadings (logits a standard deviation of a skill), skills of the known models and the correlation of skills.

    Args:
        law: from `ll.sloth.fit`.
        by: geomin or oblimin, which let skills correlate, or varimax, which does not.
        seed: of the starts of the search.

    Raises:
        BadInput: an unknown criterion.
    """
    return _view(law, by, seed)[0].rotation


def estimate(
    law: FitResult[SlothParams],
    *,
    of: Literal["loading", "skill", "efficiency"] = "skill",
    by: By = "geomin",
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Skills and what hangs on them, with intervals; the group of an entry is the skill, named by what asks it most.

    Args:
        law: from `ll.sloth.fit`.
        of: "loading": logits that a benchmark moves with a standard deviation of the skill (rows: benchmarks);
            "skill": of the known models, in standard deviations over them (rows: models);
            "efficiency": what a family has beyond the size, tokens and tuning of its models, in the same unit (rows:
            families; `n_seen` is the number of its scores).
        by: how skills are rotated, see `rotate`.
        level: coverage of the intervals. Those of loadings rest on draws of the law around its best (Laplace); the
            others take the law as it is.
        seed: of the rotation's starts and of the draws.

    Raises:
        BadInput: an unknown word, or a level that is none.

    Warns:
        DataWarning: a skill that loads on nothing, which is left out; or a value outside of the interval of the draws,
            which its status says too.
    """
    require_known(of, WORDS, "of")
    require_level(level)
    view, found = _view(law, by, seed)
    seen = law.params.seen
    apart = np.zeros((1, 1), bool)
    if of == "loading":
        *numbers, apart = _loadings(law, view, level, seed)
        rows, count = law.items, seen.sum(0)
        _warn_of(apart)
    elif of == "skill":
        numbers = _normal((found.mean - view.middle) @ view.turn, found.cov, view.turn, level)
        rows, count = law.rows, seen.sum(1)
    else:
        families = np.asarray(law.names("families", law.params.family), object)
        rows = tuple(dict.fromkeys(families.tolist()))
        at = [int(np.flatnonzero(families == row)[0]) for row in rows]
        numbers = _normal(found.family_mean[at] @ view.turn, found.family_cov[at], view.turn, level)
        count = np.array([seen[families == row].sum() for row in rows])
    return Estimate.crossed(
        rows,
        view.rotation.names,
        numbers,
        target=f"{of} ({WORDS[of]})",
        method=f"{law.method}, {by}",
        level=level,
        n_seen=count[:, None],
        status=np.where(apart, OUTSIDE, law.status if view.rotation.converged else "rotation not converged"),
        source=law.source,
    )


def allocate(
    law: FitResult[SlothParams],
    *,
    flops: float | Sequence[float],
    of: Literal["benchmark", "skill"] = "benchmark",
    by: By = "geomin",
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The number of parameters that serves a benchmark, or a skill, best when 6 x parameters x tokens is fixed.

    Scores rise with what size and tokens add to a logit, so that the best size is the same on every benchmark's own
    curve; it is that of an average family, whose own slope in size is left aside. It is sought where models are known:
    between the smallest and the largest size, the fewest and the most tokens. Sloth, section 5.3.

    Args:
        law: from `ll.sloth.fit`.
        flops: training budgets in floating point operations.
        of: what is to be served: each benchmark, or each skill.
        by: how skills are rotated, see `rotate`.
        level: coverage of the intervals, from draws of the slopes given the scores.
        seed: of the draws, and of the rotation's starts.

    Returns:
        One entry a budget and benchmark or skill, in billions of parameters; tokens are the budget over 6 times the
        parameters. Its status says where the best lies at the edge of what is known.

    Raises:
        BadInput: an unknown word, a budget for which no size and tokens are known, or a level that is none.
    """
    budgets = [flops] if isinstance(flops, int | float) else list(flops)
    require_known(of, ("benchmark", "skill"), "of")
    require_level(level)
    p = law.params
    drawn = np.random.default_rng(seed).multivariate_normal(p.slope, p.slope_cov, DRAWS, method="eigh")
    slopes = np.concatenate([p.slope[None], drawn]).reshape(1 + DRAWS, len(pooled.INPUTS), -1)
    raw, beside = np.split(slopes, [p.loading.shape[1]], axis=2)
    if of == "skill":
        view = _view(law, by, seed)[0]
        names, gains = view.rotation.names, np.einsum("dxk,kr->drx", raw, view.turn)
        count = np.full(len(names), p.seen.sum())
    else:
        names, gains = law.items, np.einsum("dxk,jk->djx", raw, p.loading) + np.swapaxes(beside, 1, 2)
        count = p.seen.sum(0)
    entries = []
    for budget in budgets:
        small = max(p.size.min(), budget / 6 / p.tokens.max())
        large = min(p.size.max(), budget / 6 / p.tokens.min())
        bounds = [6 * f(p.size) * f(p.tokens) for f in (np.min, np.max)]
        range_known = f"6 x parameters x tokens lies between {bounds[0]:.2g} and {bounds[1]:.2g}"
        require(small < large, f"a budget of {budget:g} operations is outside of what is known: {range_known}")
        size = np.geomspace(small, large, GRID)
        best = np.argmax(gains @ inputs(size, budget / 6 / size, np.zeros(GRID)).T, axis=2)
        edge = (best[0] == 0) | (best[0] == GRID - 1)
        entries.append((*_around(size[best[0]], size[best[1:]], level), edge))
    *numbers, apart, edge = (np.stack(part) for part in zip(*entries, strict=True))
    _warn_of(apart)
    return Estimate.crossed(
        [f"{budget:.4g}" for budget in budgets],
        names,
        [number / 1e9 for number in numbers],
        target="billions of parameters",
        method=law.method,
        level=level,
        n_seen=count,
        status=np.where(apart, OUTSIDE, np.where(edge, "at the edge of what is known", law.status)),
        source=law.source,
    )


def _view(law: FitResult[SlothParams], by: str, seed: int) -> tuple[_View, units.Skills]:
    criterion, oblique = chosen(rotation.CRITERIA, by, "rotation")
    p = law.params
    found = units.posterior(law, p.slope_cov)
    middle = found.mean.mean(0)
    root = units.root(found.mean, found.cov)
    axes = np.linalg.svd(p.loading @ root)[2].T  # principal ones: where raw skills point is forgotten
    root = _signed(root @ axes, p)
    plain = p.loading @ root
    kept = max(1, int((np.linalg.norm(plain, axis=0) >= IDLE).sum()))  # principal axes: the largest are first
    plain, turn, converged = plain[:, :kept], np.eye(kept), True
    if kept < len(root):
        what = f"{len(root) - kept} of the law's {len(root)} skills load on no benchmark (less than {IDLE} logits)"
        warnings.warn(f"{what} and are left out; {kept} would do", DataWarning, stacklevel=outside())
    if kept > 1:
        random = np.random.default_rng(seed)
        best = rotation.best(plain, criterion, oblique=oblique, rng=random, starts=STARTS)
        turn, converged = best.turn, best.converged
    whole = np.linalg.inv(root).T[:, :kept] @ turn
    loading = rotation.rotated(plain, turn, oblique=oblique)
    order = np.argsort(-(loading**2).sum(0), kind="stable")
    sign = np.where(_by_size(p) @ whole < 0, -1.0, 1.0)
    turn, whole, loading = ((part * sign)[:, order] for part in (turn, whole, loading))
    found_rotation = Rotation(
        by=by,
        turn=turn,
        slope=loading,
        loadings=loading,
        ability=(found.mean - middle) @ whole,
        correlation=turn.T @ turn,
        names=names(np.abs(loading), np.arange(len(law.items)), law.items),
        converged=converged,
    )
    return _View(found_rotation, whole, middle, plain), found


def _by_size(p: SlothParams) -> np.ndarray:
    """(skills,) how raw skills grow with the log of parameters."""
    return p.slope.reshape(len(pooled.INPUTS), -1)[0, : p.loading.shape[1]]


def _signed(root: np.ndarray, p: SlothParams) -> np.ndarray:
    """Columns signed so that each grows with size."""
    return root * np.where(np.linalg.solve(root, _by_size(p)) < 0, -1.0, 1.0)


def _loadings(law: FitResult[SlothParams], view: _View, level: float, seed: int) -> tuple[np.ndarray, ...]:
    """Loadings of laws as likely as this one, each turned to it: (benchmarks, skills) value, low, high, spread."""
    oblique, drawn = rotation.CRITERIA[view.rotation.by][1], []
    found = draws(law, DRAWS, seed)
    for loading, mean, cov in zip(found.law.loading, found.skills.mean, found.skills.cov, strict=True):
        plain = loading @ units.root(mean, cov)
        left, _, right = np.linalg.svd(plain.T @ view.plain, full_matrices=False)
        drawn.append(rotation.rotated(plain @ left @ right, view.rotation.turn, oblique=oblique))
    return _around(view.rotation.loadings, drawn, level)


def _around(value: np.ndarray, drawn: Sequence[np.ndarray] | np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """Value, low, high and spread of a number and of draws of it, (draws, ...), and whether it is outside of them.

    The interval is then stretched to the value: whoever shows it must say so.
    """
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    below, above = np.quantile(drawn, stats.norm.cdf([-1, 1]), axis=0)
    apart = (value < low) | (value > high)
    return value, np.minimum(low, value), np.maximum(high, value), (above - below) / 2, apart


def _warn_of(apart: np.ndarray) -> None:
    """Say how many values laws about as likely as the best do not bear out."""
    if apart.any():
        what = f"{apart.sum()} of {apart.size} values lie outside of the intervals of laws about as likely as the best"
        warnings.warn(
            f"{what}; intervals are stretched to them, and cannot be trusted", DataWarning, stacklevel=outside()
        )


def _normal(mean: np.ndarray, cov: np.ndarray, turn: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """(rows, skills) means, already turned, and covariances of raw skills -> value, low, high, spread."""
    sd = np.sqrt(np.einsum("kj,rkl,lj->rj", turn, cov, turn))
    wide = stats.norm.ppf((1 + level) / 2) * sd
    return mean, mean - wide, mean + wide, sd
