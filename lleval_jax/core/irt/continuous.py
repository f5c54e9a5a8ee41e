"""Continuous scores in [0, 1]: Beta, logit-normal, and a normal whose variance grows with m (1 - m); see `kinds`."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betaln, polygamma

from lleval_jax.types import Array

FARTHEST = 20.0  # logits beyond which a Beta is held
FLOOR = 0.01  # of m (1 - m) in the normal's variance: without it scores near 0 or 1 make the likelihood unbounded
HERMITE = tuple(map(tuple, np.polynomial.hermite_e.hermegauss(41)))


@dataclasses.dataclass(frozen=True)
class Beta:
    """Beta(m phi, (1 - m) phi) with mean m = sigmoid(z) and precision phi = exp(shape)."""

    name: str = "beta"
    shapes: int = 1
    usual: tuple[float, ...] = (1.0,)
    takes: str = "scores strictly between 0 and 1"
    most: float = math.inf

    def allows(self, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """As `Kind.allows`."""
        return (scores > 0) & (scores < 1)

    def statistics(self, score: Array) -> Array:
        """Log y, log (1 - y), one."""
        return jnp.stack([jnp.log(score), jnp.log1p(-score), jnp.ones_like(score)])

    def natural(self, z: Array, shape: Array) -> Array:
        """Both parameters of the Beta, and minus its log normaliser."""
        a, b = self._sides(z, shape)
        return jnp.stack([a, b, -betaln(a, b)])

    def base(self, score: Array, weight: Array) -> Array:
        """1 / (y (1 - y))."""
        return -weight * (jnp.log(score) + jnp.log1p(-score))

    def moments(self, z: Array, shape: Array) -> tuple[Array, Array]:
        """Mean m, and m (1 - m) / (1 + phi)."""
        mean = jax.nn.sigmoid(z)
        return mean, mean * jax.nn.sigmoid(-z) * jax.nn.sigmoid(-shape[0])

    def information(self, z: Array, shape: Array) -> Array:
        """By trigamma functions of both parameters (Ferrari & Cribari-Neto 2004, eq. 5)."""
        a, b = self._sides(z, shape)
        both = polygamma(1, a + b)
        inner = jnp.stack([jnp.stack([polygamma(1, a) - both, -both]), jnp.stack([-both, polygamma(1, b) - both])])
        turn = a * b / (a + b)
        by = jnp.stack([jnp.stack([turn, a]), jnp.stack([-turn, b])])
        return by.T @ inner @ by

    def draw(self, key: Array, z: Array, shape: Array) -> Array:
        """Strictly between 0 and 1, but for rounding."""
        return jax.random.beta(key, *self._sides(z, shape), dtype=z.dtype)

    def _sides(self, z: Array, shape: Array) -> tuple[Array, Array]:
        z, precision = jnp.clip(z, -FARTHEST, FARTHEST), jnp.exp(shape[0])
        return precision * jax.nn.sigmoid(z), precision * jax.nn.sigmoid(-z)


@dataclasses.dataclass(frozen=True)
class LogitNormal:
    """logit(y) ~ N(z, exp(shape)^2)."""

    name: str = "logit-normal"
    shapes: int = 1
    usual: tuple[float, ...] = (0.0,)
    takes: str = "scores strictly between 0 and 1"
    most: float = math.inf

    def allows(self, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """As `Kind.allows`."""
        return (scores > 0) & (scores < 1)

    def statistics(self, score: Array) -> Array:
        """The logit, its square, one."""
        logit = jnp.log(score) - jnp.log1p(-score)
        return jnp.stack([logit, logit**2, jnp.ones_like(score)])

    def natural(self, z: Array, shape: Array) -> Array:
        """Of a normal."""
        precision = jnp.exp(-2 * shape[0])
        return jnp.stack([z * precision, -0.5 * precision, -0.5 * z**2 * precision - shape[0]])

    def base(self, score: Array, weight: Array) -> Array:
        """1 / (y (1 - y) sqrt(2 pi))."""
        return -weight * (jnp.log(score) + jnp.log1p(-score) + 0.5 * math.log(2 * math.pi))

    def moments(self, z: Array, shape: Array) -> tuple[Array, Array]:
        """By Gauss-Hermite quadrature of 41 nodes: neither has a closed form."""
        node, share = (jnp.asarray(part, z.dtype) for part in HERMITE)
        y, share = jax.nn.sigmoid(z + jnp.exp(shape[0]) * node), share / jnp.sum(share)
        mean = share @ y
        return mean, share @ (y - mean) ** 2

    def information(self, z: Array, shape: Array) -> Array:
        """1 / sd^2 about z, 2 about the log of the sd."""
        return jnp.diag(jnp.stack([jnp.exp(-2 * shape[0]), jnp.full_like(z, 2.0)]))

    def draw(self, key: Array, z: Array, shape: Array) -> Array:
        """Strictly between 0 and 1, but for rounding."""
        return jax.nn.sigmoid(z + jnp.exp(shape[0]) * jax.random.normal(key, dtype=z.dtype))


@dataclasses.dataclass(frozen=True)
class Normal:
    """Normal with mean m = sigmoid(z), variance exp(shape) (m (1 - m) + 0.01); 0 and 1 are scores as any other."""

    name: str = "normal"
    shapes: int = 1
    usual: tuple[float, ...] = (-1.5,)
    takes: str = "scores from 0 to 1"
    most: float = 0.5  # items that all fail alike would otherwise have no variance left

    def allows(self, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """As `Kind.allows`."""
        return (scores >= 0) & (scores <= 1)

    def statistics(self, score: Array) -> Array:
        """The score, its square, one."""
        return jnp.stack([score, score**2, jnp.ones_like(score)])

    def natural(self, z: Array, shape: Array) -> Array:
        """Of a normal."""
        mean, variance = self.moments(z, shape)
        return jnp.stack([mean / variance, -0.5 / variance, -0.5 * mean**2 / variance - 0.5 * jnp.log(variance)])

    def base(self, score: Array, weight: Array) -> Array:
        """1 / sqrt(2 pi)."""
        return -0.5 * math.log(2 * math.pi) * weight * jnp.ones_like(score)

    def moments(self, z: Array, shape: Array) -> tuple[Array, Array]:
        """Mean m, and exp(shape) (m (1 - m) + 0.01)."""
        mean = jax.nn.sigmoid(z)
        return mean, jnp.exp(shape[0]) * (mean * jax.nn.sigmoid(-z) + FLOOR)

    def information(self, z: Array, shape: Array) -> Array:
        """By mean and by variance, which both depend on z."""
        m, rest = jax.nn.sigmoid(z), jax.nn.sigmoid(-z)
        spread = m * rest + FLOOR
        by_mean = jnp.stack([m * rest / jnp.sqrt(spread) * jnp.exp(-0.5 * shape[0]), jnp.zeros_like(m)])
        by_log_variance = jnp.stack([m * rest * (rest - m) / spread, jnp.ones_like(m)])
        return by_mean[:, None] * by_mean[None, :] + 0.5 * by_log_variance[:, None] * by_log_variance[None, :]

    def draw(self, key: Array, z: Array, shape: Array) -> Array:
        """A normal, held in [0, 1]."""
        mean, variance = self.moments(z, shape)
        return jnp.clip(mean + jnp.sqrt(variance) * jax.random.normal(key, dtype=z.dtype), 0, 1)
