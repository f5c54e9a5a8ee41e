"""The search for a scaling law of most evidence: arrays alone, compiled in one piece."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from lleval_jax.core.laws import pooled
from lleval_jax.core.laws.pooled import At, Law, Slopes
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.bfgs import BFGS
from lleval_jax.core.solvers.loop import Progress, Step
from lleval_jax.estimators.contract import whole
from lleval_jax.layout.board import Board
from lleval_jax.types import Array, Status

ROUNDS, STEPS_A_ROUND = 40, 15  # of the search at most; between two looks at which scores are far off
FIRST_INVERSE = 0.01  # inverse Hessian before anything is known of it
FLAT = 1e-5  # gradient at which a round ends early
SETTLE_STEPS = 8  # of Gauss-Newton, a round
FITTED_TOL = 2e-3  # largest move of a fitted score in the last round of a search that has converged
STEEP = 0.5  # largest entry of its gradient, of the log evidence by a number whose prior sd is about one
BENDS = {"logistic": 1e-3, "monotone": pooled.BEND_SD}


class Memory(NamedTuple):
    """What a round takes from the one before.

    first            law that the prior is drawn around, and the search begins with
    at               where the link is linear
    slopes           that all models share, given all scores
    fitted           (lineages, rows, benchmarks) scores by the law
    inverse_hessian  (unknowns, unknowns) of minus the log evidence and prior
    rounds, steps    () so far
    """

    first: Law
    at: At
    slopes: Slopes
    fitted: Array
    inverse_hessian: Array
    rounds: Array
    steps: Array


class Found(NamedTuple):
    """A law, where the link is linear, slopes that all models share, the log evidence and prior, and how it ended."""

    law: Law
    at: At
    slopes: Slopes
    value: Array
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class Search:
    """The law of most evidence: rounds of BFGS with the link linear about a point, and of moving the point.

    A round's error is the largest move of a fitted score, or the largest gradient entry on that scale if that is more.
    """

    skills: int
    tol: float = FITTED_TOL
    steep: float = STEEP
    rounds: int = ROUNDS
    light: bool = True
    piece: int = 1

    def begin(self, data: Board, key: Array) -> Progress:
        """Before the first round."""
        return loop.begin(self, data, key)

    def advance(self, data: Board, progress: Progress, at_most: int) -> Progress:
        """`at_most` more rounds."""
        return loop.advance(self, data, progress, tol=self.tol, at_most=at_most, max_steps=self.rounds + 1)

    def finish(self, data: Board, progress: Progress) -> Found:
        """The law, and its posterior."""
        now = progress.now
        return Found(now.x, now.memory.at, now.memory.slopes, now.value, now.memory.steps, progress.status, now.error)

    def solve(self, data: Board, key: Array) -> Found:
        """From the beginning to the end."""
        return whole(self, data, key)

    def init(self, fn: Any, x: Array) -> Step:
        """A law before anything is learned, as `core.solvers.loop` asks for it: of data `fn`, from a random key x."""
        data: Board = fn
        first = pooled.start(data.rate, self.skills, x)
        flat, at = ravel_pytree(first)[0], pooled.begin(first, data.rows)
        lowest, zero = jnp.asarray(jnp.finfo(flat.dtype).min, flat.dtype), jnp.asarray(0)
        memory = Memory(
            first=first,
            at=at,
            slopes=pooled.flat_slopes(first),
            fitted=_scores(first, at, data),
            inverse_hessian=FIRST_INVERSE * jnp.eye(flat.size, dtype=flat.dtype),
            rounds=zero,
            steps=zero,
        )
        return Step(first, lowest, jnp.full_like(lowest, jnp.inf), memory)

    def step(self, fn: Any, now: Step) -> Step:
        """One round: a search, and the link linear where the posterior then lies. The first only does the latter."""
        data: Board = fn
        memory, dtype = now.memory, now.value.dtype
        first_round = memory.rounds == 0
        end = _climb(now.x, data, memory, jnp.where(first_round, 0, STEPS_A_ROUND + 1))
        law = ravel_pytree(now.x)[1](end.now.x)
        at, slopes = pooled.settle(law, data.rows, memory.at, data.floor, SETTLE_STEPS)
        fitted = _scores(law, at, data)
        moved = jnp.max(jnp.where(data.rows.seen, jnp.abs(fitted - memory.fitted), 0))
        usable = end.now.value < jnp.finfo(dtype).max
        steep = jnp.where(first_round, jnp.inf, jnp.where(usable, end.now.error, jnp.nan))
        after = Memory(
            first=memory.first,
            at=at,
            slopes=slopes,
            fitted=fitted,
            inverse_hessian=end.now.memory.inverse_hessian,
            rounds=memory.rounds + 1,
            steps=memory.steps + jnp.maximum(end.steps - 1, 0),
        )
        return Step(law, -end.now.value, jnp.maximum(moved, steep * (self.tol / self.steep)), after)


def log_posterior(law: Law, data: Board, first: Law, at: At) -> Array:
    """Log evidence and prior of a law, up to a constant, the link linear near `at`."""
    return pooled.log_laplace(law, data.rows, at, data.floor) + pooled.log_prior(law, first, data.bend_sd)


def _scores(law: Law, at: At, data: Board) -> Array:
    """(lineages, rows, benchmarks) by a law."""
    return pooled.link(at.logit, data.floor, law.bend)[0]


def _climb(law: Law, data: Board, memory: Memory, at_most: Array) -> Progress:
    """Steps of BFGS from a law, the link linear about a point."""
    flat, unflat = ravel_pytree(law)

    def minus_log_posterior(flat: Array) -> Array:
        return -log_posterior(unflat(flat), data, memory.first, memory.at)

    start = BFGS().resume(flat, memory.inverse_hessian)
    begun = Progress(start, jnp.asarray(0), jnp.asarray(int(Status.RUNNING)))
    return loop.advance(BFGS(), minus_log_posterior, begun, tol=FLAT, at_most=at_most, max_steps=STEPS_A_ROUND + 1)
