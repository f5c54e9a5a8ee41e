"""Who is ahead, with probabilities: the ranks that rows of a leaderboard may have.

`Ranks` is what every leaderboard knows. `Ranking` adds each pair of rows, for who is asked next; `Standing` adds the
probability of each rank, where scores of all rows are drawn together.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lleval_jax.values.results import Estimate
from lleval_jax.values.value import Value


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Ranks(Value):
    """Rows of one group, best first, each with the ranks it may have.

    order  (rows,) positions in the estimate, best first
    best   (rows,) 1 + how many rows are surely above
    worst  (rows,) how many rows are not surely below, this one included
    """

    order: NDArray
    best: NDArray
    worst: NDArray

    @property
    def ranges(self) -> tuple[str, ...]:
        """(rows,) the ranks that each may have, in words: "1" or, where others tie with it, "1-3"."""
        return tuple(f"{a}" if a == b else f"{a}-{b}" for a, b in zip(self.best, self.worst, strict=True))

    def entries(self, rows: Sequence[str]) -> list[dict[str, Any]]:
        """Plain JSON types; `rows` are the names in the estimate."""
        places = zip(self.order, self.best, self.worst, strict=True)
        return [{"row": rows[i], "best": int(a), "worst": int(b)} for i, a, b in places]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Ranking(Ranks):
    """A leaderboard and how far the order of each pair is known.

    scores  of each row, in the order of the answers
    above   (rows, rows)  whether the first is surely better than the second
    open    (rows, rows)  whether the order of two is open still
    wrong   how many of the open pairs are expected in the wrong order, by more than the tolerance
    """

    scores: Estimate
    above: NDArray
    open: NDArray
    wrong: float

    @property
    def open_pairs(self) -> tuple[tuple[str, str], ...]:
        """Names of the pairs whose order is open, the better placed first."""
        rows, here = self.scores.rows, self.open[np.ix_(self.order, self.order)]
        return tuple((rows[self.order[i]], rows[self.order[j]]) for i, j in np.argwhere(np.triu(here)))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Standing(Ranks):
    """A leaderboard and the probability of each rank.

    ranks   1 is the best; the value is the rank by score, the interval is for the rank of each model by itself
    chance  (models, models)  that a model (rows) has a rank (columns, from 1)
    holds   (models,)         that the rank by score is the model's true one
    """

    ranks: Estimate
    chance: NDArray
    holds: NDArray

    def __str__(self) -> str:
        """One line a model, best first."""
        order, r = np.argsort(self.ranks.value), self.ranks
        width = max(map(len, r.rows))
        head = f"estimated {r.target}, {100 * r.level:.4g}% intervals (method: {r.method}), P(rank)"
        lines = (
            f"{r.rows[i]:<{width}}  {r.value[i]:z.0f}  [{r.low[i]:z.0f}, {r.high[i]:z.0f}]  {self.holds[i]:z.2f}"
            for i in order
        )
        return "\n".join((head, *lines))
