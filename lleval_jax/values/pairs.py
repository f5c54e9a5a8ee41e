"""Pairwise answers: which of two models did better, or that neither did."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lleval_jax.errors import require
from lleval_jax.values.results import Source
from lleval_jax.values.value import Value

WINNERS = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5}  # as in Chatbot Arena's tables


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Pairs(Value):
    """Outcomes of comparisons, counted: each pair of models that met is one entry.

    models  names, also of models that met none
    first   (pairs,) index of the first model, below that of the second
    second  (pairs,)
    counts  (pairs, 3) how often the first won, both tied, the first lost
    source  which files this came from
    """

    models: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    counts: np.ndarray
    source: Source = dataclasses.field(default_factory=Source)

    @classmethod
    def build(
        cls,
        first: Sequence[str],
        second: Sequence[str],
        score: Sequence[float] | np.ndarray,
        *,
        weight: Sequence[float] | np.ndarray | None = None,
        models: Sequence[str] | None = None,
        source: Source | None = None,
    ) -> "Pairs":
        """From one comparison a line.

        Args:
            first: a model of each comparison.
            second: the other.
            score: 1 where the first is better, 0 where the second is, 0.5 for a tie.
            weight: how often this was the outcome; once by default.
            models: all names, in order; those that were compared by default.
            source: where it came from.

        Raises:
            BadInput: there are no comparisons, one is of a model with itself or with one that is not in `models`, or a
                score or weight is something else.

        Example:
            >>> Pairs.build(["a", "a", "b"], ["b", "b", "c"], [1, 0.5, 0])
            <Pairs: 3 models, 2 of 3 pairs met, 3 comparisons, 1 tied>
        """
        score, weight = np.asarray(score, float), np.ones(len(first)) if weight is None else np.asarray(weight, float)
        sizes = {len(first), len(second), len(score), len(weight)}
        require(len(sizes) == 1, f"there are {len(first)} first and {len(second)} second models, {len(score)} scores")
        require(len(first) > 0, "there are no comparisons")
        names = tuple(dict.fromkeys(models if models is not None else (*first, *second)))
        place = {name: i for i, name in enumerate(names)}
        for one, other, s, w in zip(first, second, score, weight, strict=True):
            what = f"comparison of {one!r} and {other!r}"
            require(
                one in place and other in place, f"{what}: there is no such model among the {len(names)} of `models`"
            )
            require(one != other, f"{what}: a model cannot be compared with itself")
            require(s in (0, 0.5, 1), f"{what}: its score is {s:g}; it is 1, 0, or 0.5 for a tie")
            require(w >= 0 and np.isfinite(w), f"{what}: its weight is {w:g}; it must not be negative")
        ends = np.array([[place[one], place[other]] for one, other in zip(first, second, strict=True)])
        turned = ends[:, 0] > ends[:, 1]
        outcome = np.round(2 - 2 * np.where(turned, 1 - score, score)).astype(int)
        met, line = np.unique(np.sort(ends, 1), axis=0, return_inverse=True)
        counts = np.zeros((len(met), 3))
        np.add.at(counts, (line.ravel(), outcome), weight)
        return cls(names, met[:, 0], met[:, 1], counts, source or Source())

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, source: Source | None = None) -> "Pairs":
        """From a table with the columns of Chatbot Arena: `model_a, model_b, winner`.

        A winner is "model_a", "model_b", "tie" or "tie (bothbad)".

        Raises:
            BadInput: a column is missing, or a winner is something else.
        """
        missing = [name for name in ("model_a", "model_b", "winner") if name not in frame.columns]
        require(not missing, f"the table has no column {missing[:1]}; it needs model_a, model_b and winner")
        unknown = sorted(set(map(str, frame["winner"])) - set(WINNERS))
        require(not unknown, f"the winner {unknown[:1]} is none of {', '.join(WINNERS)}")
        score = frame["winner"].astype(str).map(WINNERS).to_numpy(float)
        return cls.build(
            frame["model_a"].astype(str).tolist(), frame["model_b"].astype(str).tolist(), score, source=source
        )

    @property
    def n_seen(self) -> np.ndarray:
        """(models,) comparisons of each."""
        return self.met.sum(1)

    @property
    def met(self) -> np.ndarray:
        """(models, models) how often two met."""
        found = np.zeros((len(self.models),) * 2)
        found[self.first, self.second] = self.counts.sum(1)
        return found + found.T

    def take(self, models: Sequence[int]) -> "Pairs":
        """Comparisons of these models with each other, by position and in that order."""
        place = {int(model): i for i, model in enumerate(models)}
        kept = [p for p, (i, j) in enumerate(zip(self.first, self.second, strict=True)) if i in place and j in place]
        ends = np.array([[place[self.first[p]], place[self.second[p]]] for p in kept], int).reshape(-1, 2)
        turned = ends[:, 0] > ends[:, 1]
        counts = np.where(turned[:, None], self.counts[kept][:, ::-1], self.counts[kept])
        ends = np.sort(ends, 1)
        order = np.lexsort((ends[:, 1], ends[:, 0]))
        names = tuple(self.models[int(model)] for model in models)
        return dataclasses.replace(
            self, models=names, first=ends[order, 0], second=ends[order, 1], counts=counts[order]
        )

    def brief(self) -> str:
        """One line, for a prompt."""
        n = len(self.models)
        whole, ties = self.counts.sum(), self.counts[:, 1].sum()
        return (
            f"{n} models, {len(self.first)} of {n * (n - 1) // 2} pairs met, {whole:,.6g} comparisons, {ties:,.6g} tied"
        )
