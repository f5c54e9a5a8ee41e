"""NUTS in the coordinates of Laplace's normal approximation, where a posterior is nearly round.

NumPyro's kernel (Phan, Pradhan & Jankowiak 2019; Hoffman & Gelman 2014) moves z, and the point is mean + root z. What
slows a sampler on item response models, thousands of scales, and slopes that hang on intercepts and on all abilities,
is so taken out before the first step; a diagonal mass matrix is then learned for what the normal missed.
"""

import dataclasses
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc

from lleval_jax.bayes.engines import Draws, Problem
from lleval_jax.bayes.laplace import approximation, standard
from lleval_jax.bayes.mode import Normal
from lleval_jax.bayes.numbers import numbers
from lleval_jax.bayes.space import Space, potential
from lleval_jax.core.linalg.arrow import Point
from lleval_jax.core.precision import jit, light_jit
from lleval_jax.errors import require
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell

PIECE = 50  # draws between two looks at the clock


class Drawn(NamedTuple):
    """A piece of a chain, all (draws,); of several chains (tasks, chains, draws).

    Points, whether the integrator lost the energy, the energy, how many gradients a draw took, and the mean probability
    that its points are accepted.
    """

    at: Point
    diverging: Array
    energy: Array
    steps: Array
    accept: Array


@dataclasses.dataclass(frozen=True)
class NUTS:
    """Settings of the no-U-turn sampler.

    chains     independent chains, each from its own draw of the normal approximation
    draws      of each chain, after its warm-up
    warmup     draws that set step size and scales, and are then left out
    accept     acceptance probability aimed at; more makes smaller steps and fewer divergences. None: the model's
    max_depth  a draw takes at most 2^max_depth - 1 gradients
    chains_by  "threads": on the CPU's cores; "vectorised": one program for all; "auto": threads on a CPU, but for a
               mesh. Tasks are always side by side
    """

    chains: int = 4
    draws: int = 1000
    warmup: int = 300
    accept: float | None = None
    max_depth: int = 10
    chains_by: Literal["auto", "threads", "vectorised"] = "auto"

    @property
    def name(self) -> str:
        """As in results."""
        return "nuts"

    def draw(self, problem: Problem, keys: Array, tell: Tell) -> Draws:
        """All chains, after their warm-up."""
        normal = approximation(problem, tell)
        keys = jax.vmap(lambda key: jax.random.split(key, self.chains))(keys)
        by, several = self.chains_by, problem.mesh is not None
        require(by != "threads" or not several, "chains in threads go to one device; over a mesh leave chains_by out")
        if by == "auto":
            by = "threads" if jax.default_backend() == "cpu" and not several else "vectorised"
        tell(Progress("compiling"))
        count = _Count(tell, self.warmup + self.draws, self.chains if by == "threads" else 1)
        if by == "vectorised":
            found = self._chains(problem, normal, keys, count)
        else:
            with ThreadPoolExecutor(self.chains) as pool:
                one = functools.partial(self._chains, problem, normal, tell=count)
                parts = list(pool.map(one, [keys[:, i : i + 1] for i in range(self.chains)]))
            found = jax.tree.map(lambda *x: np.concatenate(x, 1), *parts)
        stats = {name: getattr(found, name) for name in Drawn._fields[1:]}
        return Draws(found.at, stats, None)

    def _chains(self, problem: Problem, normal: Normal, keys: Array, tell: "_Count") -> Drawn:
        """(tasks, chains, draws) of each key (tasks, chains), side by side in one program."""
        with numbers(problem.precision):
            known = problem.model, problem.space, self, problem.data, normal
            state = _BEGIN(*known, keys)
            for count in _pieces(self.warmup):
                state, _ = _ADVANCE(*known, state, count)
                tell(count)
            parts = []
            for count in _pieces(self.draws):
                state, drawn = _ADVANCE(*known, state, count)
                parts.append(jax.tree.map(lambda x, n=count: np.asarray(x[:, :, :n]), drawn))
                tell(count)
        return jax.tree.map(lambda *x: np.concatenate(x, 2), *parts)


