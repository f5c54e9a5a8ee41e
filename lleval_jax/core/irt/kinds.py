"""Kinds of answers: how a score is spread around what an item and an ability predict. The whole vocabulary.

An item turns an ability into z = slope . ability + intercept, in logits. A kind says how scores y in [0, 1] are spread
at z, with `shapes` further parameters of the item. Each is an exponential family in its score,

    log f(y | z, shape) = statistics(y) . natural(z, shape) + base(y),

so that a fit needs its data only through sums of statistics, as matrix products over all cells.

    bernoulli     right or wrong                             Birnbaum (1968)
    binomial      k of n repeats, the score k / n            weight n
    graded-K      K ordered grades, evenly spaced            graded response model, Samejima (1969)
    gpcm-K        the same                                   generalised partial credit model, Muraki (1992)
    beta          strictly between 0 and 1                   Noel & Dauvier (2007), in mean and precision
    logit-normal  the same                                   Samejima (1973); normal on the scale of logits
    normal        0 to 1, both included                      variance grows with m (1 - m), as arXiv:2601.13885

All functions are of one answer; map them from outside. A score with weight w counts as w answers of that score.
"""

import dataclasses
import functools
import math
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from lleval_jax.core.irt.continuous import Beta as Beta
from lleval_jax.core.irt.continuous import LogitNormal as LogitNormal
from lleval_jax.core.irt.continuous import Normal as Normal
from lleval_jax.core.irt.ordered import MOST_GRADES as MOST_GRADES
from lleval_jax.core.irt.ordered import GradedResponse as GradedResponse
from lleval_jax.core.irt.ordered import PartialCredit as PartialCredit
from lleval_jax.errors import BadInput
from lleval_jax.types import Array, Float


class Kind(Protocol):
    """A kind of answers. A frozen dataclass: equal kinds share one compilation."""

    @property
    def name(self) -> str:
        """In the vocabulary."""
        ...

    @property
    def shapes(self) -> int:
        """Parameters of an item beyond slope and intercept."""
        ...

    @property
    def usual(self) -> tuple[float, ...]:
        """(shapes,) where a fit begins."""
        ...

    @property
    def takes(self) -> str:
        """Which scores it takes, in words."""
        ...

    @property
    def most(self) -> float:
        """By how much shape parameters may differ between items: the largest standard deviation of their prior."""
        ...

    def allows(self, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Which scores, each the mean of `weight` answers, can be of this kind; of any shape, on the host."""
        ...

    def statistics(self, score: Float[Array, ""]) -> Float[Array, " statistics"]:
        """Sufficient statistics of one answer."""
        ...

    def natural(self, z: Float[Array, ""], shape: Float[Array, " shapes"]) -> Float[Array, " statistics"]:
        """What the statistics are multiplied by; minus the log normaliser is among them."""
        ...

    def base(self, score: Float[Array, ""], weight: Float[Array, ""]) -> Float[Array, ""]:
        """Log density of the base measure; what does not depend on the parameters."""
        ...

    def moments(self, z: Float[Array, ""], shape: Float[Array, " shapes"]) -> tuple[Array, Array]:
        """Expected score and variance of one answer."""
        ...

    def information(self, z: Float[Array, ""], shape: Float[Array, " shapes"]) -> Float[Array, "k k"]:
        """Fisher information of one answer about (z, shape), k = 1 + shapes."""
        ...

    def draw(self, key: Array, z: Float[Array, ""], shape: Float[Array, " shapes"]) -> Float[Array, ""]:
        """A score at random."""
        ...


def log_density(
    kind: Kind, score: Float[Array, ""], weight: Float[Array, ""], z: Float[Array, ""], shape: Float[Array, " shapes"]
) -> Float[Array, ""]:
    """Log density of a score, the mean of `weight` answers: a probability for kinds of counted scores."""
    return weight * (kind.statistics(score) @ kind.natural(z, shape)) + kind.base(score, weight)


@dataclasses.dataclass(frozen=True)
class Bernoulli:
    """Right with probability sigmoid(z); a fraction counts as that share of an answer (quasi-likelihood)."""

    name: str = "bernoulli"
    shapes: int = 0
    usual: tuple[float, ...] = ()
    takes: str = "0 and 1"
    most: float = math.inf

    def allows(self, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """As `Kind.allows`."""
        return (scores == 0) | (scores == 1)

    def statistics(self, score: Array) -> Array:
        """The score, and one."""
        return jnp.stack([score, jnp.ones_like(score)])

    def natural(self, z: Array, shape: Array) -> Array:
        """Log-odds, and the log probability of a wrong answer."""
        return jnp.stack([z, -jax.nn.softplus(z)])

    def base(self, score: Array, weight: Array) -> Array:
        """Nothing."""
        return jnp.zeros_like(score)

    def moments(self, z: Array, shape: Array) -> tuple[Array, Array]:
        """P and P (1 - P)."""
        return jax.nn.sigmoid(z), jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)

    def information(self, z: Array, shape: Array) -> Array:
        """P (1 - P)."""
        return (jax.nn.sigmoid(z) * jax.nn.sigmoid(-z))[None, None]

    def draw(self, key: Array, z: Array, shape: Array) -> Array:
        """0 or 1."""
        return (jax.random.uniform(key, dtype=z.dtype) < jax.nn.sigmoid(z)).astype(z.dtype)


@dataclasses.dataclass(frozen=True)
class Binomial(Bernoulli):
    """k of n repeats are right, each with probability sigmoid(z); the score is k / n and its weight n."""

    name: str = "binomial"
    takes: str = "k / n with the whole number n as weight"

    def allows(self, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """As `Kind.allows`."""
        right = scores * weight
        return (np.abs(right - np.round(right)) < 1e-3) & (np.abs(weight - np.round(weight)) < 1e-3)

    def base(self, score: Array, weight: Array) -> Array:
        """Log number of orders in which k of n are right."""
        right = score * weight
        return gammaln(weight + 1) - gammaln(right + 1) - gammaln(weight - right + 1)


PLAIN: dict[str, Kind] = {kind.name: kind for kind in (Bernoulli(), Binomial(), Beta(), LogitNormal(), Normal())}
ORDERED = {"graded": GradedResponse, "gpcm": PartialCredit}


@functools.cache
def of(name: str) -> Kind:
    """The kind of a name: "beta", or "graded-5" for five grades.

    Raises:
        BadInput: no such kind.
    """
    family, _, count = name.rpartition("-")
    if family in ORDERED and count.isdigit() and 2 <= int(count) <= MOST_GRADES:
        return ORDERED[family](int(count))
    if name in PLAIN:
        return PLAIN[name]
    known = f"{', '.join(PLAIN)}, and graded-K and gpcm-K with K grades, 2 to {MOST_GRADES}"
    raise BadInput(f"there is no kind of answers {name!r}; there are {known}")
