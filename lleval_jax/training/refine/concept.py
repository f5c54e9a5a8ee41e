"""Weak-to-strong generalisation where all is known: a mixture of linear concepts, a teacher, posteriors over concepts.

The strong model knows K concepts: y given x is Normal(beta_k . x, sigma^2) with probability alpha_k, the beta_k
orthonormal, x standard normal in d dimensions. The first is the one wanted. A weak teacher labels x by
beta_w . x + tau e with beta_w = strength beta_1 + bias. Shown n of its labels, the strong model holds concept k with
probability pi_k, alpha_k times the likelihood of the labels, and answers a new x by sum_k pi_k beta_k . x: that is what
in-context refinement does (Somerstep et al. 2024, arXiv:2405.16236, section 4). The risk of an answer beta . x is
E (beta . x - beta_1 . x)^2 = |beta - beta_1|^2.

Nothing depends on which orthonormal directions the concepts are: here they are the first K axes.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from lleval_jax.core.precision import jit
from lleval_jax.errors import require, require_level
from lleval_jax.types import Array, Float
from lleval_jax.values.results import Estimate, Source

FIXED, FRESH = "one fixed set", "a fresh set each"
CITE = ("somerstep2024transfer",)


@dataclasses.dataclass(frozen=True)
class Concept:
    """What the strong model knows.

    dims   d, of the features
    prior  (K,) alpha, the probability of each concept; the first is the one wanted
    noise  sigma, standard deviation of an answer within a concept, as the strong model takes it to be

    Example:
        >>> concept = Concept(10, (0.2,) * 5)
        >>> concept.mean[:6]
        array([0.2, 0.2, 0.2, 0.2, 0.2, 0. ])
    """

    dims: int
    prior: tuple[float, ...]
    noise: float = 1.0

    def __post_init__(self) -> None:
        kinds = len(self.prior)
        require(2 <= kinds <= self.dims, f"there are {kinds} concepts in {self.dims} dimensions; 2 to {self.dims} fit")
        good = min(self.prior) > 0 and abs(sum(self.prior) - 1) < 1e-9
        require(good, f"prior is {self.prior}; it must be probabilities above 0 that add up to 1")
        require(self.noise > 0, f"noise is {self.noise:g}; it must be above 0")

    @property
    def wanted(self) -> NDArray[np.float64]:
        """(dims,) beta_1."""
        return np.eye(self.dims)[0]

    @property
    def mean(self) -> NDArray[np.float64]:
        """(dims,) beta_P: what the strong model answers when it is shown nothing."""
        return self.of(np.array(self.prior))

    def of(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., dims) the answers of (..., K) weights of the concepts."""
        more = [(0, 0)] * (weights.ndim - 1) + [(0, self.dims - weights.shape[-1])]
        return np.pad(weights, more)


@dataclasses.dataclass(frozen=True)
class Teacher:
    """What the weak labels are.

    bias      b, along the first axes, zeros after that: with K concepts `bias[:K]` leans to concepts, the rest is
              orthogonal to all
    noise     tau, standard deviation of a label
    strength  of the wanted concept in the labels

    Example:
        >>> Teacher.orthogonal(Concept(4, (0.5, 0.5)), 1.0).direction(4)
        array([1., 0., 1., 0.])
    """

    bias: tuple[float, ...] = ()
    noise: float = 1.0
    strength: float = 1.0

    def __post_init__(self) -> None:
        require(self.noise >= 0, f"noise is {self.noise:g}; it must not be negative")
        require(bool(np.isfinite([*self.bias, self.strength]).all()), "bias and strength must be finite numbers")

    @classmethod
    def orthogonal(cls, concept: Concept, bias: float, noise: float = 1.0) -> "Teacher":
        """A teacher whose bias leans to no concept."""
        kinds = len(concept.prior)
        require(kinds < concept.dims, f"{kinds} concepts fill all {concept.dims} dimensions; none is orthogonal to all")
        return cls((*np.zeros(kinds), bias), noise)

    def direction(self, dims: int) -> NDArray[np.float64]:
        """(dims,) beta_w."""
        require(len(self.bias) <= dims, f"bias has {len(self.bias)} numbers; the features have {dims} dimensions")
        found = np.pad(np.array(self.bias, float), (0, dims - len(self.bias)))
        found[0] += self.strength
        return found


