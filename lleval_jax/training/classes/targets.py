"""What a classifier learns from weak labels: the labels, or labels mixed with what it holds itself.

Each is the mean cross-entropy of a batch with targets t, which have no gradient: `-mean sum_k t_k log p_k`. They are
those of Burns et al. 2023 (arXiv:2312.09390) as their code has them, for the whole batch whatever its micro-batches:

    CrossEntropy()          t = the labels
    Smoothing(0.1)          t = (1 - e) labels + e / K
    Confidence(0.5)         t = (1 - c) labels + c hardened predictions, with the labels' class balance
    Product()               t in proportion to p^beta labels^alpha
    doubled(...)            the data twice, with weak labels and with the untouched model's own
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.errors import require
from lleval_jax.types import Array, Float


class Targets(Protocol):
    """What the losses have in common.

    looks  whether targets depend on the predictions: a step then computes these first
    """

    @property
    def looks(self) -> bool:
        """See above."""
        ...

    def targets(self, logits: Array, labels: Array, done: float | Array) -> Array:
        """What is learned.

        Args:
            logits: (texts, classes) of the whole batch.
            labels: (texts, classes) probabilities.
            done: share of all steps that were made, from 0 to 1.
        """
        ...


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """The labels as they are."""

    looks = False

    def targets(
        self, logits: Float[Array, "texts classes"], labels: Float[Array, "texts classes"], done: float | Array
    ) -> Float[Array, "texts classes"]:
        """As `Targets`."""
        return labels


@dataclasses.dataclass(frozen=True)
class Smoothing:
    """The labels, drawn to equal probabilities. In the model of `refine.concept` that is shrinking to a constant.

    share  e of the target that is spread over all classes
    """

    share: float = 0.1
    looks = False

    def __post_init__(self) -> None:
        require(0 <= self.share < 1, f"share is {self.share:g}; it is from 0 to below 1")

    def targets(
        self, logits: Float[Array, "texts classes"], labels: Float[Array, "texts classes"], done: float | Array
    ) -> Float[Array, "texts classes"]:
        """As `Targets`."""
        return (1 - self.share) * labels + self.share / labels.shape[-1]


@dataclasses.dataclass(frozen=True)
class Confidence:
    """Labels mixed with the model's own hardened predictions, so that it may hold on to what it knows: two classes.

    Predictions are hardened at the quantile that gives the first class the share that the labels give it, over the
    whole batch. In the model of `refine.concept` the targets are a point of the segment whose best is `naive_limit`.

    coef     share of the predictions
    warm_up  share of the steps over which it grows to that
    jump     as the original code has it: over the warm-up it is coef * done, a tenth of coef at the end, then all at
             once coef; without it grows in a line
    """

    coef: float = 0.5
    warm_up: float = 0.1
    jump: bool = False
    looks = True

    def __post_init__(self) -> None:
        require(0 <= self.coef <= 1, f"coef is {self.coef:g}; it is from 0 to 1")
        require(0 <= self.warm_up <= 1, f"warm_up is {self.warm_up:g}; it is a share of the steps, from 0 to 1")

    def share(self, done: float | Array) -> Array:
        """The share of the predictions after so much of all steps."""
        now = jnp.asarray(done, jnp.float32)
        if self.jump:
            return jnp.where(now > self.warm_up, 1.0, now) * self.coef
        return self.coef * jnp.where(now >= self.warm_up, 1.0, now / max(self.warm_up, 1e-9))

    def targets(
        self, logits: Float[Array, "texts classes"], labels: Float[Array, "texts classes"], done: float | Array
    ) -> Float[Array, "texts classes"]:
        """As `Targets`."""
        share = self.share(done).astype(labels.dtype)
        return (1 - share) * labels + share * self.hardened(logits, labels).astype(labels.dtype)

    def hardened(self, logits: Array, labels: Array) -> Array:
        """(texts, 2) the predictions, each wholly of one class."""
        kinds = labels.shape[-1]
        require(kinds == 2, f"the confidence loss balances two classes; there are {kinds}. Use Product or Smoothing.")
        first = jax.nn.softmax(logits)[:, 0]
        is_first = first >= jnp.quantile(first, labels.mean(0)[1])
        return jnp.stack([is_first, ~is_first], axis=1)


@dataclasses.dataclass(frozen=True)
class Product:
    """The product of the model's own probabilities and the labels', each to a power.

    alpha  power of the labels, above 0
    beta   power of the model's; 0 learns the labels alone
    """

    alpha: float = 1.0
    beta: float = 1.0
    looks = True

    def __post_init__(self) -> None:
        require(self.alpha > 0 and self.beta >= 0, f"alpha is {self.alpha:g}, beta {self.beta:g}; above 0, at least 0")

    def targets(
        self, logits: Float[Array, "texts classes"], labels: Float[Array, "texts classes"], done: float | Array
    ) -> Float[Array, "texts classes"]:
        """As `Targets`."""
        held = labels > 0
        logs = self.alpha * jnp.log(jnp.where(held, labels, 1.0)) + self.beta * jax.nn.log_softmax(logits)
        return jax.nn.softmax(jnp.where(held, logs, -jnp.inf))


def doubled(texts: Sequence[Any], weak: Sequence[Any], own: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The texts twice: with weak labels, then with the untouched model's own (Somerstep et al. 2024, their baseline).

    Args:
        texts: texts, or questions.
        weak: what the weak teacher says of each.
        own: what the strong model says of each, before it learns.

    Raises:
        BadInput: their numbers differ.
    """
    many = len(texts), len(weak), len(own)
    require(len(set(many)) == 1, f"there are {many[0]:,} texts, {many[1]:,} weak and {many[2]:,} own labels")
    return [*texts, *texts], [*weak, *own]


def soft_labels(labels: np.ndarray, classes: int, given: np.ndarray | None) -> np.ndarray:
    """float32 (texts, classes): the labels by number as probabilities, or those that were given.

    Raises:
        BadInput: what was given has another shape, or rows that are no probabilities.
    """
    if given is None:
        return np.eye(classes, dtype=np.float32)[labels]
    found = np.asarray(given, np.float32)
    shape = len(labels), classes
    require(found.shape == shape, f"soft labels have the shape {found.shape}; there are {shape} texts and classes")
    wrong = np.flatnonzero(~((found >= 0).all(1) & (np.abs(found.sum(1) - 1) < 1e-3)))
    require(not len(wrong), f"the soft labels of text {wrong[:1]} are no probabilities that add up to 1")
    return found / found.sum(1, keepdims=True)
