"""Loadings of models on what their answers have in common: principal factors of a covariance with holes.

Items that one model finds harder, another like it finds harder too. The covariance of two models over items, their
answers' own noise apart, is the product of their loadings (Spearman 1904; Harman 1976, ch. 9). Pairs that never
answered the same items, and the models' own variances, are filled in by the factors themselves. With few items part of
that is chance: factors no larger than chance makes them are dropped, others shrunk (Benaych-Georges & Nadakuditi 2011).
"""

import jax.numpy as jnp

from lleval_jax.core.precision import full_precision
from lleval_jax.core.solvers.fixed_point import FixedPoint
from lleval_jax.core.solvers.loop import solve
from lleval_jax.types import Array, Float

MOST_ROUNDS = 500  # of subspace iteration
TOL_OF_COVARIANCE = 1e-7  # of a covariance, relative to the largest


@full_precision
def loadings(
    product: Float[Array, "models models"],
    common: Float[Array, "models models"],
    share: Float[Array, " models"],
    dims: int,
) -> Float[Array, "models dims"]:
    """How far the logit of each model's score moves when the items' factors move by one standard deviation.

    Args:
        product: sums over items of the products of two models' centred answers.
        common: how many items both answered; 0 where none.
        share: of right answers of each model, strictly between 0 and 1.
        dims: factors wanted.
    """
    size = len(share)
    deviation = jnp.sqrt(share * (1 - share))
    known = (common > 0) & ~jnp.eye(size, dtype=bool)
    cov = jnp.where(known, product / jnp.maximum(common, 1) / (deviation[:, None] * deviation[None, :]), 0)
    reached = jnp.any(known, 1)
    chance = size * jnp.mean(1 / jnp.maximum(common, 1), where=known | ~jnp.any(known))

    def improve(now: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        axes, inner = now
        whole = jnp.where(known, cov, axes @ inner @ axes.T)
        found = jnp.linalg.qr(whole @ axes)[0]
        seen = found.T @ whole @ found
        return (found, seen), jnp.max(jnp.abs(found @ seen @ found.T - axes @ inner @ axes.T))

    start = jnp.linalg.eigh(cov)[1][:, ::-1][:, :dims] if size <= 500 else jnp.linalg.qr(cov[:, :dims])[0]
    inner = start.T @ cov @ start
    tol = TOL_OF_COVARIANCE * jnp.max(jnp.abs(cov))
    axes, inner = solve(FixedPoint(), improve, (start, inner), tol=tol, max_steps=MOST_ROUNDS).x
    size_of, turn = jnp.linalg.eigh((inner + inner.T) / 2)
    order = jnp.argsort(-size_of)
    beyond = jnp.where(size_of > 0, jnp.sqrt(jnp.maximum(size_of**2 - 4 * chance, 0)), 0)
    loading = axes @ turn[:, order] * jnp.sqrt(beyond[order])[None, :] / deviation[:, None]
    sign = jnp.where(jnp.sum(loading, 0) < 0, -1, 1)
    return jnp.where(reached[:, None], loading * sign[None, :], 0)
