"""One scale for two banks: old ability = scale * new ability + shift (Kolen & Brennan 2014, chapter 6).

Mean/mean (Loyd & Hoover 1980), mean/sigma (Marco 1977), Haebara (1980) and Stocking & Lord (1983) by common items,
concurrent calibration by a fit of all answers; without common items the line through the common models.
Standard errors are jackknifed over items or models, for both drift between versions by more than their own standard
errors (those alone: Battauz 2015), and each is one draw of that drift.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from lleval_jax.core.irt import quadrature
from lleval_jax.errors import BadInput, require, require_known, require_level
from lleval_jax.estimators.irt import ability, calibration
from lleval_jax.estimators.irt.kind_items import refuse
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.findings import Linked
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Estimate

FEWEST = 3  # common items or models that a line with an error takes
STEEP = 0.05  # slope below which an item has no difficulty to speak of: mean/mean and mean/sigma leave it out
NODES = quadrature.Grid(41, 4.0)
Method = Literal["stocking-lord", "haebara", "mean-sigma", "mean-mean", "concurrent"]


def link(
    old: ItemBank,
    new: ItemBank,
    *,
    answers_old: Responses | None = None,
    answers_new: Responses | None = None,
    by: Method = "stocking-lord",
    level: float = 0.95,
) -> Linked:
    """Put the new bank's scale on the old one's.

    By the items that both banks know; where these are fewer than three, by the models that have answers to both.

    Args:
        old: the bank whose scale stays.
        new: the bank that is moved.
        answers_old: answers to the old bank; by default those of its calibration models.
        answers_new: answers to the new bank; likewise.
        by: how common items are compared. "concurrent" fits all answers at once and reads the link off that fit;
            with common models alone the others are one method, the line through their abilities. Its interval is as
            wide as that of the link by the common items or models, whose drift it averages likewise. Mean/sigma and
            Haebara take errors for spread: where one bank's items are noisier and common items many, their scale is
            biased by more than its interval; Stocking-Lord and mean/mean add the items up first and are not.
        level: coverage of the intervals, which are Student's.

    Raises:
        BadInput: more than one ability, an unknown method, neither common items nor common models, or no answers
            where they are needed.
    """
    require_known(by, (*CURVES, *MOMENTS, "concurrent"), "method")
    require_level(level)
    most = max(old.dims, new.dims)
    require(most == 1, f"a bank has {most} abilities; scales are linked in one dimension. Calibrate both with dims=1")
    for bank in (old, new):
        refuse(bank.answers, f"bank {bank.name!r}", "linking scales")
    known = set(new.items)
    items = tuple(item for item in old.items if item in known)
    common, kind = items, "items"
    if len(items) >= FEWEST:
        parts = _part(old, items), _part(new, items)
        if by in MOMENTS:
            common = tuple(item for item, use in zip(items, _steep(*parts, by), strict=True) if use)
            parts = _part(old, common), _part(new, common)
        found = _by_items(*parts, _nodes(old), "stocking-lord" if by == "concurrent" else by)
        if by != "concurrent":
            return _linked(*found, common, kind, by, new, level)
    one, two = _answers(old, answers_old), _answers(new, answers_new)
    shared = set(one.rows) & set(two.rows) if one is not None and two is not None else set()
    require(
        len(shared) >= FEWEST or len(items) >= FEWEST,
        f"banks {old.name!r} and {new.name!r} have {len(items)} common items and {len(shared)} common models; a link "
        f"takes {FEWEST} of either. Pass answers of models that took both as answers_old and answers_new",
    )
    if one is None or two is None:
        raise BadInput("a concurrent link takes the answers to both banks: pass answers_old and answers_new")
    if len(items) < FEWEST:
        common, kind = tuple(row for row in one.rows if row in shared), "models"
        found = _by_models(old, new, *(a.take([a.rows.index(m) for m in common]) for a in (one, two)))
    method = by if by == "concurrent" else "line through common models"
    x, left, drift = found
    x = _concurrent(old, new, one.merge(two)) if by == "concurrent" else x
    return _linked(x, left, drift, common, kind, method, new, level)


def transform(bank: ItemBank, scale: float, shift: float) -> ItemBank:
    """The bank with abilities moved to scale * ability + shift; every probability stays what it was."""
    turn = np.array([[1 / scale, 0], [-shift / scale, 1]])
    return dataclasses.replace(
        bank,
        slope=bank.slope / scale,
        intercept=bank.intercept - bank.slope[:, 0] * shift / scale,
        covariance=turn @ bank.covariance @ turn.T,
        prior_mean=scale * bank.prior_mean + shift,
        prior_cov=scale**2 * bank.prior_cov,
    )


def _linked(
    x: NDArray, left: NDArray, drift: float, common: Sequence[str], kind: str, method: str, new: ItemBank, level: float
) -> Linked:
    """The result, from (scale, shift) and what they are without each item or model, (n, 2)."""
    n = len(left)
    gap = left - left.mean(0)
    covariance = (n - 1) / n * gap.T @ gap
    error = np.sqrt(np.diag(covariance))
    half = stats.t.isf((1 - level) / 2, max(len(common) - 2, 1)) * error
    estimate = Estimate(
        target="link of two scales",
        method=method,
        rows=("scale", "shift"),
        group=("all", "all"),
        value=x,
        low=x - half,
        high=x + half,
        level=level,
        std_error=error,
        n_seen=np.full(2, len(common)),
        status=("ok", "ok"),
        source=new.source,
    )
    scale, shift = map(float, x)
    moved = transform(new, scale, shift)
    return Linked(scale, shift, covariance, tuple(common), kind, method, drift, moved, estimate)


@dataclasses.dataclass(frozen=True, eq=False)
class _Items:
    """Common items of one bank; arrays (items,), and the covariance (items, 2, 2)."""

    slope: NDArray
    intercept: NDArray
    floor: NDArray
    ceiling: NDArray
    covariance: NDArray


def _part(bank: ItemBank, items: tuple[str, ...]) -> _Items:
    place = {item: i for i, item in enumerate(bank.items)}
    at = np.array([place[item] for item in items])
    parts = bank.slope[at, 0], bank.intercept[at], bank.floor[at], bank.ceiling[at], bank.covariance[at]
    return _Items(*(np.asarray(p, float) for p in parts))


def _nodes(bank: ItemBank) -> tuple[NDArray, NDArray]:
    """Abilities of the old bank's calibration models, and their shares."""
    nodes, log_weight = NODES.nodes(1)
    return bank.prior_mean[0] + np.sqrt(bank.prior_cov[0, 0]) * nodes[:, 0], np.exp(log_weight)


