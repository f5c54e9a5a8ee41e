"""The law of a chain of versions: how far scores move from one to the next, learned from the answers so far."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from lleval_jax.core.laws import panel
from lleval_jax.core.linalg import factors
from lleval_jax.core.linalg.sweep import inverse
from lleval_jax.core.precision import light_jit
from lleval_jax.core.solvers.bfgs import BFGS
from lleval_jax.core.solvers.loop import Solution, solve
from lleval_jax.errors import require
from lleval_jax.estimators.ended import ended
from lleval_jax.layout.chain import Named, panel_of, share
from lleval_jax.types import Array, Status
from lleval_jax.values.params import RefreshParams
from lleval_jax.values.results import FitResult, Source

PER_DIM = 4  # models for each dimension at least
TOL, STEPS = 2e-3, 400  # largest gradient entry of the log evidence by the log of a size; steps at most


def fitted(named: Named, dims: int, strict: bool, source: Source) -> FitResult[RefreshParams]:
    """The law of most evidence."""
    chain = named.chain
    dims = min(dims, len(named.models) // PER_DIM)
    with jax.enable_x64(True):
        rate = share(chain.right.sum(1), chain.asked.sum(1))
        pairs = (jnp.asarray(part) for part in (chain.product, chain.common, rate))
        loading = np.asarray(_loadings(*pairs, dims)) if dims else np.zeros((len(rate), 0))
        known = panel_of(chain, loading)
        end, doubt = _search(known, panel.before(*known.basis.shape))
        law = [np.asarray(part) for part in (*end.x, *doubt)]
    how = ended(
        "the law of the versions",
        Status(int(end.status)),
        int(end.steps),
        advice="fewer dims may help",
        strict=strict,
        value=-float(end.value),
        unit="log evidence",
        error=float(end.error),
    )
    cells = [f"{named.versions[v]}/{named.domains[d]}" for v, d in zip(chain.version, chain.domain, strict=True)]
    return FitResult(
        params=RefreshParams(chain, loading, *law),
        axes={"models": named.models, "cells": tuple(cells), "domains": named.domains, "versions": named.versions},
        ended=how,
        method=f"refresh d={dims}",
        settings={"dims": dims},
        source=source,
    )


_loadings = light_jit(factors.loadings, static_argnames="dims")


@light_jit
def _search(known: panel.Panel, prior: panel.Prior) -> tuple[Solution, tuple[Array, Array]]:
    """Sizes of most evidence and prior, and the posterior variances of the first two by Laplace's method."""
    flat, whole = ravel_pytree(prior.mode)

    def loss(x: Array) -> Array:
        return -panel.log_evidence(whole(x), known) - panel.log_prior(whole(x), prior)

    def precision(x: Array) -> Array:
        return panel.information(whole(x), known) + jnp.diag(panel.prior_information(whole(x), prior))

    end = solve(BFGS(lambda x: inverse(precision(x))[0]), loss, flat, tol=TOL, max_steps=STEPS)
    parts, free = prior.mode.model.size, prior.mode.model.size + prior.mode.shift.size
    doubt = jnp.diag(inverse(precision(end.x)[:free, :free])[0])
    return end._replace(x=whole(end.x)), (doubt[:parts], doubt[parts:].reshape(prior.mode.shift.shape))


def expected(law: RefreshParams) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes whose variances are the posterior means: exp(2 s) at its mean, log s being normal."""
    return law.model_size + law.model_doubt, law.shift_size + law.shift_doubt, law.spread


def named_of(fit: FitResult[RefreshParams]) -> Named:
    """The chain that a fit keeps, or one clear error if it is none of `refresh.fit`."""
    known = isinstance(fit.params, RefreshParams)
    require(known, f"this fit ({fit.method}) is none of refresh.fit; fit the versions first")
    return Named(fit.params.chain, fit.rows, fit.axes["domains"], fit.axes["versions"])
