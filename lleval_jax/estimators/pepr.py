"""PEPR: what each element of a prompt does, and which elements to take (Feffer, Xu, Sun & Yurochkin, COLM 2024).

A prompt is made of elements of a library. The model behind PEPR is that the log-probability of a text under a
combination I is a weighted mean of those under its elements alone, with weights that are not negative,

    log p(y | I, x) = sum over k in I of weight_k(I) log p(y | element k, x),   weight_k(I) = weight_k / sum over I,

so that K weights, learned from each element alone and the full prompt, foretell all 2^K - 1 combinations. PEPR-R
learns them from the log-probabilities of texts, PEPR-P from pairs of a preferred and a rejected text.

Adding a number to all log-probabilities of one text (or of one side of all pairs' elements) changes no weight, as the
weights have sum one: subtracting the log-probability without any prompt is not needed.
"""

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np
import pandas as pd
from scipy.stats import t as student

from lleval_jax.core import fractional
from lleval_jax.core.solve import Solution
from lleval_jax.errors import BadInput, DataWarning, NotConverged, require
from lleval_jax.estimators import elements, linearity
from lleval_jax.types import Array, Status
from lleval_jax.values.logprobs import LogProbs, members_of, name_of
from lleval_jax.values.results import Choice, Estimate, FitResult, Source
from lleval_jax.values.trust import Finding

CITE = ("feffer2024prompt",)
MOST = 16  # elements up to which all combinations are listed
FALSE_ALARM = 0.01  # of "not linear", where the model holds
REDRAWN = 1999  # draws behind the probability of a residual pattern
ILL = 1e3  # condition number from which single weights mean little
ONE_SIGMA = 0.6827
UNIT = {"token": "log-probability per token", "text": "log-probability", "length": "log-probability per token"}


class PeprParams(NamedTuple):
    """What PEPR learned, numpy arrays; `FitResult.covariance` is that of `free`, (elements, elements).

    weight        (elements,)            not negative, with sum one
    free          (elements,)            the same fit without the sign constraint, for intervals
    value         (elements,)            mean log-probability of the desired texts under each element alone
    noise         (2,)                   standard deviation of a text about the weighted mean, and of their mean
    df            ()                     degrees of freedom of the residuals
    scale         ()                     by which log-probabilities become log-odds (pairs); 1 otherwise
    ridge         ()                     the penalty used
    drawn_weight  (draws, elements)      fits to texts drawn again
    drawn_value   (draws, elements)      their means
    member        (subsets, elements)    the combinations that were scored
    observed      (subsets,)             their mean log-probability
    subset_p      (subsets,)             probability of such a mean if the model holds, times the number of means
                                         tested (Bonferroni); 1 for the one that was fitted
    pattern_p     ()                     probability of such a residual pattern if the model holds
    condition     ()                     of the differences between elements
    r2            (2,)                   variance explained: of all, and beyond the plain mean of the elements
    twin          (elements,)            elements with one number have the same log-probabilities
    """

    weight: np.ndarray
    free: np.ndarray
    value: np.ndarray
    noise: np.ndarray
    df: np.ndarray
    scale: np.ndarray
    ridge: np.ndarray
    drawn_weight: np.ndarray
    drawn_value: np.ndarray
    member: np.ndarray
    observed: np.ndarray
    subset_p: np.ndarray
    pattern_p: np.ndarray
    condition: np.ndarray
    r2: np.ndarray
    twin: np.ndarray


