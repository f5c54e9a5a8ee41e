"""Do the intervals of a bank contain the score? Seen on models that it was not made from.

A fifth of the models, drawn at random, is left out of everything; then the strongest fifth is, since a new model is
often better than all that are known, and what holds between known models need not hold above them.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import lleval_jax as ll

SHARE = 5  # one model in so many is left out
FEWEST, MOST = 10, 200  # models needed for a check; models left out at most
RANDOM, STRONGEST = "models left out at random", "strongest models left out"


@dataclasses.dataclass(frozen=True)
class Tried:
    """Models that were left out, and estimated from the anchors alone.

    who       which models: `RANDOM` or `STRONGEST`
    found     how the intervals did
    estimate  of their scores; None where nothing was tried
    """

    who: str
    found: "ll.LeftOut"
    estimate: "ll.Estimate | None" = None


def left_out(
    responses: Any,
    bank: "ll.ItemBank",
    fitting: dict[str, Any],
    choosing: dict[str, Any],
    level: float,
    say: Callable[[str], object],
) -> Iterator[Tried]:
    """Fit and choose again without some models, then estimate those from the anchors alone: at random, the strongest.

    Only models whose full score is known take part: from a table of scores, or from an answer to every item. `say` is
    called with a word before each.
    """
    truth = known_scores(bank)
    for who in (RANDOM, STRONGEST):
        why_not = _why_not(responses, bank, truth)
        if why_not:
            yield Tried(who, ll.LeftOut(level=level, why_not=why_not))
            continue
        out = (
            _drawn(truth, len(responses.rows), choosing["seed"]) if who == RANDOM else _best(truth, len(responses.rows))
        )
        say(f"checking on {len(out)} {who}")
        found = _estimated(responses, set(out), bank, fitting, choosing, level)
        known = np.array([truth[row] for row in found.rows])
        inside = (found.low <= known) & (known <= found.high)
        off = found.value - known
        error, bias = float(np.abs(off).mean()), float(off.mean())
        yield Tried(who, ll.LeftOut(int(inside.sum()), len(known), error, bias, level), found)


def known_scores(bank: "ll.ItemBank") -> dict[str, float]:
    """Full score of each calibration model for which it was seen and not predicted."""
    made = bank.calibration
    if made is None:
        return {}
    whole = np.logical_or(made.seen.all(axis=1), made.outside)
    return {row: float(score) for row, score, known in zip(made.rows, made.full[:, 0], whole, strict=True) if known}


def _why_not(responses: Any, bank: "ll.ItemBank", truth: dict[str, float]) -> str:
    """Why no check can be made, or ""."""
    rows = len(responses.rows)
    if rows < FEWEST:
        return f"needs {FEWEST} models, found {rows}"
    if len(truth) < SHARE:
        return f"needs {SHARE} models that answered every item, found {len(truth)}; give --scores"
    if len(bank.anchor_items) == len(bank.items):
        return "the anchors are all items, so nothing is predicted"
    return ""


def _count(rows: int) -> int:
    return min(max(rows // SHARE, 1), MOST)


def _drawn(truth: dict[str, float], rows: int, seed: int) -> Sequence[str]:
    """Names drawn from those with a known score, whatever their order."""
    names = np.array(sorted(truth), object)
    return np.random.default_rng(seed).permutation(names)[: min(_count(rows), len(names) // 2)].tolist()


def _best(truth: dict[str, float], rows: int) -> Sequence[str]:
    """The names with the highest scores."""
    return sorted(truth, key=lambda name: (-truth[name], name))[: min(_count(rows), len(truth) // 2)]


def _estimated(
    responses: Any, out: set[str], bank: "ll.ItemBank", fitting: dict[str, Any], choosing: dict[str, Any], level: float
) -> "ll.Estimate":
    """Scores of the models left out, by a bank that is made as this one was, but without them.

    Where the default is kriged for lack of models to mix by, what a check learns changes nothing and is left out.
    """
    rows = responses.rows
    rest = responses.take(i for i in range(len(rows)) if rows[i] not in out)
    fit = ll.irt.fit(rest, **(fitting | {"dims": bank.dims, "strict": False}))
    needed = bank.learned is None or len(known_scores(bank)) >= ll.anchors.ENOUGH_TO_MIX
    words: dict[str, Any] = choosing | {"check": needed}
    smaller = ll.anchors.choose(fit, responses=rest, **words)
    few = responses.take(i for i in range(len(rows)) if rows[i] in out).select(smaller.anchor_items)
    return ll.tiny.estimate(few, bank=smaller, level=level)
