"""Ordered grades 0, 1, ..., K - 1, as scores 0, 1 / (K - 1), ..., 1: the graded response and partial credit models.

Both give each grade a probability; K grades have K - 2 shape parameters besides slope and intercept.
"""

import abc
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.types import Array

MOST_GRADES = 25
NEAR = 1e-4  # a score is a grade if it is no further from one


@dataclasses.dataclass(frozen=True)
class _Grades(abc.ABC):
    """What both have in common: `log_probability` says how they differ.

    grades  K, of which the scores are evenly spaced from 0 to 1
    """

    grades: int

    @property
    def shapes(self) -> int:
        """K - 2."""
        return self.grades - 2

    @property
    def usual(self) -> tuple[float, ...]:
        """Zero each: thresholds one logit apart, or steps alike."""
        return (0.0,) * self.shapes

    @property
    def most(self) -> float:
        """No bound."""
        return math.inf

    @property
    def takes(self) -> str:
        """The grades."""
        return f"the {self.grades} grades 0, 1/{self.grades - 1}, ..., 1"

    def allows(self, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """As `Kind.allows`."""
        place = scores * (self.grades - 1)
        return (np.abs(place - np.round(place)) < NEAR * (self.grades - 1)) & (scores >= 0) & (scores <= 1)

    @abc.abstractmethod
    def log_probability(self, z: Array, shape: Array) -> Array:
        """(grades,) of each grade."""

    def statistics(self, score: Array) -> Array:
        """One for its grade, zero for the others."""
        return jax.nn.one_hot(jnp.round(score * (self.grades - 1)).astype(int), self.grades, dtype=score.dtype)

    def natural(self, z: Array, shape: Array) -> Array:
        """Log probabilities of the grades."""
        return self.log_probability(z, shape)

    def base(self, score: Array, weight: Array) -> Array:
        """Nothing."""
        return jnp.zeros_like(score)

    def moments(self, z: Array, shape: Array) -> tuple[Array, Array]:
        """Of the score, over the grades."""
        p = jnp.exp(self.log_probability(z, shape))
        value = jnp.linspace(0, 1, self.grades, dtype=p.dtype)
        mean = p @ value
        return mean, p @ (value - mean) ** 2

    def information(self, z: Array, shape: Array) -> Array:
        """Sum over the grades of probability times the outer product of the log probability's gradient."""
        by, p = self.gradient(z, shape), jnp.exp(self.log_probability(z, shape))
        return by.T @ (p[:, None] * by)

    @abc.abstractmethod
    def gradient(self, z: Array, shape: Array) -> Array:
        """(grades, 1 + shapes) of the log probabilities by z and shape."""

    def draw(self, key: Array, z: Array, shape: Array) -> Array:
        """One of the grades."""
        return jax.random.categorical(key, self.log_probability(z, shape)).astype(z.dtype) / (self.grades - 1)


@dataclasses.dataclass(frozen=True)
class GradedResponse(_Grades):
    """Graded response model (Samejima 1969):  P(grade >= k) = sigmoid(z - threshold_k).

    Thresholds rise, and the middle one is 0: the intercept is the log-odds of reaching that grade. The shape parameters
    are logs of the distances of neighbouring thresholds; that of a grade which is never used moves no other.
    """

    @property
    def name(self) -> str:
        """In the vocabulary."""
        return f"graded-{self.grades}"

    @property
    def middle(self) -> int:
        """Place of the threshold that is 0."""
        return (self.grades - 1) // 2

    def log_probability(self, z: Array, shape: Array) -> Array:
        """As sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), safe in both tails."""
        apart = jnp.exp(shape)
        threshold = jnp.concatenate([jnp.zeros_like(z)[None], jnp.cumsum(apart)])
        u = z - (threshold - threshold[self.middle])
        reached, missed = -jax.nn.softplus(-u), -jax.nn.softplus(u)
        inner = reached[:-1] + missed[1:] + jnp.log(-jnp.expm1(-apart))
        return jnp.concatenate([missed[:1], inner, reached[-1:]])

    def gradient(self, z: Array, shape: Array) -> Array:
        """By u_k = z - threshold_k first: each grade's probability depends on the two thresholds around it."""
        apart, below = jnp.exp(shape), np.tri(self.grades - 1, self.shapes, -1)
        centred = jnp.asarray(below - below[self.middle], z.dtype) * apart[None, :]
        s, more = jax.nn.sigmoid(z - jnp.sum(centred, 1)), 1 / jnp.expm1(apart)
        rise, fall = 1 - s + jnp.pad(more, (0, 1)), s + jnp.pad(more, (1, 0))
        by_u = jnp.pad(jnp.diag(rise), ((1, 0), (0, 0))) - jnp.pad(jnp.diag(fall), ((0, 1), (0, 0)))
        return by_u @ jnp.concatenate([jnp.ones_like(s)[:, None], -centred], 1)


@dataclasses.dataclass(frozen=True)
class PartialCredit(_Grades):
    """Generalised partial credit model (Muraki 1992):  log P(k) - log P(k - 1) = z + step_k.

    Steps sum to 0: the intercept is the mean log-odds of a grade and the one below it. The shape parameters are all
    steps but the last.
    """

    @property
    def name(self) -> str:
        """In the vocabulary."""
        return f"gpcm-{self.grades}"

    def log_probability(self, z: Array, shape: Array) -> Array:
        """A softmax that is linear in z."""
        steps = jnp.concatenate([shape, -jnp.sum(shape)[None]])
        rise = jnp.cumsum(z + steps) if self.grades > 2 else z[None]
        return jax.nn.log_softmax(jnp.concatenate([jnp.zeros_like(z)[None], rise]))

    def gradient(self, z: Array, shape: Array) -> Array:
        """Of a softmax of what is linear: the coefficients less their mean over the grades."""
        coef = np.tri(self.grades, self.shapes + 1, -1)
        coef[-1, :-1] -= 1  # the last step is minus the sum of the others
        linear = jnp.asarray(np.column_stack([np.arange(self.grades), coef[:, :-1]]), z.dtype)
        return linear - (jnp.exp(self.log_probability(z, shape)) @ linear)[None, :]