def fit(
    scores: LogProbs | pd.DataFrame,
    parts: Sequence[str] | None = None,
    *,
    per: Literal["token", "text", "length"] | None = None,
    ridge: float | Literal["auto"] = 0.0,
    scale: float | Literal["auto"] = 1.0,
    draws: int = 1000,
    seed: int = 0,
    strict: bool = False,
) -> FitResult[PeprParams]:
    """The weight of each element, from texts scored under every element alone and under the full prompt.

    Args:
        scores: log-probabilities, from `read_logprobs` or a table as `LogProbs.from_frame` takes it. With pairs this
            is PEPR-P: P(preferred) = sigmoid(scale x sum of weight_k x (difference under element k)).
        parts: the elements in the library's order; None: as they first stand.
        per: "token" takes the mean log-probability per token of each text, all texts alike; "text" the sum, so that
            long texts count most; "length" the sum weighted by 1 / tokens (no pairs). None: "token" where the table
            has lengths and no pairs, else "text".
        ridge: pulls the weights to be equal, in units of the columns' mean square; "auto": by five-fold validation.
        scale: of pairs, log-odds a unit of log-probability; "auto": by maximum likelihood.
        draws: fits to texts drawn again (Bayesian bootstrap, Rubin 1981), for `choose`.
        seed: of the draws.
        strict: make an error of every warning.

    Returns:
        A `FitResult` whose `status` is "ok", "not converged", or "not linear" where the model is refuted, which
        happens to a fit whose model holds with probability 0.01 at most: half of it for a pattern in the residuals
        (level and products of pairs of elements; a bootstrap of the F statistic), half for the means of combinations
        that were scored but not fitted (Bonferroni). `check` says more.

    Raises:
        BadInput: no full prompt (and no pairs), no more texts than elements, lengths that are needed and missing, or
            with `strict` anything that would be a warning.
        NotConverged: with `strict`, the solver stopped early.

    Elements with the same log-probabilities share their weight evenly; only its sum is known. A single element has
    weight one.
    """
    data = _data(scores, parts)
    per = per or ("token" if data.tokens is not None and not data.pairs else "text")
    require(per in UNIT, f"per is {per!r}; it must be one of {', '.join(UNIT)}")
    require(_good(ridge, 0.0), f"ridge is {ridge!r}; it must be 'auto' or a number that is not negative")
    require(_good(scale, 1e-9), f"scale is {scale!r}; it must be 'auto' or a positive number")
    require(data.pairs or scale == 1, "scale goes with pairs; log-probabilities of texts have none")
    require(draws >= 1, f"draws is {draws}; it must be at least 1")
    work = elements.prepare(data, per)
    with jax.enable_x64(True):
        found = elements.run(work, ridge, scale, draws, seed)
    params = _params(data, work, found, seed)
    linear = min(float(params.pattern_p), params.subset_p.min(initial=1)) >= FALSE_ALARM / 2
    settings = {"per": per, "ridge": ridge, "scale": scale, "draws": draws, "seed": seed, "false_alarm": FALSE_ALARM}
    made = FitResult(
        params=params,
        covariance=work.expand @ found.freed.covariance @ work.expand.T,
        rows=data.texts,
        items=data.elements,
        group=np.zeros(len(data.elements), int),
        groups=("all",),
        loglik=elements.loglik(work, found),
        steps=found.steps,
        status=found.status.word if found.status != Status.CONVERGED else "ok" if linear else "not linear",
        n_seen=work.table.fitted.astype(int),
        method="pepr-p" if data.pairs else "pepr-r",
        settings=settings | {"unit": ("margin in " if data.pairs else "") + UNIT[per], "axes": ["texts", "elements"]},
        source=data.source.merge(Source(seed=seed, cite=CITE)),
    )
    _warn(made, data, strict)
    return made


def check(fit: FitResult[PeprParams]) -> tuple[Finding, ...]:
    """What speaks against the weighted mean and against reading single weights; empty where nothing does."""
    p, found = fit.params, []
    if p.pattern_p < FALSE_ALARM / 2:
        what = "of the full prompt go with the level or with products" if fit.method == "pepr-r" else "of pairs go so"
        found.append(
            Finding(
                name="interaction",
                severity="warning",
                found=f"residuals {what} of elements' log-probabilities (p = {float(p.pattern_p):.2g})",
                advice="elements act on each other; score the combinations that matter and trust those, not the means",
            )
        )
    off = [name for name, chance in zip(scored(fit), p.subset_p, strict=True) if chance < FALSE_ALARM / 2]
    if off:
        text = f"{len(off)} of {len(p.observed)} combinations scored are not where the weights put them: "
        found.append(
            Finding(
                name="combinations",
                severity="warning",
                found=text + ", ".join(off[:6]),
                advice="weights change with the company an element keeps; predictions can be as far off as these",
                count=len(off),
                names=tuple(off),
            )
        )
    if p.condition > ILL:
        found.append(
            Finding(
                name="alike",
                severity="warning",
                found=f"elements are nearly alike on these texts (condition number {float(p.condition):.0f})",
                advice="read the weights of like elements as one sum; score more texts, or pass ridge='auto'",
            )
        )
    for twins in _twins(fit):
        found.append(
            Finding(
                name="twins",
                severity="warning",
                found=f"elements {', '.join(twins)} have the same log-probabilities; they share their weight evenly",
                advice="only its sum is known; keep one of them",
                count=len(twins),
                names=twins,
            )
        )
    return tuple(found)


