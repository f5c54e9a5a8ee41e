"""What a mean is taken over: questions, or clusters of questions that share a passage, a topic or an author.

Each unit has a mean and a share of the questions. Where no clusters are named, a unit is one question. The variance of
the mean and its degrees of freedom are those of Bell and McCaffrey (2002, "CR2"), which for a mean have a closed form;
with equal units they are s^2 / G and G - 1.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lleval_jax.errors import BadInput, require
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses

GROUP = "group"  # the word for "questions of one group are one cluster"
Cluster = str | Mapping[str, str] | None


class Answers(NamedTuple):
    """What one model answered: item (n,) positions, score (n,) in [0, 1], weight (n,) repeats behind each score."""

    item: NDArray
    score: NDArray
    weight: NDArray

    def on(self, kept: NDArray) -> "Answers":
        """Only some of them, by mask or position."""
        return Answers(self.item[kept], self.score[kept], self.weight[kept])


class Units(NamedTuple):
    """The units of a mean.

    value   (units,) mean score of each
    share   (units,) of the questions; sums to 1
    single  whether each is one question
    """

    value: NDArray
    share: NDArray
    single: bool

    @property
    def mean(self) -> float:
        """The mean over all questions."""
        equal = self.share.min() == self.share.max()
        return float(self.value.mean() if equal else np.average(self.value, weights=self.share))

    @property
    def count(self) -> float:
        """How many units of equal size the shares are worth: 1 / sum(share^2) (Kish 1965)."""
        return float(1 / (self.share @ self.share))

    @property
    def variance(self) -> float:
        """Of the mean: sum of share^2 (value - mean)^2 / (1 - share). Unknown, so 0, with one unit."""
        away = self.value - self.mean
        return float(_spread(self.share) @ away**2)

    @property
    def df(self) -> float:
        """Degrees of freedom of that variance by Satterthwaite's rule, as if all questions were independent."""
        spread = _spread(self.share)
        squares = self.share @ self.share + spread.sum() ** 2 - spread @ spread
        return float(1 / squares) if len(self.share) > 1 else 0.0

    @property
    def right_or_wrong(self) -> bool:
        """Whether each unit is one question, all right or all wrong."""
        return self.single and bool(np.isin(self.value, (0, 1)).all())


def _spread(share: NDArray) -> NDArray:
    return share**2 / (1 - share) if len(share) > 1 else np.zeros_like(share)


def each_row(responses: Responses | SparseResponses) -> Iterator[Answers]:
    """The answers of each model, in the order of the rows; score and weight as float64."""
    if isinstance(responses, SparseResponses):
        order = np.lexsort((responses.item, responses.row))
        ends = np.searchsorted(responses.row[order], np.arange(len(responses.rows) + 1))
        for a, b in zip(ends[:-1], ends[1:], strict=True):
            cells = order[a:b]
            yield Answers(responses.item[cells], *_floats(responses.scores[cells], responses.weight[cells]))
        return
    for seen, scores, weight in zip(responses.seen, responses.scores, responses.weight, strict=True):
        item = np.flatnonzero(seen)
        yield Answers(item, *_floats(scores[item], weight[item]))


def _floats(*arrays: NDArray) -> tuple[NDArray, ...]:
    return tuple(np.asarray(each, np.float64) for each in arrays)


def labels(responses: Responses | SparseResponses, cluster: Cluster) -> NDArray | None:
    """(items,) the cluster of each item as a number; None where items are independent.

    Raises:
        BadInput: a word other than "group", one group only, or a mapping that leaves out an item.
    """
    if cluster is None:
        return None
    if isinstance(cluster, str):
        require(
            cluster == GROUP,
            f"cluster {cluster!r} is not known.",
            python="Pass cluster='group', or a mapping from each item to its cluster.",
            shell="Pass --cluster group.",
        )
        require(
            len(responses.groups) > 1,
            "all questions are of one group, which is then one cluster: nothing is left to learn from.",
            python="Read with columns={'group': ...}, or pass a mapping from each item to its cluster.",
            shell="Pass --columns group=COLUMN with the column that says what belongs together.",
        )
        return np.asarray(responses.group)
    missing = [item for item in responses.items if item not in cluster]
    if missing:
        raise BadInput(f"{len(missing)} of {len(responses.items)} items have no cluster, such as {missing[0]!r}.")
    names = [str(cluster[item]) for item in responses.items]
    return np.unique(names, return_inverse=True)[1]


def gather(item: NDArray, value: NDArray, label: NDArray | None) -> Units:
    """The units of answered questions, `value` (n,) being the score of each."""
    if label is None:
        return Units(value, np.full(len(value), 1 / len(value)), True)
    code = np.unique(label[item], return_inverse=True)[1]
    size = np.bincount(code)
    return Units(np.bincount(code, value) / size, size / len(value), bool((size == 1).all()))
