"""Draw the next items: in proportion to how far off predictions are, as far as the answers confirm that.

The best chances are proportional to an item's share times the standard deviation of its residual (Neyman 1934). The
bank says what that is; how much of what it says is believed is decided by the residuals so far, between all of it
and chances in proportion to the shares alone. FLOOR of every chance is of that last kind, so that no error costs more.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from lleval_jax.errors import require, require_level
from lleval_jax.estimators.guarantee import score
from lleval_jax.estimators.guarantee.follow import Drawn, Known, Trace, drawn, follow, places
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.draws import Draws
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Choice, Source
from lleval_jax.values.sparse import SparseResponses

FLOOR = 0.5
BELIEF = 3.0  # draws that the bank's word counts for
SHARES = np.linspace(0, 1, 6)  # of predictions ...
FLAT = np.linspace(0, 1, 5)  # ... and of equal variances, that are compared


class Asked(NamedTuple):
    """What is to be run next, and all draws so far."""

    choice: Choice
    draws: Draws


def choose(
    responses: Responses | SparseResponses | None,
    *,
    bank: ItemBank,
    draws: Draws | None = None,
    k: int = 10,
    width: float | None = None,
    threshold: float | None = None,
    budget: int | None = None,
    level: float = 0.95,
    seed: int = 0,
    strict: bool = False,
) -> Asked:
    """The next items of a bank to run, drawn at random with known chances, or "enough".

    All rows are asked the same items. Items that were drawn and not answered yet come first; none is drawn before they
    are answered.

    Args:
        responses: answers so far; None before the first.
        bank: calibrated items, with complete answers of the calibration models.
        draws: those so far, as this function returned them; None starts.
        k: how many items.
        width: enough when the interval of each row, valid at every look, is at most so wide.
        threshold: enough when the interval of each row, valid at every look, is clear of this score.
        budget: enough after so many draws.
        level: of these intervals.
        seed: of the draws, where they start.
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Returns:
        What to run, and the draws, to be kept (`ll.write_draws`) and passed to the next call and to `estimate`.

    Raises:
        BadInput: an impossible number; answers with a gap in what was drawn; answers to none of it.
        BankMismatch: draws of another bank; a bank that cannot predict single answers.

    Example:
        >>> import lleval_jax as ll
        >>> bank = ll.load_bank("livexiv-vqa")
        >>> asked = ll.guarantee.choose(None, bank=bank, k=3)
        >>> len(asked.draws), asked.choice.items[0] == asked.draws.items
        (3, True)
    """
    require(k > 0, f"k is {k}; ask for at least one item")
    require_level(level)
    require(width is None or 0 < width < 1, f"width is {width}; it must lie strictly between 0 and 1")
    require(threshold is None or 0 <= threshold <= 1, f"threshold is {threshold}; scores lie between 0 and 1")
    require(budget is None or budget > 0, f"budget is {budget}; it must be positive")
    known, draws = Known.of(bank), draws or Draws(bank.name, seed=seed)
    places(bank, draws)
    if width is not None or threshold is not None:
        draws = dataclasses.replace(draws, every_look=True)
    rows, traces = ("",), []
    if responses is not None and len(draws):
        found = drawn(responses, bank, draws, strict)
        rows = found.here.rows
        waiting = draws.items[int(found.count.min()) :]
        if waiting:
            return _asked(rows, waiting, "drawn already, and not answered by every model", bank, draws)
        traces = [follow(known, found.index, draws.chance, answers) for answers in found.scores]
        enough = _enough(found, traces, draws, width, threshold, level)
        if enough:
            return _asked(rows, (), enough, bank, draws)
    elif len(draws):
        return _asked(rows, draws.items, "drawn already, and not answered", bank, draws)
    else:
        traces = [follow(known, np.zeros(0, int), np.zeros(0), np.zeros(0))]
    most = k if budget is None else min(k, budget - len(draws))
    if most <= 0:
        return _asked(rows, (), f"the budget of {budget} draws is spent", bank, draws)
    more = _draw(known, traces, draws, bank, most)
    if len(more) == len(draws):
        return _asked(rows, (), "all items were drawn", bank, draws)
    return _asked(
        rows, more.items[len(draws) :], "drawn at random, most often where answers are hard to predict", bank, more
    )


def _asked(rows: tuple[str, ...], items: tuple[str, ...], why: str, bank: ItemBank, draws: Draws) -> Asked:
    """The same for every row."""
    source = Source(bank=bank.name, seed=draws.seed, cite=score.CITE)
    return Asked(Choice(rows, (items,) * len(rows), (why,) * len(rows), source), draws)


def _enough(
    found: Drawn, traces: list[Trace], draws: Draws, width: float | None, threshold: float | None, level: float
) -> str:
    """Why all rows can stop, or ""."""
    spans = [score.interval(trace, level, every_look=True) for trace in traces]
    low, high = np.array([span.low for span in spans]), np.array([span.high for span in spans])
    if width is not None and (high - low).max() <= width:
        return f"the interval, valid at every look, is {(high - low).max():.3f} wide, at most {width:g}"
    if threshold is not None and ((low > threshold) | (high < threshold)).all():
        return f"clear of {threshold:g} by an interval that is valid at every look"
    return ""


def _draw(known: Known, traces: list[Trace], draws: Draws, bank: ItemBank, k: int) -> Draws:
    """`k` more draws, one after the other."""
    rng = np.random.default_rng((draws.seed, len(draws)))
    done = set(draws.items)
    left = np.array([w > 0 and item not in done for w, item in zip(known.weight, bank.items, strict=True)])
    size = known.weight * np.sqrt(np.mean([hardness(known.weight, trace) for trace in traces], axis=0))
    items, chance = list(draws.items), list(draws.chance)
    for _ in range(min(k, int(left.sum()))):
        q = chances(known.weight, size, left)
        i = rng.choice(len(q), p=q)
        items.append(bank.items[i])
        chance.append(q[i])
        left[i] = False
    return dataclasses.replace(draws, items=tuple(items), chance=np.array(chance))


def chances(weight: np.ndarray, size: np.ndarray, left: np.ndarray) -> np.ndarray:
    """(items,) chances of a draw among those left: in proportion to `size`, and for FLOOR of it to the shares."""
    flat, steep = np.where(left, weight, 0), np.where(left, size, 0)
    q = FLOOR * flat / flat.sum() + (1 - FLOOR) * steep / steep.sum()
    return q / q.sum()


def hardness(weight: np.ndarray, trace: Trace) -> np.ndarray:
    """(items,) expected squared residuals: those of the bank, or more alike, whichever suits the answers so far.

    First the share of predictions with which the residuals so far would have been smallest, then the share of equal
    variances with which the spread of what was drawn would have been; both count BELIEF draws as the bank has it.
    """
    mean = float(weight @ trace.variance)
    if not len(trace.off):
        return trace.variance
    often = 1 / trace.chance
    often = often / often.mean()
    apart = float(weight @ (trace.mean - trace.centre) ** 2)
    lost = [
        often @ (s * trace.off + (1 - s) * trace.plain_off) ** 2 + BELIEF * (mean + (1 - s) ** 2 * apart)
        for s in SHARES
    ]
    share = SHARES[int(np.argmin(lost))]
    squared = (share * trace.off + (1 - share) * trace.plain_off) ** 2
    wide = []
    for flat in FLAT:
        now, then = (np.sqrt((1 - flat) * v + flat * mean) for v in (trace.variance, trace.nominal))
        wide.append((often @ (squared / then) + BELIEF * (weight @ (trace.variance / now))) * (weight @ now))
    flat = FLAT[int(np.argmin(wide))]
    return (1 - flat) * trace.variance + flat * mean
