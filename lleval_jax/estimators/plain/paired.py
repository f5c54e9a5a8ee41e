"""Two models on the questions that both answered: the difference of their scores, and who is ahead of whom.

What makes a question hard for both leaves the difference, so it is known better than two scores by themselves
(Miller 2024, arXiv:2411.00640, section 4).

The interval is Bonett and Price's (2012): two questions are added, one that each model wins, and the mean of the n + 2
differences plus or minus z standard errors is taken. For right and wrong answers it keeps its level with few questions
on which the two differ, or none. It is widened to contain 0 where the test of `signs` sees no difference, so that the
two do not contradict each other. Other scores differ by less than 1: there the added questions are won by
sqrt(sum d^4 / sum d^2), which is the size of a difference where all have one size. Questions in clusters: two clusters
of typical size are added, the variance is `units.Units.variance`, and the quantile Student's.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from lleval_jax.errors import BadInput, nearest, require, require_known, require_level
from lleval_jax.estimators.plain import signs
from lleval_jax.estimators.plain.interval import Population, population
from lleval_jax.estimators.plain.score import Size, cites, population_sizes, way
from lleval_jax.estimators.plain.units import GROUP, Answers, Cluster, Units, each_row, gather, labels
from lleval_jax.values.comparison import Comparison
from lleval_jax.values.ranks import Ranks
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import Estimate, Source
from lleval_jax.values.sparse import SparseResponses

CITE = ("miller2024errorbars", "bonett2012adjusted", "mcnemar1947")
WAYS = ("adjusted", "t")
ADJUST = ("holm", "none")
POWER = 0.8  # the chance of seeing the smallest difference that is called detectable


class Pair(NamedTuple):
    """Two models on common questions: item (n,), difference (n,), and how much of its variance comes from repeats."""

    item: NDArray
    difference: NDArray
    finite: Population | None

    @property
    def won(self) -> int:
        """Questions on which the first scores higher."""
        return int((self.difference > 0).sum())

    @property
    def lost(self) -> int:
        """Questions on which the second scores higher."""
        return int((self.difference < 0).sum())

    @property
    def right_or_wrong(self) -> bool:
        """Whether each question is won, lost or a tie."""
        return bool(np.isin(self.difference, (-1, 0, 1)).all())


class Gap(NamedTuple):
    """A difference, its interval, its standard error, and the smallest difference that would be seen."""

    value: float
    low: float
    high: float
    std_error: float
    detectable: float


def compare(
    responses: Responses | SparseResponses,
    *,
    first: str,
    second: str,
    level: float = 0.95,
    by: str = "adjusted",
    cluster: Cluster = None,
    population: Size = None,
    groups: bool = False,
    seed: int = 0,
) -> Comparison:
    """The score of `first` minus that of `second` on the questions that both answered, with interval and p value.

    Args:
        responses: answers of both, among others.
        first: name of a model.
        second: name of another.
        level: confidence level of the interval.
        by: "adjusted", Bonett and Price's interval; "t", the textbook's paired t.
        cluster: as in `plain.estimate`; signs are flipped a cluster at a time.
        population: as in `plain.estimate`. The p value is about questions like these, so none is given with it (NaN).
        groups: also the difference on each group on which both have answers.
        seed: of random sign flips.

    Returns:
        A `Comparison`: the difference, the p value (McNemar's exact test where each answer is right or wrong, else sign
        flips), questions won and lost, and the smallest difference that so many questions would show.

    Raises:
        BadInput: an unknown model or word, or no question that both answered.

    Example:
        >>> import lleval_jax as ll
        >>> answers = ll.Responses.build([[1, 1, 1, 1, 1, 1, 0, 1], [1, 0, 0, 1, 0, 0, 0, 0]], rows=["a", "b"])
        >>> print(ll.plain.compare(answers, first="a", second="b"))
        estimated difference in accuracy, 95% intervals (method: adjusted)
        a - b  0.625  [0.000, 0.916]  n = 8, p = 0.062 (exact McNemar)
    """
    require_level(level)
    require_known(by, WAYS, "by")
    require(first != second, f"two different models are needed to compare; both are {first!r}")
    for name in (first, second):
        if name not in responses.rows:
            raise BadInput(f"there is no model {name!r} to compare{nearest(name, responses.rows)}")
    label, sizes = labels(responses, cluster), population_sizes(responses, population, groups)
    each = responses.take([responses.rows.index(first), responses.rows.index(second)])
    one, two = each_row(each)
    names = [WHOLE, *(responses.groups if groups and len(responses.groups) > 1 else ())]
    entries, tests = [], []
    for i, group in enumerate(names):
        pair = _pair(one, two, None if sizes is None else sizes[group], responses.group == i - 1 if i else None)
        require(i > 0 or len(pair.item) > 0, f"{first!r} and {second!r} have answered no question in common")
        if not len(pair.item):
            continue
        inside = None if i and cluster == GROUP else label
        units = gather(pair.item, pair.difference, inside)
        p, test = (np.nan, "") if sizes is not None else _test(pair, units, seed)
        gap = _gap(units, pair.finite, level, by)
        entries.append((group, _agreeing(gap, p, level) if by == "adjusted" else gap, p, pair))
        tests.append(test)
    return _comparison(responses, first, second, level, by, entries, tests, label is not None)


def ranks(
    responses: Responses | SparseResponses,
    *,
    level: float = 0.95,
    cluster: Cluster = None,
    population: Size = None,
    adjust: str = "holm",
) -> Ranks:
    """Models best first, each with the ranks that the paired differences allow.

    One model is above another where its score on their common questions is higher by more than chance. With "holm" all
    the rank ranges together contain the true ranks with probability `level` at least (Holm 1979, over all pairs of
    models); with "none" each pair is judged by itself, so that with many models some range will be wrong.

    Args:
        responses: answers of the models; each has one at least.
        level: see above.
        cluster: as in `plain.estimate`.
        population: as in `plain.estimate`; where all questions were asked, the order is that of the scores.
        adjust: "holm" or "none".

    Returns:
        `Ranks`; positions are those of the models with answers, as in `plain.estimate` without groups.
    """
    require_level(level)
    require_known(adjust, ADJUST, "adjust")
    label, sizes = labels(responses, cluster), population_sizes(responses, population, groups=False)
    each = [answers for answers in each_row(responses) if len(answers.item)]
    score = np.array([answers.score.mean() for answers in each])
    above, p = _all_pairs(each, label, None if sizes is None else sizes[WHOLE])
    clear = (_holm(p) if adjust == "holm" else p) < 1 - level
    order = np.argsort(-score, kind="stable")
    worst = len(each) - (clear & above).sum(1)
    best = 1 + (clear & above).sum(0)
    return Ranks(order, best[order], worst[order])


def _all_pairs(each: list[Answers], label: NDArray | None, size: int | None) -> tuple[NDArray, NDArray]:
    """(models, models) whether the first scores higher on common questions, and the p value of the difference."""
    if label is None and size is None and all(np.isin(answers.score, (0, 1)).all() for answers in each):
        return _counted(each)
    above, p = np.zeros((len(each), len(each)), bool), np.ones((len(each), len(each)))
    for i, one in enumerate(each):
        for j in range(i):
            pair = _pair(one, each[j], size)
            if len(pair.item):
                mean = pair.difference.mean()
                above[i, j], above[j, i] = mean > 0, mean < 0
                p[i, j] = p[j, i] = _quick_test(pair, label)
    return above, p


def _counted(each: list[Answers]) -> tuple[NDArray, NDArray]:
    """The same of right and wrong answers: questions won and lost by all pairs at once."""
    items = 1 + max(int(answers.item.max()) for answers in each)
    seen, right = np.zeros((2, len(each), items), np.float32)
    for row, answers in enumerate(each):
        seen[row, answers.item], right[row, answers.item] = 1, answers.score
    won = np.rint(right @ (seen - right).T).astype(int)
    return won > won.T, signs.exact(won, won.T)


def _quick_test(pair: Pair, label: NDArray | None) -> float:
    """A p value without random draws: exact for right or wrong, else by the standard error of `_adjusted`."""
    if label is None and pair.finite is None and pair.right_or_wrong:
        return float(signs.exact(np.array(pair.won), np.array(pair.lost)))
    units = gather(pair.item, pair.difference, label)
    error = _error(_adjusted(units), pair.finite)
    if not error:
        return float(units.mean == 0)
    return float(2 * stdtr(_df(units), -abs(units.mean) / error))


def _holm(p: NDArray) -> NDArray:
    """Holm's adjusted p values of all pairs, from a symmetric matrix."""
    one, two = np.tril_indices(len(p), -1)
    found, order = p[one, two], np.argsort(p[one, two], kind="stable")
    steps = np.maximum.accumulate(found[order] * np.arange(len(found), 0, -1))
    out = np.ones_like(p)
    out[one[order], two[order]] = out[two[order], one[order]] = np.minimum(steps, 1)
    return out


