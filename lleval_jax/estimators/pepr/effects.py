"""What a fit of PEPR answers: the weights of elements, what combinations of them would score, the best ones.

The score of a combination is the weighted mean of its members' (Feffer, Xu, Sun & Yurochkin, COLM 2024).
"""

from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np
from scipy.stats import t as student

from lleval_jax.core.precision import precise
from lleval_jax.core.solvers import fractional
from lleval_jax.errors import require
from lleval_jax.estimators import contract
from lleval_jax.estimators.pepr import kernel
from lleval_jax.renamed import renamed
from lleval_jax.values.logprobs import members_of, name_of
from lleval_jax.values.params import PeprParams
from lleval_jax.values.results import Choice, Estimate, FitResult

MOST = 16  # elements up to which all combinations are listed
ONE_SIGMA = 0.6827
UNIT = {"token": "log-probability per token", "text": "log-probability", "length": "log-probability per token"}


def estimate(
    fit: FitResult[PeprParams],
    *,
    subsets: Literal["all", "scored"] | Sequence[str | Sequence[str]] | None = None,
    level: float = 0.95,
) -> Estimate:
    """The weights of the elements, or what combinations of them would score on the fitted texts.

    Args:
        fit: from `pepr.fit`.
        subsets: None: the weights. "all": every combination, of up to 16 elements; "scored": those that were scored;
            or combinations by name, such as "a+b" or ("a", "b"), and "full".
        level: coverage of the intervals.

    Returns:
        Target "weight": intervals are about the fit without the sign constraint (sandwich, HC3), that moved into
        [0, 1], which brings it nearer to the truth; then cut to [0, 1], and widened to the estimate where they would
        leave it out. So a true weight of zero is covered as often as any other, or more: `low` is 0 unless the texts
        speak against 0, and then the element may do nothing. `std_error` is that of the fit without the constraint.

        Target the mean log-probability of the desired texts (of pairs the mean margin): where these same texts would
        be found if they were scored under the combination, by Fieller's theorem, the noise of single texts included,
        never outside what a weighted mean of the members can be. It speaks of these texts: other texts add a sampling
        error that is common to all combinations and does not change their order. Single elements are known. `status`
        is "no weight" where all members have weight zero: the model says nothing, and the value is their plain mean.

    Raises:
        BadInput: an unknown element, or "all" of more than 16.
    """
    p = fit.params
    if subsets is None:
        low, value, high, error = _weights(fit, level)
        names, status = fit.items, (fit.status,) * len(fit.items)
    else:
        members = _asked(fit, subsets)
        low, value, high, error = _scores(fit, members, level)
        names = tuple(name_of(row, fit.items) for row in members)
        nothing = (members @ p.weight <= 0) & (members.sum(1) > 1)
        status = tuple("no weight" if none else fit.status for none in nothing)
    return Estimate(
        target="weight" if subsets is None else unit_of(fit),
        method=fit.method,
        rows=tuple(names),
        group=("all",) * len(names),
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=error,
        n_seen=np.full(len(names), int(np.sum(fit.params.fitted))),
        status=status,
        source=fit.source,
    )


@renamed(size="k")
def choose(fit: FitResult[PeprParams], *, k: int | Sequence[int] = 3, level: float = 0.95) -> Choice:
    """The elements to take: the combination of exactly `k` with the best predicted score.

    The score is linear-fractional in the members; Dinkelbach's algorithm finds the best without trying all, for any
    number of elements (equal to brute force). The size must be exact: with "at most b" the best is always the single
    best element, since a weighted mean never exceeds its largest term. An element of weight zero changes nothing in
    the model, so it can fill a place; the reason says so.

    Args:
        fit: from `pepr.fit`.
        k: how many elements; several sizes give a row each.
        level: coverage of the interval that the reason names.

    Returns:
        A `Choice` with one row for each size. `why` names the predicted score, its interval, and in how many of the
        fit's bootstrap draws no other combination of that size is better. The interval does not know that the best
        was picked: where several are about equally good, the prediction of the best is a little too high.

    Raises:
        BadInput: a size below one or above the number of elements.
    """
    sizes = (k,) if isinstance(k, int) else tuple(k)
    most = len(fit.items)
    for one in sizes:
        require(1 <= one <= most, f"k is {one}; it must lie between 1 and the number of elements, {most}")
    chosen, why = [], []
    for one in sizes:
        members, sure = _best(fit.params, one)
        (low,), (value,), (high,), _ = _scores(fit, members[None], level)
        idle = [
            name for name, inside, w in zip(fit.items, members, fit.params.weight, strict=True) if inside and w <= 0
        ]
        text = f"predicted {unit_of(fit)} {value:.3f}, {100 * level:.4g}% interval [{low:.3f}, {high:.3f}]"
        text += f"; no other {one} better in {sure:.0%} of {len(fit.params.drawn_weight):,} bootstrap draws"
        text += f"; {', '.join(idle)} without weight: neither helps nor harms" if idle else ""
        text += f"; the model is {fit.status}" if fit.status != "ok" else ""
        chosen.append(tuple(name for name, inside in zip(fit.items, members, strict=True) if inside))
        why.append(text)
    return Choice(tuple(f"best of size {one}" for one in sizes), tuple(chosen), tuple(why), fit.source)