def estimate(
    fit: FitResult[PeprParams],
    subsets: Literal["all", "scored"] | Sequence[str | Sequence[str]] | None = None,
    *,
    level: float = 0.95,
) -> Estimate:
    """The weights of the elements, or what combinations of them would score on the fitted texts.

    Args:
        fit: from `fit`.
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
        target="weight" if subsets is None else str(fit.settings["unit"]),
        method=fit.method,
        rows=tuple(names),
        group=("all",) * len(names),
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=error,
        n_seen=np.full(len(names), int(np.sum(fit.n_seen))),
        status=status,
        source=fit.source,
    )


def choose(fit: FitResult[PeprParams], size: int | Sequence[int] = 3, *, level: float = 0.95) -> Choice:
    """The elements to take: the combination of exactly `size` with the best predicted score.

    The score is linear-fractional in the members; Dinkelbach's algorithm finds the best without trying all, for any
    number of elements (equal to brute force). The size must be exact: with "at most b" the best is always the single
    best element, since a weighted mean never exceeds its largest term. An element of weight zero changes nothing in
    the model, so it can fill a place; the reason says so.

    Args:
        fit: from `fit`.
        size: how many elements; several sizes give a row each.
        level: coverage of the interval that the reason names.

    Returns:
        A `Choice` with one row for each size. `why` names the predicted score, its interval, and in how many of the
        fit's bootstrap draws no other combination of that size is better. The interval does not know that the best
        was picked: where several are about equally good, the prediction of the best is a little too high.

    Raises:
        BadInput: a size below one or above the number of elements.
    """
    sizes = (size,) if isinstance(size, int) else tuple(size)
    k = len(fit.items)
    for one in sizes:
        require(1 <= one <= k, f"size is {one}; it must lie between 1 and the number of elements, {k}")
    chosen, why = [], []
    for one in sizes:
        members, sure = _best(fit.params, one)
        (low,), (value,), (high,), _ = _scores(fit, members[None], level)
        idle = [
            name for name, inside, w in zip(fit.items, members, fit.params.weight, strict=True) if inside and w <= 0
        ]
        text = f"predicted {fit.settings['unit']} {value:.3f}, {100 * level:.4g}% interval [{low:.3f}, {high:.3f}]"
        text += f"; no other {one} better in {sure:.0%} of {len(fit.params.drawn_weight):,} bootstrap draws"
        text += f"; {', '.join(idle)} without weight: neither helps nor harms" if idle else ""
        text += f"; the model is {fit.status}" if fit.status != "ok" else ""
        chosen.append(tuple(name for name, inside in zip(fit.items, members, strict=True) if inside))
        why.append(text)
    return Choice(tuple(f"best of size {one}" for one in sizes), tuple(chosen), tuple(why), fit.source)


def scored(fit: FitResult[PeprParams]) -> tuple[str, ...]:
    """Names of the combinations that were scored."""
    return tuple(name_of(row, fit.items) for row in fit.params.member)


def _data(scores: LogProbs | pd.DataFrame, parts: Sequence[str] | None) -> LogProbs:
    if isinstance(scores, LogProbs):
        return scores if parts is None else scores.ordered(parts)
    good = isinstance(scores, pd.DataFrame)
    require(good, f"scores are a {type(scores).__name__}; give what read_logprobs returns, or a DataFrame")
    return LogProbs.from_frame(scores, parts=parts)


def _good(value: float | str, least: float) -> bool:
    """Whether a setting is "auto" or a finite number of at least `least`."""
    return value == "auto" if isinstance(value, str) else bool(np.isfinite(value)) and value >= least


def _params(data: LogProbs, work: elements.Work, found: elements.Found, seed: int) -> PeprParams:
    """Back to the user's elements, and what the residuals say."""
    table, expand = work.table, work.expand
    use, pairs = table.fitted > 0, data.pairs
    full = np.flatnonzero(data.member.all(1))
    residual_of_full = found.freed.after
    if pairs and len(full):
        here = data.seen[:, full[0]]
        residual_of_full = (work.joint[:, full[0]] - table.target - table.columns @ found.freed.weight)[here]
    known = not pairs or len(full) > 0
    spread = float(np.sqrt((residual_of_full**2).sum() / max(1, found.df))) if known else 0.0
    share = work.share
    sums = np.where(data.seen, work.joint * share[:, None], 0).sum(0)
    mass = work.mass @ data.seen
    observed = np.where(mass > 0, sums / np.where(mass > 0, mass, 1), np.nan)
    return PeprParams(
        weight=expand @ found.weight,
        free=expand @ found.freed.weight,
        value=share @ work.each,
        noise=np.array([spread, spread * np.sqrt((share**2).sum())]),
        df=np.array(found.df),
        scale=np.array(found.scale),
        ridge=np.array(found.ridge),
        drawn_weight=found.drawn_weight @ expand.T,
        drawn_value=found.drawn_value,
        member=data.member,
        observed=observed,
        subset_p=elements.subset_p(data, work, found),
        pattern_p=np.array(elements.pattern_p(work, found, seed, REDRAWN)),
        condition=np.array(linearity.condition(table.columns[use])),
        r2=elements.explained(work, found),
        twin=work.twin,
    )


