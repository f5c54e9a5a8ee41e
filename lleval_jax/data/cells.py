"""The answers of many files on common axes, one entry a cell."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lleval_jax.data.answers import Answers

AGREE = 1e-6  # scores closer than this are the same


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """All answers on the common axes; `part` is the file a cell came from, `at` its place there.

    row, item, part, at  (cells,)
    score, weight        (cells,) float32
    """

    row: np.ndarray
    item: np.ndarray
    score: np.ndarray
    weight: np.ndarray
    part: np.ndarray
    at: np.ndarray

    def take(self, index: np.ndarray) -> "Cells":
        """Only these cells, by position or mask."""
        return Cells(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))

    def scored(self, score: np.ndarray, weight: np.ndarray) -> "Cells":
        """The same cells with other scores and weights."""
        return dataclasses.replace(self, score=score.astype(np.float32), weight=weight.astype(np.float32))

    def agree(self, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        """Whether the answers at `one` are those at `two`: score and weight."""
        same = np.abs(self.score[one] - self.score[two]) <= AGREE
        return same & (self.weight[one] == self.weight[two])


def axis(names: Sequence[np.ndarray]) -> tuple[list[str], list[np.ndarray]]:
    """(all names in the order they are first met, of each file the places of its names among them)."""
    if len(names) == 1:
        return names[0].tolist(), [np.arange(len(names[0]))]
    known: dict[str, int] = {}
    places = [np.array([known.setdefault(name, len(known)) for name in part.tolist()], np.int64) for part in names]
    return list(known), places


def join(parts: Sequence[Answers], rows: Sequence[np.ndarray], items: Sequence[np.ndarray]) -> Cells:
    """The cells of all files, their codes moved to the common names, where `rows` and `items` are the places."""
    columns: dict[str, list[np.ndarray]] = {field.name: [] for field in dataclasses.fields(Cells)}
    for number, part in enumerate(parts):
        n = len(part.row)
        columns["row"].append(rows[number][part.row])
        columns["item"].append(items[number][part.item])
        columns["score"].append(part.score.astype(np.float32))
        columns["weight"].append(np.ones(n, np.float32) if part.weight is None else part.weight)
        columns["part"].append(np.full(n, number, np.int32))
        columns["at"].append(np.arange(n))
    return Cells(**{name: np.concatenate(column) for name, column in columns.items()})
