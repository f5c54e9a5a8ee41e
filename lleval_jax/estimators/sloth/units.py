"""Skills of a law in units in which they have mean 0, variance 1 and no correlation over its models.

What else hangs on skills (`downstream.py`, `passk.py`) is learned in these units, so that a normal prior which treats
all directions alike makes the same of every rotation of a law.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.laws import pooled
from lleval_jax.core.precision import jit, precise
from lleval_jax.errors import BadInput, nearest
from lleval_jax.layout.board import known, law_of, slopes_of
from lleval_jax.values.params import SlothParams, Units
from lleval_jax.values.results import FitResult


class Skills(NamedTuple):
    """`pooled.Skills` on the host, a law's models in its order: (models, skills) and (models, skills, skills)."""

    mean: np.ndarray
    cov: np.ndarray
    family_mean: np.ndarray
    family_cov: np.ndarray


def posterior(law: FitResult[SlothParams], slopes_cov: np.ndarray) -> Skills:
    """Raw skills of the models that a law was learned from, in its order, with this covariance of the shared slopes."""
    with precise("float64"):
        rows, where, at = known(law)
        shared = slopes_of(law.params)._replace(cov=jnp.asarray(slopes_cov))
        found = _posterior(law_of(law.params), rows, at, jnp.asarray(law.params.floor), shared)
    return Skills(*(np.asarray(x)[*where.T] for x in found))


_posterior = jit(pooled.skills)


def root(mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """(skills, skills) R, such that skills times R^-T have variance 1 over models; their loadings are those times R."""
    away = mean - mean.mean(0)
    return np.linalg.cholesky(away.T @ away / len(mean) + cov.mean(0))


def of_models(law: FitResult[SlothParams]) -> tuple[Units, np.ndarray, np.ndarray]:
    """The units, and in them the posterior of the skills of the models that a law was learned from.

    Slopes that all models share are taken as they are: their error moves all models together, is no scatter among
    them, and whatever is regressed on skills makes up for it.
    """
    mean, cov = posterior(law, np.zeros_like(law.params.slope_cov))[:2]
    units = Units(mean.mean(0), np.linalg.inv(root(mean, cov)))
    return units, *units.of(mean, cov)


def places(law: FitResult[SlothParams], models: Sequence[str]) -> np.ndarray:
    """Where models stand in a law. Raises `BadInput` with the nearest names of those that do not."""
    at = {name: i for i, name in enumerate(law.rows)}
    unknown = [name for name in models if name not in at]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        hint = nearest(unknown[0], law.rows)
        raise BadInput(f"the law knows no model {unknown[0]!r}{more}{hint or '; name models as its leaderboard does'}")
    return np.array([at[name] for name in models], int)
