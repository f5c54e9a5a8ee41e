"""Answers of several kinds as they go to the device: a block of columns for each kind, padded, names left behind."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import kinds, quadrature
from lleval_jax.core.irt.posterior import Block, Data
from lleval_jax.core.shapes import LEAST, few_columns, pad, rung
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import SparseResponses, as_dense

NEUTRAL = 0.5  # a score that any kind can take, or rounds to one, where none was seen


class Columns(NamedTuple):
    """Where the items of each kind are.

    kinds  of the blocks
    index  positions of each block's items
    """

    kinds: tuple[kinds.Kind, ...]
    index: tuple[np.ndarray, ...]

    def joined(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """What was found of each block's items, padding off, in the items' order; other axes padded with zeros."""
        parts = [np.asarray(part)[: len(index)] for part, index in zip(parts, self.index, strict=True)]
        widest = np.max([part.shape[1:] for part in parts], axis=0)
        whole = np.concatenate([pad(part, (len(part), *map(int, widest))) for part in parts])
        return whole[np.argsort(np.concatenate(self.index), kind="stable")]


def columns(names: Sequence[str]) -> Columns:
    """The blocks of items whose kinds have these names, one an item."""
    found = np.asarray(names)
    known = tuple(sorted(set(names)))
    return Columns(tuple(map(kinds.of, known)), tuple(np.flatnonzero(found == name) for name in known))


def dense(responses: Responses | SparseResponses | Sequence[Responses]) -> Responses:
    """One matrix of whatever a fit takes."""
    if isinstance(responses, Responses | SparseResponses):
        return as_dense(responses)
    return functools.reduce(Responses.merge, responses)


def block(responses: Responses, index: np.ndarray, dtype: str, rows: int) -> Block:
    """The answers to some items, padded."""
    shape = rows, few_columns(len(index))
    seen = responses.seen[:, index]
    scores = np.where(seen, responses.scores[:, index], NEUTRAL)
    weight = seen * responses.weight[:, index].astype(dtype)
    parts = pad(scores, shape, NEUTRAL, dtype), pad(weight, shape, dtype=dtype)
    items = pad(np.ones(len(index), dtype), shape[1:])
    return Block(jnp.asarray(parts[0]), jnp.asarray(parts[1]), jnp.asarray(items))


def arrange(responses: Responses, where: Columns, dtype: str, rule: quadrature.Grid | quadrature.Points) -> Data:
    """The blocks, and the nodes that abilities are integrated over."""
    rows = max(LEAST, rung(len(responses.rows)))
    nodes, log_weight = rule.nodes(1)
    return Data(
        tuple(block(responses, index, dtype, rows) for index in where.index),
        jnp.asarray(nodes[:, 0], dtype),
        jnp.asarray(log_weight, dtype),
        jnp.asarray(pad(np.ones(len(responses.rows), dtype), (rows,))),
    )
