"""`sample_many`: posteriors of many tasks, side by side in one program."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lleval_jax.bayes import choice
from lleval_jax.bayes.contract import Model
from lleval_jax.bayes.engines import Engine
from lleval_jax.bayes.padding import padded
from lleval_jax.bayes.posterior import Posterior
from lleval_jax.bayes.sample import Task, random_key, seed_of, side_by_side
from lleval_jax.core.precision import Precision
from lleval_jax.errors import require
from lleval_jax.estimators import planned
from lleval_jax.scale.plan import HERE, Plan, require_one_host
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell, silent

NUMBERS = {"cpu": 30_000}  # of the largest array of all tasks of a program: beyond that a CPU gains nothing more
ELSEWHERE = 30_000_000
NAME = "bayes.sample_many"


def sample_many(
    model: Model,
    values: Mapping[str, Any],
    *,
    engine: str | Engine = "nuts",
    key: int | Array = 0,
    precision: Precision = "float32",
    tell: Tell = silent,
    plan: Plan = HERE,
) -> dict[str, Posterior]:
    """The posterior of each of many values by itself: subjects of a benchmark, resampled answers, simulated worlds.

    Nothing is shared between them but the program. Answers are padded with items without answers to few shapes
    (equally many models, and items up to a factor of two), and small tasks are sampled side by side. Task number i has
    the random key `fold_in(key, i)`. A task that is not padded has the draws of `sample` with that key, but for
    rounding, which a long chain of NUTS makes other draws of the same posterior; so does padding.

    Args:
        model: of each value.
        values: name -> what the model is of, such as `Responses`.
        engine: as of `sample`; "auto" looks at the largest value.
        key: a seed, or a random key.
        precision: as of `sample`.
        tell: called with a `Progress` now and then.
        plan: `chunk` tasks at most are sampled at a time; with a mesh those of a program are shared out to its devices,
            all of one host; in `out` the draws of each program are kept, and the same call goes on after the last of
            them. Fits are not kept: they are found again. Another chunk or mesh makes other programs, whose draws
            differ by rounding, as above.

    Returns:
        Name -> `Posterior`, each with its own diagnostics and without padding.

    Raises:
        BadInput: no values, an unknown engine, or a value that the model cannot take, whose name is said; a mesh of
            several hosts; or `out` holds something else, and what differs is named.

    Example:
        >>> posteriors = bayes.sample_many(bayes.irt("2pl"), {"anatomy": one, "law": two})  # doctest: +SKIP
        >>> posteriors["law"].estimate("rank")  # doctest: +SKIP
    """
    require(len(values) > 0, "there are no values to sample; give name -> answers, one at least")
    largest = max(values.values(), key=lambda value: float(np.sum(getattr(value, "n_seen", 0))))
    by = choice.engine(engine, largest, model) if isinstance(engine, str) else engine
    require_one_host(plan.mesh)
    facts = {"model": model, "engine": by, "key": key, "precision": precision, "values": values}
    kept = planned.kept_parts(plan, NAME, facts)
    kept("draws")  # what is there is looked at before the work
    root, tasks = random_key(key), []
    for i, (own, wide) in enumerate(zip(values.values(), padded(list(values.values())), strict=True)):
        tell(Progress("fitting", i, len(values), unit="tasks"))
        fit = model.maximum(wide)
        laid = model.lay_out(wide, fit, precision)
        apart = laid if own is wide else model.lay_out(own, fit, precision)
        tasks.append(Task(apart, laid, fit, jax.random.fold_in(root, i)))
    found: dict[int, Posterior] = {}
    for chunk in _chunks(tasks, plan.chunk or len(tasks), plan.mesh.size if plan.mesh else 1):
        tell(Progress("sampling", len(found), len(tasks), unit="tasks"))
        some = [tasks[i] for i in chunk]
        part = kept(planned.fingerprint(chunk)[: planned.LETTERS])
        posteriors = side_by_side(model, some, by, seed_of(key), precision, silent, mesh=plan.mesh, kept=part)
        found |= dict(zip(chunk, posteriors, strict=True))  # the last chunk of a shape is filled up with a task of it
    return {name: found[i] for i, name in enumerate(values)}


def _chunks(tasks: list[Task], most: int, devices: int) -> list[list[int]]:
    """Indices of tasks of one shape, equally many in each chunk of that shape, and on each device: one program."""
    shapes: dict[tuple, list[int]] = {}
    for i, task in enumerate(tasks):
        shape = tuple(np.shape(x) for x in jax.tree.leaves(task.wide.data))
        shapes.setdefault(shape, []).append(i)
    chunks = []
    for shape, members in shapes.items():
        size = max(math.prod(each) for each in shape)
        room = max(1, min(most, NUMBERS.get(jax.default_backend(), ELSEWHERE) * devices // max(size, 1)))
        count = math.ceil(len(members) / room)
        each = math.ceil(len(members) / count / devices) * devices
        for start in range(0, len(members), each):
            part = members[start : start + each]
            chunks.append(part + part[-1:] * (each - len(part)))
    return chunks
