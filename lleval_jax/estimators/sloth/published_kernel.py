"""The search for Sloth's published laws, and the closed form of the linear one."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.laws import published
from lleval_jax.core.laws.published import Form, Table
from lleval_jax.core.precision import jit
from lleval_jax.core.shapes import pad
from lleval_jax.types import Array, Status

GRADIENT_TOL = 1e-5  # largest gradient entry of a search that has converged


class Found(NamedTuple):
    """A law, or one a benchmark: the leading axis of all is (laws,).

    mode     (laws, unknowns)
    cov      (laws, unknowns, unknowns)
    noise    (laws, benchmarks a law)  sd of a score around the law
    freedom  (laws, benchmarks a law)  scores that is learned from, less the unknowns they pay for
    value    (laws,)  log evidence, less a constant
    steps, status, error  (laws,)  of the search that was kept
    """

    mode: Array
    cov: Array
    noise: Array
    freedom: Array
    value: Array
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class Search:
    """From several starts to modes of the posterior; the one with most evidence by Laplace's method is kept."""

    form: Form
    starts: int
    tol: float = GRADIENT_TOL
    light: bool = False

    def solve(self, data: Table, key: Array) -> Found:
        """Laws of tables with a leading axis, each searched for from the same starts."""

        def one(table: Table) -> Found:
            found = published.fit(self.form, table, key, starts=self.starts, tol=self.tol)
            about = jax.lax.map(lambda x: published.laplace(self.form, table, x), found.x)
            ended = found.status == int(Status.CONVERGED)
            usable = jnp.where(jnp.any(ended), ended, jnp.isfinite(about.evidence))
            best = jnp.argmax(jnp.where(usable, about.evidence, -jnp.inf))
            x = found.x[best]
            spread = published.sandwich(self.form, table, x, about.cov[best])
            return Found(x, *spread, about.evidence[best], found.steps[best], found.status[best], found.error[best])

        return jax.vmap(one)(data)


def components(design: np.ndarray, scores: np.ndarray, skills: int) -> Found:
    """The linear law, by least squares on the host: coefficients are unknown, axes and mean are taken as known."""
    mean = scores.mean(0)
    axes = np.linalg.svd(scores - mean, full_matrices=False)[2][:skills]
    parts = (scores - mean) @ axes.T
    inverse, rank = np.linalg.pinv(design.T @ design), np.linalg.matrix_rank(design)
    coefficient = np.linalg.pinv(design) @ parts
    free = max(len(scores) - rank, 1)
    left = parts - design @ coefficient
    cov = np.kron(inverse, left.T @ left / free)
    square = ((scores - mean - design @ coefficient @ axes) ** 2).sum(0)
    columns = np.concatenate([axes.T, mean[:, None]], 1)
    size = coefficient.size + columns.size
    noise = np.sqrt(square / free)
    loglik = -float(np.sum(len(scores) * np.log(np.maximum(noise, 1e-9)))) - 0.5 * free * len(noise)
    mode, freedom = np.concatenate([coefficient.ravel(), columns.ravel()]), np.full(len(noise), float(free))
    law = mode, pad(cov, (size, size)), noise, freedom, loglik, 0, int(Status.CONVERGED), 0.0
    return Found(*(jnp.asarray(part)[None] for part in law))


@functools.partial(jit, static_argnames="form")
def predicted(form: Form, laws: Table, mode: Array, cov: Array, designs: Array) -> tuple[Array, Array]:
    """Latent numbers of designs (lanes, effects): (lanes, laws, benchmarks a law, 2), and their covariances."""

    def lane(design: Array) -> tuple[Array, Array]:
        return jax.vmap(lambda table, x, cov: published.foreseen(form, table, x, cov, design))(laws, mode, cov)

    return jax.lax.map(lane, designs)
