"""One grid fitted, on arrays: `Effects` as `prompts.fit` does it, and `Messages`, quick.

Both draw the rows' sums over the grid from their joint posterior, what was answered as it is.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import sequential_vmap

from lleval_jax.core.crossed import draws as crossed_draws
from lleval_jax.core.crossed import joint, messages
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.crossed import scales as crossed_scales
from lleval_jax.core.irt import quadrature
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.layout import grid
from lleval_jax.layout.grid import Grid
from lleval_jax.types import Array, Status

POINTS = 16  # at which the scales' posterior is evaluated
NODES, MASS = np.polynomial.hermite_e.hermegauss(9)
TOL, STEPS = 1e-3, 200
SLACK = 1.0  # a sweep that moves farther than twice the last is taken back
ANDERSON = Anderson(memory=5, slack=SLACK)
LEAST_SCATTER = 0.02
LEAST_CAVITY = 1e-6  # of a precision
SETTLED = 0.2  # how far a log scale may still move in `Messages`, whose points of the scales lie farther apart


def nodes(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature of a logit: standard normal nodes and their masses."""
    return NODES.astype(dtype), (MASS / MASS.sum()).astype(dtype)


def quadrature_of(design: crossed.Design) -> tuple[Array, Array]:
    """Nodes and masses in a grid's number type."""
    node, mass = nodes(jnp.asarray(design.prior).dtype.name)
    return jnp.asarray(node), jnp.asarray(mass)


@functools.cache
def points(scales: int, dtype: str, count: int = POINTS) -> np.ndarray:
    """Standard normal points, (count, scales)."""
    return quadrature.Points(count).nodes(scales)[0].astype(dtype)


class Marginals(NamedTuple):
    """The scales' posterior as weighted points, and at each point means and variances of the effects.

    point               (points, scales)   log scales
    mass                (points,)          sums to 1
    coef, coef_var      (points, k + q)    of the standardised coefficients
    effect, effect_var  (points, rows)
    column              (points, columns)  what covariates explain included
    column_var          (points, columns)  of the columns' own effects
    """

    point: Array
    mass: Array
    coef: Array
    coef_var: Array
    effect: Array
    effect_var: Array
    column: Array
    column_var: Array


class Found(NamedTuple):
    """What `Effects` finds.

    sums        (draws, rows)  of the rows over the grid
    log_scale   (scales,)      posterior mean
    offset      ()             logit about which all effects lie
    dispersion  ()             of answers about their curves; 1 where they are right or wrong
    mode        the effects at the mode of the scales; its evidence is what is maximised
    marginals   of the effects, over all scales
    """

    sums: Array
    log_scale: Array
    offset: Array
    dispersion: Array
    mode: crossed.Posterior
    marginals: Marginals
    steps: Array
    status: Array
    error: Array


class Drawn(NamedTuple):
    """What `Messages` finds; fields as in `Found`. The error is the largest move of a log scale in the last sweep."""

    sums: Array
    log_scale: Array
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class Effects:
    """Sites and scales at their fixed point, the scales' posterior about it, and draws by Markov chains.

    draws   of the sums
    points  at which the scales' posterior is evaluated
    rounds  1 where answers are right or wrong; with more, each round but the last learns how fractions scatter
    light   as in `contract.Kernel`
    """

    draws: int
    points: int = POINTS
    rounds: int = 1
    light: bool = False

    def solve(self, data: Grid, key: Array) -> Found:
        """The whole fit of one grid."""
        dispersion = self.dispersion(data)
        design, cells = self.weighted(data, dispersion)
        solution = self.fixed_point(design, cells)
        mode = crossed.posterior(design, cells, *solution.x)
        about = points(len(solution.x.scale), solution.x.scale.dtype.name, self.points)
        scales = crossed_scales.scales(design, cells, solution.x, mode, jnp.asarray(about))
        real, given, unanswered = map(jnp.asarray, (data.real, data.given, data.open))
        sums = crossed_draws.score_draws(design, cells, scales, real, given, unanswered, dispersion, key, self.draws)
        return Found(
            sums=sums,
            log_scale=scales.mass @ scales.point,
            offset=jnp.asarray(design.offset),
            dispersion=dispersion,
            mode=mode,
            marginals=marginals(design, scales),
            steps=solution.steps,
            status=solution.status,
            error=solution.error,
        )

    def dispersion(self, data: Grid) -> Array:
        """() learned in all rounds but the last: each fits the grid with the dispersion of the round before."""
        one = jnp.ones_like(jnp.asarray(data.real)[0])
        if self.rounds == 1:
            return one

        def learned(_: Array, dispersion: Array) -> Array:
            design, cells = self.weighted(data, dispersion)
            sites = self.fixed_point(design, cells).x
            return scatter(design, data.cells, sites, crossed.posterior(design, cells, *sites))

        return jax.lax.fori_loop(1, self.rounds, learned, one)

    def weighted(self, data: Grid, dispersion: Array) -> tuple[crossed.Design, crossed.Cells]:
        """The grid, its answers worth as many as their dispersion says."""
        if self.rounds == 1:
            return data.design, data.cells
        cells = data.cells._replace(weight=data.cells.weight / dispersion)
        odds = grid.odds(jnp.sum(cells.score * cells.weight), jnp.sum(cells.weight))
        return data.design._replace(offset=grid.SPREADS * jnp.log(odds)), cells

    def fixed_point(self, design: crossed.Design, cells: crossed.Cells) -> loop.Solution:
        """Sites and scales by expectation propagation."""
        at = quadrature_of(design)
        sweep = functools.partial(crossed.propagate, design, cells, *at)
        return loop.solve(ANDERSON, sweep, crossed.start(design, cells, *at), tol=TOL, max_steps=STEPS)