def _by_items(old: _Items, new: _Items, nodes: tuple[NDArray, NDArray], by: str) -> tuple[NDArray, NDArray, float]:
    """(scale, shift), the same without each item (items, 2), and the items' drift."""
    if by in MOMENTS:
        x, left = _jackknife(MOMENTS[by], *(v for p in (old, new) for v in (p.slope, -p.intercept / p.slope)))
    else:
        x, left = CURVES[by](old, new, nodes)
    _require_scale(x, left, "items")
    centre = np.array([float((nodes[0] * nodes[1]).sum()), 1.0])
    there = np.array([(centre[0] - x[1]) / x[0], 1.0])
    moved = new.slope * there[0] + new.intercept - old.slope * centre[0] - old.intercept
    error = sum(np.einsum("a,iab,b->i", v, part.covariance, v) for v, part in ((centre, old), (there, new)))
    spread = (1.4826 * np.median(np.abs(moved - np.median(moved)))) ** 2
    return x, left, float(np.sqrt(max(spread - np.median(error), 0)))


def _require_scale(x: NDArray, left: NDArray, kind: str) -> None:
    fine = bool(np.isfinite(x).all() and np.isfinite(left).all() and x[0] > 0)
    why = f"the common {kind} do not differ, or the two banks order models differently"
    require(fine, f"the link's scale comes out as {x[0]:.3g}: {why}")


def _steep(old: _Items, new: _Items, by: str) -> NDArray:
    """(items,) those that rise in both banks, so that they have a difficulty."""
    use = (old.slope > STEEP) & (new.slope > STEEP)
    require(use.sum() >= FEWEST, f"{use.sum()} common items rise in both banks; {by} takes {FEWEST}. Use stocking-lord")
    return use


