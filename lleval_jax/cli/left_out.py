"""Whether the intervals of a bank hold, seen on models that it was not made from."""

import dataclasses
from typing import Any

import numpy as np

import lleval_jax as ll
from lleval_jax.cli.shell.waiting import Waiting

EVERY = 5  # one model in five is left out
FEWEST, MOST = 10, 200  # models needed for a check; models left out at most


@dataclasses.dataclass(frozen=True)
class Held:
    """How many intervals held the truth, of models left out of the fit; or why this could not be seen."""

    held: int = 0
    of: int = 0
    error: float = 0.0
    level: float = 0.95
    why_not: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        if self.why_not:
            return f"not made: {self.why_not}"
        return (
            f"{self.held} of {self.of} models left out lie inside their {100 * self.level:.4g}% intervals; "
            f"mean absolute error {self.error:.3f}"
        )


def held_out(
    responses: Any,
    bank: "ll.ItemBank",
    fitting: dict[str, Any],
    choosing: dict[str, Any],
    level: float,
    wait: Waiting,
) -> Held:
    """Fit and choose again without some models, then estimate those from the anchors alone.

    Only models whose full score is known take part: from a table of scores, or from an answer to every item.
    """
    truth = _known_scores(bank)
    rows = responses.rows
    if len(rows) < FEWEST:
        return Held(level=level, why_not=f"it needs {FEWEST} models; there are {len(rows)}")
    step = max(EVERY, -(-len(rows) // MOST))
    out = [i for i in range(2, len(rows), step) if rows[i] in truth]
    if not out:
        return Held(level=level, why_not="no model left out has answered every item; give --scores")
    wait.say(f"checking the intervals on {len(out)} models left out")
    left = set(out)
    rest = responses.take(i for i in range(len(rows)) if i not in left)
    fit = ll.irt.fit(rest, **(fitting | {"dims": bank.dims, "strict": False}))
    smaller = ll.anchors.choose(fit, responses=rest, **choosing)
    few = responses.take(out).select(smaller.anchor_items)
    found = ll.tiny.estimate(few, bank=smaller, level=level)
    known = np.array([truth[row] for row in found.rows])
    inside = (found.low <= known) & (known <= found.high)
    return Held(int(inside.sum()), len(known), float(np.abs(found.value - known).mean()), level)


def _known_scores(bank: "ll.ItemBank") -> dict[str, float]:
    """Full score of each calibration model for which it was seen and not foretold."""
    made = bank.calibration
    if made is None:
        return {}
    whole = np.logical_or(made.seen.all(axis=1), made.outside)
    return {row: float(score) for row, score, known in zip(made.rows, made.full[:, 0], whole, strict=True) if known}
