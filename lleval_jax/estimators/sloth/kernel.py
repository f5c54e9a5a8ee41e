"""The search for a scaling law of most evidence, and laws about as likely: on the host, around compiled steps."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy import optimize

from lleval_jax.core.laws import pooled
from lleval_jax.core.laws.pooled import At, Law, Rows, Slopes
from lleval_jax.core.precision import light_jit
from lleval_jax.layout.board import known, law_of
from lleval_jax.types import Array, Status
from lleval_jax.values.params import SlothParams
from lleval_jax.values.results import FitResult

STEPS, ROUNDS = 15, 40  # of the search between two looks at which scores are far off; such looks at most
FIRST_STEP = 0.01  # inverse Hessian before anything is known of it
SETTLE = 8  # Gauss-Newton steps a look
TOL = 2e-3  # largest move of a fitted score in the last round of a search that has converged
STEEP = 0.5  # largest entry of its gradient, of the log evidence by a number whose prior sd is about one
NEAR = 3e-3  # of a law, in its own units: for differences of gradients
BENDS = {"logistic": 1e-3, "monotone": pooled.BEND_SD}
Report = Callable[[int, float], None]


def rate(score: np.ndarray, seen: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """(benchmarks,) mean scores above the floor, as shares of what is possible."""
    mean = np.where(seen, score, 0).sum(0) / seen.sum(0)
    return (mean - floor) / (1 - floor)


def search(
    first: Law, rows: Rows, floor: Array, bends: float, report: Report | None
) -> tuple[Law, At, Slopes, float, int, Status]:
    """The law of most evidence: rounds of a search with the link linear about a point, and of moving the point."""
    law, steps, moved, steep, value = first, 0, np.inf, np.inf, -np.inf
    turn = FIRST_STEP * np.eye(ravel_pytree(first)[0].size)
    at, shared = _settle(law, rows, pooled.begin(law, rows), floor)
    fitted = _fitted(law, rows, at, floor)
    found = False
    for _ in range(ROUNDS):
        law, turn, value, steep, taken = _round(law, turn, first, rows, at, floor, bends)
        at, shared = _settle(law, rows, at, floor)
        now = _fitted(law, rows, at, floor)
        moved, fitted, steps = float(np.abs(now - fitted).max()), now, steps + int(taken)
        if report is not None:
            report(steps, moved)
        found = moved < TOL and steep < STEEP
        if found or not np.isfinite(moved):
            break
    status = Status.NOT_FINITE if not np.isfinite(moved) else Status.CONVERGED if found else Status.MAX_STEPS
    return law, at, shared, value, steps, status


@light_jit
def _loss(flat: Array, first, rows, at, floor, bends: Array) -> tuple[Array, Array]:  # noqa: ANN001  pytrees of `core.laws.pooled`
    """Minus the evidence and prior of a law, its numbers in one row, and the gradient."""
    whole = ravel_pytree(first)[1]

    def loss(flat: Array) -> Array:
        law = whole(flat)
        return -pooled.log_laplace(law, rows, at, floor) - pooled.log_prior(law, first, bends)

    return jax.value_and_grad(loss)(flat)


def _round(law, turn: np.ndarray, first, rows, at, floor, bends: float):  # noqa: ANN001, ANN202  pytrees of `core.laws.pooled`
    """The law after some steps by BFGS, its inverse Hessian, height and largest gradient entry, and the steps taken."""
    flat, whole = ravel_pytree(law)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _loss(jnp.asarray(flat), first, rows, at, floor, bends)
        return float(value), np.asarray(slope)

    options = {"maxiter": STEPS, "hess_inv0": (turn + turn.T) / 2}
    end = optimize.minimize(loss, np.asarray(flat), jac=True, method="BFGS", options=options)  # pyright: ignore
    return whole(jnp.asarray(end.x)), end.hess_inv, -float(end.fun), float(np.abs(end.jac).max()), end.nit


_settle = light_jit(functools.partial(pooled.settle, steps=SETTLE))


def _fitted(law: Law, rows: Rows, at: At, floor: Array) -> np.ndarray:
    """Scores of the seen cells by the law."""
    return np.asarray(pooled.link(at.logit, floor, law.bend)[0])[np.asarray(rows.seen)]


def draws(fit: FitResult[SlothParams], count: int, seed: int = 0) -> list[tuple[Law, At, Slopes]]:
    """Laws about as likely as the best, each with its posterior: normal with the evidence's curvature there (Laplace).

    The curvature is a difference of gradients, each with the link linear where that law has its posterior. Turning all
    skills together changes no prediction and is left out.
    """
    p, link = fit.params, fit.settings["link"]
    with jax.enable_x64(True):
        rows, _, at = known(fit)
        floor, best = jnp.asarray(p.floor), law_of(p)
        share, skills = jnp.asarray(rate(p.score, p.seen, p.floor)), p.loading.shape[1]
        first = pooled.start(share, skills, jax.random.key(fit.settings["seed"]))
        flat, whole = ravel_pytree(best)

        def slope(flat: np.ndarray) -> np.ndarray:
            here, _ = _settle(whole(jnp.asarray(flat)), rows, at, floor)
            here = here._replace(worth=at.worth)
            return np.asarray(_loss(jnp.asarray(flat), first, rows, here, floor, BENDS[link])[1])

        middle, step = np.asarray(flat), NEAR * np.eye(flat.size)
        base = slope(middle)
        curve = np.stack([(slope(middle + one) - base) / NEAR for one in step])
        size, axes = np.linalg.eigh((curve + curve.T) / 2)
        free = _turns(best, flat.size)
        random = np.random.default_rng(seed).standard_normal((count, flat.size))
        away = random / np.sqrt(np.maximum(size, 1 / pooled.CENTRE_SD**2)) @ axes.T
        laws = jax.vmap(whole)(jnp.asarray(middle + away - away @ free @ free.T))
        each = [Law(*(part[i] for part in laws)) for i in range(count)]
        return [(law, *_settle(law, rows, at, floor)) for law in each]


def _turns(law: Law, size: int) -> np.ndarray:
    """(unknowns, k) orthonormal ways in which a law moves when its skills are turned."""
    skills = law.loading.shape[1]
    pairs = [(i, j) for i in range(skills) for j in range(i)]
    ways = np.zeros((len(pairs), size))
    for way, (i, j) in zip(ways, pairs, strict=True):
        turned = np.zeros(law.loading.shape)
        turned[:, i], turned[:, j] = law.loading[:, j], -law.loading[:, i]
        way[: turned.size] = turned.ravel()
    return np.linalg.qr(ways.T)[0]
