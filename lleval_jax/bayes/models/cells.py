"""Scores of models on items, each item by its own kind: how likely they are, what is expected, and some drawn."""

import functools
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

from lleval_jax.bayes.models.answers import Known, Numbers
from lleval_jax.core.irt import kinds
from lleval_jax.layout.answers import NEUTRAL
from lleval_jax.types import Array


class OfKinds(Protocol):
    """Which kind each item is of: `kind` and `known` as of `answers.Data`."""

    @property
    def kind(self) -> Numbers: ...  # noqa: D102

    @property
    def known(self) -> Known: ...  # noqa: D102


def log_density(data: OfKinds, scores: Numbers, weight: Numbers, logit: Array, shape: Array) -> Array:
    """(models, items); 0 where not seen."""

    def one(kind: kinds.Kind, mine: Array, logit: Array, shape: Array, score: Array, weight: Array) -> Array:
        safe = jnp.where(mine & (weight > 0), score, NEUTRAL)
        return kinds.log_density(kind, safe, weight, logit, shape[: kind.shapes])

    scores, weight = jnp.asarray(scores), jnp.asarray(weight)
    return jnp.where(weight > 0, _by_kind(data, one, logit, shape, scores, weight), 0)


def expected(data: OfKinds, logit: Array, shape: Array) -> Array:
    """(models, items) mean scores."""

    def one(kind: kinds.Kind, mine: Array, logit: Array, shape: Array) -> Array:
        return kind.moments(logit, shape[: kind.shapes])[0]

    return _by_kind(data, one, logit, shape)


def drawn(data: OfKinds, logit: Array, shape: Array, key: Array) -> Array:
    """(models, items) scores at random."""

    def one(kind: kinds.Kind, mine: Array, logit: Array, shape: Array, key: Array) -> Array:
        return kind.draw(key, logit, shape[: kind.shapes])

    return _by_kind(data, one, logit, shape, jax.random.split(key, logit.shape))


def _by_kind(data: OfKinds, fn: Callable[..., Array], logit: Array, shape: Array, *cells: Array) -> Array:
    """(models, items) of `fn(kind, whether an item is of it, logit, shape, *cells)`."""
    found = jnp.zeros_like(logit)
    for k, kind in enumerate(data.known.kinds):
        mine = jnp.asarray(data.kind) == k
        over_items = jax.vmap(functools.partial(fn, kind), (0, 0, 0, *(0 for _ in cells)))
        over_models = jax.vmap(over_items, (None, 0, None, *(0 for _ in cells)))
        found = jnp.where(mine[None], over_models(mine, logit, shape, *cells), found)
    return found
