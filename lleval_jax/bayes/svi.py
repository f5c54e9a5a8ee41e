"""Stochastic variational inference: of the normals of a given shape the one nearest to the posterior.

Guides are NumPyro functions in the coordinates of Laplace's normal. In those of its arrow (items independent given
abilities, and following them) independent normals are a guide with all of that structure: "block". "mean-field" and
"low-rank" know of Laplace's normal only the scale of each unknown. With many items each step takes some of them, drawn
for it, whose terms stand for all (Hoffman et al. 2013): NumPyro's plate draws them.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpyro
import optax
from numpyro import distributions as dist
from numpyro.infer import SVI as Inference
from numpyro.infer import Trace_ELBO

from lleval_jax.bayes import sketch
from lleval_jax.bayes.contract import Parted
from lleval_jax.bayes.engines import Draws, Problem, density, in_chains
from lleval_jax.bayes.laplace import approximation
from lleval_jax.bayes.mode import Normal
from lleval_jax.bayes.models.sites import site
from lleval_jax.bayes.space import Space, subsampled
from lleval_jax.core.linalg import arrow
from lleval_jax.core.linalg.arrow import Point, Root
from lleval_jax.core.precision import jit
from lleval_jax.errors import require
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell

PIECE = 100  # steps between two looks at the clock
BATCH = 32  # densities side by side
FALL = 0.01  # of the rate, from the first step to the last


@dataclasses.dataclass(frozen=True)
class SVI:
    """Settings.

    Simulation-based calibration of the block guide (`bench.bayes.calibration`: 100 worlds of 4 models x 10 items from
    each prior): 95% intervals contain the ability in 95% of cases under the Rasch model and the 2PL, and 93% with
    families and groups. Ranks of abilities are uniform; those of sizes of effects are not: intervals of `apart_sd` and
    `group_sd` contain the truth in 79% and 81%.

    guide          "block", "mean-field" or "low-rank"
    steps          of Adam, rounded up to hundreds
    rate           of its first step, in standard errors; it falls along a cosine
    points         draws of the guide in each step
    rank           of the low-rank guide
    units          items of each step, drawn for it; None: all. Of a guide found so, weights are not computed: its draws
                   stay those of an approximation
    chains, draws  of the guide that was found; they are independent
    """

    guide: Literal["block", "mean-field", "low-rank"] = "block"
    steps: int = 1000
    rate: float = 0.02
    points: int = 2
    rank: int = 10
    units: int | None = None
    chains: int = 4
    draws: int = 1000

    @property
    def name(self) -> str:
        """As in results."""
        return f"svi, {self.guide}" + ", items drawn" * (self.units is not None)

    def draw(self, problem: Problem, keys: Array, tell: Tell) -> Draws:
        """Draws of the guide, each with its weight.

        Raises:
            BadInput: items are to be drawn, and the model cannot be taken in parts, or the guide is low-rank.
        """
        first, second, third = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
        by = self._drawing(problem)
        if by.units is None:
            normal = approximation(problem, tell)
        else:
            tell(Progress("looking at a part of the items"))
            normal = _SKETCHED(problem.model, problem.space, by.units, problem.data, problem.start, third)
        known = problem.model, problem.space, by, problem.data, normal
        state = _BEGIN(*known, first)
        for done in range(PIECE, self.steps + PIECE, PIECE):
            state, loss = _ADVANCE(*known, state)
            note = f"loss {float(jnp.mean(loss)):,.1f}"
            tell(Progress("fitting the guide", min(done, self.steps), self.steps, unit="steps", note=note))
        count = self.chains * self.draws
        at, log_weight = _DRAWN(*known, state, jax.vmap(lambda key: jax.random.split(key, count))(second))
        return in_chains(at, log_weight, self.chains)

    def _drawing(self, problem: Problem) -> "SVI":
        """Itself, with all items where there are no more than a step's."""
        if self.units is None or self.units >= problem.space.units:
            return dataclasses.replace(self, units=None)
        require(self.units > 0, f"units is {self.units}; a step needs one item at least")
        require(self.guide != "low-rank", "with units the guide is block or mean-field; low-rank takes all at once")
        name, model = problem.model.name, problem.model
        require(
            isinstance(model, Parted) and model.parted, f"the model {name!r} cannot be taken in parts; leave units out"
        )
        return self


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


