"""Ranks and differences that the intervals support.

Both treat the errors of two rows as independent. Rows that answered the same items have errors that go
together, so the true interval of a difference is at most about as wide: this is conservative.
"""

import dataclasses
from statistics import NormalDist

import numpy as np

from lleval_jax.errors import require
from lleval_jax.values.comparison import verdict
from lleval_jax.values.ranks import Ranks
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate


def difference(estimate: Estimate, first: str, second: str) -> Estimate:
    """`first` minus `second` on every group that both have; standard error sqrt(s1^2 + s2^2)."""
    require(first != second, f"two different rows are needed to compare; both are {first!r}")
    places = {(r, g): i for i, (r, g) in enumerate(zip(estimate.rows, estimate.group, strict=True))}
    for name in (first, second):
        known = list(dict.fromkeys(estimate.rows))
        require(name in known, f"there is no row {name!r} to compare; there are {_few(known)}")
    groups = [g for r, g in places if r == first and (second, g) in places]
    a, b = (np.array([places[name, g] for g in groups]) for name in (first, second))
    value = estimate.value[a] - estimate.value[b]
    error = np.hypot(estimate.std_error[a], estimate.std_error[b])
    half = _quantile(estimate.level) * error
    return dataclasses.replace(
        estimate,
        target=f"difference in {estimate.target}",
        rows=(f"{first} - {second}",) * len(groups),
        group=tuple(groups),
        value=value,
        low=value - half,
        high=value + half,
        std_error=error,
        n_seen=np.minimum(estimate.n_seen[a], estimate.n_seen[b]),
        status=tuple(_worse(estimate.status[i], estimate.status[j]) for i, j in zip(a, b, strict=True)),
        remark=(),
    )


def verdicts(gap: Estimate, first: str, second: str) -> list[str]:
    """What the intervals of `first` minus `second` say: a sentence on the first entry, and one on all others."""
    said, groups = [f"{verdict(gap, first, second)}."], range(1, len(gap.rows))
    if not groups:
        return said
    ahead = ((first, [gap.group[i] for i in groups if gap.low[i] > 0]),)
    ahead += ((second, [gap.group[i] for i in groups if gap.high[i] < 0]),)
    count = sum(len(names) for _, names in ahead)
    clear = [f"{who} is better on {', '.join(names)}" for who, names in ahead if names]
    found = "; ".join([f"{count or 'none'} of {len(groups)}", *clear])
    return [*said, f"Groups with a significant difference, each judged by itself: {found}."]


def ranks(estimate: Estimate, group: str = WHOLE) -> Ranks:
    """Best first. A row is clearly above another if the interval of their difference does not hold zero."""
    here = np.array([i for i, found in enumerate(estimate.group) if found == group], int)
    require(len(here) > 0, f"the estimate has no group {group!r}; it has {_few(sorted(set(estimate.group)))}")
    here = here[np.argsort(-estimate.value[here], kind="stable")]
    value, error = estimate.value[here], estimate.std_error[here]
    reach = _quantile(estimate.level)
    best, worst = np.empty(len(here), int), np.empty(len(here), int)
    for i in range(len(here)):  # a row at a time: a hundred thousand rows fit in memory
        gap = (value - value[i]) / np.maximum(np.hypot(error, error[i]), 1e-12)
        best[i], worst[i] = 1 + np.sum(gap > reach), len(here) - np.sum(gap < -reach)
    return Ranks(here, best, worst)


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def _worse(first: str, second: str) -> str:
    return first if first != "ok" else second


def _few(names: list[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
