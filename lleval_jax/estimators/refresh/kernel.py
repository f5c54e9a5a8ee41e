"""How far scores move from one version to the next, by the answers so far: arrays alone, compiled in one piece."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from lleval_jax.core.laws import panel
from lleval_jax.core.laws.panel import Sizes
from lleval_jax.core.linalg import factors
from lleval_jax.core.linalg.sweep import inverse
from lleval_jax.core.solvers.bfgs import BFGS
from lleval_jax.core.solvers.loop import solve
from lleval_jax.layout.chain import Data, with_loadings
from lleval_jax.types import Array

TOL, STEPS = 2e-3, 400  # largest gradient entry of the log evidence by the log of a size; steps at most

PER_DIM = 4  # models for each loading at least


class Found(NamedTuple):
    """Loadings, sizes of most evidence and prior, and how the search ended.

    loading    (models, dims)  of models, as of `linalg.factors`
    sizes      where evidence times prior is highest
    model_var  (`panel.PARTS`,)          posterior variances of `sizes.model`, by Laplace's method
    shift_var  (width, `panel.SHIFTS`)   and of `sizes.shift`
    value      ()  log evidence and prior, up to a constant
    steps, status, error  ()
    """

    loading: Array
    sizes: Sizes
    model_var: Array
    shift_var: Array
    value: Array
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class Search:
    """Loadings of models, then BFGS from the likeliest sizes, begun with the inverse of the information there.

    dims   loadings of a model
    tol    largest gradient entry of a search that has converged
    steps  at most
    """

    dims: int
    tol: float = TOL
    steps: int = STEPS
    light: bool = True

    def solve(self, data: Data, key: Array) -> Found:
        """The sizes of one chain. The search begins where the prior is highest and needs no key."""
        loading = loadings(data, self.dims)
        observed = with_loadings(data.panel, loading)
        prior = panel.before(*observed.basis.shape, dtype=observed.basis.dtype)
        first, unflat = ravel_pytree(prior.mode)

        def loss(x: Array) -> Array:
            return -panel.log_evidence(unflat(x), observed) - panel.log_prior(unflat(x), prior)

        def precision(x: Array) -> Array:
            return panel.information(unflat(x), observed) + jnp.diag(panel.prior_information(unflat(x), prior))

        end = solve(BFGS(lambda x: inverse(precision(x))[0]), loss, first, tol=self.tol, max_steps=self.steps)
        sizes = unflat(end.x)
        parts, free = sizes.model.size, sizes.model.size + sizes.shift.size
        variance = jnp.diag(inverse(precision(end.x)[:free, :free])[0])
        return Found(
            loading=loading,
            sizes=sizes,
            model_var=variance[:parts],
            shift_var=variance[parts:].reshape(sizes.shift.shape),
            value=-end.value,
            steps=end.steps,
            status=end.status,
            error=end.error,
        )


def loadings(data: Data, dims: int) -> Array:
    """(models, dims) on what all answers have in common."""
    if not dims:
        return jnp.zeros((len(data.share), 0), data.share.dtype)
    return factors.loadings(data.product, data.common, data.share, dims)


def fewer(dims: int, models: int) -> int:
    """Loadings that so many models allow."""
    return min(dims, models // PER_DIM)