def _pair(one: Answers, two: Answers, size: int | None, kept: NDArray | None = None) -> Pair:
    """Two models on the questions that both answered, those of `kept` (items,) alone."""
    item, a, b = np.intersect1d(one.item, two.item, assume_unique=True, return_indices=True)
    if kept is not None:
        item, a, b = (each[kept[item]] for each in (item, a, b))
    first, second = one.on(a), two.on(b)
    finite = None
    if size is not None and len(item):
        each = [population(answers, size) for answers in (first, second)]
        noise = sum(part.noise for part in each)
        finite = each[0]._replace(noise=noise, df=sum(part.df for part in each))
    return Pair(item, first.score - second.score, finite)


def _adjusted(units: Units) -> Units:
    """With two more units of typical size, one won and one lost by a typical difference."""
    squares = units.share @ units.value**2
    typical = float(np.sqrt(units.share @ units.value**4 / squares)) if squares > 0 else 1.0
    share = np.append(units.share, [1 / units.count] * 2)
    return Units(np.append(units.value, [typical, -typical]), share / share.sum(), units.single)


def _gap(units: Units, finite: Population | None, level: float, by: str) -> Gap:
    value, plain = units.mean, _error(units, finite)
    left = 1.0 if finite is None else finite.left
    if by == "t":
        few = len(units.value) < 2 and left > 0
        reach = stdtrit(max(units.df, 1), 0.5 + level / 2)
        middle, error = value, 1.0 if few else plain
    else:
        added = _adjusted(units)
        error = _error(added, finite) * (
            np.sqrt(1 - 1 / len(added.value)) if units.single else 1.0
        )  # squares over n + 2
        middle = value + left * (added.mean - value)
        reach = ndtri(0.5 + level / 2) if units.single else stdtrit(_df(units), 0.5 + level / 2)
    low, high = max(-1.0, middle - reach * error), min(1.0, middle + reach * error)
    seen = (ndtri(0.5 + level / 2) + ndtri(POWER)) * error
    return Gap(value, float(min(low, value)), float(max(high, value)), float(plain or error), float(seen))


