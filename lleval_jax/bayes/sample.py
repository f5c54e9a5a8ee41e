"""`sample`: a model and what was observed -> its posterior."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lleval_jax.bayes import choice, importance, space
from lleval_jax.bayes.contract import Laid, Model
from lleval_jax.bayes.diagnostics import diagnosed
from lleval_jax.bayes.engines import Draws, Engine, Problem
from lleval_jax.bayes.numbers import numbers
from lleval_jax.bayes.padding import cut
from lleval_jax.bayes.posterior import Posterior
from lleval_jax.core.linalg.arrow import Point
from lleval_jax.core.precision import Precision, jit
from lleval_jax.estimators import planned
from lleval_jax.estimators.contract import found_once
from lleval_jax.scale.kept import Kept
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.results import FitResult

BATCH = 50  # draws side by side
NAME = "bayes.sample"


def sample(
    model: Model,
    value: Any,
    *,
    engine: str | Engine = "auto",
    key: int | Array = 0,
    fit: FitResult | None = None,
    precision: Precision = "float32",
    tell: Tell = silent,
    plan: Plan = HERE,
) -> Posterior:
    """The posterior of a model given what was observed.

    Every engine starts from our maximum likelihood fit of the same model and from the normal of Laplace's method.

    Args:
        model: such as `bayes.irt("2pl")`.
        value: what it is a model of, such as `Responses`.
        engine: "nuts" (draws of the posterior itself, and checks that say so), "svi" or "laplace" (approximations, in
            seconds), or an engine with settings: `bayes.NUTS(chains=2, accept=0.95)`. "auto" is NUTS up to two
            million answers, and SVI for more.
        key: a seed, or a random key.
        fit: of the same model, if there is one already.
        precision: of the device arrays; float64 needs no global setting.
        tell: called with a `Progress` now and then; `print` is one.
        plan: with `out` the draws are kept there, and the same call reads them.

    Raises:
        BadInput: no answers, an unknown engine, a value that the model cannot take, or a plan with `mesh` or `chunk`.

    Example:
        >>> from lleval_jax import bayes
        >>> posterior = bayes.sample(bayes.irt("2pl"), responses, key=1)  # doctest: +SKIP
        >>> posterior.estimate("rank")  # doctest: +SKIP
    """
    planned.require_one(plan, NAME)
    by = choice.engine(engine, value, model) if isinstance(engine, str) else engine
    facts = {"model": model, "engine": by, "key": key, "precision": precision, "fit": fit, "value": value}
    kept = planned.kept(plan, NAME, facts)
    tell(Progress("fitting"))
    fit = fit or model.maximum(value)
    laid = model.lay_out(value, fit, precision)
    task = Task(laid, laid, fit, random_key(key))
    return side_by_side(model, [task], by, seed_of(key), precision, tell, kept=kept)[0]


class Task(NamedTuple):
    """What one posterior is of.

    own   the value as a model takes it
    wide  the same as it is sampled: padded where other tasks are larger
    fit   of the wide one; None where the model has none
    key   of its draws
    """

    own: Laid
    wide: Laid
    fit: FitResult | None
    key: Array


def side_by_side(
    model: Model,
    tasks: Sequence[Task],
    by: Engine,
    seed: int,
    precision: Precision,
    tell: Tell,
    *,
    mesh: Mesh | None = None,
    kept: Kept | None = None,
) -> list[Posterior]:
    """The posterior of each task, all of one shape, by one program, over a mesh if there is one; or of kept draws."""
    with numbers(precision):
        data = jax.tree.map(lambda *x: np.stack(x), *(task.wide.data for task in tasks))
        starts = [model.start(task.wide, task.fit) for task in tasks]
        start = jax.tree.map(lambda *x: jnp.asarray(np.stack(x), precision), *starts)
        where, at = space.placed(model, data, start)
        data, at, keys = _shared_out((data, at, jnp.stack([task.key for task in tasks])), mesh)
        problem = Problem(model, where, data, at, precision, mesh)
        drawn = Draws.of(found_once(lambda: by.draw(problem, keys, tell).named(), lambda: None, kept))
        tell(Progress("checking"))
        return [_posterior(problem, task, drawn.task(i), by, seed) for i, task in enumerate(tasks)]


def _shared_out(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays (tasks, ...) over the devices of a mesh."""
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, PartitionSpec(mesh.axis_names)))


def _posterior(problem: Problem, task: Task, drawn: Draws, by: Engine, seed: int) -> Posterior:
    """Of the draws of one task; those of padding are dropped."""
    drawn, worth = importance.resampled(drawn, seed)
    kept = cut(values(problem, task.wide, drawn), task.wide.dims, task.own.axes)
    checked = diagnosed(kept, drawn, getattr(by, "max_depth", None), worth)
    return Posterior(problem.model, task.own, kept, drawn.stats, checked, by.name, problem.precision, seed)


def random_key(key: int | Array) -> Array:
    """A random key, of a seed or as it is."""
    return jax.random.key(key) if isinstance(key, int) else key


def seed_of(key: int | Array) -> int:
    """The seed; 0 where there is a random key instead."""
    return key if isinstance(key, int) else 0


def values(problem: Problem, laid: Laid, drawn: Draws) -> dict[str, np.ndarray]:
    """(chains, draws, ...) of everything that is kept of a task."""
    chains, draws = drawn.at.shared.shape[:2]
    flat = jax.tree.map(lambda x: x.reshape(chains * draws, *x.shape[2:]), drawn.at)
    found = _VALUES(problem.model, problem.space, tuple(laid.dims), laid.data, flat)
    return {name: np.asarray(x).reshape(chains, draws, *x.shape[1:]) for name, x in found.items()}


def _values(model: Model, where: space.Space, names: tuple[str, ...], data: Any, at: Point) -> dict[str, Array]:
    def one(at: Point) -> dict[str, Array]:
        found = space.values(model, where, data, at)
        return {name: found[name] for name in names}

    return jax.lax.map(one, at, batch_size=BATCH)


_VALUES = jit(_values, static_argnums=(0, 1, 2))