def draw(
    concept: Concept, teacher: Teacher, *, shown: Sequence[int], draws: int = 4000, key: Array
) -> Float[Array, "draws shown concepts"]:
    """Posterior probabilities of the concepts after `shown` weak labels, in independent draws.

    The labels of a draw are a sequence: those shown at 4 are the first 4 of those shown at 8.

    Args:
        concept: what the strong model knows.
        teacher: who labels.
        shown: numbers of labels.
        draws: sequences of labels.
        key: of the draws.

    Raises:
        BadInput: `shown` is empty or holds a negative number, or a bias has too many dimensions.

    Example:
        >>> pi = draw(Concept(3, (0.5, 0.5)), Teacher(), shown=(0, 64), draws=8, key=jax.random.key(0))
        >>> pi.shape, bool((pi[:, 0] == 0.5).all()), bool((pi[:, 1, 0] > 0.99).all())
        ((8, 2, 2), True, True)
    """
    require(len(shown) > 0 and min(shown) >= 0, f"shown is {tuple(shown)}; it must be numbers of labels, 0 or more")
    require(draws >= 1, f"draws is {draws}; it must be at least 1")
    towards = jnp.asarray(teacher.direction(concept.dims))
    prior, noises = jnp.asarray(concept.prior), jnp.asarray([concept.noise, teacher.noise])
    return _drawn(jax.random.split(key, draws), towards, prior, noises, jnp.asarray(tuple(shown)), max(shown))


def risks(
    concept: Concept,
    teacher: Teacher,
    *,
    shown: Sequence[int],
    draws: int = 4000,
    key: Array,
    level: float = 0.95,
) -> Estimate:
    """The risk of a student that learns refined answers, by the number of labels shown: two risks, not to be mixed.

    one fixed set     all answers are refined with the same labels: the student becomes sum_k pi_k beta_k, and its risk
                      is E |pi - e_1|^2
    a fresh set each  each answer is refined with labels of its own: the student becomes sum_k E[pi_k] beta_k, with the
                      risk |E pi - e_1|^2, never larger. Estimated from draws it is too high by the first divided by
                      the number of draws, at most

    Args:
        concept: what the strong model knows.
        teacher: who labels.
        shown: numbers of labels.
        draws: sequences of labels.
        key: of the draws.
        level: of the intervals, which are those of the simulation.

    Returns:
        An `Estimate` of both, the numbers shown as groups.

    Raises:
        BadInput: as `draw`.
    """
    require_level(level)
    found = np.asarray(draw(concept, teacher, shown=shown, draws=draws, key=key), float)
    away = found - np.eye(found.shape[-1])[0]
    mean, each = away.mean(0), np.sum(away**2, -1)
    slope = 2 * np.einsum("dnk,nk->dn", away - mean, mean)
    value = np.stack([each.mean(0), np.sum(mean**2, -1)])
    error = np.stack([each.std(0), slope.std(0)]) / np.sqrt(draws)
    half = ndtri((1 + level) / 2) * error
    return Estimate.crossed(
        (FIXED, FRESH),
        [str(n) for n in shown],
        (value, np.maximum(0, value - half), value + half, error),
        n_seen=draws,
        status="ok",
        target="risk of the refined student",
        method="simulation",
        level=level,
        source=Source(cite=CITE),
    )


@functools.partial(jit, static_argnums=5)
def _drawn(keys: Array, towards: Array, prior: Array, noises: Array, shown: Array, most: int) -> Array:
    def one(key: Array) -> Array:
        features, errors = jax.random.split(key)
        x = jax.random.normal(features, (most, len(towards)), towards.dtype)
        y = x @ towards + noises[1] * jax.random.normal(errors, (most,), towards.dtype)
        each = -jnp.square(y[:, None] - x[:, : len(prior)]) / (2 * jnp.square(noises[0]))
        sums = jnp.concatenate([jnp.zeros((1, len(prior)), each.dtype), jnp.cumsum(each, axis=0)])
        return jax.nn.softmax(jnp.log(prior) + sums[shown], axis=-1)

    return jax.lax.map(one, keys, batch_size=500)
