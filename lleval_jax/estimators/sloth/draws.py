"""Laws about as likely as the best, each with its posterior: normal with the evidence's curvature there (Laplace)."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from lleval_jax.core.laws import pooled
from lleval_jax.core.laws.pooled import At, Law, Slopes
from lleval_jax.core.precision import precise
from lleval_jax.estimators import contract
from lleval_jax.estimators.sloth.kernel import BENDS, SETTLE_STEPS, log_posterior
from lleval_jax.layout.board import Board, known, law_of, rate
from lleval_jax.types import Array
from lleval_jax.values.params import SlothParams
from lleval_jax.values.results import FitResult

NEAR = 3e-3  # of a law, in its own units: for differences of gradients
AT_ONCE = 16  # laws that are looked at side by side


class Near(NamedTuple):
    """A law, and what is drawn around it.

    board   what it was learned from
    first   law that the prior is drawn around
    law     the best
    at      where its link is linear
    random  (draws, unknowns) standard normal numbers
    """

    board: Board
    first: Law
    law: Law
    at: At
    random: Array


class Drawn(NamedTuple):
    """Laws, where their links are linear, slopes, and skills of models by each: a leading axis (draws,) to all."""

    law: Law
    at: At
    slopes: Slopes
    skills: pooled.Skills


@dataclasses.dataclass(frozen=True)
class Draws:
    """The curvature is a difference of gradients, each with the link linear where that law has its posterior.

    Turning all skills together changes no prediction and is left out.
    """

    light: bool = True

    def solve(self, data: Near, key: Array) -> Drawn:
        """Laws drawn by `data.random`; no key is used."""
        board, unflat = data.board, ravel_pytree(data.law)[1]

        def one(flat: Array) -> Drawn:
            law = unflat(flat)
            at, slopes = _settled(law, data)
            return Drawn(law, at, slopes, pooled.skills(law, board.rows, at, board.floor, slopes))

        return _of_each(one, around(data.law, _curvature(data), data.random))


def around(law: Law, curvature: Array, random: Array) -> Array:
    """(draws, unknowns) laws in rows: normal about the best with this inverse covariance, turns of skills left out."""
    middle = ravel_pytree(law)[0]
    size, axes = jnp.linalg.eigh(curvature)
    away = random / jnp.sqrt(jnp.maximum(size, pooled.CENTRE_SD**-2))[None] @ axes.T
    free = _turns(law, middle)
    return middle[None] + away - away @ free @ free.T


def _settled(law: Law, data: Near) -> tuple[At, Slopes]:
    return pooled.settle(law, data.board.rows, data.at, data.board.floor, SETTLE_STEPS)


def _curvature(data: Near) -> Array:
    """(unknowns, unknowns) of minus the log evidence and prior, the link linear where each law has its posterior."""
    middle, unflat = ravel_pytree(data.law)

    def gradient(flat: Array) -> Array:
        here = _settled(unflat(flat), data)[0]._replace(worth=data.at.worth)
        return jax.grad(lambda flat: -log_posterior(unflat(flat), data.board, data.first, here))(flat)

    steps = NEAR * jnp.eye(len(middle) + 1, len(middle), k=-1, dtype=middle.dtype)  # the first is none
    gradients = _of_each(gradient, middle[None] + steps)
    curvature = (gradients[1:] - gradients[:1]) / NEAR
    return (curvature + curvature.T) / 2


def _of_each(fn: Callable[[Array], Any], rows: Array) -> Any:
    """`fn` of every row, `AT_ONCE` side by side; the last few are made up to as many, or they would compile again."""
    short = -len(rows) % AT_ONCE
    filled = jnp.concatenate([rows, jnp.broadcast_to(rows[:1], (short, *rows.shape[1:]))])
    found = jax.lax.map(fn, filled, batch_size=AT_ONCE)
    return jax.tree.map(lambda x: x[: len(rows)], found)


def draws(fit: FitResult[SlothParams], count: int, seed: int = 0) -> Drawn:
    """`count` laws about as likely as the best, and by each the skills of its models, in their order."""
    p, link = fit.params, fit.settings["link"]
    with precise("float64"):
        rows, where, at = known(fit)
        best, share, floor = law_of(p), jnp.asarray(rate(p.score, p.seen, p.floor)), jnp.asarray(p.floor)
        first = pooled.start(share, p.loading.shape[1], jax.random.key(fit.settings["seed"]))
        unknowns = sum(part.size for part in best)
        random = np.random.default_rng(seed).standard_normal((count, unknowns))
        board = Board(rows, floor, share, jnp.asarray(BENDS[link]))
        data = Near(board, first, best, at, jnp.asarray(random))
        found = jax.tree.map(np.asarray, contract.solve(Draws(), data, jax.random.key(seed)))
    return found._replace(skills=pooled.Skills(*(part[:, *where.T] for part in found.skills)))


def _turns(law: Law, flat: Array) -> Array:
    """(unknowns, k) orthonormal directions in which a law moves when its skills are turned."""
    skills = law.loading.shape[1]
    pairs = [(i, j) for i in range(skills) for j in range(i)]
    if not pairs:
        return jnp.zeros((len(flat), 0), flat.dtype)

    def turned(i: int, j: int) -> Array:
        moved = jnp.zeros_like(law.loading).at[:, i].set(law.loading[:, j]).at[:, j].set(-law.loading[:, i])
        return jnp.zeros_like(flat).at[: moved.size].set(moved.ravel())

    return jnp.linalg.qr(jnp.stack([turned(i, j) for i, j in pairs], 1))[0]
