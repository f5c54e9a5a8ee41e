"""One row's ability, given items: mode by Fisher scoring, mean by quadrature around the mode.

Written for one row; `jax.vmap` makes the item sums matrix products.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import irf, likelihood
from lleval_jax.core.linalg import small
from lleval_jax.core.precision import full_precision
from lleval_jax.core.solvers.loop import Step, solve
from lleval_jax.types import Array

Loglik: TypeAlias = Callable[[Array], tuple[Array, Array, Array]]  # ability -> value, gradient, Fisher information
FARTHEST = 8.0  # a mode beyond this is held there: an all-right row has no finite maximum likelihood


class Answers(NamedTuple):
    """One row: scores and weights (items,); weight 0 is unseen."""

    scores: Array
    weight: Array


class Normal(NamedTuple):
    """Normal prior on ability: mean (dims,), precision (dims, dims). Zero precision is no prior."""

    mean: Array
    precision: Array


class Ability(NamedTuple):
    """Ability (dims,), its covariance (dims, dims), and how the solve ended."""

    value: Array
    covariance: Array
    steps: Array
    status: Array


@dataclasses.dataclass(frozen=True)
class Scoring:
    """Fisher scoring with Levenberg damping; `warm` adds Warm's (1989) bias correction, the Jeffreys prior in 1-D."""

    curve: irf.Curve
    warm: bool = False
    damping: float = 1e-3

    def init(self, fn, x: Array) -> Step:
        """Value and gradient at x."""
        value, grad, _ = fn(x)
        return Step(x, value, self._error(x, grad), jnp.asarray(self.damping, x.dtype))

    def step(self, fn, now: Step) -> Step:
        """One damped step; a step that does not raise the value is not taken."""
        damping = now.memory
        _, grad, info = fn(now.x)
        eye = jnp.eye(len(grad), dtype=grad.dtype)
        ridge = damping * (1 + jnp.trace(info) / len(grad))
        move = small.solve(info + ridge * eye, grad)
        x = jnp.clip(now.x + jnp.clip(move, -2.0, 2.0), -FARTHEST, FARTHEST)
        value, grad, _ = fn(x)
        better = value >= now.value - 4 * jnp.finfo(value.dtype).eps * jnp.abs(now.value)
        return Step(
            x=jnp.where(better, x, now.x),
            value=jnp.where(better, value, now.value),
            error=jnp.where(better, self._error(x, grad), now.error),
            memory=jnp.where(better, damping * 0.1, damping * 10),
        )

    @staticmethod
    def _error(x: Array, grad: Array) -> Array:
        """Largest gradient entry, but for entries held at the border by an outward pull."""
        held = (jnp.abs(x) >= FARTHEST) & (jnp.sign(grad) == jnp.sign(x))
        return jnp.max(jnp.where(held, 0, jnp.abs(grad)))


@full_precision
def mode(curve: irf.Curve, items: irf.Items, answers: Answers, prior: Normal, *, warm: bool = False) -> Ability:
    """Most probable ability: MAP, or maximum likelihood (zero precision), or Warm's weighted likelihood."""
    return climb(lambda x: _loglik(curve, items, answers, x), prior, curve=curve, warm=warm)


@full_precision
def mean(curve: irf.Curve, items: irf.Items, answers: Answers, prior: Normal, *, per_dim: int = 21) -> Ability:
    """Posterior mean and covariance (EAP) by Gauss-Hermite quadrature around the mode (Liu & Pierce 1994)."""

    def value(x: Array) -> Array:
        return likelihood.bernoulli(curve, items, x, answers.scores, answers.weight)

    return integrate(value, mode(curve, items, answers, prior), prior, per_dim=per_dim)


def climb(loglik: Loglik, prior: Normal, *, curve: irf.Curve, warm: bool = False) -> Ability:
    """The mode of  loglik + log prior, of which `loglik` gives value, gradient and Fisher information."""

    def objective(x: Array) -> tuple[Array, Array, Array]:
        value, grad, info = loglik(x)
        gap = x - prior.mean
        value = value - 0.5 * gap @ prior.precision @ gap
        grad = grad - prior.precision @ gap
        if warm:
            bonus, slope = jax.value_and_grad(lambda t: 0.5 * _log_determinant(loglik(t)[2]))(x)
            value, grad = value + bonus, grad + slope
        return value, grad, info + prior.precision

    start = jnp.clip(prior.mean, -FARTHEST, FARTHEST)
    tol = 100 * float(jnp.finfo(start.dtype).eps) ** 0.5 if start.dtype == jnp.float32 else 1e-7
    end = solve(Scoring(curve, warm), objective, start, tol=tol, max_steps=50)
    _, _, info = objective(end.x)
    return Ability(end.x, small.inverse(info), end.steps, end.status)


def integrate(loglik: Callable[[Array], Array], at: Ability, prior: Normal, *, per_dim: int = 21) -> Ability:
    """Mean and covariance of the posterior by quadrature around its mode."""
    dims = at.value.shape[0]
    axis, weight = np.polynomial.hermite_e.hermegauss(per_dim)
    grid = np.stack(np.meshgrid(*[axis] * dims, indexing="ij"), -1).reshape(-1, dims)
    log_weight = np.log(np.stack(np.meshgrid(*[weight] * dims, indexing="ij"), -1)).sum(-1).ravel()
    nodes = at.value[None, :] + jnp.asarray(grid, at.value.dtype) @ jnp.linalg.cholesky(at.covariance).T

    def density(x: Array) -> Array:
        return loglik(x) + likelihood.gaussian(x, prior.mean, prior.precision)

    log_mass = jax.vmap(density)(nodes) + jnp.asarray(log_weight + 0.5 * (grid**2).sum(1), at.value.dtype)
    mass = jax.nn.softmax(log_mass)
    centre = mass @ nodes
    gap = nodes - centre[None, :]
    return at._replace(value=centre, covariance=(mass[:, None] * gap).T @ gap)


def _loglik(curve: irf.Curve, items: irf.Items, answers: Answers, x: Array) -> tuple[Array, Array, Array]:
    """Log likelihood, gradient (dims,) and Fisher information (dims, dims) at ability x, in closed form."""
    scores, weight = answers
    z = irf.logit(x, items)
    odds, wrong = irf.tails(curve, z, items.floor, items.ceiling)
    value = jnp.sum(weight * (scores * odds + wrong))
    if curve.logistic:
        p = jax.nn.sigmoid(z)
        pull, worth = weight * (scores - p), weight * p * (1 - p)
    else:
        p = irf.squash(z, items.floor, items.ceiling)
        by_z = (items.ceiling - items.floor) * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
        inverse = 1 / jnp.maximum(p * (1 - p), irf.SAFE)
        pull, worth = weight * (scores - p) * by_z * inverse, weight * by_z**2 * inverse
    dims = len(x)
    pairs = (items.slope[:, :, None] * items.slope[:, None, :]).reshape(-1, dims * dims)
    return value, pull @ items.slope, (worth @ pairs).reshape(dims, dims)


def _log_determinant(info: Array) -> Array:
    """Log determinant of the test's information, with a whisper of ridge."""
    return jnp.linalg.slogdet(info + 1e-6 * jnp.eye(len(info), dtype=info.dtype))[1]
