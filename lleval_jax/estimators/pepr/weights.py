"""PEPR: what each element of a prompt does, and which elements to take (Feffer, Xu, Sun & Yurochkin, COLM 2024).

A prompt is made of elements of a library. The model behind PEPR is that the log-probability of a text under a
combination I is a weighted mean of those under its elements alone, with weights that are not negative,

    log p(y | I, x) = sum over k in I of weight_k(I) log p(y | element k, x),   weight_k(I) = weight_k / sum over I,

so that K weights, learned from each element alone and the full prompt, predict all 2^K - 1 combinations. PEPR-R
learns them from the log-probabilities of texts, PEPR-P from pairs of a preferred and a rejected text.

Adding a number to all log-probabilities of one text (or of one side of all pairs' elements) changes no weight, as the
weights have sum one: subtracting the log-probability without any prompt is not needed.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from lleval_jax.core.precision import precise
from lleval_jax.errors import BadInput, DataWarning, outside, require, require_known
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.pepr import linearity, residuals, search
from lleval_jax.estimators.pepr.effects import UNIT, scored
from lleval_jax.layout import texts as layout
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Status
from lleval_jax.values.logprobs import LogProbs
from lleval_jax.values.params import PeprParams
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.results import FitResult, Source
from lleval_jax.values.trust import Finding

CITE = ("feffer2024prompt",)
FALSE_ALARM = 0.01  # of "not linear", where the model holds
REDRAWN = 1999  # draws behind the probability of a residual pattern
ILL = 1e3  # condition number from which single weights mean little


def fit(
    scores: LogProbs | pd.DataFrame,
    *,
    parts: Sequence[str] | None = None,
    per: Literal["token", "text", "length"] | None = None,
    ridge: float | Literal["auto"] = 0.0,
    scale: float | Literal["auto"] = 1.0,
    draws: int = 1000,
    seed: int = 0,
    strict: bool = False,
    tell: Tell = silent,
    plan: Plan = HERE,
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
        tell: called with the fits to texts drawn again, of how many.
        plan: with a mesh these fits are shared out to its devices, with `chunk` so many are done at once, and with
            `out` what they found is kept there.

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
    require_known(per, UNIT, "per")
    require(_good(ridge, 0.0), f"ridge is {ridge!r}; it must be 'auto' or a number that is not negative")
    require(_good(scale, 1e-9), f"scale is {scale!r}; it must be 'auto' or a positive number")
    require(data.pairs or scale == 1, "scale goes with pairs; log-probabilities of texts have none")
    require(draws >= 1, f"draws is {draws}; it must be at least 1")
    arrays, host = layout.lay_out(data, per)
    settings = {"per": per, "ridge": ridge, "scale": scale, "draws": draws, "seed": seed}
    how: dict[str, Any] = {"plan": plan, "name": "pepr.fit", "facts": {"settings": settings, "scores": data}}
    with precise("float64"):
        found = search.run(arrays, host, ridge, scale, draws, seed, tell, how)
    params = _params(data, host, found, seed)
    linear = min(float(params.pattern_p), params.subset_p.min(initial=1)) >= FALSE_ALARM / 2
    end = ended(
        "the search for the weights",
        found.status,
        found.steps,
        advice="pass ridge='auto'",
        strict=strict,
        value=residuals.loglik(host, found),
    )
    made = FitResult(
        params=params,
        axes={"texts": data.texts, "elements": data.elements},
        ended=end if linear or found.status != Status.CONVERGED else dataclasses.replace(end, status="not linear"),
        method="pepr-p" if data.pairs else "pepr-r",
        settings=settings,
        source=data.source.merge(Source(seed=seed, cite=CITE)),
    )
    _warn(made, data, strict)
    return made


def check(fit: FitResult[PeprParams]) -> tuple[Finding, ...]:
    """What speaks against the weighted mean and against reading single weights; empty where nothing does."""
    p, findings = fit.params, []
    if p.pattern_p < FALSE_ALARM / 2:
        what = "of the full prompt go with the level or with products" if fit.method == "pepr-r" else "of pairs go so"
        findings.append(
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
        findings.append(
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
        findings.append(
            Finding(
                name="alike",
                severity="warning",
                found=f"elements are nearly alike on these texts (condition number {float(p.condition):.0f})",
                advice="read the weights of like elements as one sum; score more texts, or pass ridge='auto'",
            )
        )
    for twins in _twins(fit):
        findings.append(
            Finding(
                name="twins",
                severity="warning",
                found=f"elements {', '.join(twins)} have the same log-probabilities; they share their weight evenly",
                advice="only its sum is known; keep one of them",
                count=len(twins),
                names=twins,
            )
        )
    return tuple(findings)


def _data(scores: LogProbs | pd.DataFrame, parts: Sequence[str] | None) -> LogProbs:
    if isinstance(scores, LogProbs):
        return scores if parts is None else scores.ordered(parts)
    good = isinstance(scores, pd.DataFrame)
    require(good, f"scores are a {type(scores).__name__}; give what read_logprobs returns, or a DataFrame")
    return LogProbs.from_frame(scores, parts=parts)


def _good(value: float | str, least: float) -> bool:
    """Whether a setting is "auto" or a finite number of at least `least`."""
    return value == "auto" if isinstance(value, str) else bool(np.isfinite(value)) and value >= least


def _params(data: LogProbs, host: layout.Scored, found: search.Found, seed: int) -> PeprParams:
    """Back to the user's elements, and what the residuals say."""
    table, expand = host.table, host.expand
    use, pairs = table.fitted > 0, data.pairs
    full = np.flatnonzero(data.member.all(1))
    residual_of_full = found.freed.after
    if pairs and len(full):
        seen = data.seen[:, full[0]]
        residual_of_full = (host.joint[:, full[0]] - table.target - table.columns @ found.freed.weight)[seen]
    has_full = not pairs or len(full) > 0
    spread = float(np.sqrt((residual_of_full**2).sum() / max(1, found.df))) if has_full else 0.0
    share = host.share
    sums = np.where(data.seen, host.joint * share[:, None], 0).sum(0)
    mass = host.mass @ data.seen
    observed = np.where(mass > 0, sums / np.where(mass > 0, mass, 1), np.nan)
    return PeprParams(
        weight=expand @ found.weight,
        free=expand @ found.freed.weight,
        value=share @ host.each,
        noise=np.array([spread, spread * np.sqrt((share**2).sum())]),
        df=np.array(found.df),
        scale=np.array(found.scale),
        ridge=np.array(found.ridge),
        drawn_weight=found.drawn_weight @ expand.T,
        drawn_value=found.drawn_value,
        member=data.member,
        observed=observed,
        subset_p=residuals.subset_p(data, host, found),
        pattern_p=np.array(residuals.pattern_p(host, found, seed, REDRAWN)),
        condition=np.array(linearity.condition(table.columns[use])),
        r2=residuals.explained(host, found),
        twin=host.twin,
        covariance=expand @ found.freed.covariance @ expand.T,
        fitted=table.fitted.astype(int),
        false_alarm=np.array(FALSE_ALARM),
    )


def _twins(fit: FitResult[PeprParams]) -> list[tuple[str, ...]]:
    """Names of elements with the same log-probabilities."""
    names, twin = np.asarray(fit.items, object), fit.params.twin
    return [tuple(names[twin == g]) for g in np.unique(twin) if (twin == g).sum() > 1]


def _warn(fit: FitResult[PeprParams], data: LogProbs, strict: bool) -> None:
    """Say what was set aside and what was found; with `strict` raise it."""
    broken = {"interaction", "combinations"}
    head = "the weighted mean does not hold for this prompt: "
    messages = [head * (one.name in broken) + f"{one.found}; {one.advice}" for one in check(fit)]
    if data.incomplete:
        n, first = len(data.incomplete), data.incomplete[0]
        messages.append(f"{n} texts lack an element and were set aside (first: {first!r})")
    flat = [name for name, side in zip(data.elements, np.ptp(data.single, axis=1).max(0), strict=True) if side == 0]
    if flat:
        messages.append(f"element {flat[0]!r} has one log-probability on all texts; was it scored?")
    for message in messages:
        if strict:
            raise BadInput(message)
        warnings.warn(message, DataWarning, stacklevel=outside())