def scored(fit: FitResult[PeprParams]) -> tuple[str, ...]:
    """Names of the combinations that were scored."""
    return tuple(name_of(row, fit.items) for row in fit.params.member)


def unit_of(fit: FitResult[PeprParams]) -> str:
    """What predicted scores are counted in."""
    return ("margin in " if fit.method == "pepr-p" else "") + UNIT[fit.settings["per"]]


def _weights(fit: FitResult[PeprParams], level: float) -> tuple[np.ndarray, ...]:
    """Low, value, high and standard error of the weights.

    Intervals are those of the fit without constraints. Where the constraints move a weight beyond its own they reach to
    it: that only adds to what they cover.
    """
    p = fit.params
    error = np.sqrt(np.maximum(np.diagonal(p.covariance), 0))
    half = _reach(p, level) * error
    near = np.clip(p.free, 0, 1)  # never farther from the truth than `free`
    low, high = np.clip(near - half, 0, 1), np.clip(near + half, 0, 1)
    return np.minimum(low, p.weight), p.weight, np.maximum(high, p.weight), error


def _scores(fit: FitResult[PeprParams], members: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """Low, value, high and standard error of predicted scores."""
    p = fit.params
    total = members @ p.weight
    plain = members @ p.value / members.sum(1)
    value = np.where(total > 0, members @ (p.weight * p.value) / np.where(total > 0, total, 1), plain)
    weights = fractional.Spread(p.free, p.covariance)
    noise = np.where(members.sum(1) > 1, p.noise[1], 0.0)
    low, high = fractional.ratio_interval(weights, p.value, members, value, _reach(p, level), noise)
    near = fractional.ratio_interval(weights, p.value, members, value, _reach(p, ONE_SIGMA), noise)
    return low, value, high, (near[1] - near[0]) / 2


def _reach(p: PeprParams, level: float) -> float:
    return float(student.ppf(0.5 + level / 2, float(p.df)))


def _asked(fit: FitResult[PeprParams], subsets: str | Sequence[str | Sequence[str]]) -> np.ndarray:
    """(subsets, elements) bool."""
    k = len(fit.items)
    if subsets == "scored":
        return fit.params.member
    if subsets == "all":
        require(k <= MOST, f"{k} elements have 2^{k} - 1 combinations; name those that are meant, or use choose")
        return (np.arange(1, 1 << k)[:, None] >> np.arange(k)[None, :] & 1).astype(bool)
    one = [subsets] if isinstance(subsets, str) else list(subsets)
    return np.stack([members_of(subset, fit.items) for subset in one]) if one else np.zeros((0, k), bool)


def _best(p: PeprParams, size: int) -> tuple[np.ndarray, float]:
    """The best combination (elements,), and the share of draws in which none of its size is better."""
    weight, value = np.vstack([p.weight, p.drawn_weight]), np.vstack([p.value, p.drawn_value])
    with precise("float64"):
        keys = jax.random.split(jax.random.key(0), len(weight))
        data = kernel.Elements(weight, value, np.asarray(size))
        found = contract.solve_many(kernel.BestOfSize(), data, keys, axes=kernel.SAME_SIZE)
    members, most = np.asarray(found.x)[0], np.asarray(found.value)[1:]
    total = p.drawn_weight[:, members].sum(1)
    mean = (p.drawn_weight * p.drawn_value)[:, members].sum(1) / np.where(total > 0, total, 1)
    near = 1e-9 * np.maximum(1, np.abs(most))
    return members, float(((total > 0) & (mean >= most - near)).mean())
