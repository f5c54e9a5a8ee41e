"""How small: the cheapest basis that keeps the error below a target, by measuring it on a few modules.

The paper's rule (section 6.5): an error below 0.6 keeps 99% of what the adapters can do.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from lleval_jax.errors import BadInput, require
from lleval_jax.training.compress.fit import Method, Search, compress
from lleval_jax.training.compress.folders import Collection
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.shared_adapters import core_values

TARGET = 0.6  # mean squared relative error, the paper's
RANKS = (1, 2, 4, 8, 16, 32, 64, 128)
CLUSTERS = (1, 2, 4, 8, 16, 25, 32)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One size that was looked at.

    rank, clusters
    error    mean squared relative error over adapters and the modules looked at
    values   that bases and cores of all modules hold
    share    of what the adapters hold
    """

    rank: int
    clusters: int
    error: float
    values: int
    share: float


def choose(
    adapters: Collection,
    *,
    target: float = TARGET,
    budget: float | None = None,
    method: Method = "full",
    ranks: Sequence[int] = RANKS,
    clusters: Sequence[int] = CLUSTERS,
    modules: int = 2,
    search: Search = Search(starts=2),  # noqa: B008  frozen
    tell: Tell = silent,
) -> tuple[Choice, tuple[Choice, ...]]:
    """The smallest size whose error is below a target; with a budget, the most exact that fits it.

    Args:
        adapters: what `read_adapters` gives.
        target: mean squared relative error.
        budget: share of the adapters' memory that bases and cores may take; then the target does not count.
        method: cores, "full" or "diag".
        ranks: to look at.
        clusters: to look at.
        modules: of each shape, from the middle of the model, on which the error is measured.
        search: how hard to look.
        tell: called with the sizes looked at.

    Returns:
        The choice, and all sizes that were looked at, the smallest first.

    Raises:
        BadInput: no size is small enough, or exact enough.
    """
    part = _middle(adapters, modules)
    sizes = sorted(
        (stored(adapters, rank, count, method), rank, count)
        for rank, count in itertools.product(_possible(adapters, ranks), clusters)
        if 2 * count <= len(adapters.names) or count == 1
    )
    whole = sum(each.size for each in adapters.adapters)
    sizes = [size for size in sizes if size[0] < (whole if budget is None else budget * whole)]
    require(
        bool(sizes),
        f"no size takes less than {'the adapters themselves' if budget is None else f'{budget:.0%} of them'}",
    )
    looked: list[Choice] = []
    for number, (values, rank, count) in enumerate(sizes, 1):
        found = compress(part, rank, method=method, clusters=count, search=search)
        looked.append(Choice(rank, count, float(found.error.mean()), values, values / whole))
        tell(Progress("looking at sizes", number, len(sizes), unit="sizes"))
        if budget is None and looked[-1].error <= target:
            return looked[-1], tuple(looked)
    if budget is not None:
        return min(looked, key=lambda each: each.error), tuple(looked)
    least = min(each.error for each in looked)
    raise BadInput(
        f"no size has an error of {target} or less; the least is {least:.3f}. These adapters share too little."
    )


def by_rule(n: int, most: int) -> tuple[int, int]:
    """Rank and clusters by the paper's rule for a number of adapters (section 6.5), without measuring.

    Up to 100 adapters: one basis of rank n / 2 + 7. More: rank 16, and from 512 on 25 clusters; between 100 and 512,
    which the paper leaves open, in proportion.

    Args:
        n: adapters.
        most: the smallest side of a module, which no rank exceeds.

    Example:
        >>> by_rule(64, 576)
        (39, 1)
    """
    rank, clusters = (n // 2 + 7, 1) if n <= 100 else (16, min(25, math.ceil(25 * n / 512)))
    return min(rank, most), clusters


def _possible(adapters: Collection, ranks: Sequence[int]) -> list[int]:
    least = min(min(shape) for shape in adapters.shapes.values())
    return [rank for rank in ranks if rank <= least]


def _middle(adapters: Collection, count: int) -> Collection:
    """The same adapters with modules of the middle only."""
    kept: set[str] = set()
    for modules in adapters.groups().values():
        first = max(0, (len(modules) - count) // 2)
        kept |= set(modules[first : first + count])
    fewer = tuple(
        each._replace(shapes={name: shape for name, shape in each.shapes.items() if name in kept})
        for each in adapters.adapters
    )
    return dataclasses.replace(adapters, adapters=fewer)


def stored(adapters: Collection, rank: int, clusters: int, method: Method) -> int:
    """Values of bases and cores of all modules; with "svd" each adapter has bases of its own."""
    core = core_values(rank, max(each.rank for each in adapters.adapters), method)
    bases = len(adapters.names) if method == "svd" else clusters
    sides = sum(map(sum, adapters.shapes.values()))
    return bases * rank * sides + len(adapters.names) * core * len(adapters.shapes)