def marginals(design: crossed.Design, scales: crossed_scales.Scales) -> Marginals:
    """Means and variances of the effects at each point of the scales."""
    given, n = scales.given, len(design.rows)
    coef_var, effect_var = (jnp.diagonal(x, axis1=1, axis2=2) for x in (given.spread, given.covariance))
    column = given.column
    if design.columns.shape[1]:
        column = column + given.effect[:, n:] @ jnp.asarray(design.columns).T
    return Marginals(
        point=scales.point,
        mass=scales.mass,
        coef=given.coef,
        coef_var=coef_var,
        effect=given.effect[:, :n],
        effect_var=effect_var[:, :n],
        column=column,
        column_var=given.column_var,
    )


def scatter(
    design: crossed.Design, answers: crossed.Cells, sites: crossed.State, posterior: crossed.Posterior
) -> Array:
    """() dispersion of fractional answers, from how far each lies from its mean given the others (EP's cavities).

    answers  with their weights as given, not divided by a dispersion
    """
    seen = answers.weight > 0
    precision = jnp.maximum(1 / posterior.var - sites.precision, LEAST_CAVITY)
    centre, sd = (posterior.mean / posterior.var - sites.shift) / precision, 1 / jnp.sqrt(precision)
    node, mass = quadrature_of(design)
    p = jax.nn.sigmoid(design.offset + centre[:, None] + sd[:, None] * node[None, :])
    first, second = p @ mass, p**2 @ mass
    miss = (answers.score - first) ** 2 - (second - first**2)
    share = jnp.sum(jnp.where(seen, answers.weight * miss, 0)) / jnp.sum(jnp.where(seen, first - second, 0))
    return jnp.clip(share, LEAST_SCATTER, 1.0)


@dataclasses.dataclass(frozen=True)
class Messages:
    """Messages between cells, rows and columns in place of the joint posterior, one normal for the rows, no chains.

    draws       of the sums
    one_by_one  of fits side by side, messages pass side by side and draws are taken one fit after the other: on a CPU
                calls of LAPACK with batches wait for each other
    light       as in `contract.Kernel`
    """

    draws: int
    one_by_one: bool = False
    light: bool = True

    def solve(self, data: Grid, key: Array) -> Drawn:
        """The whole fit of one grid."""
        sites = messages.settle(data.design, data.cells, *quadrature_of(data.design))
        draw = sequential_vmap(self.drawn) if self.one_by_one else self.drawn
        sums, log_scale = draw(data, sites, key)
        status = jnp.where(sites.move < SETTLED, int(Status.CONVERGED), int(Status.MAX_STEPS))
        return Drawn(sums, log_scale, jnp.asarray(messages.SWEEPS), status, sites.move)

    def drawn(self, data: Grid, sites: messages.Sites, key: Array) -> tuple[Array, Array]:
        """Draws of the sums, and the mean log scales."""
        real, (node, mass) = jnp.asarray(data.real), quadrature_of(data.design)
        about = joint.points(sites.scale.dtype.name)
        return joint.score_draws(data.design, data.cells, sites, about, node, mass, real, key, self.draws)
