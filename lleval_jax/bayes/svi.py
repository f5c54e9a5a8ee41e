"""Stochastic variational inference: of the normals of a given shape the one nearest to the posterior.

Guides are NumPyro functions in the coordinates of Laplace's normal. In those of its arrow (items independent given
abilities, and following them) independent normals are a guide with all of that structure: "block". "mean-field" and
"low-rank" know of Laplace's normal only the scale of each unknown.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpyro
import optax
from jax.flatten_util import ravel_pytree
from numpyro import distributions as dist
from numpyro.infer import SVI as Inference
from numpyro.infer import Trace_ELBO

from lleval_jax.bayes.engines import Draws, Problem, density, in_chains
from lleval_jax.bayes.laplace import approximation
from lleval_jax.bayes.mode import Normal
from lleval_jax.bayes.models.sites import site
from lleval_jax.bayes.space import Space
from lleval_jax.core.linalg import arrow
from lleval_jax.core.linalg.arrow import Point, Root
from lleval_jax.core.precision import jit
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell

PIECE = 100  # steps between two looks at the clock
BATCH = 32  # densities side by side
FALL = 0.01  # of the rate, from the first step to the last


@dataclasses.dataclass(frozen=True)
class SVI:
    """Settings.

    guide          "block", "mean-field" or "low-rank"
    steps          of Adam, rounded up to hundreds
    rate           of its first step, in standard errors; it falls along a cosine
    points         draws of the guide in each step
    rank           of the low-rank guide
    chains, draws  of the guide that was found; they are independent
    """

    guide: Literal["block", "mean-field", "low-rank"] = "block"
    steps: int = 1000
    rate: float = 0.02
    points: int = 2
    rank: int = 10
    chains: int = 4
    draws: int = 1000

    @property
    def name(self) -> str:
        """As in results."""
        return f"svi, {self.guide}"

    def draw(self, problem: Problem, key: Array, tell: Tell) -> Draws:
        """Draws of the guide, each with its weight."""
        normal = approximation(problem, tell)
        first, second = jax.random.split(key)
        known = problem.model, problem.space, self, problem.data, normal
        state = _BEGIN(*known, first)
        for done in range(PIECE, self.steps + PIECE, PIECE):
            state, loss = _ADVANCE(*known, state)
            note = f"loss {float(loss):,.1f}"
            tell(Progress("fitting the guide", min(done, self.steps), self.steps, unit="steps", note=note))
        at, log_weight = _DRAWN(*known, state, jax.random.split(second, self.chains * self.draws))
        return in_chains(at, log_weight, self.chains)


def _coordinates(settings: SVI, normal: Normal) -> Normal:
    """Those of a guide: the arrow's, or each unknown by itself with the sd that it has given the others."""
    if settings.guide == "block":
        return normal
    shared, own = (
        jnp.sqrt(1 / jnp.sum(jnp.linalg.inv(part) ** 2, -2)) for part in (normal.root.shared, normal.root.own)
    )
    diagonal = jnp.eye(own.shape[-1], dtype=own.dtype)
    root = Root(jnp.diag(shared), jnp.zeros_like(normal.root.follow), own[:, None, :] * diagonal)
    return normal._replace(root=root)


def _inference(model: Any, space: Space, settings: SVI, data: Any, normal: Normal) -> tuple[Inference, Callable]:
    """NumPyro's SVI of a flat vector z, and z -> point."""
    flat, unravel = ravel_pytree(jax.tree.map(jnp.zeros_like, normal.mean))
    coordinates, minus = _coordinates(settings, normal), density(model, space, data)

    def target() -> None:
        z = site("z", dist.ImproperUniform(dist.constraints.real_vector, (), (len(flat),)))
        with numpyro.handlers.block():  # the model's own sites are not sites of this one
            value = -minus(coordinates.at(unravel(z)))
        numpyro.factor("density", value)

    def guide() -> None:
        numpyro.sample("z", _guide(settings, flat))

    steps = -(-settings.steps // PIECE) * PIECE
    rate = optax.cosine_decay_schedule(settings.rate, steps, alpha=FALL)
    return Inference(target, guide, optax.adam(rate), Trace_ELBO(settings.points)), lambda z: coordinates.at(unravel(z))


def _guide(settings: SVI, flat: Array) -> dist.Distribution:
    mean = _param("mean", flat)
    sd = _param("sd", jnp.ones_like(flat), constraint=dist.constraints.positive)
    if settings.guide != "low-rank":
        return dist.Normal(mean, sd).to_event(1)
    factor = _param("factor", 0.05 * jax.random.normal(jax.random.key(0), (len(flat), settings.rank), flat.dtype))
    return dist.LowRankMultivariateNormal(mean, factor, sd**2)


def _param(name: str, start: Array, **words: Any) -> Array:
    return jnp.asarray(numpyro.param(name, start, **words))


def _begin(model: Any, space: Space, settings: SVI, data: Any, normal: Normal, key: Array) -> Any:
    return _inference(model, space, settings, data, normal)[0].init(key)


def _advance(model: Any, space: Space, settings: SVI, data: Any, normal: Normal, state: Any) -> tuple[Any, Array]:
    """`PIECE` more steps, and their mean loss."""
    inference, _ = _inference(model, space, settings, data, normal)
    inference.init(jax.random.key(0))  # NumPyro keeps the constraints in closures of this trace
    state, loss = jax.lax.scan(lambda state, _: inference.update(state), state, None, length=PIECE)
    return state, jnp.mean(loss)


def _drawn(
    model: Any, space: Space, settings: SVI, data: Any, normal: Normal, state: Any, keys: Array
) -> tuple[Point, Array]:
    inference, place = _inference(model, space, settings, data, normal)
    inference.init(jax.random.key(0))
    params, minus = inference.get_params(state), density(model, space, data)
    with numpyro.handlers.substitute(data=params):
        q = _guide(settings, ravel_pytree(normal.mean)[0])
    size = arrow.log_det(_coordinates(settings, normal).root)

    def one(key: Array) -> tuple[Point, Array]:
        z = q.sample(key)
        at = place(z)
        return at, -minus(at) - q.log_prob(z) + size

    return jax.lax.map(one, keys, batch_size=BATCH)


_BEGIN, _ADVANCE, _DRAWN = (jit(fn, static_argnums=(0, 1, 2)) for fn in (_begin, _advance, _drawn))
