"""The score of one model from what was drawn, with an interval that holds whatever the model is."""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from lleval_jax.errors import BadInput, require_level
from lleval_jax.estimators import tiny
from lleval_jax.estimators.guarantee.follow import Known, Trace, drawn, follow
from lleval_jax.estimators.tiny import reach
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.draws import Draws
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Estimate, Source
from lleval_jax.values.sparse import SparseResponses

CITE = ("desraj1956", "zrnic2024active", "waudbysmith2024time")
PRIOR = 3.0  # draws that the variance which the bank predicts counts for ...
MOST = 0.25  # ... or the largest that scores can have, where looks come early ...
EARLY = 20  # ... but none before so many draws: fewer answers may be all alike, and tell nothing of their spread
SHARPEST = 64.0  # draws after which an interval that is valid at every look is narrowest
APART = 2.0  # standard errors by which the two estimates may differ before that is remarked


class Span(NamedTuple):
    """Value, standard error and interval of one model's score."""

    value: float
    std_error: float
    low: float
    high: float


def estimate(
    responses: Responses | SparseResponses,
    *,
    bank: ItemBank,
    draws: Draws,
    level: float = 0.95,
    every_look: bool | None = None,
    strict: bool = False,
) -> Estimate:
    """Full-benchmark score of each row from the items that were drawn for it, with an interval that needs no model.

    It holds for a model that is stronger than all known ones, contaminated or odd, since all chance in it is that of
    the draws. Other answers are not used. `remark` says where `ll.tiny.estimate` differs by more than chance explains:
    then the model is unlike the calibration models, and this interval is the one to report.

    Args:
        responses: answers to what was drawn; a row may have answered only the first so many.
        bank: the bank that the items were drawn from.
        draws: of `choose`.
        level: coverage of the intervals.
        every_look: valid at every look at once, however often one looks and stops; None: as the draws say.
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Raises:
        BadInput: a row that answered nothing of what was drawn, or has a gap in it.
        BankMismatch: draws of another bank; a bank that cannot predict single answers.

    Example:
        >>> import lleval_jax as ll
        >>> bank = ll.load_bank("livexiv-vqa")
        >>> asked = ll.guarantee.choose(None, bank=bank, k=3)
        >>> answers = ll.Responses.build([[1, 1, 0]], rows=["model-a"], items=asked.draws.items)
        >>> found = ll.guarantee.estimate(answers, bank=bank, draws=asked.draws)
        >>> bool(found.low[0] < found.value[0] < found.high[0])
        True
    """
    require_level(level)
    looks = draws.every_look if every_look is None else every_look
    known, found = Known.of(bank), drawn(responses, bank, draws, strict)
    here = found.here
    for row in np.flatnonzero(found.count == 0)[:1]:
        what = f"{here.rows[row]!r} answered none of the {len(draws)} drawn items"
        raise BadInput(what + (f"; the first is {draws.items[0]!r}" if len(draws) else "; draw some first"))
    spans, rows = [], range(len(here.rows))
    exact = found.count == np.count_nonzero(known.weight)
    for row in rows:
        n = int(found.count[row])
        index, answers = found.index[:n], found.scores[row, :n]
        trace = follow(known, index, draws.chance[:n], answers)
        sure = float(known.weight[index] @ answers)
        span = _within(interval(trace, level, looks), sure, float(known.weight[index].sum()))
        spans.append(Span(sure, 0.0, sure, sure) if exact[row] else span)
    value, error, low, high = np.array(spans).T
    usual = tiny.estimate(here, bank=bank, by="kriged", level=level)
    far = np.abs(usual.value - value) > APART * np.hypot(error, usual.std_error)
    words = [
        reach.EXACT if exact[i] else _words(usual.value[i], int(found.count[i]), len(draws), bool(far[i])) for i in rows
    ]
    return Estimate(
        target="accuracy",
        method="drawn, valid at every look" if looks else "drawn",
        rows=here.rows,
        group=("all",) * len(rows),
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=error,
        n_seen=found.count,
        status=("ok",) * len(rows),
        source=here.source.merge(Source(bank=bank.name, seed=draws.seed, cite=CITE)),
        remark=tuple(words),
    )


def interval(trace: Trace, level: float, every_look: bool) -> Span:
    """From the draws of one model; `every_look`: valid at all numbers of draws at once, and endless before EARLY.

    The mean of the Z_t, each by its precision 1 / left^2 if all draws were alike. The share of predictions is that with
    which they spread least.
    """
    a = trace.left**-2.0
    n, total = len(a), a.sum()
    gap = trace.score - trace.plain
    off = gap - a @ gap / total
    share = np.clip(-(a * off) @ trace.plain / max(a @ off**2, 1e-300), 0, 1)
    z = trace.plain + share * gap
    value = float(a @ z / total)
    free = max(n - 2, 0)  # the mean and the share of predictions were chosen
    prior = max(trace.first, MOST) if every_look else trace.first
    variance = (a @ (z - value) ** 2 + PRIOR * prior) / (free + PRIOR)
    error = float(np.sqrt(variance / total))
    reach = float(student.ppf(0.5 + level / 2, max(free, 1)))
    if every_look and n < EARLY:
        reach = np.inf
    elif every_look:
        reach *= _mixture(total, level) / float(norm.ppf(0.5 + level / 2))
    return Span(value, error, value - reach * error, value + reach * error)


def _mixture(total: float, level: float) -> float:
    """Standard errors that a martingale never leaves: Robbins' normal mixture, its prior sharpest at SHARPEST draws."""
    twice = -2 * np.log(1 - level)
    rho = SHARPEST / (twice + np.log(1 + twice))
    return float(np.sqrt((total + rho) / total * (np.log((total + rho) / rho) + twice)))


def _within(span: Span, sure: float, answered: float) -> Span:
    """Within what the answers make certain: what was answered right, and all that is left on top."""
    low, high = np.clip([sure, sure + 1 - answered], 0, 1)
    value = float(np.clip(span.value, low, high))
    return Span(value, span.std_error, float(np.clip(span.low, low, value)), float(np.clip(span.high, value, high)))


def _words(usual: float, answered: int, drawn: int, far: bool) -> str:
    """What a reader must know of a row."""
    words = [f"{answered} of {drawn} drawn items answered"] if answered < drawn else []
    if far:
        words.append(f"unlike the calibration models: their curves say {usual:.3f}, further off than chance explains")
    return "; ".join(words)