def reach(difference: NDArray, share: NDArray, size: int | None, *, level: float) -> float:
    """Half the width of the adjusted interval of a weighted mean of differences, of some of `size` questions."""
    units = Units(difference, share / share.sum(), True)
    finite = None if size is None else Population(size, len(difference), 0.0, 0.0, 0.0)
    gap = _gap(units, finite, level, "adjusted")
    return (gap.high - gap.low) / 2


def _agreeing(gap: Gap, p: float, level: float) -> Gap:
    """Wide enough to contain 0 where the test does not see a difference."""
    if not p > 1 - level:
        return gap
    return gap._replace(low=min(gap.low, 0.0), high=max(gap.high, 0.0))


def _error(units: Units, finite: Population | None) -> float:
    """Standard error of the mean of units."""
    if finite is None:
        return float(np.sqrt(units.variance))
    return float(np.sqrt(finite.left * units.variance + finite.share * finite.noise))


def _df(units: Units) -> float:
    return units.df + 1


def _test(pair: Pair, units: Units, seed: int) -> tuple[float, str]:
    if units.single and pair.right_or_wrong:
        return float(signs.exact(np.array(pair.won), np.array(pair.lost))), "exact McNemar"
    return signs.flips(units.share * units.value * len(pair.item), seed)


def _comparison(
    responses: Responses | SparseResponses,
    first: str,
    second: str,
    level: float,
    by: str,
    entries: list[tuple[str, Gap, float, Pair]],
    tests: list[str],
    clustered: bool,
) -> Comparison:
    """The result, names and numbers together."""
    group, gaps, p_value, pairs = zip(*entries, strict=True)
    value, low, high, std_error, detectable = (np.array(numbers) for numbers in zip(*gaps, strict=True))
    finite = pairs[0].finite is not None
    difference = Estimate(
        target="difference in accuracy" if pairs[0].right_or_wrong else "difference in mean score",
        method=way(by, clustered, finite),
        rows=(f"{first} - {second}",) * len(group),
        group=group,
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=std_error,
        n_seen=np.array([len(pair.item) for pair in pairs]),
        status=("ok",) * len(group),
        source=responses.source.merge(Source(cite=cites(CITE, clustered, finite))),
    )
    return Comparison(
        difference=difference,
        first=first,
        second=second,
        p_value=np.array(p_value),
        tests=tuple(tests),
        won=np.array([pair.won for pair in pairs]),
        lost=np.array([pair.lost for pair in pairs]),
        detectable=detectable,
        power=POWER,
        how="Paired on the questions that both answered.",
    )
