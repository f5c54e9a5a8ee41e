"""The mean score of each model from its own answers, with an interval (Miller 2024, arXiv:2411.00640).

Two questions have two intervals. How would the model score on a large population of questions like these? That is the
default, and what another benchmark of the kind would show. How does it score on this benchmark of N questions, of which
some were asked? That is `population=N`: the interval shrinks as more of the N are asked.
"""

import warnings
from collections.abc import Mapping

import numpy as np

from lleval_jax.errors import BadInput, DataWarning, require, require_known, require_level
from lleval_jax.estimators.plain.interval import Interval, Population, of_mean, population
from lleval_jax.estimators.plain.units import GROUP, Answers, Cluster, each_row, gather, labels
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import Estimate, Source
from lleval_jax.values.sparse import SparseResponses

CITE = ("wilson1927", "miller2024errorbars")
CLUSTERED, FINITE = ("bell2002bias",), ("cochran1977",)
WAYS = ("wilson", "t")
ALL = "all"  # the word for "the questions that were asked are all that there are"
Size = int | str | Mapping[str, int] | None


def estimate(
    responses: Responses | SparseResponses,
    *,
    level: float = 0.95,
    by: str = "wilson",
    cluster: Cluster = None,
    population: Size = None,
    groups: bool = False,
) -> Estimate:
    """Mean score of each model over the questions that it answered, with an interval; no item bank is needed.

    Each question counts once, however often it was repeated; k right of n repeats are a score of k / n with weight n.

    Args:
        responses: answers, scores in [0, 1]; models need not have answered the same questions.
        level: confidence level of the intervals.
        by: "wilson", an interval that keeps its level near 0 and 1 and with few questions; "t", the textbook's mean
            plus or minus t standard errors, which other programs print (see `plain.interval`).
        cluster: questions that share something, such as a passage, do not count as independent: "group" for the groups
            of the answers, or a mapping from each item to the name of its cluster. With "group", a group's own entry
            takes its questions as independent.
        population: None: the score on a large population of questions like these. A number: the score on a benchmark
            with so many questions, of which those answered are a random sample. "all": the items of `responses` are
            the whole benchmark. A mapping: the number of each group.
        groups: also each group's score, one entry each; with `population` as a mapping or "all".

    Returns:
        An `Estimate` in the scores' unit. The target is "accuracy" where each answer is right or wrong, else "mean
        score". Models without an answer are left out, with a `DataWarning`.

    Raises:
        BadInput: an unknown word, a population smaller than what was answered, an item without a cluster, no answers.

    Example:
        >>> import lleval_jax as ll
        >>> answers = ll.Responses.build([[1, 1, 0, 1, 0, 1, 1, 1]], rows=["model-a"])
        >>> print(ll.plain.estimate(answers))
        estimated accuracy, 95% intervals (method: wilson)
        model-a  0.750  [0.409, 0.929]  n = 8
    """
    require_level(level)
    require_known(by, WAYS, "by")
    label, sizes = labels(responses, cluster), population_sizes(responses, population, groups)
    entries: list[tuple[str, str, Interval, int]] = []
    empty, whole_numbers = [], True
    for row, answers in zip(responses.rows, each_row(responses), strict=True):
        whole_numbers = whole_numbers and _counts(answers)
        for group, mine in _parts(responses, answers, groups):
            if not len(mine.item):
                empty += [row] * (group == WHOLE)
                continue
            inside = None if group != WHOLE and cluster == GROUP else label
            units = gather(mine.item, mine.score, inside)
            entries.append((row, group, of_mean(units, level, by, _finite(mine, sizes, row, group)), len(mine.item)))
    require(bool(entries), "there is no answer to estimate from")
    _say_empty(empty)
    rows, group, found, n_seen = zip(*entries, strict=True)
    numbers = (np.array([getattr(one, name) for one in found]) for name in Interval._fields)
    value, low, high, std_error = numbers
    clustered, finite = label is not None, sizes is not None
    return Estimate(
        target="accuracy" if whole_numbers else "mean score",
        method=way(by, clustered, finite),
        rows=rows,
        group=group,
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=std_error,
        n_seen=np.array(n_seen),
        status=("ok",) * len(rows),
        source=responses.source.merge(Source(cite=cites(CITE, clustered, finite))),
    )


def way(by: str, clustered: bool, finite: bool) -> str:
    """The method's name: "wilson, clustered, finite population"."""
    return by + ", clustered" * clustered + ", finite population" * finite


def cites(keys: tuple[str, ...], clustered: bool, finite: bool) -> tuple[str, ...]:
    """Keys of `report.cite.BIBTEX`."""
    return keys + CLUSTERED * clustered + FINITE * finite


def population_sizes(responses: Responses | SparseResponses, size: Size, groups: bool) -> Mapping[str, int] | None:
    """Group -> number of questions of the benchmark, `WHOLE` among them; None for a population without end."""
    if size is None:
        return None
    names = responses.groups if len(responses.groups) > 1 else ()
    if isinstance(size, str):
        require(size == ALL, f"population {size!r} is neither a number nor {ALL!r}")
        count = np.bincount(responses.group, minlength=len(responses.groups)).tolist()
        return {WHOLE: len(responses.items)} | dict(zip(names, count, strict=False))
    if isinstance(size, Mapping):
        missing = [name for name in names if name not in size]
        require(not missing, f"population says nothing of {len(missing)} groups, such as {(missing or [''])[0]!r}")
        return {WHOLE: sum(size[name] for name in names or size)} | dict(size)
    require(
        not groups,
        "the number of questions of each group is not known.",
        python="Pass population={group: number, ...}, or population='all' if all questions were asked.",
        shell="Leave out --groups, or pass --population all if all questions were asked.",
    )
    return {WHOLE: int(size)}


def _finite(answers: Answers, sizes: Mapping[str, int] | None, row: str, group: str) -> Population | None:
    if sizes is None:
        return None
    n, size = len(answers.item), sizes[group]
    where = "" if group == WHOLE else f" on {group}"
    if n > size:
        raise BadInput(f"{row!r} has answers to {n:,} questions{where}, more than the population of {size:,}.")
    return population(answers, size)


def _parts(responses: Responses | SparseResponses, answers: Answers, groups: bool) -> list[tuple[str, Answers]]:
    """The whole, and each group where there are several."""
    parts = [(WHOLE, answers)]
    if groups and len(responses.groups) > 1:
        code = responses.group[answers.item]
        parts += [(name, answers.on(code == i)) for i, name in enumerate(responses.groups)]
    return parts


def _counts(answers: Answers) -> bool:
    """Whether all scores are so many right of so many."""
    right = answers.score * answers.weight
    return bool((np.abs(right - np.round(right)) < 1e-4 * np.maximum(answers.weight, 1)).all())


def _say_empty(empty: list[str]) -> None:
    if empty:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        warnings.warn(DataWarning(f"{empty[0]!r}{more} have no answers and are left out"), stacklevel=3)