class _Count:
    """Draws of all chains so far."""

    def __init__(self, tell: Tell, each: int, chains: int) -> None:
        self._tell, self._total, self._done = tell, each * chains, 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._tell(Progress("sampling", self._done, self._total, unit="draws"))


def _pieces(count: int) -> list[int]:
    return [PIECE] * (count // PIECE) + [count % PIECE] * (count % PIECE > 0)


@functools.cache
def _kernel(model: Any, space: Space) -> tuple[Callable, Callable]:
    """NumPyro's two functions, of a density in the coordinates of a normal."""

    def density(data: Any, normal: Normal) -> Callable[[Point], Array]:
        return lambda z: potential(model, space, data, normal.at(z))

    return hmc(potential_fn_gen=density, algo="NUTS")


def begin(model: Any, space: Space, settings: NUTS, data: Any, normal: Normal, key: Array) -> Any:
    """A chain before its first draw: NumPyro's state."""
    init, _ = _kernel(model, space)
    place, chain = jax.random.split(key)
    size = len(normal.mean.shared) + normal.mean.own.size
    first = _nearer(lambda z: potential(model, space, data, normal.at(z)), standard(normal.mean, place))
    return init(
        first,
        settings.warmup,
        step_size=size**-0.25,
        target_accept_prob=settings.accept or model.accept,
        max_tree_depth=settings.max_depth,
        model_args=(data, normal),
        rng_key=chain,
    )


def _nearer(minus: Callable[[Point], Array], z: Point) -> Point:
    """A draw of the normal, or a point between it and the mode, where that is far too improbable.

    From the mode to z minus the log density of a normal rises by |z|^2 / 2; where it rises by more than twice that, as
    beyond a scale that is nearly zero, a chain would not come back.
    """
    shares = jnp.asarray([1, 0.5, 0.25, 0.1, 0], z.own.dtype)
    square = sum(jnp.sum(part**2) for part in z)
    rise = jax.lax.map(lambda share: minus(jax.tree.map(lambda part: share * part, z)), shares)
    fit = rise - rise[-1] <= shares**2 * square  # NaN is not; the last one is
    share = shares[jnp.argmax(fit)]
    return jax.tree.map(lambda part: share * part, z)


def advance(
    model: Any, space: Space, settings: NUTS, data: Any, normal: Normal, state: Any, count: Array
) -> tuple[Any, Drawn]:
    """`count` draws more, of `PIECE` at most; what is returned is padded to that many."""
    begin(model, space, settings, data, normal, jax.random.key(0))  # NumPyro keeps settings in closures of this trace
    _, sample = _kernel(model, space)

    def one(state: Any, i: Array) -> tuple[Any, Drawn]:
        state = jax.lax.cond(i < count, lambda s: sample(s, model_args=(data, normal)), lambda s: s, state)
        drawn = normal.at(state.z), state.diverging, state.energy, state.num_steps, state.accept_prob
        return state, Drawn(*drawn)

    return jax.lax.scan(one, state, jnp.arange(PIECE))


def _begin_all(model: Any, space: Space, settings: NUTS, data: Any, normal: Normal, keys: Array) -> Any:
    def of_task(data: Any, normal: Normal, keys: Array) -> Any:
        return jax.vmap(lambda key: begin(model, space, settings, data, normal, key))(keys)

    return jax.vmap(of_task)(data, normal, keys)


def _advance_all(
    model: Any, space: Space, settings: NUTS, data: Any, normal: Normal, states: Any, count: Array
) -> tuple[Any, Drawn]:
    def of_task(data: Any, normal: Normal, states: Any) -> tuple[Any, Drawn]:
        return jax.vmap(lambda state: advance(model, space, settings, data, normal, state, count))(states)

    return jax.vmap(of_task)(data, normal, states)


_BEGIN = light_jit(_begin_all, static_argnums=(0, 1, 2))
_ADVANCE = jit(_advance_all, static_argnums=(0, 1, 2))
