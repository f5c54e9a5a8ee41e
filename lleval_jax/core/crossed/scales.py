"""What is known of the scales of crossed effects: their posterior about its mode, as weighted points."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.crossed.model import Cells, Design, Posterior, State, believed, least, posterior
from lleval_jax.core.precision import full_precision
from lleval_jax.types import Array, Float

WIDER = 2.0  # how far the points about the scales' mode are drawn apart; their masses make up for it


class Scales(NamedTuple):
    """The posterior of the log scales as weighted points, each with the posterior of the effects that it implies.

    point  (points, scales)
    mass   (points,)         sums to 1
    given  the posterior at each, (points, ...)
    """

    point: Array
    mass: Array
    given: Posterior


@full_precision
def scales(design: Design, cells: Cells, at: State, now: Posterior, points: Float[Array, "points scales"]) -> Scales:
    """Look at the scales' posterior about its mode, where standard normal `points` lie; the sites are held.

    now  the posterior at the mode

    Without it intervals would rest on one guess of how much prompts differ, which few answers do not settle. Their
    posterior reaches far down, to effects that hardly differ, so points go `WIDER` than its curvature says.
    """
    root = WIDER * scale_root(design, hessian(design, at.scale, now))
    point = at.scale[None, :] + points @ root.T
    given = jax.lax.map(lambda scale: posterior(design, cells, at.precision, at.shift, scale), point)
    prior = jax.vmap(lambda scale: jnp.sum(believed(design, scale)[0]))(point)
    weight = given.evidence + prior + 0.5 * jnp.sum(points**2, 1)
    return Scales(point, jax.nn.softmax(weight), given)


def hessian(design: Design, scale: Float[Array, " scales"], now: Posterior) -> Array:
    """Hessian of log evidence plus log prior in the log scales, the sites held.  -> (scales, scales)

    With the notation of `slope`, and h, k two kinds,

        H_hk = 4 m_h' S_hk m_k + 2 |S_hk|^2 - 2 [h = k] (m_h' m_h + tr S_hh)
    """
    kind, column_var_given, column = jnp.asarray(design.kind), now.column_var_given, now.column
    own_unit, unit = jnp.exp(-2 * scale[-2:])
    n = len(now.residual)
    lifted = now.effects_on_column * column_var_given[None, :]
    with_own = -now.residual_on_coef @ now.spread  # Cov(u, c)
    with_column = -(now.loading @ now.spread).at[:n].add(with_own).T @ lifted  # Cov(c, v)
    own_reach = -(now.loading @ with_own.T).at[:n].add(now.residual_cov).T @ lifted  # Cov(u, v)
    to_effects = lifted @ column

    def entry(along: Array, across: Array, unit: Array | float) -> Array:
        """4 m' S m + 2 |S|^2 from m' S m and |S|^2 of effects in logits."""
        return 4 * unit * along + 2 * unit * across

    by_coef = kind * now.coef[:, None]
    cc = entry(by_coef.T @ now.spread @ by_coef, kind.T @ now.spread**2 @ kind, 1.0)
    cu = entry(by_coef.T @ (with_own.T @ now.residual), kind.T @ jnp.sum(with_own**2, 0), own_unit)
    cv = entry(by_coef.T @ (with_column @ column), kind.T @ jnp.sum(with_column**2, 1), unit)
    along = own_unit * now.residual @ now.residual_cov @ now.residual
    uu = entry(along, own_unit * jnp.sum(now.residual_cov**2), own_unit)
    uv = entry(now.residual @ own_reach @ column, jnp.sum(own_reach**2), own_unit * unit)
    round_trip = now.covariance @ (lifted @ lifted.T)
    lift = now.column_var - column_var_given
    frobenius = jnp.sum(column_var_given**2 + 2 * column_var_given * lift) + jnp.sum(round_trip * round_trip.T)
    vv = entry(column_var_given @ column**2 + to_effects @ now.covariance @ to_effects, frobenius, unit**2)
    found = jnp.block(
        [
            [cc, cu[:, None], cv[:, None]],
            [cu[None, :], uu[None, None], uv[None, None]],
            [cv[None, :], uv[None, None], vv[None, None]],
        ]
    )
    held = jnp.concatenate(
        [
            (now.coef**2 + jnp.diagonal(now.spread)) @ kind,
            own_unit * (now.residual @ now.residual + jnp.trace(now.residual_cov))[None],
            unit * jnp.sum(column**2 + now.column_var)[None],
        ]
    )
    return found - jnp.diag(2 * held + believed(design, scale)[2])


def scale_root(design: Design, hessian: Float[Array, "scales scales"]) -> Float[Array, "scales scales"]:
    """R with R R' the covariance of the log scales: the inverse curvature, where that is too small the prior's.

    By L D L' with pivots held positive, unrolled: there are few scales, and LAPACK under `vmap` takes turns.
    """
    size, floor = len(hessian), least(design)
    rest, columns = -hessian, []
    for j in range(size):
        pivot = jnp.maximum(jnp.abs(rest[j, j]), floor)
        below = jnp.where(jnp.arange(size) > j, rest[:, j] / pivot, 0)
        rest = rest - pivot * below[:, None] * below[None, :]
        columns.append((pivot, below))
    root = jnp.zeros_like(hessian)
    for j in reversed(range(size)):  # rows of L'^-1 from the last: x_j = e_j - sum of L_ij x_i
        pivot, below = columns[j]
        root = root.at[j].set((jnp.arange(size) == j).astype(root.dtype) - below @ root)
    pivots = jnp.stack([pivot for pivot, _ in columns])
    return root / jnp.sqrt(pivots)[None, :]
