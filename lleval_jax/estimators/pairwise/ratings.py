"""`fit`: comparisons of two -> ratings, how often models tie, and the covariance of both.

Bradley-Terry with ties after Davidson (1970), `core.davidson`; without a tie in the data it is Bradley & Terry (1952).
The likelihood is concave, and Newton's steps find its one maximum. Ratings are told from their mean. Comparisons are
taken to be independent: those of one prompt, or of one person, are not quite, and intervals are then too narrow.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core import davidson
from lleval_jax.core.precision import jit, precise
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.loop import Solution
from lleval_jax.core.solvers.marquardt import Local, Marquardt
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.pairwise.connected import require_ratings
from lleval_jax.types import Array, Status
from lleval_jax.values.pairs import Pairs
from lleval_jax.values.params import PairParams
from lleval_jax.values.results import FitResult, Source

WITHOUT_TIES = ("bradley1952rank",)
CITE = (*WITHOUT_TIES, "davidson1970extending")
TOL = 1e-8  # of the gradient, in standard errors


def fit(pairs: Pairs, *, max_steps: int = 200, strict: bool = False) -> FitResult[PairParams]:
    """Ratings of models by maximum likelihood, with their covariance from the observed information.

    Args:
        pairs: outcomes of comparisons; `Pairs.build` and `Pairs.from_frame` make them.
        max_steps: give up after so many Newton steps.
        strict: raise if the search does not converge, rather than warn.

    Raises:
        BadInput: the ratings have no finite or no unique estimate: parts never met (they are named), one part won all
            comparisons with another, one model, or ties alone.
        NotConverged: see `strict`.

    Example:
        >>> import lleval_jax as ll
        >>> pairs = ll.Pairs.build(["a", "a", "a"], ["b", "b", "b"], [1, 1, 0])
        >>> float(np.diff(ll.pairwise.fit(pairs).params.rating)[0])  # minus the logit of 2 / 3
        -0.693...
    """
    require_ratings(pairs)
    ties = bool(pairs.counts[:, 1].any())
    with precise("float64"):
        data = pairs.first, pairs.second, jnp.asarray(pairs.counts, float)
        found, covariance = jax.tree.map(np.asarray, _SOLVED(data, len(pairs.models), ties, max_steps))
    end = ended(
        "the fit of ratings",
        Status(int(found.status)),
        int(found.steps),
        advice="raise max_steps",
        strict=strict,
        value=-float(found.value),
        error=float(found.error),
    )
    n = len(pairs.models)
    params = PairParams(
        rating=found.x[:n],
        log_tie=found.x[n:],
        covariance=covariance,
        met=pairs.met,
    )
    return FitResult(
        params=params,
        axes={"models": pairs.models, "opponents": pairs.models},
        ended=end,
        method="Bradley-Terry, ties after Davidson" if ties else "Bradley-Terry",
        settings={"max_steps": max_steps},
        source=pairs.source.merge(Source(cite=CITE if ties else WITHOUT_TIES)),
    )


def _minus(data: tuple[Array, Array, Array], n: int, x: Array) -> Array:
    """Minus the log likelihood, and a square that holds the mean rating at 0: at the maximum it is nothing."""
    log_tie = x[n] if len(x) > n else None
    return jnp.sum(x[:n]) ** 2 / 2 - jnp.sum(davidson.log_likelihood(x[:n], log_tie, *data))


def _solved(data: tuple[Array, Array, Array], n: int, ties: bool, max_steps: int) -> tuple[Solution, Array]:
    """The maximum, and the covariance of ratings told from their mean, and of `log_tie`."""
    minus = functools.partial(_minus, data, n)

    def local(x: Array) -> Local:
        value, gradient = jax.value_and_grad(minus)(x)
        return Local(value, gradient, jax.hessian(minus)(x))

    counts = data[2]
    middle = jnp.log(2 * jnp.sum(counts[:, 1]) / jnp.sum(counts[:, 0] + counts[:, 2])) if ties else 0.0
    start = jnp.zeros(n + ties).at[n:].set(middle)
    found = loop.solve(Marquardt(), local, start, tol=TOL, max_steps=max_steps)
    centre = jnp.eye(n + ties) - jnp.pad(jnp.full((n, n), 1 / n), (0, int(ties)))
    covariance = centre @ jnp.linalg.inv(jax.hessian(minus)(found.x)) @ centre.T
    return found, (covariance + covariance.T) / 2


_SOLVED = jit(_solved, static_argnums=(1, 2, 3))