def _jackknife(found: Callable[..., NDArray], *columns: NDArray) -> tuple[NDArray, NDArray]:
    """A statistic of columns (n,), and the same without each place (n, 2); not finite where columns do not vary."""
    n = len(columns[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return found(*columns), np.array([found(*(np.delete(c, i) for c in columns)) for i in range(n)])


def _mean_sigma(_a: NDArray, difficulty_old: NDArray, _b: NDArray, difficulty_new: NDArray) -> NDArray:
    scale = difficulty_old.std() / difficulty_new.std()
    return np.array([scale, difficulty_old.mean() - scale * difficulty_new.mean()])


def _mean_mean(slope_old: NDArray, difficulty_old: NDArray, slope_new: NDArray, difficulty_new: NDArray) -> NDArray:
    scale = slope_new.mean() / slope_old.mean()
    return np.array([scale, difficulty_old.mean() - scale * difficulty_new.mean()])


def _curves(x: NDArray, old: _Items, new: _Items, nodes: tuple[NDArray, NDArray]) -> tuple[NDArray, NDArray]:
    """Gaps between the curves (nodes, items), and their derivatives by scale and shift (nodes, items, 2)."""
    theta, weight = nodes[0][:, None], np.sqrt(nodes[1])[:, None]
    there = (theta - x[1]) / x[0]
    p_old, p_new = (special.expit(t * part.slope + part.intercept) for t, part in ((theta, old), (there, new)))
    gap = new.floor + (new.ceiling - new.floor) * p_new - old.floor - (old.ceiling - old.floor) * p_old
    by_z = (new.ceiling - new.floor) * p_new * (1 - p_new) * new.slope / x[0]
    return weight * gap, weight[..., None] * np.stack([-by_z * there, -by_z], -1)


def _characteristic(summed: bool) -> Callable[..., tuple[NDArray, NDArray]]:
    """Least squares of the test's curve (`summed`: Stocking & Lord) or of each item's (Haebara)."""

    def found(old: _Items, new: _Items, nodes: tuple[NDArray, NDArray]) -> tuple[NDArray, NDArray]:
        def both(x: NDArray) -> tuple[NDArray, NDArray]:
            gap, slope = _curves(x, old, new, nodes)
            return (gap.sum(1), slope.sum(1)) if summed else (gap.ravel(), slope.reshape(-1, 2))

        scale = new.slope.sum() / old.slope.sum()
        start = np.array([scale, scale * (new.intercept - old.intercept).sum() / new.slope.sum()])
        start = start if np.isfinite(start).all() and scale > 0.05 else np.array([1.0, 0.0])
        end = optimize.least_squares(
            lambda x: both(x)[0], start, lambda x: both(x)[1], bounds=([1e-3, -np.inf], np.inf), xtol=1e-14, ftol=1e-14
        )
        gap, slope = _curves(end.x, old, new, nodes)  # one Gauss-Newton step without each item
        if summed:
            g, s = gap.sum(1)[:, None] - gap, slope.sum(1)[:, None] - slope
            gram, pull = np.einsum("qia,qib->iab", s, s), np.einsum("qia,qi->ia", s, g)
        else:
            square, force = np.einsum("qia,qib->iab", slope, slope), np.einsum("qia,qi->ia", slope, gap)
            gram, pull = square.sum(0) - square, force.sum(0) - force
        return end.x, end.x - np.linalg.solve(gram, pull[..., None])[..., 0]

    return found


CURVES = {"stocking-lord": _characteristic(True), "haebara": _characteristic(False)}
MOMENTS = {"mean-sigma": _mean_sigma, "mean-mean": _mean_mean}


def _by_models(old: ItemBank, new: ItemBank, a: Responses, b: Responses) -> tuple[NDArray, NDArray, float]:
    """The line through abilities with errors on both axes, by models: (scale, shift), without each model, drift.

    The structural relation with known error variances (Fuller 1987, 1.3): what is left of the two spreads after the
    errors are taken off has the ratio scale^2. Drift of models counts on both axes alike.
    """
    y, x = (ability.estimate(part, bank=bank, by="wle") for part, bank in ((a, old), (b, new)))
    found, left = _jackknife(_line, y.value, y.std_error**2, x.value, x.std_error**2)
    _require_scale(found, left, "models")
    rest = y.value - found[0] * x.value - found[1]
    error = y.std_error**2 + found[0] ** 2 * x.std_error**2
    return found, left, float(np.sqrt(max((rest**2).sum() / max(len(rest) - 2, 1) - error.mean(), 0)))


def _line(y: NDArray, y_error: NDArray, x: NDArray, x_error: NDArray) -> NDArray:
    pairs = ((y, y_error), (x, x_error))
    spread = [max(v.var(ddof=1) - e.mean(), 0.1 * v.var(ddof=1)) if np.ptp(v) > 0 else 0.0 for v, e in pairs]
    scale = np.sqrt(np.divide(spread[0], spread[1]))
    return np.array([scale, y.mean() - scale * x.mean()])


def _concurrent(old: ItemBank, new: ItemBank, answers: Responses) -> NDArray:
    """(scale, shift) by one fit of all answers, which holds the items of both banks: linked with either."""
    shared = bool(np.ptp(old.slope) < 1e-6 and np.ptp(new.slope) < 1e-6)
    fit = calibration.fit(answers, model="rasch" if shared else "2pl")
    place, p = {item: i for i, item in enumerate(fit.items)}, fit.params
    ends = []
    for bank in (old, new):
        here = tuple(item for item in bank.items if item in place)
        at = np.array([place[item] for item in here])
        joint = _Items(p.slope[at, 0], p.intercept[at], p.floor[at], p.ceiling[at], p.covariance[at, :2, :2])
        ends.append(_by_items(_part(bank, here), joint, _nodes(bank), "stocking-lord")[0])
    return _between(*ends)


def _between(one: NDArray, two: NDArray) -> NDArray:
    """(scale, shift) from the second scale to the first, by the links of each with a third."""
    scale = one[0] / two[0]
    return np.array([scale, one[1] - scale * two[1]])


def _answers(bank: ItemBank, given: Responses | None) -> Responses | None:
    """The answers passed, or the bank's own calibration models': to its items, of models that have some."""
    if given is None and bank.calibration is not None:
        known = bank.calibration
        given = Responses.build(known.answers, seen=known.seen, rows=known.rows, items=bank.items)
    asked = set() if given is None else set(given.items)
    return None if given is None else given.select([item for item in bank.items if item in asked]).answered()
