"""Posteriors that cost no sampling: draws of a model's prior, for tests of what follows from draws; or weighed."""

import functools
from typing import Any

import jax
import numpy as np

from lleval_jax import bayes
from lleval_jax.bayes.diagnostics import diagnosed
from lleval_jax.bayes.engines import Draws
from lleval_jax.bayes.numbers import numbers
from lleval_jax.bayes.prior import unknowns
from lleval_jax.core.linalg.arrow import Point


def of_prior(model: Any, value: Any, *, draws: int = 25, seed: int = 0) -> bayes.Posterior:
    """Two chains of the prior as `bayes.sample` returns what an approximation drew whose weights are not known."""
    laid = model.lay_out(value, None, "float32")
    one = functools.partial(unknowns, model, laid)
    with numbers("float32"):
        found = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(seed), 2 * draws))
    kept = {name: np.asarray(x).reshape(2, draws, *x.shape[1:]) for name, x in found.items()}
    unknown = Draws(Point(None, None), {}, np.full((2, draws), np.nan))  # pyright: ignore[reportArgumentType]
    return bayes.Posterior(model, laid, kept, {}, diagnosed(kept, unknown, worth=np.nan), "prior", "float32", seed)


def weighed(posterior: bayes.Posterior, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of values (draws, ...) of the prior's draws under the posterior, and their errors, by the likelihood."""
    log_weight = posterior.log_likelihood().reshape(posterior.count, -1).astype(float).sum(1)
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    mean = np.tensordot(share, values, 1)
    return mean, np.sqrt(np.tensordot(share**2, (values - mean) ** 2, 1))
