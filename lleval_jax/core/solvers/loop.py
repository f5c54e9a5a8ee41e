"""The one loop of the device: what goes on there until a tolerance is met is `solve(solver, fn, x0)`, or `advance`.

Loops of a fixed count are plain sweeps and stay what they are (`jax.lax.fori_loop`, `scan`), since they meet no
tolerance: `laws.pooled.settle` and `crossed.messages.settle`, whose result must not depend on the other lanes;
`crossed.mixture.learn`, steps of Markov chains; `irt.sequential.learn` and `irt.em.maximise`, a few scoring steps.

Not here, with reasons:
    solvers.simplex.Newton      halves a step within a step of `solve`; a loop of two lines
    linalg.rotation.project     NumPy on matrices of a few columns, where a device's call costs more than the work
    estimators, scipy.optimize  `tiny.regression` and `irt.linking` search on the host;
                                `<method>/published` does what the paper's own program does
    estimators, Newton          `tiny.kriging`, `irt.copies`, `trust.keys`: on the host, a fixed count of steps
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Status


class Step(NamedTuple):
    """What a solver hands back after each step.

    x       the argument, any pytree
    value   what is made large or small at x
    error   how far x is from being a solution: largest gradient entry, or largest move of a fixed point map
    memory  what the solver needs for its next step
    """

    x: Any
    value: Array
    error: Array
    memory: Any


class Solver(Protocol):
    """A solver is two pure functions; equal settings must compare equal."""

    def init(self, fn: Callable, x: Any) -> Step:
        """The first `Step`, at x."""
        ...

    def step(self, fn: Callable, now: Step) -> Step:
        """The next `Step`."""
        ...


class Progress(NamedTuple):
    """A loop that can be stopped and taken up again."""

    now: Step
    steps: Array
    status: Array


class Solution(NamedTuple):
    """Where the loop stopped, and why; maps under vmap."""

    x: Any
    value: Array
    error: Array
    steps: Array
    status: Array


@full_precision
def begin(solver: Solver, fn: Any, x0: Any) -> Progress:
    """A loop before its first step."""
    return Progress(solver.init(fn, x0), jnp.asarray(0), jnp.asarray(int(Status.RUNNING)))


@full_precision
def advance(
    solver: Solver, fn: Any, progress: Progress, *, tol: float | Array, at_most: int | Array, max_steps: int
) -> Progress:
    """Take `at_most` more steps, or fewer if the loop ends. A lane that has ended stays as it is under vmap."""

    def running(carry: tuple[Progress, Array]) -> Array:
        progress, taken = carry
        return (progress.status == Status.RUNNING) & (taken < at_most)

    def body(carry: tuple[Progress, Array]) -> tuple[Progress, Array]:
        progress, taken = carry
        now, steps = solver.step(fn, progress.now), progress.steps + 1
        return Progress(now, steps, _status(now, steps, tol, max_steps)), taken + 1

    first = progress._replace(status=_status(progress.now, progress.steps, tol, max_steps))
    return jax.lax.while_loop(running, body, (first, jnp.asarray(0)))[0]


def solve(solver: Solver, fn: Callable, x0: Any, *, tol: float | Array = 1e-6, max_steps: int = 200) -> Solution:
    """Run to the end. Pure: jit, vmap and shard it from outside."""
    end = advance(solver, fn, begin(solver, fn, x0), tol=tol, at_most=max_steps + 1, max_steps=max_steps)
    return Solution(end.now.x, end.now.value, end.now.error, end.steps, end.status)


def _status(now: Step, steps: Array, tol: float | Array, max_steps: int) -> Array:
    finite = jnp.isfinite(now.value) & ~jnp.isnan(now.error)
    ended = jnp.where(steps >= max_steps, int(Status.MAX_STEPS), int(Status.RUNNING))
    found = jnp.where(now.error <= tol, int(Status.CONVERGED), ended)
    return jnp.where(finite, found, int(Status.NOT_FINITE))
