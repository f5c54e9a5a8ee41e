"""Answers and fits in the order of their names, and back: the order in which they were met changes nothing.

What is drawn at random (starts, held-out cells, folds, clusters) is drawn for positions, and sums round by position.
Both are the same for the same answers once rows and items are in the order of their names.
"""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses, positions
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses

Answers = TypeVar("Answers", Responses, SparseResponses, "Responses | SparseResponses | Sequence[Responses]")


def ordered(responses: Answers) -> Answers:
    """The same answers with rows and items in the order of their names; so are blocks, by their items."""
    if isinstance(responses, Responses | SparseResponses):
        return responses.ordered()
    return sorted((part.ordered() for part in responses), key=lambda part: part.items)  # type: ignore[return-value]


def axes_of(responses: Responses | SparseResponses | Sequence[Responses]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of rows and of items, as they were met."""
    if isinstance(responses, Responses | SparseResponses):
        return responses.rows, responses.items
    rows = dict.fromkeys(name for part in responses for name in part.rows)
    return tuple(rows), tuple(name for part in responses for name in part.items)


def arranged(fit: FitResult[IrtParams], rows: Sequence[str], items: Sequence[str]) -> FitResult[IrtParams]:
    """A fit with its rows and items in this order of their names."""
    if fit.rows == tuple(rows) and fit.items == tuple(items):
        return fit
    row, item, params = positions(rows, fit.rows), positions(items, fit.items), fit.params
    by_item = {name: getattr(params, name)[item] for name in ("slope", "intercept", "floor", "ceiling", "covariance")}
    by_row = {name: getattr(params, name)[row] for name in ("ability", "ability_cov", "n_seen")}
    kinds = None if params.answers is None else params.answers.take(item)
    moved = params._replace(**by_item, **by_row, group=params.group[item], answers=kinds)
    axes = {**fit.axes, "models": tuple(rows), "items": tuple(items)}
    return dataclasses.replace(fit, params=moved, axes=axes)


def in_order(fit: FitResult[IrtParams]) -> FitResult[IrtParams]:
    """A fit with its rows and items in the order of their names."""
    return arranged(fit, sorted(fit.rows), sorted(fit.items))