def _inference(model: Any, space: Space, settings: SVI, data: Any, normal: Normal) -> Inference:
    """NumPyro's SVI of standard coordinates: the sites "shared" and, of units, "own"."""
    coordinates = _coordinates(settings, normal)

    def target() -> None:
        shared = site("shared", _anywhere(len(normal.mean.shared)))
        with _units(space, settings) as units:
            own = site("own", _anywhere(normal.mean.own.shape[1]))
        with numpyro.handlers.block():  # the model's own sites are not sites of this one
            if settings.units is None:
                minus = density(model, space, data)(coordinates.at(Point(shared, own)))
            else:
                at = coordinates.part(units).at(Point(shared, own))
                minus = subsampled(model, space, data, at, units)
        numpyro.factor("density", -minus)

    def guide() -> None:
        _guide(space, settings, normal)

    steps = -(-settings.steps // PIECE) * PIECE
    rate = optax.cosine_decay_schedule(settings.rate, steps, alpha=FALL)
    return Inference(target, guide, optax.adam(rate), Trace_ELBO(settings.points))


def _guide(space: Space, settings: SVI, normal: Normal) -> None:
    n, width = len(normal.mean.shared), normal.mean.own.shape[1]
    flat = jnp.zeros(n + normal.mean.own.size, normal.mean.shared.dtype)
    mean, sd = _param("mean", flat), _param("sd", jnp.ones_like(flat), constraint=dist.constraints.positive)
    if settings.guide == "low-rank":
        factor = _param("factor", 0.05 * jax.random.normal(jax.random.key(0), (len(flat), settings.rank), flat.dtype))
        joint = dist.LowRankMultivariateNormal(mean, factor, sd**2)
        z = jnp.asarray(numpyro.sample("z", joint, infer={"is_auxiliary": True}))
        site("shared", dist.Delta(z[:n], event_dim=1))
        with _units(space, settings):
            site("own", dist.Delta(z[n:].reshape(-1, width), event_dim=1))
        return
    site("shared", dist.Normal(mean[:n], sd[:n]).to_event(1))
    with _units(space, settings) as units:
        own = (x[n:].reshape(-1, width)[units] for x in (mean, sd))
        site("own", dist.Normal(*own).to_event(1))


def _units(space: Space, settings: SVI) -> numpyro.plate:
    return numpyro.plate("units", space.units, settings.units)


def _anywhere(size: int) -> dist.Distribution:
    return dist.ImproperUniform(dist.constraints.real_vector, (), (size,))


def _param(name: str, start: Array, **words: Any) -> Array:
    return jnp.asarray(numpyro.param(name, start, **words))


def _sketched(model: Any, space: Space, count: int, data: Any, start: Point, keys: Array) -> Normal:
    def of_task(data: Any, start: Point, key: Array) -> Normal:
        units = jax.random.choice(key, space.units, (count,), replace=False)
        return sketch.normal(model, space, data, start, units)

    return jax.vmap(of_task)(data, start, keys)


def _begin(model: Any, space: Space, settings: SVI, data: Any, normal: Normal, keys: Array) -> Any:
    return jax.vmap(lambda *task: _inference(model, space, settings, *task[:2]).init(task[2]))(data, normal, keys)


def _advance(model: Any, space: Space, settings: SVI, data: Any, normal: Normal, states: Any) -> tuple[Any, Array]:
    """`PIECE` more steps, and their mean loss."""

    def of_task(data: Any, normal: Normal, state: Any) -> tuple[Any, Array]:
        inference = _inference(model, space, settings, data, normal)
        inference.init(jax.random.key(0))  # NumPyro keeps the constraints in closures of this trace
        state, loss = jax.lax.scan(lambda state, _: inference.update(state), state, None, length=PIECE)
        return state, jnp.mean(loss)

    return jax.vmap(of_task)(data, normal, states)


def _drawn(
    model: Any, space: Space, settings: SVI, data: Any, normal: Normal, states: Any, keys: Array
) -> tuple[Point, Array]:
    def of_task(data: Any, normal: Normal, state: Any, keys: Array) -> tuple[Point, Array]:
        whole = dataclasses.replace(settings, units=None)
        inference = _inference(model, space, settings, data, normal)
        inference.init(jax.random.key(0))
        params, coordinates = inference.get_params(state), _coordinates(whole, normal)
        minus = density(model, space, data)
        size = arrow.log_det(coordinates.root)

        def one(key: Array) -> tuple[Point, Array]:
            seeded = numpyro.handlers.seed(_guide, key)
            with numpyro.handlers.block(), numpyro.handlers.trace() as trace:
                numpyro.handlers.substitute(seeded, data=params)(space, whole, normal)
            at = coordinates.at(Point(trace["shared"]["value"], trace["own"]["value"]))
            if settings.units is not None:
                return at, jnp.full((), jnp.nan, size.dtype)
            q = sum(jnp.sum(s["fn"].log_prob(s["value"])) for s in trace.values() if s["type"] == "sample")
            return at, -minus(at) - q + size

        return jax.lax.map(one, keys, batch_size=BATCH)

    return jax.vmap(of_task)(data, normal, states, keys)


_BEGIN, _ADVANCE, _DRAWN, _SKETCHED = (
    jit(fn, static_argnums=(0, 1, 2)) for fn in (_begin, _advance, _drawn, _sketched)
)
