"""When ratings exist (Ford 1957): from each model to each other one there must be a way along wins and ties."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lleval_jax.errors import BadInput, require
from lleval_jax.values.pairs import Pairs

SHOWN = 5  # names of a component
INSTEAD = "or take the posterior, which is wide where data say nothing: bayes.sample(bayes.pairwise(), pairs)"


def require_ratings(pairs: Pairs) -> None:
    """`BadInput` unless maximum likelihood ratings exist and are unique.

    Refused, with the models by name: parts whose models never met; parts that won all comparisons with the rest; one
    model; ties alone.
    """
    require(len(pairs.models) > 1, "one model has no rating; comparisons of at least two are needed")
    wins, ties, losses = pairs.counts.T
    parts = _components(pairs, pairs.counts.sum(1) > 0, pairs.counts.sum(1) > 0, "weak")
    if len(parts) > 1:
        raise BadInput(
            f"the comparisons fall into {len(parts)} parts that never met: {_named(parts)}. Ratings of different parts "
            "cannot be compared; compare some of their models, or take one part.",
            python=f"Take one part with pairs.take, {INSTEAD}.",
        )
    require(
        bool(wins.any() or losses.any()), "all comparisons are ties; how often models tie has no finite estimate then"
    )
    parts = _components(pairs, wins + ties > 0, losses + ties > 0, "strong")
    if len(parts) > 1:
        raise BadInput(
            f"there are {len(parts)} parts of which one won every comparison with another, so its lead has no finite "
            f"estimate: {_named(parts)}. Compare more,",
            python=f"{INSTEAD}.",
            shell="or leave these models out.",
        )


def _components(pairs: Pairs, forth: np.ndarray, back: np.ndarray, kind: Literal["weak", "strong"]) -> list[list[str]]:
    """Names of the models of each component, the largest first; edges go where `forth` or `back` says."""
    start = np.concatenate([pairs.first[forth], pairs.second[back]])
    end = np.concatenate([pairs.second[forth], pairs.first[back]])
    n = len(pairs.models)
    count, label = connected_components(coo_array((np.ones(len(start)), (start, end)), shape=(n, n)), connection=kind)
    parts = [[pairs.models[i] for i in np.flatnonzero(label == part)] for part in range(count)]
    return sorted(parts, key=lambda part: (-len(part), part))


def _named(parts: Sequence[Sequence[str]]) -> str:
    return "; ".join(_some(part) for part in parts[:SHOWN]) + ("; ..." if len(parts) > SHOWN else "")


def _some(part: Sequence[str]) -> str:
    more = f" and {len(part) - SHOWN} more" if len(part) > SHOWN else ""
    return ", ".join(map(repr, part[:SHOWN])) + more
