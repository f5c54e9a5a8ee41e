"""One grid fitted: sites and scales at their fixed point, the scales looked at about it, scores drawn."""

import functools
from typing import NamedTuple

import numpy as np

from lleval_jax.core.crossed import draws as crossed_draws
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.crossed import scales as crossed_scales
from lleval_jax.core.irt import quadrature
from lleval_jax.core.precision import jit
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.types import Array

POINTS = 16  # at which the scales' posterior is looked at
NODES, MASS = np.polynomial.hermite_e.hermegauss(9)
TOL, STEPS = 1e-3, 200
SLACK = 1.0  # a sweep that moves farther than twice the last is taken back


def nodes(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature of a logit: standard normal nodes and their masses."""
    return NODES.astype(dtype), (MASS / MASS.sum()).astype(dtype)


@functools.cache
def points(scales: int, dtype: str, count: int = POINTS) -> np.ndarray:
    """Standard normal points, (count, scales)."""
    return quadrature.Points(count).nodes(scales)[0].astype(dtype)


ANDERSON = Anderson(memory=5, slack=SLACK)


class Look(NamedTuple):
    """What is known of one grid.

    solution  sites and scales at their fixed point
    now       the posterior there
    found     the posterior at points about the scales' mode
    """

    solution: loop.Solution
    now: crossed.Posterior
    found: crossed_scales.Scales


@jit
def look(design: crossed.Design, cells: crossed.Cells, nodes: Array, mass: Array, points: Array) -> Look:
    """Solve, and look about the solution."""
    sweep = functools.partial(crossed.propagate, design, cells, nodes, mass)
    solution = loop.solve(ANDERSON, sweep, crossed.start(design, cells, nodes, mass), tol=TOL, max_steps=STEPS)
    now = crossed.posterior(design, cells, *solution.x)
    return Look(solution, now, crossed_scales.scales(design, cells, solution.x, now, points))


@functools.partial(jit, static_argnames="draws")
def draw(
    design: crossed.Design,
    cells: crossed.Cells,
    known: Look,
    real: Array,
    given: Array,
    open_: Array,
    dispersion: Array,
    key: Array,
    draws: int,
) -> Array:
    """(draws, rows) joint draws of the rows' sums, see `core.crossed.draws.score_draws`."""
    return crossed_draws.score_draws(design, cells, known.found, real, given, open_, dispersion, key, draws)
