"""Answers of several tasks brought to one shape, so that one program does for all; and draws cut back to their own."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses, as_dense


def padded(values: Sequence[Any]) -> list[Any]:
    """Values with items without answers after their own, and empty groups: few shapes, and the same posteriors.

    Items are padded to the most among tasks with as many of them up to a factor of two. Values other than answers stay
    as they are.
    """
    if not all(isinstance(value, Responses | SparseResponses) for value in values):
        return list(values)
    dense = [as_dense(value) for value in values]
    groups = max(len(value.groups) for value in dense)
    most: dict[int, int] = {}
    for value in dense:
        size = _size(value)
        most[size] = max(most.get(size, 0), len(value.items))
    return [_widened(value, most[_size(value)], groups) for value in dense]


def _size(value: Responses) -> int:
    return max(len(value.items) - 1, 0).bit_length()


def cut(
    draws: Mapping[str, np.ndarray], dims: Mapping[str, tuple[str, ...]], axes: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """(chains, draws, ...) of each site, as many along each axis as it has names."""

    def own(name: str, x: np.ndarray) -> np.ndarray:
        return x[(slice(None), slice(None), *(slice(len(axes[axis])) for axis in dims[name]))]

    return {name: own(name, x) for name, x in draws.items()}


def _widened(value: Responses, items: int, groups: int) -> Responses:
    rows, more = len(value.rows), items - len(value.items)
    if not more and groups == len(value.groups):
        return value

    def wide(x: np.ndarray, fill: float) -> np.ndarray:
        return np.concatenate([x, np.full((rows, more), fill, x.dtype)], 1)

    return dataclasses.replace(
        value,
        scores=wide(value.scores, 0),
        seen=wide(value.seen, False),
        weight=wide(value.weight, 1),
        items=(*value.items, *(f"(padding {k + 1})" for k in range(more))),
        group=np.concatenate([value.group, np.zeros(more, value.group.dtype)]),
        groups=(*value.groups, *(f"(padding {k + 1})" for k in range(groups - len(value.groups)))),
        origins=None,
    )