def _weights(fit: FitResult[PeprParams], level: float) -> tuple[np.ndarray, ...]:
    """Low, value, high and standard error of the weights."""
    p = fit.params
    error = np.sqrt(np.maximum(np.diagonal(fit.covariance), 0))
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
    known = fractional.Spread(p.free, fit.covariance)
    noise = np.where(members.sum(1) > 1, p.noise[1], 0.0)
    low, high = fractional.ratio_interval(known, p.value, members, value, _reach(p, level), noise)
    near = fractional.ratio_interval(known, p.value, members, value, _reach(p, ONE_SIGMA), noise)
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
    with jax.enable_x64(True):
        weight, value = np.vstack([p.weight, p.drawn_weight]), np.vstack([p.value, p.drawn_value])
        found = jax.tree.map(np.asarray, _best_of(weight, value, np.asarray(size)))
    members, most = found.x[0], found.value[1:]
    total = p.drawn_weight[:, members].sum(1)
    here = (p.drawn_weight * p.drawn_value)[:, members].sum(1) / np.where(total > 0, total, 1)
    near = 1e-9 * np.maximum(1, np.abs(most))
    return members, float(((total > 0) & (here >= most - near)).mean())


@jax.jit
def _best_of(weight: Array, value: Array, size: Array) -> Solution:
    """The best members of many, (draws, elements), and their ratios (draws,)."""
    return jax.vmap(fractional.best_subset, (0, 0, None))(weight, value, size)


def _twins(fit: FitResult[PeprParams]) -> list[tuple[str, ...]]:
    """Names of elements with the same log-probabilities."""
    names, twin = np.asarray(fit.items, object), fit.params.twin
    return [tuple(names[twin == g]) for g in np.unique(twin) if (twin == g).sum() > 1]


def _warn(fit: FitResult[PeprParams], data: LogProbs, strict: bool) -> None:
    """Say what was set aside and what was found; with `strict` raise it."""
    if fit.status not in ("ok", "not linear"):
        message = f"the weights are {fit.status} after {fit.steps} steps; pass ridge='auto'"
        if strict:
            raise NotConverged(message)
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    broken = {"interaction", "combinations"}
    head = "the weighted mean does not hold for this prompt: "
    said = [head * (one.name in broken) + f"{one.found}; {one.advice}" for one in check(fit)]
    if data.incomplete:
        n, first = len(data.incomplete), data.incomplete[0]
        said.append(f"{n} texts lack an element and were set aside (first: {first!r})")
    flat = [name for name, side in zip(data.elements, np.ptp(data.single, axis=1).max(0), strict=True) if side == 0]
    if flat:
        said.append(f"element {flat[0]!r} has one log-probability on all texts; was it scored?")
    for message in said:
        if strict:
            raise BadInput(message)
        warnings.warn(message, DataWarning, stacklevel=3)
